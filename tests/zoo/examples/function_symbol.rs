//! A plugin that exports a function where the table should be.
#![allow(unsafe_code, reason = "exports a symbol")]

tritone_zoo::abort_when_opened!();

/// Not a table.
// SAFETY: no other symbol has this name.
#[unsafe(no_mangle)]
pub extern "C" fn tritone_kernel_function_symbol() {}
