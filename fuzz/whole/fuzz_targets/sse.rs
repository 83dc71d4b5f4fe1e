//! A stream of events from the fuzzer: the same events in whatever pieces it comes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tritone_client::{SseEvent, SseParser};

#[path = "../../../core/client/tests/exercise/mod.rs"]
mod exercise;

fuzz_target!(|input: &[u8]| {
    let _ = exercise::exercise(input);
});
