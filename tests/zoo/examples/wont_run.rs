//! A plugin in order whose instructions no machine has.
#![allow(unsafe_code, reason = "exports a symbol")]

use tritone_abi::{Facts, Kernel, LayoutId, Ops, Score, export_kernel};

struct WontRun;

export_kernel! {
    static KERNEL: WontRun = WontRun;
    symbol: tritone_kernel_wont_run,
    name: "wont_run",
    isa: "AVX-4096",
    layout: LayoutId::T2R32,
    row_align: 32,
    ops: Ops::ALL,
}

impl Kernel for WontRun {
    fn facts(&self) -> &Facts {
        facts()
    }

    fn score(&self) -> Score {
        Score {
            rank: 0,
            reason: "needs AVX-4096".into(),
        }
    }
}
