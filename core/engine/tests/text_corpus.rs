//! Replays the corpora of the fuzz targets `tokenizer` and `tokenizer_json`, so that they count without
//! a fuzzer.
//!
//! The seeds are made here; with `TRITONE_WRITE_SEEDS=1` the test writes them to the corpus. Inputs
//! that a fuzzer has found are kept beside them and replayed too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper of a test fails as the test does"
)]

#[path = "text_support/directory.rs"]
mod directory;
#[path = "text_support/round_trip.rs"]
mod round_trip;

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Value, json};
use tritone_formats::alphabet;

fn corpus(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target)
}

/// A vocabulary of all bytes and some merges, as a directory has it.
fn bytes() -> Value {
    let letters = (0..=255).map(|byte| alphabet::letter(byte).to_string());
    let merged = ["aa", "ab", "Ġa", "aab"].map(str::to_owned);
    let vocab: serde_json::Map<_, _> = letters.chain(merged).zip((0..).map(Value::from)).collect();
    json!({
        "added_tokens": [
            {"id": 260, "content": "<s>", "special": true},
            {"id": 261, "content": "<|im_end|>", "special": true},
            {"id": 262, "content": "<think>", "special": false},
        ],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
        "post_processor": {"type": "TemplateProcessing", "single": [
            {"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}]},
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "vocab": vocab, "merges": ["a a", "a b", ["Ġ", "a"], ["aa", "b"]]},
    })
}

/// The same of pieces.
fn pieces() -> Value {
    let bytes = (0..=255).map(|byte: u8| format!("<0x{byte:02X}>"));
    let pieces = ["<unk>", "▁", "a", "b", "▁a", "ab", "▁▁", "字"].map(str::to_owned);
    let vocab: serde_json::Map<_, _> = bytes.chain(pieces).zip((0..).map(Value::from)).collect();
    json!({
        "added_tokens": [
            {"id": 256, "content": "<unk>", "special": true},
            {"id": 264, "content": "<s>", "special": true},
            {"id": 265, "content": "▁▁", "special": false},
            {"id": 266, "content": "\n\n", "special": false},
        ],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "vocab": vocab, "byte_fallback": true, "unk_token": "<unk>",
            "merges": [["▁", "▁"], ["▁", "a"], ["a", "b"]]},
    })
}

fn with(mut base: Value, pointer: &str, value: Value) -> Value {
    *base.pointer_mut(pointer).unwrap() = value;
    base
}

/// Name, content, and whether it becomes a tokenizer.
fn directories() -> Vec<(&'static str, Vec<u8>, bool)> {
    let doubled = with(
        pieces(),
        "/added_tokens/2",
        json!({"id": 265, "content": "<x>"}),
    );
    let metaspace = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first",
        "split": false});
    let mut spaced = with(pieces(), "/normalizer", Value::Null);
    spaced["pre_tokenizer"] = metaspace;
    let companion = json!({"bos_token": {"content": "<s>"}, "eos_token": "<|im_end|>",
        "add_bos_token": true, "chat_template": "{{ bos_token }}{{ messages[0].content }}"});
    let text = |value: Value| value.to_string().into_bytes();
    vec![
        ("bytes", text(bytes()), true),
        (
            "bytes-companion",
            format!("{}\0{companion}", bytes()).into_bytes(),
            true,
        ),
        ("pieces", text(doubled), true),
        ("pieces-twice", text(pieces()), true),
        ("metaspace", text(spaced), true),
        (
            "unigram",
            text(with(bytes(), "/model/type", json!("Unigram"))),
            false,
        ),
        (
            "outside",
            text(with(bytes(), "/added_tokens/0/id", json!(300))),
            false,
        ),
        (
            "merge-unknown",
            text(with(bytes(), "/model/merges/0", json!("a c"))),
            false,
        ),
        (
            "no-bytes",
            text(with(pieces(), "/model/vocab", json!({"a": 0}))),
            false,
        ),
        (
            "vocab-list",
            text(with(bytes(), "/model/vocab", json!([["a", -1.0]]))),
            false,
        ),
    ]
}

fn texts() -> Vec<(&'static str, Vec<u8>)> {
    let text = |kind: u8, text: &str| [&[kind], text.as_bytes()].concat();
    vec![
        (
            "llama3",
            text(0, "aab  ab 1212\r\n\r\n it's <s> e\u{301}字👍"),
        ),
        (
            "qwen2",
            text(
                1,
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
            ),
        ),
        ("qwen35", text(2, "ab\u{301}\u{301} <think>\n\n</s>")),
        ("falcon", text(3, "a.b,,12 34\t\ta ")),
        ("default", text(4, "123456 $$$ <|im_end|>a")),
        ("scores", text(5 + 8, "  aab ab▁ab▁▁▁▁ <think>a\n\n\nb")),
        ("merges", text(6 + 16, "▁▁▁▁▁▁ aabababa<think>字字")),
        ("first", text(7, " a<s> a\n\n a")),
        (
            "odd-bytes",
            [&[5][..], b"\xed\xa0\x80a\xff\xf0\x9f"].concat(),
        ),
    ]
}

#[test]
fn seeds_are_in_the_corpus() {
    let directories = directories();
    for (name, bytes, works) in &directories {
        assert_eq!(directory::exercise(bytes), *works, "{name}");
    }
    let directories = directories
        .into_iter()
        .map(|(name, bytes, _)| ("tokenizer_json", name, bytes));
    let texts = texts()
        .into_iter()
        .map(|(name, bytes)| ("tokenizer", name, bytes));
    for (target, name, bytes) in directories.chain(texts) {
        assert!(bytes.len() < 8192, "{name}");
        let path = corpus(target).join(name);
        if std::env::var_os("TRITONE_WRITE_SEEDS").is_some() {
            fs::create_dir_all(corpus(target)).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), bytes, "{name} is out of date");
    }
}

#[test]
fn the_corpora_are_no_danger() {
    for target in ["tokenizer", "tokenizer_json"] {
        let mut replayed = 0;
        for entry in fs::read_dir(corpus(target)).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            match target {
                "tokenizer" => round_trip::exercise(&bytes),
                _ => drop(directory::exercise(&bytes)),
            }
            replayed += 1;
        }
        assert!(replayed > 8, "{target}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_comes_back_from_every_kind(
        kind in any::<u8>(),
        text in "(\\PC|[abe ▁\n1]|\u{301}|é|字|<|/?s>|\\|im_end\\|>|<think>){0,30}",
    ) {
        round_trip::exercise(&[&[kind], text.as_bytes()].concat());
    }

    #[test]
    fn damaged_directories_are_no_danger(
        which in 0..10usize,
        edits in prop::collection::vec((any::<u16>(), 0..4usize, "[\\[\\]{}\",:a0-9▁-]{0,3}"), 0..3),
    ) {
        let (_, bytes, _) = directories().swap_remove(which);
        let mut chars: Vec<char> = String::from_utf8(bytes).unwrap().chars().collect();
        for (at, count, insert) in edits {
            let at = usize::from(at) % chars.len();
            let end = (at + count).min(chars.len());
            drop(chars.splice(at..end, insert.chars()));
        }
        let text: String = chars.into_iter().collect();
        directory::exercise(text.as_bytes());
    }
}
