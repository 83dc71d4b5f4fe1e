//! The ternary product of a few tokens: one linear stream over the packed weights.
//!
//! `vpmaddubsw` multiplies unsigned codes (weight + 1, so 0..=2) with signed activations and adds
//! neighbours to 16 bits. Weights and their copy shifted right by four, masked with 0x03 and
//! 0x0c, give the four bit planes of a block: two of them 1-fold, two of them 4-fold, each pair
//! in an accumulator of its own. A 4-fold product of a pair is at most 2 * 8 * 128 = 2048 in
//! magnitude, a block adds two of them, so [`RUN`] = 8 blocks reach -32768 at the lowest and
//! 32512 at the highest: they always fit. Then both accumulators are joined and widened to 32
//! bits, where 131072 columns of at most 2 * 128 stay below 2^26.

use core::arch::x86_64::*;

use tritone_abi::layout::t2r32::{BLOCK_BYTES, BLOCK_COLS, GROUP_ROWS};
use tritone_abi::{Activations, MatOut, TernaryMatrix};

use crate::fold::{self, QUARTERS, Spans};
use crate::isa::Isa;

/// Most tokens that this path takes in one pass over the weights.
pub(crate) const MAX_TOKENS: usize = 4;

/// Blocks that 16-bit sums hold.
const RUN: usize = 8;

/// How far ahead of its use a cache line is asked for.
const PREFETCH_BYTES: usize = 4096;

/// The product of checked arguments with at most [`MAX_TOKENS`] tokens.
pub(crate) fn matmul(_: Isa, w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) {
    // SAFETY: the proof says that the functions' features are there. The callers of this module
    // checked the lengths of `w.data` and `x.q` against the shape, and `out.range()` lies in the
    // matrix and starts on a row group.
    unsafe {
        match x.tokens {
            1 => product::<1, 4>(w, x, out),
            2 => product::<2, 2>(w, x, out),
            3 => product::<3, 1>(w, x, out),
            4 => product::<4, 1>(w, x, out),
            _ => {}
        }
    }
}

/// `T` tokens, `Q` registers of eight rows at a time.
///
/// # Safety
/// `w.data` and `x` fit their shapes, which agree; there are `T` tokens; `out` has `T` rows and
/// its range lies in the matrix and starts on a row group.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn product<const T: usize, const Q: usize>(
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
        let mut acc = [[_mm256_setzero_ps(); QUARTERS]; T];
        for span in 0..spans.count {
            let mut sums = [[_mm256_setzero_si256(); QUARTERS]; T];
            let blocks = span * span_blocks..(span + 1) * span_blocks;
            for run in blocks.clone().step_by(RUN) {
                let n = RUN.min(blocks.end - run);
                let weights = data[run * BLOCK_BYTES..][..n * BLOCK_BYTES].as_ptr();
                let q: [*const i8; T] = core::array::from_fn(|t| {
                    x.row(t)[run * BLOCK_COLS..][..n * BLOCK_COLS].as_ptr()
                });
                for first in (0..QUARTERS).step_by(Q) {
                    // SAFETY: the slices above hold `n` blocks and `n` times sixteen activations,
                    // and `n <= RUN`; quarters `first .. first + Q` lie inside a block.
                    let part = unsafe { run_sums::<T, Q>(weights.add(32 * first), &q, n) };
                    for t in 0..T {
                        for y in 0..Q {
                            let sum = &mut sums[t][first + y];
                            *sum = _mm256_add_epi32(*sum, part[t][y]);
                        }
                    }
                }
            }
            for t in 0..T {
                for y in 0..QUARTERS {
                    acc[t][y] = spans.fold(acc[t][y], sums[t][y], x, t, (row_group, span, y));
                }
            }
        }
        for (t, acc) in acc.iter().enumerate() {
            for (y, values) in acc.iter().enumerate() {
                fold::store(out, t, first_row + 8 * y, *values);
            }
        }
    }
}

/// Products of codes and activations over `n` blocks, for `8 * Q` rows and `T` tokens.
///
/// # Safety
/// * `32 * Q` bytes are readable at `weights + b * BLOCK_BYTES` for every `b < n`;
/// * `n * BLOCK_COLS` activations are readable at every `q[t]`;
/// * `n <= RUN`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn run_sums<const T: usize, const Q: usize>(
    weights: *const u8,
    q: &[*const i8; T],
    n: usize,
) -> [[__m256i; Q]; T] {
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
        // SAFETY: the loads are those promised by the caller.
        unsafe {
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
                    let times = |p: usize| {
                        let quad = _mm256_set1_epi32(quads.add(p).read_unaligned());
                        _mm256_maddubs_epi16(planes[p], quad)
                    };
                    ones[t][y] = _mm256_add_epi16(ones[t][y], times(0));
                    fours[t][y] = _mm256_add_epi16(fours[t][y], times(1));
                    ones[t][y] = _mm256_add_epi16(ones[t][y], times(2));
                    fours[t][y] = _mm256_add_epi16(fours[t][y], times(3));
                }
            }
        }
    }
    let one = _mm256_set1_epi16(1);
    core::array::from_fn(|t| {
        core::array::from_fn(|y| {
            // Both are at most 8192 in magnitude now, and the shift is exact.
            let sum = _mm256_add_epi16(ones[t][y], _mm256_srai_epi16::<2>(fours[t][y]));
            _mm256_madd_epi16(sum, one)
        })
    })
}
