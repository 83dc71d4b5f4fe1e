//! The shared operations over lanes in an array pass the suite that every kernel has to pass, on
//! any processor, for both widths of attention.
#![expect(clippy::unwrap_used, reason = "a stand-in for tests")]

mod lanes;

use std::sync::OnceLock;

use lanes::Portable;
use tritone_abi::{
    Activations, Facts, HeadInput, HeadMatrix, Kernel, MatOut, Ops, Score, TernaryMatrix,
};
use tritone_conformance::{Options, check, check_fenced};
use tritone_scalar::Scalar;
use tritone_simd::{Backend, SimdKernel};

/// Bytes are multiplied by the scalar kernel.
struct Borrowed<const WIDTH: usize>;

impl<const WIDTH: usize> Backend for Borrowed<WIDTH> {
    type Simd = Portable<WIDTH>;

    const DECODE_TOKENS: usize = 4;

    fn facts() -> &'static Facts {
        static FACTS: OnceLock<Facts> = OnceLock::new();
        FACTS.get_or_init(|| {
            let mut facts = Scalar.facts().clone();
            facts.name = "portable".to_owned();
            facts.ops = Ops::ALL.with(Ops::FUSED).with(Ops::PROBE);
            facts
        })
    }

    fn score() -> Score {
        Scalar.score()
    }

    fn decode(
        _: Portable<WIDTH>,
        w: &TernaryMatrix<'_>,
        x: &Activations<'_>,
        out: &mut MatOut<'_>,
    ) {
        assert!(x.tokens <= Self::DECODE_TOKENS);
        Scalar.matmul(w, x, out, &mut []).unwrap();
    }

    fn gemm_scratch(cols: usize) -> usize {
        cols
    }

    fn gemm(
        _: Portable<WIDTH>,
        w: &TernaryMatrix<'_>,
        x: &Activations<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) {
        assert_eq!(scratch.len(), w.cols);
        scratch.fill(0x5a);
        Scalar.matmul(w, x, out, &mut []).unwrap();
    }

    fn codes(_: Portable<WIDTH>, w: &HeadMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) {
        Scalar.head(w, &HeadInput::Int8(*x), out, &mut []).unwrap();
    }

    fn probe_read(_: Portable<WIDTH>, data: &[u8], prefetch: usize) -> u64 {
        Scalar.probe_read(data, prefetch).unwrap()
    }

    fn probe_int8(_: Portable<WIDTH>, rounds: u64) -> u64 {
        Scalar.probe_int8(rounds).unwrap()
    }
}

#[test]
fn the_shared_operations_pass_the_suite() {
    let report = check(&SimdKernel::<Borrowed<1>>::new(), &Options::default());
    assert!(report.is_ok(), "{report}");
    assert_eq!(report.skipped().count(), 0);
    let report = check_fenced(&SimdKernel::<Borrowed<2>>::new(), &Options::default());
    assert!(report.is_ok(), "{report}");
}
