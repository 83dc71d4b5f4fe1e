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
use crate::fold::{self, Groups, QUARTERS};
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
        2 => for_each_isa!(isa, product::<2, 1>(
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
    let blocks = w.cols.div_ceil(BLOCK_COLS);
    let mut q = [core::ptr::null(); T];
    for (t, q) in q.iter_mut().enumerate() {
        *q = x.row(t)[..blocks * BLOCK_COLS].as_ptr();
    }
    for first_row in out.range().step_by(GROUP_ROWS) {
        let row_group = first_row / GROUP_ROWS;
        let data = &w.data[row_group * blocks * BLOCK_BYTES..][..blocks * BLOCK_BYTES];
        // SAFETY: the features are there; the slices above hold `blocks` blocks and sixteen times
        // as many activations, which groups divide.
        let acc = unsafe {
            match Groups::<T>::of(w, x, row_group, 0) {
                Some(groups) => grouped::<D, T, Q>(data.as_ptr(), &groups),
                None => {
                    let sums = whole::<D, T, Q>(data.as_ptr(), &q, blocks);
                    let mut acc = [[_mm256_setzero_ps(); QUARTERS]; T];
                    for t in 0..T {
                        for y in 0..QUARTERS {
                            acc[t][y] = fold::scale(w, sums[t][y], x, t, (row_group, y));
                        }
                    }
                    acc
                }
            }
        };
        for (t, acc) in acc.iter().enumerate() {
            for (y, values) in acc.iter().enumerate() {
                // SAFETY: the features are there.
                unsafe { fold::store(out, t, first_row + 8 * y, *values) };
            }
        }
    }
}

/// Products of codes and activations over a row group, for `T` tokens.
///
/// # Safety
/// * The processor has the features of `D`.
/// * `blocks` blocks are readable at `weights`, and sixteen times as many activations at every
///   `q[t]`.
#[inline(always)]
unsafe fn whole<D: Dot, const T: usize, const Q: usize>(
    weights: *const u8,
    q: &[*const i8; T],
    blocks: usize,
) -> [[__m256i; QUARTERS]; T] {
    // SAFETY: the features are there; a run ends at `blocks` at the latest.
    unsafe {
        let mut sums = [[_mm256_setzero_si256(); QUARTERS]; T];
        for run in (0..blocks).step_by(D::BLOCKS) {
            let n = D::BLOCKS.min(blocks - run);
            for first in (0..QUARTERS).step_by(Q) {
                let weights = weights.add(run * BLOCK_BYTES + 32 * first);
                let part = run_sums::<D, T, Q>(weights, q, run * BLOCK_COLS, n);
                for t in 0..T {
                    for y in 0..Q {
                        let sum = &mut sums[t][first + y];
                        *sum = _mm256_add_epi32(*sum, part[t][y]);
                    }
                }
            }
        }
        sums
    }
}

/// Outputs of a row group with scale groups, for `T` tokens.
///
/// # Safety
/// * The processor has the features of `D`.
/// * The blocks of all groups are readable at `weights`, and what the groups were made of is still
///   there.
#[inline(always)]
unsafe fn grouped<D: Dot, const T: usize, const Q: usize>(
    weights: *const u8,
    groups: &Groups<T>,
) -> [[__m256; QUARTERS]; T] {
    // SAFETY: the features are there; the groups make up the row, and runs a group.
    unsafe {
        let mut acc = [[_mm256_setzero_ps(); QUARTERS]; T];
        let blocks = groups.cols / BLOCK_COLS;
        for g in 0..groups.count {
            for first in (0..QUARTERS).step_by(Q) {
                let mut sums = [[_mm256_setzero_si256(); Q]; T];
                for (t, sums) in sums.iter_mut().enumerate() {
                    *sums = [groups.start(t, g); Q];
                }
                for run in (0..blocks).step_by(D::BLOCKS) {
                    let n = D::BLOCKS.min(blocks - run);
                    let run = g * blocks + run;
                    let weights = weights.add(run * BLOCK_BYTES + 32 * first);
                    let part = run_sums::<D, T, Q>(weights, &groups.q, run * BLOCK_COLS, n);
                    for t in 0..T {
                        for y in 0..Q {
                            sums[t][y] = _mm256_add_epi32(sums[t][y], part[t][y]);
                        }
                    }
                }
                for t in 0..T {
                    for y in 0..Q {
                        let place = &mut acc[t][first + y];
                        *place = groups.fold(*place, sums[t][y], t, (g, first + y));
                    }
                }
            }
        }
        acc
    }
}

/// Products of codes and activations over `n` blocks, for `8 * Q` rows and `T` tokens.
///
/// # Safety
/// * The processor has the features of `D`.
/// * `32 * Q` bytes are readable at `weights + b * BLOCK_BYTES` for every `b < n`;
/// * `n * BLOCK_COLS` activations are readable at every `q[t] + column`;
/// * `n <= D::BLOCKS`.
#[inline(always)]
unsafe fn run_sums<D: Dot, const T: usize, const Q: usize>(
    weights: *const u8,
    q: &[*const i8; T],
    column: usize,
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
                    let quads: *const i32 = q[t].add(column + b * BLOCK_COLS).cast();
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
