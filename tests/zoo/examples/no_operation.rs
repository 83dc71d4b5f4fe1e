//! A plugin that announces nothing this version knows.
#![allow(unsafe_code, reason = "exports a symbol")]

tritone_zoo::abort_when_opened!();
tritone_zoo::export! {
    tritone_kernel_no_operation: tritone_abi::table::KernelTable = {
        let mut table = tritone_zoo::table("no_operation");
        table.header.ops = 1 << 30;
        table.gate = None;
        table
    };
}
