//! A plugin that needs a function nobody has.
#![allow(unsafe_code, reason = "exports a symbol and declares a foreign one")]

use tritone_abi::Status;
use tritone_abi::table::{GateRaw, KernelTable};

// SAFETY: nobody calls it; the plugin cannot be opened.
unsafe extern "C" {
    fn tritone_zoo_defined_nowhere(args: *const GateRaw) -> Status;
}

tritone_zoo::export! {
    tritone_kernel_undefined: KernelTable = {
        let mut table = tritone_zoo::table("undefined");
        table.gate = Some(tritone_zoo_defined_nowhere);
        table
    };
}
