//! A GGUF file from the fuzzer: parsed, and every metadata value and tensor touched.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../core/formats/tests/exercise/mod.rs"]
mod exercise;

fuzz_target!(|bytes: &[u8]| {
    // Errors are what most inputs give; panics and failed assertions are what is looked for.
    let _ = exercise::exercise(bytes);
});
