//! What only this instruction set has, as the shared kernel asks for it.

use tritone_abi::{Activations, Facts, HeadMatrix, MatOut, Score, TernaryMatrix};
use tritone_simd::Backend;

use crate::isa::Isa;
use crate::{decode, gemm, head, probe};

/// The backend of [`SimdKernel`](tritone_simd::SimdKernel).
pub(crate) struct Avx512;

impl Backend for Avx512 {
    type Simd = Isa;

    const DECODE_TOKENS: usize = decode::MAX_TOKENS;

    fn facts() -> &'static Facts {
        crate::facts()
    }

    fn score() -> Score {
        match Isa::detect() {
            Ok(isa) if isa.vnni() => Score {
                rank: 40,
                reason: "AVX-512 with VNNI, 512-bit byte dot products by dpbusd".to_owned(),
            },
            Ok(_) => Score {
                rank: 30,
                reason: "AVX-512 without VNNI, 512-bit byte dot products by maddubs".to_owned(),
            },
            Err(missing) => Score {
                rank: 0,
                reason: format!("this processor lacks {missing}"),
            },
        }
    }

    fn decode(isa: Isa, w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) {
        decode::matmul(isa, w, x, out);
    }

    fn gemm_scratch(_: usize) -> usize {
        0
    }

    fn gemm(
        isa: Isa,
        w: &TernaryMatrix<'_>,
        x: &Activations<'_>,
        out: &mut MatOut<'_>,
        _: &mut [u8],
    ) {
        gemm::matmul(isa, w, x, out);
    }

    fn codes(isa: Isa, w: &HeadMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) {
        head::codes(isa, w, x, out);
    }

    fn probe_read(_: Isa, data: &[u8], prefetch: usize) -> u64 {
        // SAFETY: the proof says that the function's features are there.
        unsafe { probe::read(data, prefetch) }
    }

    fn probe_int8(isa: Isa, rounds: u64) -> u64 {
        probe::int8(isa, rounds);
        rounds.saturating_mul(probe::MACS)
    }
}
