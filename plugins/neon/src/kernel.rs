//! What only this instruction set has, as the shared kernel asks for it.

use tritone_abi::{Activations, Facts, HeadMatrix, MatOut, Score, TernaryMatrix};
use tritone_simd::Backend;

use crate::isa::Isa;
use crate::{decode, gemm, head, mmla, probe};

/// The backend of [`SimdKernel`](tritone_simd::SimdKernel).
pub(crate) struct Neon;

impl Backend for Neon {
    type Simd = Isa;

    const DECODE_TOKENS: usize = decode::MAX_TOKENS;

    fn facts() -> &'static Facts {
        crate::facts()
    }

    fn score() -> Score {
        match Isa::new() {
            Some(isa) => Score {
                rank: 20,
                reason: isa.products().to_owned(),
            },
            None => Score {
                rank: 0,
                reason: "this processor lacks NEON".to_owned(),
            },
        }
    }

    fn decode(isa: Isa, w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) {
        decode::matmul(isa, w, x, out);
    }

    fn gemm_scratch(cols: usize) -> usize {
        gemm::scratch_bytes(cols)
    }

    fn gemm(
        isa: Isa,
        w: &TernaryMatrix<'_>,
        x: &Activations<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) {
        if isa.i8mm() {
            mmla::matmul(isa, w, x, out, scratch);
        } else {
            gemm::matmul(isa, w, x, out, scratch);
        }
    }

    fn codes(isa: Isa, w: &HeadMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) {
        head::codes(isa, w, x, out);
    }

    fn probe_read(_: Isa, data: &[u8], prefetch: usize) -> u64 {
        // SAFETY: the proof says that NEON is there.
        unsafe { probe::read(data, prefetch) }
    }

    fn probe_int8(isa: Isa, rounds: u64) -> u64 {
        probe::int8(isa, rounds)
    }
}
