//! Replays the corpus of the fuzz target `profile`, so that it counts without a fuzzer.

mod exercise;

use std::fs;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/profile");

#[test]
fn profiles_are_read_or_refused_in_words() {
    let mut read = 0;
    for entry in fs::read_dir(CORPUS).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let result = exercise::exercise(&fs::read(&path).unwrap());
        assert_eq!(
            result.is_ok(),
            name.starts_with("good-"),
            "{name}: {result:?}"
        );
        read += 1;
    }
    assert!(read > 5, "{CORPUS} has {read} files");
}
