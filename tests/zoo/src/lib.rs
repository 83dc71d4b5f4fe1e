//! The zoo of broken kernel plugins.
//!
//! Every file in `examples` is one plugin with one thing wrong with it; `tests/zoo` lets the
//! loader loose on them. Most are to be refused without being opened. To prove that, opening one
//! of them ([`abort_when_opened!`]), or calling any function of its [`table`], aborts the process
//! and with it the test.
#![allow(
    unsafe_code,
    reason = "the functions have the signatures of the C table"
)]

use std::process::abort;

use tritone_abi::table::{GateRaw, Header, KernelTable, ScoreOut, TABLE_BYTES, text};
use tritone_abi::{ABI_VERSION, LayoutId, MAGIC, Ops, ScratchNeed, Status};

/// A valid table of a kernel that announces `gate`; each of its functions aborts the process.
#[must_use]
pub const fn table(name: &str) -> KernelTable {
    KernelTable {
        header: Header {
            size: TABLE_BYTES as u32,
            abi_version: ABI_VERSION,
            magic: MAGIC,
            name: text(name),
            version: text("1.0.0"),
            build_id: text("zoo"),
            isa: text("any"),
            layout: LayoutId::NONE.0,
            row_align: 32,
            ops: Ops::GATE.0,
            reserved: 0,
        },
        score: Some(score),
        scratch_bytes: Some(scratch_bytes),
        packed_bytes: Some(packed_bytes),
        pack: None,
        matmul: None,
        head: None,
        quantize: None,
        rms_norm: None,
        rope: None,
        gate: Some(gate),
        attend: None,
        probe_read: None,
        probe_int8: None,
        attend_merge: None,
        norm_quantize: None,
        gate_quantize: None,
    }
}

unsafe extern "C" fn score(_: *mut ScoreOut) -> Status {
    abort()
}

unsafe extern "C" fn scratch_bytes(_: *const ScratchNeed) -> usize {
    abort()
}

extern "C" fn packed_bytes(_: usize, _: usize) -> usize {
    abort()
}

unsafe extern "C" fn gate(_: *const GateRaw) -> Status {
    abort()
}

/// Ends the process; what [`abort_when_opened!`] runs.
pub extern "C" fn abort_now() {
    abort()
}

/// Makes an initialiser ("life before main") that aborts the process when the library is opened.
#[macro_export]
macro_rules! abort_when_opened {
    () => {
        #[used]
        #[cfg_attr(
                                                    target_os = "macos",
                                                    // SAFETY: the section holds pointers to functions like this one.
                                                    unsafe(link_section = "__DATA,__mod_init_func")
                                                )]
        #[cfg_attr(
                                                    not(target_os = "macos"),
                                                    // SAFETY: the section holds pointers to functions like this one.
                                                    unsafe(link_section = ".init_array")
                                                )]
        static ABORT_WHEN_OPENED: extern "C" fn() = $crate::abort_now;
    };
}

/// Exports a static under its own name.
#[macro_export]
macro_rules! export {
    ($symbol:ident: $type:ty = $value:expr;) => {
        /// The exported data.
        // SAFETY: no other symbol of the library has this name.
        #[unsafe(no_mangle)]
        #[allow(non_upper_case_globals)]
        pub static $symbol: $type = $value;
    };
}
