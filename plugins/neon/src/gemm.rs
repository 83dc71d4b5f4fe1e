//! The ternary product of many tokens, for processors without `i8mm`.
//!
//! The codes of 32 rows are unpacked once to a byte each, `[cols / 4][32 rows][4]`, and stay in
//! the first or second level of the cache while all tokens pass by in register tiles of 16 rows by
//! [`Dot::TOKENS`]. Sums are widened to 32 bits after [`Dot::QUADS`], the most that they hold.

use core::arch::aarch64::*;

use tritone_abi::layout::t2r32::{BLOCK_BYTES, BLOCK_COLS, GROUP_ROWS};
use tritone_abi::{Activations, MatOut, TernaryMatrix};

use crate::dot::{Dot, for_each_isa};
use crate::fold::{self, PARTS, ROWS, Spans};
use crate::isa::Isa;

/// Registers of four rows in a register tile.
const TILE: usize = 4;

/// Bytes of the codes of four columns of a row group.
const QUAD_BYTES: usize = 4 * GROUP_ROWS;

/// Bytes of the codes of a block of a row group.
pub(crate) const PLACE_BYTES: usize = BLOCK_COLS * GROUP_ROWS;

/// Scratch memory for matrices with up to `cols` columns: the codes of a row group.
pub(crate) fn scratch_bytes(cols: usize) -> usize {
    cols.div_ceil(BLOCK_COLS).saturating_mul(PLACE_BYTES)
}

/// The product of checked arguments; `scratch` is [`scratch_bytes`]`(w.cols)` long.
pub(crate) fn matmul(
    isa: Isa,
    w: &TernaryMatrix<'_>,
    x: &Activations<'_>,
    out: &mut MatOut<'_>,
    scratch: &mut [u8],
) {
    for_each_isa!(isa, product::<>(
        w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>, scratch: &mut [u8],
    ));
}

/// # Safety
/// The processor has the features of `D`.
#[inline(always)]
unsafe fn product<D: Dot>(
    w: &TernaryMatrix<'_>,
    x: &Activations<'_>,
    out: &mut MatOut<'_>,
    scratch: &mut [u8],
) {
    let group_bytes = w.cols.div_ceil(BLOCK_COLS) * BLOCK_BYTES;
    for first_row in out.range().step_by(GROUP_ROWS) {
        let row_group = first_row / GROUP_ROWS;
        let data = &w.data[row_group * group_bytes..][..group_bytes];
        // SAFETY: the features are there.
        unsafe { unpack(data, scratch) };
        let mut token = 0;
        while token < x.tokens {
            let at = (row_group, token);
            // SAFETY: the features are there.
            token += unsafe {
                match (x.tokens - token).min(D::TOKENS) {
                    2 => tokens::<D, 2>(w, x, out, scratch, at),
                    3 => tokens::<D, 3>(w, x, out, scratch, at),
                    4 => tokens::<D, 4>(w, x, out, scratch, at),
                    5 => tokens::<D, 5>(w, x, out, scratch, at),
                    _ => tokens::<D, 1>(w, x, out, scratch, at),
                }
            };
        }
    }
}

/// Spreads the four bit planes of every block over quads of columns, a byte a code.
#[inline]
#[target_feature(enable = "neon")]
fn unpack(data: &[u8], codes: &mut [u8]) {
    let code = vdupq_n_u8(0x03);
    let blocks = data.as_chunks::<BLOCK_BYTES>().0;
    let places = codes.as_chunks_mut::<PLACE_BYTES>().0;
    for (block, place) in blocks.iter().zip(places) {
        for p in 0..PARTS {
            // SAFETY: a block is eight registers long, a place four times as long; `p` is below
            // eight and the planes are four.
            unsafe {
                let v = vld1q_u8(block.as_ptr().add(16 * p));
                let planes = [
                    vandq_u8(v, code),
                    vandq_u8(vshrq_n_u8::<2>(v), code),
                    vandq_u8(vshrq_n_u8::<4>(v), code),
                    vshrq_n_u8::<6>(v),
                ];
                for (quad, plane) in planes.into_iter().enumerate() {
                    let to = place.as_mut_ptr().add(quad * QUAD_BYTES + 16 * p);
                    vst1q_u8(to, plane);
                }
            }
        }
    }
}

/// One row group for tokens `token .. token + T`; gives `T`.
///
/// # Safety
/// The processor has the features of `D`.
#[inline(always)]
unsafe fn tokens<D: Dot, const T: usize>(
    w: &TernaryMatrix<'_>,
    x: &Activations<'_>,
    out: &mut MatOut<'_>,
    codes: &[u8],
    (row_group, token): (usize, usize),
) -> usize {
    let spans = Spans::of(w);
    let span_blocks = spans.cols.div_ceil(BLOCK_COLS);
    for first in (0..PARTS).step_by(TILE) {
        // SAFETY: the features are there.
        let mut acc = unsafe { [[vdupq_n_f32(0.0); TILE]; T] };
        for span in 0..spans.count {
            let blocks = span * span_blocks..(span + 1) * span_blocks;
            let codes = &codes[blocks.start * PLACE_BYTES..blocks.end * PLACE_BYTES];
            let mut q = [core::ptr::null(); T];
            for (t, q) in q.iter_mut().enumerate() {
                let cols = blocks.start * BLOCK_COLS..blocks.end * BLOCK_COLS;
                *q = x.row(token + t)[cols].as_ptr();
            }
            // SAFETY: the features are there; the slices above hold `span_blocks` blocks of codes
            // and of activations; the registers from `first` lie inside a quad.
            unsafe {
                let sums = tile::<D, T>(codes.as_ptr().add(16 * first), &q, span_blocks);
                for t in 0..T {
                    for p in 0..TILE {
                        let at = (row_group, span, first + p);
                        acc[t][p] = spans.fold(acc[t][p], sums[t][p], x, token + t, at);
                    }
                }
            }
        }
        for (t, acc) in acc.iter().enumerate() {
            for (p, values) in acc.iter().enumerate() {
                let row = row_group * GROUP_ROWS + ROWS * (first + p);
                // SAFETY: the features are there.
                unsafe { fold::store(out, token + t, row, *values) };
            }
        }
    }
    T
}

/// Products of codes and activations over `blocks` blocks: 16 rows by `T` tokens.
///
/// # Safety
/// * The processor has the features of `D`.
/// * `16 * TILE` bytes are readable at `codes + k * QUAD_BYTES` for every `k < 4 * blocks`;
/// * `blocks * BLOCK_COLS` activations are readable at every `q[t]`.
#[inline(always)]
unsafe fn tile<D: Dot, const T: usize>(
    codes: *const u8,
    q: &[*const i8; T],
    blocks: usize,
) -> [[int32x4_t; TILE]; T] {
    // SAFETY: the features are there, and the loads are those promised by the caller.
    unsafe {
        let mut sums = [[vdupq_n_s32(0); TILE]; T];
        let mut start = 0;
        while start < blocks {
            let end = blocks.min(start + D::QUADS / 4);
            let mut run = [[D::zero(); TILE]; T];
            for b in start..end {
                let mut x = [vdupq_n_s8(0); T];
                for (x, q) in x.iter_mut().zip(q) {
                    *x = vld1q_s8(q.add(b * BLOCK_COLS));
                }
                let place = codes.add(b * PLACE_BYTES).cast();
                run = quad::<D, T, 0>(run, place, &x);
                run = quad::<D, T, 1>(run, place, &x);
                run = quad::<D, T, 2>(run, place, &x);
                run = quad::<D, T, 3>(run, place, &x);
            }
            for t in 0..T {
                for p in 0..TILE {
                    sums[t][p] = vaddq_s32(sums[t][p], D::total(run[t][p]));
                }
            }
            start = end;
        }
        sums
    }
}

/// Adds the products of quad `K` of a block of codes at `place`.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn quad<D: Dot, const T: usize, const K: i32>(
    mut sums: [[D::Sum; TILE]; T],
    place: *const i8,
    x: &[int8x16_t; T],
) -> [[D::Sum; TILE]; T] {
    // SAFETY: the features are there, and the loads are those promised by the caller.
    unsafe {
        let mut codes = [vdupq_n_s8(0); TILE];
        for (p, codes) in codes.iter_mut().enumerate() {
            *codes = vld1q_s8(place.add(K as usize * QUAD_BYTES + 16 * p));
        }
        for t in 0..T {
            for p in 0..TILE {
                sums[t][p] = D::add::<K>(sums[t][p], codes[p], x[t]);
            }
        }
    }
    sums
}
