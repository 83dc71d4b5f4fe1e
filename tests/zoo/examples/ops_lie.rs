//! A plugin that announces an operation whose function is null. Only the opened library shows it.
#![allow(unsafe_code, reason = "exports a symbol")]

tritone_zoo::export! {
    tritone_kernel_ops_lie: tritone_abi::table::KernelTable = {
        let mut table = tritone_zoo::table("ops_lie");
        table.header.ops |= tritone_abi::Ops::ROPE.0;
        table
    };
}
