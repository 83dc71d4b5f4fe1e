//! A plugin that is exported under another name than its own.
#![allow(unsafe_code, reason = "exports a symbol")]

tritone_zoo::abort_when_opened!();
tritone_zoo::export! {
    tritone_kernel_name_mismatch: tritone_abi::table::KernelTable = {
        let mut table = tritone_zoo::table("name_mismatch");
        table.header.name = tritone_abi::table::text("somebody_else");
        table
    };
}
