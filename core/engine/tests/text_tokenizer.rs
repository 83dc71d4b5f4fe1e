//! The tokenizer against the library that published tokenizers are made with, against the
//! definition, and against spoilt files.
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod text_support;

use proptest::prelude::*;
use std::sync::LazyLock;
use text_support::oracle::Oracle;
use text_support::{BOS, END_OF_TEXT, EOT, Lists, library, tiny, tiny_oracle};
use tritone_engine::text::{Specials, StopSet, TextError, Tokenizer};

static TINY: LazyLock<Tokenizer> = LazyLock::new(tiny);
static PLAIN: LazyLock<Oracle> = LazyLock::new(|| tiny_oracle(false));
static PARSED: LazyLock<Oracle> = LazyLock::new(|| tiny_oracle(true));

fn check(text: &str) {
    let plain = TINY.encode(text, Specials::Plain).unwrap();
    assert_eq!(plain, PLAIN.encode(text), "plain {text:?}");
    assert_eq!(TINY.decode(&plain), text);
    assert!(!plain.iter().any(|&id| TINY.is_control(id)));
    let parsed = TINY.encode(text, Specials::Parse).unwrap();
    assert_eq!(parsed, PARSED.encode(text), "parsed {text:?}");
}

#[test]
fn text_is_encoded_as_by_the_library() {
    let cases = library::cases("tiny");
    assert!(cases.len() > 400, "{}", cases.len());
    for library::Case {
        text,
        plain,
        parsed,
    } in cases
    {
        assert_eq!(
            TINY.encode(&text, Specials::Plain).unwrap(),
            plain,
            "{text:?}"
        );
        assert_eq!(
            TINY.encode(&text, Specials::Parse).unwrap(),
            parsed,
            "{text:?}"
        );
        check(&text);
    }
}

#[test]
fn long_runs_stay_quick_and_right() {
    for library::Case { text, plain, .. } in library::cases("tiny_repeated") {
        let ids = TINY.encode(&text, Specials::Plain).unwrap();
        assert!(ids == plain, "{} bytes of {:?}", text.len(), text.get(..20));
        assert_eq!(TINY.decode(&ids), text);
    }
    // The library gives up on its expression here, and leaves the rest as one word.
    let text = format!("x{}y z\n", " ".repeat(2_000_000));
    let ids = TINY.encode(&text, Specials::Plain).unwrap();
    assert_eq!(TINY.decode(&ids), text);
    assert!(ids.ends_with(&TINY.encode(" y z\n", Specials::Plain).unwrap()));
    let text = "<".repeat(1_000_000);
    assert_eq!(
        TINY.decode(&TINY.encode(&text, Specials::Parse).unwrap()),
        text
    );
}

/// Pieces that meet each other's edges.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "\\PC{0,4}",
        "[ \t\r\n\u{a0}\u{2003}\u{85}\u{b}]{0,4}",
        "[a-zA-Z]{1,6}",
        "[0-9]{1,7}",
        "'(s|S|t|re|VE|m|ll|d|x)",
        "[\u{300}-\u{303}\u{900}-\u{97f}\u{1f3fb}\u{200d}\u{1f469}]{1,3}",
        "[!-/:-@<>|]{1,4}",
        Just("<|eot_id|>".to_owned()),
        Just("<|begin_of_text|>".to_owned()),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_text_is_encoded_as_defined(text in pieces()) {
        check(&text);
    }
}

#[test]
fn tokens_can_be_looked_up() {
    let tiny = &*TINY;
    assert_eq!(tiny.vocab_size(), 2048);
    assert_eq!(tiny.id_of("<|eot_id|>"), Some(EOT));
    assert_eq!(tiny.token_text(EOT).as_deref(), Some("<|eot_id|>"));
    let the = tiny.id_of(" the").unwrap();
    assert_eq!(
        (tiny.token_text(the).as_deref(), tiny.decode_bytes(the)),
        (Some(" the"), &b" the"[..])
    );
    assert_eq!(tiny.encode(" the", Specials::Plain).unwrap(), [the]);
    for id in 0..2048 {
        let text = std::str::from_utf8(tiny.decode_bytes(id));
        assert!(
            text.is_err() || tiny.id_of(text.unwrap()) == Some(id),
            "token {id}"
        );
    }
    assert!(tiny.is_control(BOS) && tiny.is_hidden(BOS) && !tiny.is_hidden(the));
    assert_eq!(
        (tiny.token_text(2048), tiny.decode_bytes(u32::MAX)),
        (None, &b""[..])
    );
    assert!(tiny.is_hidden(2048) && !tiny.is_control(2048));
    assert_eq!(tiny.id_of("no such token"), None);
    assert_eq!(
        tiny.encode_document("a").unwrap(),
        [BOS, tiny.id_of("a").unwrap()]
    );
}

#[test]
fn answers_end_at_named_and_declared_tokens() {
    let stops = StopSet::new(&TINY);
    assert_eq!(stops.ids(), [END_OF_TEXT, EOT]);
    assert!(stops.contains(EOT) && !stops.contains(BOS));
    // Neither declared nor typed as control: still a control token, and still a stop.
    let mut lists = Lists::tiny();
    lists.types[EOT as usize] = 1;
    let mut spec = lists.spec();
    (spec.eot, spec.eos, spec.add_eos) = (None, Some(2047), true);
    let (tokenizer, _) = Tokenizer::from_spec(&spec).unwrap();
    assert_eq!(StopSet::new(&tokenizer).ids(), [END_OF_TEXT, EOT, 2047]);
    assert!(tokenizer.is_control(EOT));
    assert_eq!(tokenizer.encode_document("").unwrap(), [BOS, 2047]);
}

#[test]
fn user_defined_tokens_are_found_in_any_text() {
    let mut lists = Lists::tiny();
    lists.tokens[2047] = b"<think>".to_vec();
    lists.types[2047] = 4;
    let (tokenizer, _) = Tokenizer::from_spec(&lists.spec()).unwrap();
    let ids = tokenizer
        .encode("a<think><|eot_id|>", Specials::Plain)
        .unwrap();
    assert_eq!(ids[1], 2047);
    assert!(!ids.contains(&EOT));
    assert_eq!(tokenizer.decode(&ids), "a<think><|eot_id|>");
}

#[test]
fn a_missing_pre_tokenizer_is_filled_in_and_said() {
    let lists = Lists::tiny();
    let mut spec = lists.spec();
    spec.pre = None;
    let (tokenizer, notices) = Tokenizer::from_spec(&spec).unwrap();
    assert!(
        notices.len() == 1 && notices[0].contains("llama-bpe"),
        "{notices:?}"
    );
    let text = "12345 it's";
    let ids = tokenizer.encode(text, Specials::Plain).unwrap();
    assert_eq!(ids, TINY.encode(text, Specials::Plain).unwrap());
    spec.architecture = "llama";
    let (_, notices) = Tokenizer::from_spec(&spec).unwrap();
    assert!(notices[0].contains("default"), "{notices:?}");
    spec.pre = Some("klingon");
    let err = Tokenizer::from_spec(&spec).unwrap_err();
    let pre = "klingon".into();
    assert_eq!(err, TextError::UnsupportedSplitter { pre });
}

#[test]
fn spoilt_files_are_refused_with_the_place() {
    let tiny = Lists::tiny();
    let mut spec = tiny.spec();
    spec.model = "rwkv";
    let model = Tokenizer::from_spec(&spec).unwrap_err();
    assert_eq!(
        model,
        TextError::UnsupportedModel {
            model: "rwkv".into()
        }
    );
    let mut spec = tiny.spec();
    spec.eos = Some(2048);
    let id = Tokenizer::from_spec(&spec).unwrap_err();
    assert_eq!(
        id,
        TextError::IdOutOfRange {
            what: "the EOS token",
            id: 2048,
            size: 2048
        }
    );
    assert!(id.to_string().ends_with("ends at 2047"));

    let spoil = |change: &dyn Fn(&mut Lists)| {
        let mut lists = tiny.clone();
        change(&mut lists);
        lists.error()
    };
    assert_eq!(
        spoil(&|l| (l.tokens.clear(), l.types.clear()).0),
        TextError::EmptyVocabulary
    );
    assert_eq!(
        spoil(&|l| l.types.truncate(7)),
        TextError::TokenTypes {
            tokens: 2048,
            types: 7
        }
    );
    assert_eq!(
        spoil(&|l| l.tokens[300] = vec![0xff, 0xfe]),
        TextError::TokenNotUtf8 { id: 300 }
    );
    assert_eq!(
        spoil(&|l| l.tokens[2047] = l.tokens[2046].clone()),
        TextError::DuplicateToken {
            text: "<|reserved_special_token_6|>".into(),
            first: 2046,
            second: 2047
        }
    );
    assert!(matches!(
        spoil(&|l| l.tokens[400] = l.tokens[300].clone()),
        TextError::DuplicateToken {
            first: 300,
            second: 400,
            ..
        }
    ));
    assert_eq!(
        spoil(&|l| l.merges[5] = b"qqq zzz".to_vec()),
        TextError::MergeUnknown {
            index: 5,
            token: "qqq".into()
        }
    );
    // Both halves are tokens, the whole is not, and longer than every token.
    let long = b"openhagen openhagen".to_vec();
    assert_eq!(
        spoil(&|l| l.merges[9] = long.clone()),
        TextError::MergeUnknown {
            index: 9,
            token: "openhagenopenhagen".into()
        }
    );
    assert_eq!(
        spoil(&|l| l.merges[2] = "<|eot_id|> a".as_bytes().to_vec()),
        TextError::MergeUnknown {
            index: 2,
            token: "<|eot_id|>".into()
        }
    );
    for syntax in [&b"ab"[..], b"a b c", b" a", b"a ", b"", b"a \xff"] {
        let err = spoil(&|l| l.merges[3] = syntax.to_vec());
        assert!(
            matches!(err, TextError::MergeSyntax { index: 3, .. }),
            "{err}"
        );
    }
    let newline = tiny
        .tokens
        .iter()
        .position(|token| token == "Ċ".as_bytes())
        .unwrap();
    assert_eq!(
        spoil(&|l| (l.merges.clear(), l.types[newline] = 5).1),
        TextError::MissingByte { byte: b'\n' }
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever the lists hold, there is an error or a tokenizer that works.
    #[test]
    fn mutated_files_never_panic(
        edits in prop::collection::vec((0..3usize, 0..2048usize, prop::collection::vec(any::<u8>(), 0..6)), 1..4),
        types in prop::collection::vec((0..2048usize, -2..9i32), 0..4),
        text in "\\PC{0,20}",
    ) {
        let mut lists = Lists::tiny();
        for (what, at, bytes) in edits {
            match what {
                0 => lists.tokens[at] = bytes,
                1 => { let at = at % lists.merges.len(); lists.merges[at] = bytes }
                _ => lists.merges.truncate(at),
            }
        }
        for (at, value) in types {
            lists.types[at] = value;
        }
        if let Ok((tokenizer, _)) = Tokenizer::from_spec(&lists.spec()) {
            let ids = tokenizer.encode(&text, Specials::Plain).unwrap();
            prop_assert_eq!(tokenizer.decode(&ids), text);
        }
    }
}
