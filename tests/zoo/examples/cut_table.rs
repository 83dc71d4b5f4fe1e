//! A plugin that exports the header alone and declares the length of a whole table.
#![allow(unsafe_code, reason = "exports a symbol")]

tritone_zoo::abort_when_opened!();
tritone_zoo::export! {
    tritone_kernel_cut_table: tritone_abi::table::Header =
        tritone_zoo::table("cut_table").header;
}
