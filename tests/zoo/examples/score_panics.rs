//! A plugin that panics when it is asked for its score.
#![allow(unsafe_code, reason = "exports a symbol")]

use tritone_abi::{Facts, Kernel, LayoutId, Ops, Score, export_kernel};

struct ScorePanics;

export_kernel! {
    static KERNEL: ScorePanics = ScorePanics;
    symbol: tritone_kernel_score_panics,
    name: "score_panics",
    isa: "any",
    layout: LayoutId::NONE,
    row_align: 32,
    ops: Ops::GATE,
}

impl Kernel for ScorePanics {
    fn facts(&self) -> &Facts {
        facts()
    }

    fn score(&self) -> Score {
        panic!("score of a zoo plugin, on purpose");
    }
}
