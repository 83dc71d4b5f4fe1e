//! A complete built-in kernel for partial plugins to stand on.

use tritone_abi::{Facts, Kernel, KernelError, LayoutId, Ops, Score, export_kernel};

pub(crate) struct Base;

export_kernel! {
    static KERNEL: Base = Base;
    symbol: tritone_kernel_base,
    name: "base",
    isa: "any",
    layout: LayoutId::T2R32,
    row_align: 32,
    ops: Ops::ALL,
}

/// Announces everything and answers only `rms_norm`, with an error no other kernel here gives.
impl Kernel for Base {
    fn facts(&self) -> &Facts {
        facts()
    }

    fn score(&self) -> Score {
        Score {
            rank: 10,
            reason: "the base".into(),
        }
    }

    fn rms_norm(&self, _: &[f32], _: &[f32], _: f32, _: &mut [f32]) -> Result<(), KernelError> {
        Err(KernelError::WrongIsa)
    }
}
