//! The ternary product of a few tokens: one linear stream over the packed weights.
//!
//! Sixteen bytes are four rows of a block, and give four products, one a bit plane: see
//! [`Dot::planes`]. How the sums stay exact:
//!
//! * `sdot` has planes 0 and 3 in a sum that counts once, plane 1 in one that counts 4-fold and
//!   plane 2 in one that counts 16-fold, each shifted back after a [`run`] of at most 128 blocks. A
//!   block adds at most 16 * 4 * 2 * 128 = 2^14 to the largest, which stays below 2^22, and the
//!   shift is exact because all of it was 16-fold;
//! * `smlal` has every plane in one sum, which takes four products a lane and block. After
//!   [`run`]`::<Smlal>()` = 32 blocks these are 128, as many as 16 bits hold ([`Dot::QUADS`]).
//!   Then they are widened to 32 bits, where 131072 columns of at most 2 * 128 stay below 2^26.

use core::arch::aarch64::*;

use tritone_abi::layout::t2r32::{BLOCK_BYTES, BLOCK_COLS, GROUP_ROWS};
use tritone_abi::{Activations, MatOut, TernaryMatrix};

use crate::dot::{Dot, for_each_isa};
use crate::fold::{self, PARTS, ROWS, Spans};
use crate::isa::Isa;
use crate::probe::prefetch;

/// Most tokens that this path takes in one pass over the weights.
pub(crate) const MAX_TOKENS: usize = 4;

/// Quads in a block, and bit planes.
const PLANES: usize = 4;

/// How far ahead of its use a cache line is asked for.
const PREFETCH_BYTES: usize = 4096;

/// Blocks that are summed before the sums are widened or shifted: at most 16 KiB, which stay in
/// the first-level cache while several passes are made over them.
const fn run<D: Dot>() -> usize {
    let most = D::QUADS / PLANES;
    if most < 128 { most } else { 128 }
}

/// The product of checked arguments with at most [`MAX_TOKENS`] tokens.
pub(crate) fn matmul(isa: Isa, w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) {
    // The callers of this module checked that `w.data` and `x` fit their shapes, which agree, and
    // that `out.range()` lies in the matrix and starts on a row group: all that `product` asks.
    match x.tokens {
        1 => for_each_isa!(isa, product::<1, 4>(
            w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>
        )),
        2 => for_each_isa!(isa, product::<2, 4>(
            w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>
        )),
        3 => for_each_isa!(isa, product::<3, 2>(
            w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>
        )),
        4 => for_each_isa!(isa, product::<4, 1>(
            w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>
        )),
        _ => {}
    }
}

/// `T` tokens, `P` registers of four rows at a time.
///
/// # Safety
/// * The processor has the features of `D`.
/// * `w.data` and `x` fit their shapes, which agree; there are `T` tokens; `out` has `T` rows and
///   its range lies in the matrix and starts on a row group.
#[inline(always)]
unsafe fn product<D: Dot, const T: usize, const P: usize>(
    w: &TernaryMatrix<'_>,
    x: &Activations<'_>,
    out: &mut MatOut<'_>,
) {
    let spans = Spans::of(w);
    let blocks = w.cols.div_ceil(BLOCK_COLS);
    let span_blocks = spans.cols.div_ceil(BLOCK_COLS);
    for first_row in out.range().step_by(GROUP_ROWS) {
        let row_group = first_row / GROUP_ROWS;
        let data = &w.data[row_group * blocks * BLOCK_BYTES..][..blocks * BLOCK_BYTES];
        // SAFETY: the features are there.
        let mut acc = unsafe { [[vdupq_n_f32(0.0); PARTS]; T] };
        for span in 0..spans.count {
            // SAFETY: the features are there.
            let mut sums = unsafe { [[vdupq_n_s32(0); PARTS]; T] };
            let blocks = span * span_blocks..(span + 1) * span_blocks;
            for start in blocks.clone().step_by(run::<D>()) {
                let n = run::<D>().min(blocks.end - start);
                let weights = data[start * BLOCK_BYTES..][..n * BLOCK_BYTES].as_ptr();
                let mut q = [core::ptr::null(); T];
                for (t, q) in q.iter_mut().enumerate() {
                    *q = x.row(t)[start * BLOCK_COLS..][..n * BLOCK_COLS].as_ptr();
                }
                for first in (0..PARTS).step_by(P) {
                    // SAFETY: the features are there; the slices above hold `n` blocks and `n`
                    // times sixteen activations, and `n` is at most `run`; parts
                    // `first .. first + P` lie inside a block.
                    unsafe {
                        let part = run_sums::<D, T, P>(weights.add(16 * first), &q, n);
                        for t in 0..T {
                            for p in 0..P {
                                let sum = &mut sums[t][first + p];
                                *sum = vaddq_s32(*sum, part[t][p]);
                            }
                        }
                    }
                }
            }
            for t in 0..T {
                for p in 0..PARTS {
                    let at = (row_group, span, p);
                    // SAFETY: the features are there.
                    acc[t][p] = unsafe { spans.fold(acc[t][p], sums[t][p], x, t, at) };
                }
            }
        }
        for (t, acc) in acc.iter().enumerate() {
            for (p, values) in acc.iter().enumerate() {
                // SAFETY: the features are there.
                unsafe { fold::store(out, t, first_row + ROWS * p, *values) };
            }
        }
    }
}

/// Products of codes and activations over `n` blocks, for `4 * P` rows and `T` tokens.
///
/// # Safety
/// * The processor has the features of `D`.
/// * `16 * P` bytes are readable at `weights + b * BLOCK_BYTES` for every `b < n`;
/// * `n * BLOCK_COLS` activations are readable at every `q[t]`;
/// * `n` is at most [`run`].
#[inline(always)]
unsafe fn run_sums<D: Dot, const T: usize, const P: usize>(
    weights: *const u8,
    q: &[*const i8; T],
    n: usize,
) -> [[int32x4_t; P]; T] {
    // SAFETY: the features are there, and the loads are those promised by the caller.
    unsafe {
        let mut sums = [[[D::zero(); 3]; P]; T];
        for b in 0..n {
            let block = weights.wrapping_add(b * BLOCK_BYTES);
            prefetch::<PREFETCH_BYTES>(block);
            let mut x = [vdupq_n_s8(0); T];
            for (x, q) in x.iter_mut().zip(q) {
                *x = vld1q_s8(q.add(b * BLOCK_COLS));
            }
            for p in 0..P {
                let planes = D::planes(vld1q_u8(block.add(16 * p)));
                for (t, sums) in sums.iter_mut().enumerate() {
                    let [a, b, c, d] = D::FOLDS;
                    let sum = &mut sums[p];
                    sum[a] = D::add::<0>(sum[a], planes[0], x[t]);
                    sum[b] = D::add::<1>(sum[b], planes[1], x[t]);
                    sum[c] = D::add::<2>(sum[c], planes[2], x[t]);
                    sum[d] = D::add::<3>(sum[d], planes[3], x[t]);
                }
            }
        }
        sums.map(|sums| {
            sums.map(|[ones, fours, sixteens]| {
                let sum = vsraq_n_s32::<2>(D::total(ones), D::total(fours));
                vsraq_n_s32::<4>(sum, D::total(sixteens))
            })
        })
    }
}
