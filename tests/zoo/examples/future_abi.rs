//! A plugin of an ABI that is not spoken yet.
#![allow(unsafe_code, reason = "exports a symbol")]

tritone_zoo::abort_when_opened!();
tritone_zoo::export! {
    tritone_kernel_future_abi: tritone_abi::table::KernelTable = {
        let mut table = tritone_zoo::table("future_abi");
        table.header.abi_version = 999;
        table
    };
}
