//! A plugin whose name is not UTF-8.
#![allow(unsafe_code, reason = "exports a symbol")]

tritone_zoo::abort_when_opened!();
tritone_zoo::export! {
    tritone_kernel_bad_text: tritone_abi::table::KernelTable = {
        let mut table = tritone_zoo::table("bad_text");
        table.header.name[0] = 0xff;
        table
    };
}
