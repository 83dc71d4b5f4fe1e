//! A JSON schema from the fuzzer: refused, or a grammar whose every allowed token can come.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../core/server/tests/exercise/schema.rs"]
mod schema;

fuzz_target!(|input: &[u8]| {
    let _ = schema::exercise(input);
});
