//! The tokenizers of the published families, from `tokenizer.json` by way of GGUF keys, against the
//! libraries that those families use.
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod text_support;

use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;
use text_support::families::{
    Case, Ids, Scored, cases, converted, default_tokenizer, file, tokenizer,
};
use tritone_engine::text::{
    SpacePrefix, Specials, TextError, TokenStream, Tokenizer, TokenizerSpec,
};
use unicode_normalization::UnicodeNormalization as _;

/// By way of `tokenizer.json`.
const FAMILIES: [&str; 10] = [
    "llama3",
    "qwen2",
    "qwen35",
    "falcon_e",
    "falcon",
    "neox",
    "gemma",
    "llama",
    "llama_first",
    "llama_always",
];

fn shown(text: &str) -> String {
    format!(
        "{} bytes of {:?}",
        text.len(),
        text.chars().take(60).collect::<String>()
    )
}

/// Token by token, as an answer is written.
fn streamed(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    let mut stream = TokenStream::after(tokenizer, None);
    let mut text: String = ids.iter().map(|&id| stream.push(tokenizer, id)).collect();
    text.push_str(&stream.finish());
    text
}

fn check(name: &str, tokenizer: &Tokenizer, case: &Case) {
    let what = || format!("{name}: {}", shown(&case.text));
    let plain = tokenizer.encode(&case.text, Specials::Plain).unwrap();
    assert!(
        Ids::of(&plain) == case.plain,
        "{}: {plain:?}, not {:?}",
        what(),
        case.plain
    );
    assert!(
        !plain.iter().any(|&id| tokenizer.is_control(id)),
        "{}",
        what()
    );
    assert!(tokenizer.decode(&plain) == case.decoded, "{}", what());
    assert!(streamed(tokenizer, &plain) == case.decoded, "{}", what());
    let parsed = tokenizer.encode(&case.text, Specials::Parse).unwrap();
    assert!(
        Ids::of(&parsed) == case.parsed,
        "{} parsed: {parsed:?}, not {:?}",
        what(),
        case.parsed
    );
}

fn check_family(name: &str, family: &Value, tokenizer: &Tokenizer) {
    let cases = cases(family);
    assert!(cases.len() > 140, "{name}: {}", cases.len());
    assert!(cases.iter().any(|case| case.plain != case.parsed), "{name}");
    for case in &cases {
        check(name, tokenizer, case);
    }
    for pair in family["decoded"].as_array().unwrap() {
        let ids: Vec<u32> = serde_json::from_value(pair[0].clone()).unwrap();
        let text = pair[1].as_str().unwrap();
        let ours = tokenizer.decode(&ids);
        assert_eq!(streamed(tokenizer, &ids), ours, "{name} {ids:?}");
        assert_eq!(ours, text, "{name} {ids:?}");
    }
    let ids: Vec<u32> = serde_json::from_value(family["document"].clone()).unwrap();
    assert_eq!(
        tokenizer.encode_document("Hello world").unwrap(),
        ids,
        "{name}"
    );
}

#[test]
fn tokens_are_those_of_the_library() {
    for name in FAMILIES {
        let family = file(name);
        check_family(name, &family, &tokenizer(&family));
    }
}

#[test]
fn words_of_default_are_those_of_the_library() {
    let family = file("default");
    check_family("default", &family, &default_tokenizer(&family));
}

#[test]
fn pieces_with_scores_are_those_of_sentencepiece() {
    for (name, prefix) in [
        ("scores", SpacePrefix::Always),
        ("scores_defined", SpacePrefix::None),
    ] {
        let family = file(name);
        let scored = Scored::new(&family);
        let mut spec = scored.spec();
        spec.space_prefix = prefix;
        let (tokenizer, notices) = Tokenizer::from_spec(&spec).unwrap();
        assert!(notices.is_empty(), "{notices:?}");
        for mut case in cases(&family) {
            // It takes the names of byte tokens in a text for ordinary text, as it does all others.
            case.parsed = Ids::of(&tokenizer.encode(&case.text, Specials::Parse).unwrap());
            check(name, &tokenizer, &case);
        }
    }
}

/// A family, and its tokenizer.
static LLAMA: LazyLock<Tokenizer> = LazyLock::new(|| tokenizer(&file("llama")));
static GEMMA: LazyLock<Tokenizer> = LazyLock::new(|| tokenizer(&file("gemma")));
static QWEN: LazyLock<Tokenizer> = LazyLock::new(|| tokenizer(&file("qwen2")));

#[test]
fn broken_characters_of_byte_tokens_are_replaced() {
    let byte = |byte: u8| {
        let mut ids = (0..600).filter(|&id| LLAMA.decode_bytes(id) == [byte]);
        ids.next().unwrap()
    };
    for bytes in [
        &b"\xed\xa0\x80"[..],
        b"\xe4\xbd\xa0\xff",
        b"a\xf0\x9f\x91",
        b"\xf0\x9f\x91\x8d\xc3",
        b"\x80 \xc3\xa9",
    ] {
        let ids: Vec<u32> = bytes.iter().map(|&one| byte(one)).collect();
        assert_eq!(LLAMA.decode(&ids), String::from_utf8_lossy(bytes));
        assert_eq!(streamed(&LLAMA, &ids), String::from_utf8_lossy(bytes));
    }
}

#[test]
fn the_space_in_front_is_dropped_where_encoding_puts_one() {
    let ids = LLAMA.encode("Hello world", Specials::Plain).unwrap();
    let stream = |after: Option<u32>| {
        let mut stream = TokenStream::after(&LLAMA, after);
        let text: String = ids.iter().map(|&id| stream.push(&LLAMA, id)).collect();
        text
    };
    // At the beginning, and after a control token; not in the middle of a text.
    assert_eq!(stream(None), "Hello world");
    assert_eq!(stream(LLAMA.bos()), "Hello world");
    assert_eq!(stream(ids.first().copied()), " Hello world");
    let first = tokenizer(&file("llama_first"));
    let mut stream = TokenStream::after(&first, first.bos());
    assert_eq!(stream.push(&first, ids[0]).chars().next(), Some(' '));
    let ids = GEMMA.encode(" a", Specials::Plain).unwrap();
    assert_eq!(GEMMA.decode(&ids), " a");
    assert!(
        !GEMMA
            .decode(&GEMMA.encode("a", Specials::Plain).unwrap())
            .contains(' ')
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// What a vocabulary writes is the text, but for spaces written otherwise and normalization.
    #[test]
    fn any_text_comes_back(
        text in "(\\PC|[ \t\r\n\u{2581}]|[a-e]|é|e\u{301}|</?s>|<0x41>|<\\|im_end\\|>|\\n\\n){0,40}",
    ) {
        let spaces = text.replace('\u{2581}', " ");
        for tokenizer in [&*LLAMA, &*GEMMA] {
            let ids = tokenizer.encode(&text, Specials::Plain).unwrap();
            prop_assert!(!ids.iter().any(|&id| tokenizer.is_control(id)));
            prop_assert_eq!(&tokenizer.decode(&ids), &spaces);
            prop_assert_eq!(&streamed(tokenizer, &ids), &spaces);
        }
        let ids = QWEN.encode(&text, Specials::Plain).unwrap();
        let composed: String = text.nfc().collect();
        prop_assert_eq!(&QWEN.decode(&ids), &composed);
        prop_assert_eq!(QWEN.encode(&composed, Specials::Plain).unwrap(), ids);
    }
}

#[test]
fn pieces_without_bytes_or_scores_are_refused() {
    let family = file("scores");
    let refused = |change: &dyn Fn(&mut Scored)| {
        let mut scored = Scored::new(&family);
        change(&mut scored);
        Tokenizer::from_spec(&scored.spec()).unwrap_err()
    };
    let tokens = Scored::new(&family).tokens.len();
    let scores = tokens - 1;
    assert_eq!(
        refused(&|scored| scored.scores.truncate(scores)),
        TextError::Scores { tokens, scores }
    );
    assert_eq!(
        refused(&|scored| scored.scores[300] = f32::NAN),
        TextError::ScoreNotANumber { id: 300 }
    );
    let line = Scored::new(&family)
        .tokens
        .iter()
        .position(|token| token == "<0x0A>")
        .unwrap();
    assert_eq!(
        refused(&|scored| scored.tokens[line] = "<0xZZ>".into()),
        TextError::MissingByte { byte: b'\n' }
    );
    assert!(matches!(
        refused(&|scored| scored.tokens[301] = scored.tokens[300].clone()),
        TextError::DuplicateToken {
            first: 300,
            second: 301,
            ..
        }
    ));
    // Some converters do not mark bytes.
    let mut scored = Scored::new(&family);
    scored.types.fill(1);
    let (tokenizer, _) = Tokenizer::from_spec(&scored.spec()).unwrap();
    let ids = tokenizer.encode("\n", Specials::Plain).unwrap();
    assert_eq!(ids, [line as u32]);
}

#[test]
fn what_would_be_done_differently_is_refused_by_name() {
    let (bytes, pieces) = (file("qwen2"), file("llama"));
    let refused = |family: &Value, pointer: &str, value: Value| {
        let mut tokenizer = family["tokenizer"].clone();
        let (place, key) = pointer.rsplit_once('/').unwrap();
        tokenizer.pointer_mut(place).unwrap()[key] = value;
        converted(&tokenizer, &family["config"])
            .unwrap_err()
            .to_string()
    };
    let added = |flag: &str| {
        let mut added = bytes["tokenizer"]["added_tokens"].clone();
        added[0][flag] = json!(true);
        added
    };
    for (family, pointer, value, part) in [
        (&bytes, "/model/type", json!("Unigram"), "'Unigram'"),
        (&bytes, "/model/type", json!("WordPiece"), "'WordPiece'"),
        (&bytes, "/model/dropout", json!(0.1), "'dropout'"),
        (
            &bytes,
            "/model/end_of_word_suffix",
            json!("</w>"),
            "'end_of_word_suffix'",
        ),
        (&bytes, "/added_tokens", added("lstrip"), "'lstrip'"),
        (&bytes, "/added_tokens", added("rstrip"), "'rstrip'"),
        (
            &bytes,
            "/added_tokens",
            added("single_word"),
            "'single_word'",
        ),
        (
            &bytes,
            "/normalizer",
            json!({"type": "Lowercase"}),
            "normalizer 'Lowercase'",
        ),
        (
            &bytes,
            "/decoder",
            json!({"type": "WordPiece"}),
            "decoder 'WordPiece'",
        ),
        (
            &bytes,
            "/pre_tokenizer",
            json!({"type": "Whitespace"}),
            "'Whitespace'",
        ),
        (
            &bytes,
            "/post_processor",
            json!({"type": "BertProcessing"}),
            "'BertProcessing'",
        ),
        (
            &pieces,
            "/normalizer",
            json!({"type": "Precompiled"}),
            "normalizer 'Precompiled'",
        ),
        (
            &pieces,
            "/pre_tokenizer",
            json!({"type": "Whitespace"}),
            "'Whitespace'",
        ),
        (&pieces, "/model/merges", json!(["ab"]), "merge 'ab'"),
    ] {
        let err = refused(family, pointer, value);
        assert!(err.contains(part), "{pointer}: {err}");
    }
}

/// Beside the flags of published files: those that others have.
#[test]
fn settings_beside_the_usual_ones_reach_the_tokenizer() {
    let with = |family: &Value, change: &dyn Fn(&mut Value)| {
        let mut tokenizer = family["tokenizer"].clone();
        change(&mut tokenizer);
        let (gguf, notices) = converted(&tokenizer, &family["config"]).unwrap();
        let spec = TokenizerSpec::from_gguf(&gguf, "llama").unwrap();
        (Tokenizer::from_spec(&spec).unwrap().0, notices)
    };
    let ids = |tokenizer: &Tokenizer, text: &str| tokenizer.encode(text, Specials::Plain).unwrap();
    let composed = ids(&QWEN, "é");
    assert_eq!(ids(&QWEN, "e\u{301}"), composed);
    let (raw, _) = with(&file("qwen2"), &|t| t["normalizer"] = Value::Null);
    assert_ne!(ids(&raw, "e\u{301}"), composed);
    let (merged, _) = with(&file("llama3"), &|t| {
        t["model"]["ignore_merges"] = json!(false)
    });
    assert!(ids(&merged, "zzzzqqqqxxxx").len() > 1);
    let (_, notices) = with(&file("llama"), &|t| {
        let id = t["model"]["vocab"].as_object().unwrap().len();
        let added = json!({"id": id, "content": "</line>", "special": false, "normalized": true});
        t["added_tokens"].as_array_mut().unwrap().push(added);
    });
    assert!(
        notices.len() == 1 && notices[0].contains("'</line>'"),
        "{notices:?}"
    );
}
