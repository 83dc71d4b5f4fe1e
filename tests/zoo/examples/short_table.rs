//! A plugin that declares fewer bytes than a table has.
#![allow(unsafe_code, reason = "exports a symbol")]

tritone_zoo::abort_when_opened!();
tritone_zoo::export! {
    tritone_kernel_short_table: tritone_abi::table::KernelTable = {
        let mut table = tritone_zoo::table("short_table");
        table.header.size = 64;
        table
    };
}
