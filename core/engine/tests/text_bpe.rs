//! Byte pair encoding against the reference library, with a vocabulary of real size and with
//! awkward lists.
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod text_support;

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use text_support::large::{Large, Random, text};
use text_support::{BOS, EOT, Lists, json, plain_reference, reference_ids, tiny};
use tritone_engine::text::{Specials, TextError, Tokenizer};

/// The reference with other lists.
fn reference_of(tokens: &[&str], merges: &[(String, String)]) -> tokenizers::Tokenizer {
    let mut file = json("hf/tokenizer.json");
    file["added_tokens"] = Value::Array(Vec::new());
    let vocab = (0..)
        .zip(tokens)
        .map(|(id, token)| ((*token).to_owned(), json!(id)));
    file["model"]["vocab"] = Value::Object(vocab.collect());
    file["model"]["merges"] = json!(merges);
    file.to_string().parse().unwrap()
}

struct Pair {
    ours: Tokenizer,
    reference: tokenizers::Tokenizer,
}

impl Pair {
    fn check(&self, text: &str) {
        let ids = self.ours.encode(text, Specials::Plain).unwrap();
        assert!(ids == reference_ids(&self.reference, text), "{text:?}");
        assert_eq!(self.ours.decode(&ids), text);
    }
}

static LARGE: LazyLock<Pair> = LazyLock::new(|| {
    let large = Large::new();
    let tokens: Vec<&str> = large.tokens.iter().map(String::as_str).collect();
    Pair {
        ours: Tokenizer::from_spec(&large.spec()).unwrap().0,
        reference: reference_of(&tokens, &large.merges),
    }
});

static TINY: LazyLock<Pair> = LazyLock::new(|| Pair {
    ours: tiny(),
    reference: plain_reference(),
});

const NASTY: [&str; 14] = [
    "漢字とカタカナ、한국어 텍스트。中文字符没有空格所以一个词可以很长很长很长很长很长",
    "👩‍👩‍👧‍👦👍🏽🏳️‍🌈👍👍👍👍👍👍👍👍👍👍👍👍👍👍👍",
    "e\u{301}\u{327}\u{328}\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}",
    "Z\u{335}a\u{336}l\u{337}g\u{338}o\u{20dd} क्षि ไทย",
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899",
    "for (int i = 0; i < n; ++i) {\r\n\ta[i] = b[i] & 0xFFFFFFFF;\r\n}\r\n\r\n",
    "<|eot_id|><|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n",
    "https://example.org/a?b=c&d=%20#e-f_g",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "................................................................................",
    "\u{0}\u{1}\u{7f}\u{80}\u{9f}\u{ad}\u{fffd}\u{e000}\u{f0000}",
    "abcdefghijklmnopabcdefghijklmnopabcdefghijklmnopabcdefghijklmnop",
    "éééééééééééééééééééééééééééééé 漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢",
    "                                                                        x",
];

#[test]
fn nasty_text_is_encoded_as_by_the_reference() {
    for text in NASTY {
        TINY.check(text);
        LARGE.check(text);
    }
}

#[test]
fn words_of_every_length_are_encoded_as_by_the_reference() {
    let mut random = Random(2);
    for length in (1..120).chain([1_000, 20_000]) {
        for _ in 0..20_usize.min(40_000 / length) {
            let word = text(&mut random, length).replace(' ', "");
            let ids = LARGE.ours.encode(&word, Specials::Plain).unwrap();
            assert!(
                length < 10 || ids.len() < word.len() * 2 / 3,
                "hardly any merges: {word:?}"
            );
            LARGE.check(&word);
            TINY.check(&word);
        }
    }
}

#[test]
fn long_runs_of_one_letter_are_encoded_as_by_the_reference() {
    for letter in ["a", "é", "漢", "👍", " ", "7", "."] {
        for count in [47, 48, 49, 1_000, 100_000] {
            LARGE.check(&letter.repeat(count));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_text_is_encoded_as_by_the_reference(
        seed in any::<u64>(),
        count in 0..400usize,
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
    let tokens: Vec<&str> = lists
        .tokens
        .iter()
        .map(|token| std::str::from_utf8(token).unwrap())
        .collect();
    let own = |(left, right): &(&str, &str)| ((*left).to_owned(), (*right).to_owned());
    let merges: Vec<_> = merges.iter().map(own).collect();
    Pair {
        ours: Tokenizer::from_spec(&spec).unwrap().0,
        reference: reference_of(&tokens, &merges),
    }
}

const SMALL: [&str; 8] = ["aa", "ab", "ba", "bb", "aab", "abb", "abab", "bbaa"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any order of merges, some several times.
    #[test]
    fn any_list_of_merges_works_as_in_the_reference(
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
