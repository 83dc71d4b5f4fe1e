//! The body of a request to the server from the fuzzer: read, or refused in words.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../core/server/tests/exercise/mod.rs"]
mod exercise;

fuzz_target!(|input: &[u8]| {
    let _ = exercise::request(input);
});
