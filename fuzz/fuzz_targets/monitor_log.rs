//! A log of the monitor from the fuzzer: what are records is kept, summed up, watched and exported.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../core/monitor/tests/exercise/mod.rs"]
mod exercise;

fuzz_target!(|input: &[u8]| {
    let _ = exercise::exercise(input);
});
