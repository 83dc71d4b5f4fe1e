//! A file of sessions from the fuzzer: refused, or trees that are written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../core/store/tests/exercise/mod.rs"]
mod exercise;

fuzz_target!(|input: &[u8]| {
    let _ = exercise::exercise(input);
});
