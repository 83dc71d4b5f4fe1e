//! `config.json` and a safetensors file from the fuzzer: refused, or converted to a sound GGUF file.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../core/formats/tests/directory/mod.rs"]
mod directory;

fuzz_target!(|input: &[u8]| {
    let _ = directory::exercise(input);
});
