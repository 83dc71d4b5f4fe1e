//! Two kernels in one plugin.
#![allow(unsafe_code, reason = "exports symbols")]

use tritone_abi::table::KernelTable;

tritone_zoo::abort_when_opened!();
tritone_zoo::export! {
    tritone_kernel_one: KernelTable = tritone_zoo::table("one");
}
tritone_zoo::export! {
    tritone_kernel_two: KernelTable = tritone_zoo::table("two");
}
