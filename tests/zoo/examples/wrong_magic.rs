//! A plugin whose table starts with other magic bytes.
#![allow(unsafe_code, reason = "exports a symbol")]

tritone_zoo::abort_when_opened!();
tritone_zoo::export! {
    tritone_kernel_wrong_magic: tritone_abi::table::KernelTable = {
        let mut table = tritone_zoo::table("wrong_magic");
        table.header.magic = *b"NOTAKERN";
        table
    };
}
