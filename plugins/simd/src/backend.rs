//! What an instruction set adds to the shared operations.

use tritone_abi::{Activations, Facts, HeadMatrix, MatOut, Score, TernaryMatrix};

use crate::lanes::Simd;

/// A vector unit's own part of a kernel with the layout
/// [`T2R32`](tritone_abi::LayoutId::T2R32): everything that multiplies bytes. Arguments are
/// checked, and the proof says that the instructions are there.
pub trait Backend: Send + Sync + 'static {
    /// The vector unit.
    type Simd: Simd;

    /// Most tokens that [`decode`](Self::decode) takes.
    const DECODE_TOKENS: usize;

    /// What the kernel says of itself.
    fn facts() -> &'static Facts;

    /// How well it suits this processor.
    fn score() -> Score;

    /// The ternary product of at most [`DECODE_TOKENS`](Self::DECODE_TOKENS) tokens.
    fn decode(s: Self::Simd, w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>);

    /// Scratch memory of [`gemm`](Self::gemm) for matrices with up to `cols` columns.
    fn gemm_scratch(cols: usize) -> usize;

    /// The ternary product of any number of tokens; `scratch` is
    /// [`gemm_scratch`](Self::gemm_scratch)`(w.cols)` long.
    fn gemm(
        s: Self::Simd,
        w: &TernaryMatrix<'_>,
        x: &Activations<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    );

    /// Logits of a quantised head.
    fn codes(s: Self::Simd, w: &HeadMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>);

    /// [`Kernel::probe_read`](tritone_abi::Kernel::probe_read).
    fn probe_read(s: Self::Simd, data: &[u8], prefetch: usize) -> u64;

    /// [`Kernel::probe_int8`](tritone_abi::Kernel::probe_int8).
    fn probe_int8(s: Self::Simd, rounds: u64) -> u64;
}
