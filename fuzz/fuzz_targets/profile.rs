//! A profile from the fuzzer: read, or refused in words.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../core/profile/tests/exercise/mod.rs"]
mod exercise;

fuzz_target!(|input: &[u8]| {
    let _ = exercise::exercise(input);
});
