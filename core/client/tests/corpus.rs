//! Replays the corpus of the fuzz target `sse`, so that it counts without a fuzzer.

mod exercise;

use std::fs;

use tritone_client::{SseEvent, SseParser};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/sse");

#[test]
fn streams_are_read_the_same_in_any_pieces() {
    let mut events = Vec::new();
    for entry in fs::read_dir(CORPUS).unwrap() {
        events.extend(exercise::exercise(
            &fs::read(entry.unwrap().path()).unwrap(),
        ));
    }
    assert!(
        events.contains(&SseEvent::Data("[DONE]".to_owned())),
        "{events:?}"
    );
    assert!(events.contains(&SseEvent::Comment), "{events:?}");
}
