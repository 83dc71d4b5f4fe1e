//! Replays the corpus of the fuzz target `monitor_log`, so that it counts without a fuzzer.

mod exercise;

use std::fs;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/monitor_log");

#[test]
fn logs_are_read_line_by_line() {
    let mut records = 0;
    for entry in fs::read_dir(CORPUS).unwrap() {
        records += exercise::exercise(&fs::read(entry.unwrap().path()).unwrap());
    }
    assert!(records > 5, "{CORPUS} has {records} records");
}
