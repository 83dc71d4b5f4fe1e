//! Replays the corpus of the fuzz target `gguf`, so that it counts without a fuzzer.
//!
//! The seeds are made here; with `TRITONE_WRITE_SEEDS=1` the test writes them to the corpus. Inputs
//! that a fuzzer has found are kept beside them and replayed too.

mod exercise;
mod raw;

use std::fs;
use std::path::Path;

use raw::Raw;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/gguf");

/// Name, content, and whether it is sound.
fn seeds() -> Vec<(&'static str, Vec<u8>, bool)> {
    let one = |ty, dims: &[u64], data: &[u8]| {
        Raw::header(3, 1, 0).tensor("t", dims, ty, 0).data(32, data)
    };
    let tokens = Raw::default()
        .text(b"<s>")
        .text(b"\xc4\xa0a")
        .text(b"\xff")
        .0;
    vec![
        ("rich", raw::rich(), true),
        ("empty-v3", Raw::header(3, 0, 0).0, true),
        ("empty-v2", Raw::header(2, 0, 0).0, true),
        (
            "big-endian",
            b"GGUF\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
            false,
        ),
        (
            "tokens",
            Raw::header(3, 0, 1)
                .array("tokenizer.ggml.tokens", 8, 3, &tokens)
                .0,
            true,
        ),
        (
            "nested-array",
            Raw::header(3, 0, 1).array("k", 9, 1, &[0; 32]).0,
            false,
        ),
        ("q4", one(2, &[64, 2], &[0x5a; 72]), true),
        ("q6", one(14, &[256], &[0x5a; 210]), true),
        ("i2s-scale-nan", one(36, &[128], &[0xff; 64]), true),
        ("i2s-or-iq4", one(36, &[1024], &[0; 576]), true),
        ("row-scaled", one(135, &[64, 3], &[1; 60]), true),
        (
            "sizeless-without-data",
            Raw::header(3, 1, 0).tensor("", &[45], 38, 0).0,
            false,
        ),
        ("size-overflow", one(8, &[1 << 62, 2], &[0; 64]), false),
        (
            "overlap",
            Raw::header(3, 2, 0)
                .tensor("a", &[9], 0, 0)
                .tensor("b", &[1], 0, 32)
                .data(32, &[0; 64]),
            false,
        ),
    ]
}

#[test]
fn seeds_are_in_the_corpus() {
    for (name, bytes, sound) in seeds() {
        assert!(bytes.len() < 4096, "{name}");
        assert_eq!(exercise::exercise(&bytes).is_ok(), sound, "{name}");
        let path = Path::new(CORPUS).join(name);
        if std::env::var_os("TRITONE_WRITE_SEEDS").is_some() {
            fs::write(&path, &bytes).unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), bytes, "{name} is out of date");
    }
}

#[test]
fn the_corpus_is_no_danger() {
    let mut replayed = 0;
    for entry in fs::read_dir(CORPUS).unwrap() {
        let _ = exercise::exercise(&fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed > 0);
}
