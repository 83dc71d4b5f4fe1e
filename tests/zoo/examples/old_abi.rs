//! A plugin of an ABI that is no longer spoken.
#![allow(unsafe_code, reason = "exports a symbol")]

tritone_zoo::abort_when_opened!();
tritone_zoo::export! {
    tritone_kernel_old_abi: tritone_abi::table::KernelTable = {
        let mut table = tritone_zoo::table("old_abi");
        table.header.abi_version = 0;
        table
    };
}
