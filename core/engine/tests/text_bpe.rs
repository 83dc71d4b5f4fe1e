//! Byte pair encoding against the library that published tokenizers are made with, and against the
//! definition, with a vocabulary of real size and with awkward lists.
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod text_support;

use std::sync::LazyLock;

use proptest::prelude::*;
use text_support::large::{Large, Random, text};
use text_support::library::{self, Case};
use text_support::oracle::Oracle;
use text_support::{BOS, EOT, Lists, tiny, tiny_oracle};
use tritone_engine::text::{Specials, TextError, Tokenizer};

struct Pair {
    ours: Tokenizer,
    oracle: Oracle,
}

impl Pair {
    fn check(&self, text: &str) {
        let ids = self.ours.encode(text, Specials::Plain).unwrap();
        assert!(ids == self.oracle.encode(text), "{text:?}");
        assert_eq!(self.ours.decode(&ids), text);
    }

    fn check_case(&self, Case { text, plain, .. }: &Case) {
        let ids = self.ours.encode(text, Specials::Plain).unwrap();
        assert!(
            ids == *plain,
            "{} bytes of {:?}",
            text.len(),
            text.get(..20)
        );
        assert_eq!(self.ours.decode(&ids), *text);
    }
}

static LARGE: LazyLock<Pair> = LazyLock::new(|| {
    let large = Large::new();
    let tokens = large.tokens.iter().map(String::as_str).zip(0..);
    let merges = large.merges.iter().map(|(l, r)| (l.as_str(), r.as_str()));
    Pair {
        ours: Tokenizer::from_spec(&large.spec()).unwrap().0,
        oracle: Oracle::new(tokens, merges, Vec::new()),
    }
});

static TINY: LazyLock<Pair> = LazyLock::new(|| Pair {
    ours: tiny(),
    oracle: tiny_oracle(false),
});

#[test]
fn text_is_encoded_as_by_the_library() {
    let cases = library::cases("large");
    assert!(cases.len() > 80, "{}", cases.len());
    for case in cases {
        LARGE.check_case(&case);
        LARGE.check(&case.text);
    }
    for case in library::cases("large_repeated") {
        LARGE.check_case(&case);
    }
}

#[test]
fn words_of_every_length_are_encoded_as_defined() {
    let mut random = Random(2);
    let (mut bytes, mut tokens) = (0, 0);
    for length in (1..120).chain([1_000]) {
        for _ in 0..20_usize.min(2_000 / length) {
            let word = text(&mut random, length).replace(' ', "");
            bytes += word.len();
            tokens += LARGE.ours.encode(&word, Specials::Plain).unwrap().len();
            LARGE.check(&word);
            TINY.check(&word);
        }
    }
    assert!(
        tokens < bytes * 2 / 3,
        "hardly any merges: {tokens} of {bytes}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_is_encoded_as_defined(
        seed in any::<u64>(),
        count in 0..200usize,
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        other in "\\PC{0,200}",
    ) {
        for text in [&text(&mut Random(seed), count), &*String::from_utf8_lossy(&bytes), &other] {
            LARGE.check(text);
            TINY.check(text);
        }
    }
}

/// Letters only, so that every merge list is about the same few tokens and they meet often.
fn small(extra: &[&str], merges: &[(&str, &str)]) -> Pair {
    let mut lists = Lists::tiny();
    for (token, id) in extra.iter().zip(256..) {
        lists.tokens[id] = token.as_bytes().to_vec();
    }
    lists.tokens.truncate(256 + extra.len());
    lists.types = Vec::new();
    lists.merges = merges
        .iter()
        .map(|(l, r)| format!("{l} {r}").into_bytes())
        .collect();
    let mut spec = lists.spec();
    (spec.bos, spec.eos, spec.eot, spec.pad) = (None, None, None, None);
    let tokens = lists.tokens.iter().zip(0..);
    let tokens = tokens.map(|(token, id)| (std::str::from_utf8(token).unwrap(), id));
    Pair {
        ours: Tokenizer::from_spec(&spec).unwrap().0,
        oracle: Oracle::new(tokens, merges.iter().copied(), Vec::new()),
    }
}

const SMALL: [&str; 8] = ["aa", "ab", "ba", "bb", "aab", "abb", "abab", "bbaa"];

#[test]
fn lists_of_merges_work_as_in_the_library() {
    let lists = library::merges();
    assert_eq!(lists.len(), 40);
    for (merges, cases) in lists {
        let merges: Vec<_> = (merges.iter())
            .map(|merge| merge.split_once(' ').unwrap())
            .collect();
        let pair = small(&SMALL, &merges);
        for case in cases {
            pair.check_case(&case);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Any order of merges, some several times.
    #[test]
    fn any_list_of_merges_works_as_defined(
        order in prop::collection::vec(0..64usize, 0..40),
        texts in prop::collection::vec("[ab]{1,100}", 1..10),
    ) {
        let mut all = Vec::new();
        for token in SMALL {
            all.extend((1..token.len()).map(|middle| token.split_at(middle)));
        }
        all.retain(|(left, right)| {
            let is_token = |part: &str| part.len() == 1 || SMALL.contains(&part);
            is_token(left) && is_token(right)
        });
        let merges: Vec<_> = order.iter().map(|at| all[at % all.len()]).collect();
        let pair = small(&SMALL, &merges);
        for text in texts {
            pair.check(&text);
        }
    }
}

#[test]
fn of_equal_merges_the_leftmost_goes_first_and_the_last_entry_counts() {
    let pair = small(&["aa", "ab"], &[("a", "a"), ("a", "b")]);
    let ids = |pair: &Pair, text: &str| pair.ours.encode(text, Specials::Plain).unwrap();
    let a = pair.ours.id_of("a").unwrap();
    assert_eq!(ids(&pair, "aaa"), [256, a]);
    assert_eq!(ids(&pair, "aab"), [256, pair.ours.id_of("b").unwrap()]);
    let again = small(&["aa", "ab"], &[("a", "a"), ("a", "b"), ("a", "a")]);
    assert_eq!(ids(&again, "aab"), [a, 257]);
    again.check("aabaaabab");
}

#[test]
fn a_word_that_is_a_token_needs_no_merges() {
    let pair = small(&["abab"], &[]);
    let ids = pair.ours.encode("abab", Specials::Plain).unwrap();
    assert_eq!(ids, [256]);
    pair.check("ababab");
}

/// Tokens that no text can be, because they are not spelled in the byte alphabet, may still be
/// listed and merged.
#[test]
fn tokens_outside_the_byte_alphabet_are_only_listed() {
    let mut lists = Lists::tiny();
    for (id, token) in (300..).zip(["語", "言", "語言", "a語"]) {
        lists.tokens[id] = token.into();
    }
    lists.merges = vec!["語 言".into(), "a 語".into()];
    let (tokenizer, _) = Tokenizer::from_spec(&lists.spec()).unwrap();
    assert_eq!(tokenizer.decode(&[300, 302, 303]), "語語言a語");
    let ids = tokenizer.encode("a語言", Specials::Plain).unwrap();
    assert!(ids.iter().all(|id| !(300..304).contains(id)) && ids.len() == 7);
    assert_eq!(tokenizer.id_of("語"), None);
    lists.merges.push("言 語".into());
    let unknown = TextError::MergeUnknown {
        index: 2,
        token: "言語".into(),
    };
    assert_eq!(lists.error(), unknown);
    lists.tokens[304] = "語".into();
    let again = TextError::DuplicateToken {
        text: "語".into(),
        first: 300,
        second: 304,
    };
    assert_eq!(lists.error(), again);
}

/// A character may be listed twice: by its bytes in the alphabet, and as it is.
#[test]
fn merges_make_the_token_that_is_spelled_in_the_byte_alphabet() {
    let mut lists = Lists::tiny();
    let whole = text_support::large::spelled("ǯ".as_bytes());
    let twice = whole.repeat(2);
    for (id, token) in (300..).zip([&whole, "ǯǯ", &twice]) {
        lists.tokens[id] = token.into();
    }
    let (left, right) = whole.split_at('Ç'.len_utf8());
    lists.merges = [format!("{left} {right}"), format!("{whole} {whole}")]
        .map(String::into_bytes)
        .to_vec();
    let (tokenizer, _) = Tokenizer::from_spec(&lists.spec()).unwrap();
    let ids = tokenizer.encode("ǯǯǯ", Specials::Plain).unwrap();
    assert_eq!(ids, [302, 300]);
}

/// A control token may look like an ordinary one. Only the ordinary one comes out of plain text.
#[test]
fn control_tokens_take_no_part_in_merging() {
    let mut lists = Lists::tiny();
    let the = lists
        .tokens
        .iter()
        .position(|token| token == "Ġthe".as_bytes())
        .unwrap();
    lists.tokens[BOS as usize] = b" the".to_vec();
    lists.tokens[EOT as usize] = b"a".to_vec();
    let (tokenizer, _) = Tokenizer::from_spec(&lists.spec()).unwrap();
    assert_eq!(
        tokenizer.encode(" the", Specials::Plain).unwrap(),
        [the as u32]
    );
    assert_eq!(tokenizer.encode(" the", Specials::Parse).unwrap(), [BOS]);
    assert_eq!(tokenizer.id_of(" the"), Some(BOS));
    assert!(
        !tokenizer
            .encode("a", Specials::Plain)
            .unwrap()
            .contains(&EOT)
    );
}
