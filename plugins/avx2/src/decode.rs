//! The ternary product of a few tokens: one linear stream over the packed weights.
//!
//! Codes (weight + 1, so 0..=2) are multiplied as they lie in the bit planes. Weights and their
//! copy shifted right by four, masked with 0x03 and 0x0c, give the four planes of a block: two of
//! them 1-fold, two of them 4-fold, each pair in an accumulator of its own. How many blocks these
//! hold is worked out in `dot`.

use core::arch::x86_64::*;

use tritone_abi::layout::t2r32::{BLOCK_BYTES, BLOCK_COLS, GROUP_ROWS};
use tritone_abi::{Activations, MatOut, TernaryMatrix};

use crate::dot::{Dot, for_each_isa};
use crate::fold::{self, QUARTERS, Spans};
use crate::isa::Isa;

/// Most tokens that this path takes in one pass over the weights.
pub(crate) const MAX_TOKENS: usize = 4;

/// How far ahead of its use a cache line is asked for.
const PREFETCH_BYTES: usize = 4096;

/// The product of checked arguments with at most [`MAX_TOKENS`] tokens.
pub(crate) fn matmul(isa: Isa, w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) {
    // The callers of this module checked that `w.data` and `x` fit their shapes, which agree, and
    // that `out.range()` lies in the matrix and starts on a row group: all that `product` asks.
    match x.tokens {
        1 => for_each_isa!(isa, product::<1, 4>(
            w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>
        )),
        2 => for_each_isa!(isa, product::<2, 2>(
            w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>
        )),
        3 => for_each_isa!(isa, product::<3, 1>(
            w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>
        )),
        4 => for_each_isa!(isa, product::<4, 1>(
            w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>
        )),
        _ => {}
    }
}

/// `T` tokens, `Q` registers of eight rows at a time.
///
/// # Safety
/// * The processor has the features of `D`.
/// * `w.data` and `x` fit their shapes, which agree; there are `T` tokens; `out` has `T` rows and
///   its range lies in the matrix and starts on a row group.
#[inline(always)]
unsafe fn product<D: Dot, const T: usize, const Q: usize>(
    w: &TernaryMatrix<'_>,
    x: &Activations<'_>,
    out: &mut MatOut<'_>,
) {
    let spans = Spans::of(w);
    let blocks = w.cols.div_ceil(BLOCK_COLS);
    let span_blocks = spans.cols.div_ceil(BLOCK_COLS);
    let rows = out.range();
    for first_row in rows.step_by(GROUP_ROWS) {
        let row_group = first_row / GROUP_ROWS;
        let data = &w.data[row_group * blocks * BLOCK_BYTES..][..blocks * BLOCK_BYTES];
        // SAFETY: the features are there.
        let mut acc = unsafe { [[_mm256_setzero_ps(); QUARTERS]; T] };
        for span in 0..spans.count {
            // SAFETY: the features are there.
            let mut sums = unsafe { [[_mm256_setzero_si256(); QUARTERS]; T] };
            for (t, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the features are there.
                *sums = [unsafe { spans.start(x, t, span) }; QUARTERS];
            }
            let blocks = span * span_blocks..(span + 1) * span_blocks;
            for run in blocks.clone().step_by(D::BLOCKS) {
                let n = D::BLOCKS.min(blocks.end - run);
                let weights = data[run * BLOCK_BYTES..][..n * BLOCK_BYTES].as_ptr();
                let mut q = [core::ptr::null(); T];
                for (t, q) in q.iter_mut().enumerate() {
                    *q = x.row(t)[run * BLOCK_COLS..][..n * BLOCK_COLS].as_ptr();
                }
                for first in (0..QUARTERS).step_by(Q) {
                    // SAFETY: the features are there; the slices above hold `n` blocks and `n`
                    // times sixteen activations, and `n` is at most `D::BLOCKS`; quarters
                    // `first .. first + Q` lie inside a block.
                    unsafe {
                        let part = run_sums::<D, T, Q>(weights.add(32 * first), &q, n);
                        for t in 0..T {
                            for y in 0..Q {
                                let sum = &mut sums[t][first + y];
                                *sum = _mm256_add_epi32(*sum, part[t][y]);
                            }
                        }
                    }
                }
            }
            for t in 0..T {
                for y in 0..QUARTERS {
                    let at = (row_group, span, y);
                    // SAFETY: the features are there.
                    acc[t][y] = unsafe { spans.fold(acc[t][y], sums[t][y], x, t, at) };
                }
            }
        }
        for (t, acc) in acc.iter().enumerate() {
            for (y, values) in acc.iter().enumerate() {
                // SAFETY: the features are there.
                unsafe { fold::store(out, t, first_row + 8 * y, *values) };
            }
        }
    }
}

/// Products of codes and activations over `n` blocks, for `8 * Q` rows and `T` tokens.
///
/// # Safety
/// * The processor has the features of `D`.
/// * `32 * Q` bytes are readable at `weights + b * BLOCK_BYTES` for every `b < n`;
/// * `n * BLOCK_COLS` activations are readable at every `q[t]`;
/// * `n <= D::BLOCKS`.
#[inline(always)]
unsafe fn run_sums<D: Dot, const T: usize, const Q: usize>(
    weights: *const u8,
    q: &[*const i8; T],
    n: usize,
) -> [[__m256i; Q]; T] {
    // SAFETY: the features are there, and the loads are those promised by the caller.
    unsafe {
        let (low, high) = (_mm256_set1_epi8(0x03), _mm256_set1_epi8(0x0c));
        let mut ones = [[_mm256_setzero_si256(); Q]; T];
        let mut fours = [[_mm256_setzero_si256(); Q]; T];
        for b in 0..n {
            let block = weights.wrapping_add(b * BLOCK_BYTES);
            // A prefetch cannot fault, so it may run past the end of the weights.
            let ahead = block.wrapping_add(PREFETCH_BYTES).cast();
            _mm_prefetch::<_MM_HINT_T0>(ahead);
            if Q > 2 {
                _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(64));
            }
            for y in 0..Q {
                let v = _mm256_loadu_si256(block.add(32 * y).cast());
                let u = _mm256_srli_epi16::<4>(v);
                let planes = [
                    _mm256_and_si256(v, low),
                    _mm256_and_si256(v, high),
                    _mm256_and_si256(u, low),
                    _mm256_and_si256(u, high),
                ];
                for t in 0..T {
                    let quads: *const i32 = q[t].add(b * BLOCK_COLS).cast();
                    for p in 0..2 {
                        let quad = _mm256_set1_epi32(quads.add(2 * p).read_unaligned());
                        ones[t][y] = D::step(ones[t][y], planes[2 * p], quad);
                        let quad = _mm256_set1_epi32(quads.add(2 * p + 1).read_unaligned());
                        fours[t][y] = D::step(fours[t][y], planes[2 * p + 1], quad);
                    }
                }
            }
        }
        for t in 0..T {
            for y in 0..Q {
                ones[t][y] = D::join(ones[t][y], fours[t][y]);
            }
        }
        ones
    }
}
