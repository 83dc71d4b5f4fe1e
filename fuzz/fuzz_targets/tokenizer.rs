//! A text for small vocabularies of every kind: encoded, decoded, and decoded token by token.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../core/engine/tests/text_support/round_trip.rs"]
mod round_trip;

fuzz_target!(|input: &[u8]| round_trip::exercise(input));
