//! The ternary product of many tokens by `smmla`, which multiplies two rows with two tokens over
//! eight columns at once.
//!
//! The codes of 32 rows are unpacked once to a byte each, `[cols / 8][32 rows][8]`, so that a
//! register holds two rows, and stay in the first or second level of the cache while all tokens
//! pass by in register tiles of 16 rows by [`TOKENS`]. A product over eight columns is at most
//! 8 * 2 * 128 = 2^11 in magnitude, 2^14 of them for 131072 columns stay below 2^26.

use core::arch::aarch64::*;
use core::arch::asm;

use tritone_abi::layout::t2r32::{BLOCK_BYTES, BLOCK_COLS, GROUP_ROWS};
use tritone_abi::{Activations, MatOut, TernaryMatrix};

use crate::fold::{self, PARTS, ROWS, Spans};
use crate::gemm::PLACE_BYTES;
use crate::isa::Isa;

/// Pairs of tokens in a register tile: 8 x 2 sums, four registers of activations and the codes.
const PAIRS: usize = 2;

/// Tokens of a register tile.
const TOKENS: usize = 2 * PAIRS;

/// Registers of two rows in a register tile.
const TILE: usize = 8;

/// The product of checked arguments; `scratch` is
/// [`scratch_bytes`](crate::gemm::scratch_bytes)`(w.cols)` long.
///
/// # Panics
/// Without [`Isa::i8mm`].
pub(crate) fn matmul(
    isa: Isa,
    w: &TernaryMatrix<'_>,
    x: &Activations<'_>,
    out: &mut MatOut<'_>,
    scratch: &mut [u8],
) {
    assert!(isa.i8mm(), "smmla needs i8mm");
    // SAFETY: the proof says that the function's features are there.
    unsafe { product(w, x, out, scratch) };
}

#[target_feature(enable = "neon,i8mm")]
fn product(w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>, scratch: &mut [u8]) {
    let group_bytes = w.cols.div_ceil(BLOCK_COLS) * BLOCK_BYTES;
    for first_row in out.range().step_by(GROUP_ROWS) {
        let row_group = first_row / GROUP_ROWS;
        unpack(&w.data[row_group * group_bytes..][..group_bytes], scratch);
        let mut token = 0;
        while token < x.tokens {
            let at = (row_group, token);
            token += match x.tokens - token {
                1 | 2 => tokens::<1>(w, x, out, scratch, at),
                _ => tokens::<PAIRS>(w, x, out, scratch, at),
            };
        }
    }
}

/// Spreads the four bit planes of every block over its two halves of eight columns, a byte a code.
#[inline]
#[target_feature(enable = "neon,i8mm")]
fn unpack(data: &[u8], codes: &mut [u8]) {
    let code = vdupq_n_u8(0x03);
    let blocks = data.as_chunks::<BLOCK_BYTES>().0;
    let places = codes.as_chunks_mut::<PLACE_BYTES>().0;
    for (block, place) in blocks.iter().zip(places) {
        for p in 0..PARTS {
            // SAFETY: a block is eight registers long, a place four times as long; `p` is below
            // eight.
            unsafe {
                let v = vld1q_u8(block.as_ptr().add(16 * p));
                let planes = [
                    vandq_u8(v, code),
                    vandq_u8(vshrq_n_u8::<2>(v), code),
                    vandq_u8(vshrq_n_u8::<4>(v), code),
                    vshrq_n_u8::<6>(v),
                ]
                .map(|plane| vreinterpretq_u32_u8(plane));
                // Four columns of four rows each, twice: eight columns of two rows each, twice.
                for (half, planes) in planes.as_chunks::<2>().0.iter().enumerate() {
                    let to = place.as_mut_ptr().add(half * PLACE_BYTES / 2 + 32 * p);
                    let [low, high] = planes;
                    vst1q_u8(to, vreinterpretq_u8_u32(vzip1q_u32(*low, *high)));
                    vst1q_u8(to.add(16), vreinterpretq_u8_u32(vzip2q_u32(*low, *high)));
                }
            }
        }
    }
}

/// One row group for tokens from `token` on, `2 * P` of them or all that are left; gives `2 * P`.
#[target_feature(enable = "neon,i8mm")]
fn tokens<const P: usize>(
    w: &TernaryMatrix<'_>,
    x: &Activations<'_>,
    out: &mut MatOut<'_>,
    codes: &[u8],
    (row_group, token): (usize, usize),
) -> usize {
    let spans = Spans::of(w);
    let span_blocks = spans.cols.div_ceil(BLOCK_COLS);
    let count = (x.tokens - token).min(2 * P);
    for first in (0..PARTS).step_by(TILE / 2) {
        let mut acc = [[vdupq_n_f32(0.0); TILE / 2]; TOKENS];
        for span in 0..spans.count {
            let blocks = span * span_blocks..(span + 1) * span_blocks;
            let codes = &codes[blocks.start * PLACE_BYTES..blocks.end * PLACE_BYTES];
            // An odd last token is multiplied twice.
            let row = |t: usize| {
                let cols = blocks.start * BLOCK_COLS..blocks.end * BLOCK_COLS;
                x.row(token + t.min(count - 1))[cols].as_ptr()
            };
            let q: [[*const i8; 2]; P] = core::array::from_fn(|i| [row(2 * i), row(2 * i + 1)]);
            // SAFETY: the slices above hold `span_blocks` blocks of codes and of activations; the
            // registers from `first` lie inside half a block.
            let sums = unsafe { tile::<P>(codes.as_ptr().add(32 * first), &q, span_blocks) };
            for (i, sums) in sums.iter().enumerate() {
                for (p, [low, high]) in sums.as_chunks::<2>().0.iter().enumerate() {
                    // Two rows by two tokens each, twice, become four rows for either token.
                    let by_token = [vuzp1q_s32(*low, *high), vuzp2q_s32(*low, *high)];
                    for (t, sum) in by_token.into_iter().enumerate() {
                        let t = 2 * i + t;
                        if t < count {
                            let at = (row_group, span, first + p);
                            acc[t][p] = spans.fold(acc[t][p], sum, x, token + t, at);
                        }
                    }
                }
            }
        }
        for (t, acc) in acc.iter().enumerate().take(count) {
            for (p, values) in acc.iter().enumerate() {
                let row = row_group * GROUP_ROWS + ROWS * (first + p);
                fold::store(out, token + t, row, *values);
            }
        }
    }
    2 * P
}

/// Products of codes and activations over `blocks` blocks: 16 rows by `2 * P` tokens, two rows by
/// two tokens in a register.
///
/// # Safety
/// * `16 * TILE` bytes are readable at `codes + h * PLACE_BYTES / 2` for every `h < 2 * blocks`;
/// * `blocks * BLOCK_COLS` activations are readable at every pointer of `q`.
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn tile<const P: usize>(
    codes: *const u8,
    q: &[[*const i8; 2]; P],
    blocks: usize,
) -> [[int32x4_t; TILE]; P] {
    let mut sums = [[vdupq_n_s32(0); TILE]; P];
    for b in 0..blocks {
        // SAFETY: `b < blocks`, so these are the loads promised by the caller.
        unsafe {
            let x: [[int8x16_t; 2]; P] = core::array::from_fn(|i| {
                let [even, odd] =
                    q[i].map(|q| vreinterpretq_s64_s8(vld1q_s8(q.add(b * BLOCK_COLS))));
                [vzip1q_s64(even, odd), vzip2q_s64(even, odd)].map(|x| vreinterpretq_s8_s64(x))
            });
            for half in 0..2 {
                let from: *const i8 = codes.add((2 * b + half) * (PLACE_BYTES / 2)).cast();
                for r in 0..TILE {
                    let rows = vld1q_s8(from.add(16 * r));
                    for (sums, x) in sums.iter_mut().zip(&x) {
                        sums[r] = smmla(sums[r], rows, x[half]);
                    }
                }
            }
        }
    }
    sums
}

/// Adds the products of two rows with two tokens: rows 0 and 0, 0 and 1, 1 and 0, 1 and 1.
#[inline]
#[target_feature(enable = "neon,i8mm")]
pub(crate) fn smmla(mut sum: int32x4_t, rows: int8x16_t, tokens: int8x16_t) -> int32x4_t {
    // SAFETY: this function has the feature; the instruction touches these registers only.
    unsafe {
        asm!(
            "smmla {sum:v}.4s, {rows:v}.16b, {tokens:v}.16b",
            sum = inout(vreg) sum,
            rows = in(vreg) rows,
            tokens = in(vreg) tokens,
            options(nomem, nostack, preserves_flags),
        );
    }
    sum
}
