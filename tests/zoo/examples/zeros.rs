//! A plugin whose table is zeroed memory, which takes no bytes in the file.
#![allow(unsafe_code, reason = "exports a symbol")]

use std::sync::atomic::AtomicU64;

tritone_zoo::abort_when_opened!();
tritone_zoo::export! {
    tritone_kernel_zeros: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];
}
