//! A plugin that panics in the ternary product.
#![allow(unsafe_code, reason = "exports a symbol")]

use tritone_abi::{
    Activations, Facts, Kernel, KernelError, LayoutId, MatOut, Ops, Score, TernaryMatrix,
    export_kernel,
};

struct MatmulPanics;

export_kernel! {
    static KERNEL: MatmulPanics = MatmulPanics;
    symbol: tritone_kernel_matmul_panics,
    name: "matmul_panics",
    isa: "any",
    layout: LayoutId::T2R32,
    row_align: 32,
    ops: Ops::MATMUL,
}

impl Kernel for MatmulPanics {
    fn facts(&self) -> &Facts {
        facts()
    }

    fn score(&self) -> Score {
        Score {
            rank: 900,
            reason: "can run, but panics".into(),
        }
    }

    fn matmul(
        &self,
        _: &TernaryMatrix<'_>,
        _: &Activations<'_>,
        _: &mut MatOut<'_>,
        _: &mut [u8],
    ) -> Result<(), KernelError> {
        panic!("matmul of a zoo plugin, on purpose");
    }
}
