//! Rules for content and a text from the fuzzer: the same is shown however the text is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../core/server/tests/exercise/mod.rs"]
mod exercise;

fuzz_target!(|input: &[u8]| {
    let _ = exercise::rules(input);
});
