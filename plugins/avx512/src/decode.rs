//! The ternary product of a few tokens: one linear stream over the packed weights.
//!
//! A 64-byte load feeds four byte dot products, one a bit plane. Planes are masked, not shifted:
//! plane `p` counts 4^p-fold in an accumulator of its own, which is shifted back at the end. The
//! largest is plane 3: 4 * 128 * 128 = 2^16 a dot product, 2^13 of them for 131072 columns, so
//! below 2^30; and a byte of it is at most 128, as [`Dot::dot`] demands.

use core::arch::x86_64::*;

use tritone_abi::layout::t2r32::{BLOCK_BYTES, BLOCK_COLS, GROUP_ROWS};
use tritone_abi::{Activations, MatOut, TernaryMatrix};

use crate::dot::{Dot, for_each_isa};
use crate::fold::HALVES;
use crate::isa::Isa;
use crate::rows::{Sums, rows};

/// Most tokens that this path takes in one pass over the weights: 24 accumulators.
pub(crate) const MAX_TOKENS: usize = 3;

/// Bit planes of a block.
const PLANES: usize = 4;

/// How far ahead of its use a cache line is asked for.
const PREFETCH_BYTES: usize = 6144;

/// The product of checked arguments with at most [`MAX_TOKENS`] tokens.
pub(crate) fn matmul(isa: Isa, w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) {
    // The callers of this module checked that `w.data` and `x` fit their shapes, which agree, and
    // that `out.range()` lies in the matrix and starts on a row group: all that `product` asks.
    match x.tokens {
        1 => for_each_isa!(isa, product::<1>(
            w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>
        )),
        2 => for_each_isa!(isa, product::<2>(
            w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>
        )),
        3 => for_each_isa!(isa, product::<3>(
            w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>
        )),
        _ => {}
    }
}

/// # Safety
/// * The processor has the features of `D`.
/// * `w.data` and `x` fit their shapes, which agree; there are `T` tokens; `out` has `T` rows and
///   its range lies in the matrix and starts on a row group.
#[inline(always)]
unsafe fn product<D: Dot, const T: usize>(
    w: &TernaryMatrix<'_>,
    x: &Activations<'_>,
    out: &mut MatOut<'_>,
) {
    for first_row in out.range().step_by(GROUP_ROWS) {
        // SAFETY: the features are there.
        unsafe { rows::<D, Masked, T>(w, x, out, (first_row / GROUP_ROWS, 0)) };
    }
}

/// Planes that are masked where they lie, an accumulator each.
struct Masked;

impl Sums for Masked {
    #[inline(always)]
    #[expect(
        clippy::needless_range_loop,
        reason = "counted loops over register arrays read alike"
    )]
    unsafe fn sums<D: Dot, const T: usize>(
        weights: *const u8,
        q: &[*const i8; T],
        blocks: usize,
    ) -> [[__m512i; HALVES]; T] {
        // SAFETY: the features are there, and the loads are those promised by the caller.
        unsafe {
            let masks = [0x03, 0x0c, 0x30, 0xc0_u8 as i8].map(|mask| _mm512_set1_epi8(mask));
            let mut planes = [[[_mm512_setzero_si512(); PLANES]; HALVES]; T];
            for b in 0..blocks {
                let block = weights.add(b * BLOCK_BYTES);
                // A prefetch cannot fault, so it may run past the end of the weights.
                let ahead = block.wrapping_add(PREFETCH_BYTES).cast();
                _mm_prefetch::<_MM_HINT_T0>(ahead);
                _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(64));
                for h in 0..HALVES {
                    let v = _mm512_loadu_si512(block.add(64 * h).cast());
                    for (p, mask) in masks.iter().enumerate() {
                        let codes = _mm512_and_si512(v, *mask);
                        for t in 0..T {
                            let quad: *const i32 = q[t].add(b * BLOCK_COLS + 4 * p).cast();
                            let quad = _mm512_set1_epi32(quad.read_unaligned());
                            planes[t][h][p] = D::dot(planes[t][h][p], codes, quad);
                        }
                    }
                }
            }
            let mut sums = [[_mm512_setzero_si512(); HALVES]; T];
            for t in 0..T {
                for h in 0..HALVES {
                    let [one, four, sixteen, most] = planes[t][h];
                    // Every product of plane `p` is a multiple of 4^p, so the shifts are exact.
                    let low = _mm512_add_epi32(one, _mm512_srai_epi32::<2>(four));
                    let high = _mm512_add_epi32(
                        _mm512_srai_epi32::<4>(sixteen),
                        _mm512_srai_epi32::<6>(most),
                    );
                    sums[t][h] = _mm512_add_epi32(low, high);
                }
            }
            sums
        }
    }
}
