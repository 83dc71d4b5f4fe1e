//! A plugin in perfect order, save that opening it ends the process.
#![allow(unsafe_code, reason = "exports a symbol")]

tritone_zoo::abort_when_opened!();
tritone_zoo::export! {
    tritone_kernel_aborting: tritone_abi::table::KernelTable = tritone_zoo::table("aborting");
}
