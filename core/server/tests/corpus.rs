//! Replays the corpora of the fuzz targets `request`, `rules` and `schema`, so that they count without a fuzzer.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod exercise;
#[path = "exercise/schema.rs"]
mod schema;

use std::fs;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");

/// Names and contents.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(format!("{CORPUS}/{target}")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        inputs.push((name, fs::read(path).unwrap()));
    }
    inputs
}

#[test]
fn requests_are_read_or_refused() {
    for (name, input) in corpus("request") {
        let read = exercise::request(&input);
        assert_eq!(read > 0, name.starts_with("good-"), "{name}: {read}");
    }
}

#[test]
fn what_a_schema_allows_can_come() {
    for (name, input) in corpus("schema") {
        assert_eq!(
            schema::exercise(&input),
            name.starts_with("good-"),
            "{name}"
        );
    }
}

#[test]
fn rules_do_the_same_however_a_text_is_cut() {
    for (name, input) in corpus("rules") {
        assert_eq!(exercise::rules(&input), name.starts_with("good-"), "{name}");
    }
}
