//! `tokenizer.json` and `tokenizer_config.json` from the fuzzer: refused, or keys of a GGUF file of which
//! the engine makes a tokenizer that works, or says why not.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../core/engine/tests/text_support/directory.rs"]
mod directory;

fuzz_target!(|input: &[u8]| {
    // Most inputs are refused; panics and failed assertions are what is looked for.
    let _ = directory::exercise(input);
});
