//! GGUF files from the fuzzer as the parts of one model: joined, or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../core/formats/tests/parts/mod.rs"]
mod parts;

fuzz_target!(|input: &[u8]| {
    let _ = parts::exercise(input);
});
