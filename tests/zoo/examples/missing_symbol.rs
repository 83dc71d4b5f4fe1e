//! A shared library that is no plugin.
#![allow(unsafe_code, reason = "exports a symbol")]

tritone_zoo::abort_when_opened!();
tritone_zoo::export! {
    some_other_library: u32 = 7;
}
