//! A plugin whose row alignment no engine can honour.
#![allow(unsafe_code, reason = "exports a symbol")]

tritone_zoo::abort_when_opened!();
tritone_zoo::export! {
    tritone_kernel_bad_align: tritone_abi::table::KernelTable = {
        let mut table = tritone_zoo::table("bad_align");
        table.header.row_align = 7;
        table
    };
}
