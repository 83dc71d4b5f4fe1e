//! The ternary product of many tokens.
//!
//! The codes of 32 rows are unpacked once to a byte each, `[cols / 4][32 rows][4]`, and stay in
//! the second-level cache while all tokens pass by in register tiles of 16 rows by [`TOKENS`].
//! The product of a pair of codes (0..=2) and activations is at most 512 in magnitude, so
//! [`RUN`] = 64 of them reach -32768 at the lowest and 32512 at the highest in 16 bits; then they
//! are widened to 32 bits.

use core::arch::x86_64::*;

use tritone_abi::layout::t2r32::{BLOCK_BYTES, BLOCK_COLS, GROUP_ROWS};
use tritone_abi::{Activations, MatOut, TernaryMatrix};

use crate::fold::{self, QUARTERS, Spans};
use crate::isa::Isa;

/// Tokens of a register tile: 2 x 6 sums, two registers of codes and one of activations.
const TOKENS: usize = 6;

/// Registers of eight rows in a register tile.
const TILE: usize = 2;

/// Column quads that 16-bit sums hold.
const RUN: usize = 64;

/// Bytes of the codes of four columns of a row group.
const QUAD_BYTES: usize = 4 * GROUP_ROWS;

/// Scratch memory for matrices with up to `cols` columns: the codes of a row group.
pub(crate) fn scratch_bytes(cols: usize) -> usize {
    cols.div_ceil(BLOCK_COLS)
        .saturating_mul(BLOCK_COLS * GROUP_ROWS)
}

/// The product of checked arguments; `scratch` is [`scratch_bytes`]`(w.cols)` long.
pub(crate) fn matmul(
    _: Isa,
    w: &TernaryMatrix<'_>,
    x: &Activations<'_>,
    out: &mut MatOut<'_>,
    scratch: &mut [u8],
) {
    // SAFETY: the proof says that the function's features are there.
    unsafe { product(w, x, out, scratch) };
}

#[target_feature(enable = "avx2,fma,f16c")]
fn product(w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>, scratch: &mut [u8]) {
    let group_bytes = w.cols.div_ceil(BLOCK_COLS) * BLOCK_BYTES;
    for first_row in out.range().step_by(GROUP_ROWS) {
        let row_group = first_row / GROUP_ROWS;
        unpack(&w.data[row_group * group_bytes..][..group_bytes], scratch);
        let mut token = 0;
        while token < x.tokens {
            let at = (row_group, token);
            token += match x.tokens - token {
                1 => tokens::<1>(w, x, out, scratch, at),
                2 => tokens::<2>(w, x, out, scratch, at),
                3 => tokens::<3>(w, x, out, scratch, at),
                4 => tokens::<4>(w, x, out, scratch, at),
                5 => tokens::<5>(w, x, out, scratch, at),
                _ => tokens::<TOKENS>(w, x, out, scratch, at),
            };
        }
    }
}

/// Spreads the four bit planes of every block over quads of columns, a byte a code.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn unpack(data: &[u8], codes: &mut [u8]) {
    let mask = _mm256_set1_epi8(0x03);
    let blocks = data.as_chunks::<BLOCK_BYTES>().0;
    let places = codes.as_chunks_mut::<{ 4 * QUAD_BYTES }>().0;
    for (block, place) in blocks.iter().zip(places) {
        for y in 0..QUARTERS {
            // SAFETY: a block is four registers long, a place four times as long; `y` and the
            // planes are below four.
            unsafe {
                let v = _mm256_loadu_si256(block.as_ptr().add(32 * y).cast());
                let planes = [
                    v,
                    _mm256_srli_epi16::<2>(v),
                    _mm256_srli_epi16::<4>(v),
                    _mm256_srli_epi16::<6>(v),
                ];
                for (p, plane) in planes.iter().enumerate() {
                    let to = place.as_mut_ptr().add(p * QUAD_BYTES + 32 * y);
                    _mm256_storeu_si256(to.cast(), _mm256_and_si256(*plane, mask));
                }
            }
        }
    }
}

/// One row group for tokens `token .. token + T`; gives `T`.
#[target_feature(enable = "avx2,fma,f16c")]
fn tokens<const T: usize>(
    w: &TernaryMatrix<'_>,
    x: &Activations<'_>,
    out: &mut MatOut<'_>,
    codes: &[u8],
    (row_group, token): (usize, usize),
) -> usize {
    let spans = Spans::of(w);
    let span_quads = spans.cols.div_ceil(BLOCK_COLS) * (BLOCK_COLS / 4);
    for quarter in (0..QUARTERS).step_by(TILE) {
        let mut acc = [[_mm256_setzero_ps(); TILE]; T];
        for span in 0..spans.count {
            let quads = span * span_quads..(span + 1) * span_quads;
            let codes = &codes[quads.start * QUAD_BYTES..quads.end * QUAD_BYTES];
            let q: [*const i8; T] =
                core::array::from_fn(|t| x.row(token + t)[4 * quads.start..4 * quads.end].as_ptr());
            // SAFETY: the slices above hold `span_quads` quads of codes and activations; the
            // registers from `quarter` lie inside a quad.
            let sums = unsafe { tile::<T>(codes.as_ptr().add(32 * quarter), &q, span_quads) };
            for t in 0..T {
                for y in 0..TILE {
                    let at = (row_group, span, quarter + y);
                    acc[t][y] = spans.fold(acc[t][y], sums[t][y], x, token + t, at);
                }
            }
        }
        for (t, acc) in acc.iter().enumerate() {
            for (y, values) in acc.iter().enumerate() {
                let row = row_group * GROUP_ROWS + 8 * (quarter + y);
                fold::store(out, token + t, row, *values);
            }
        }
    }
    T
}

/// Products of codes and activations over `quads` column quads: 16 rows by `T` tokens.
///
/// # Safety
/// * `32 * TILE` bytes are readable at `codes + k * QUAD_BYTES` for every `k < quads`;
/// * `4 * quads` activations are readable at every `q[t]`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn tile<const T: usize>(
    codes: *const u8,
    q: &[*const i8; T],
    quads: usize,
) -> [[__m256i; TILE]; T] {
    let one = _mm256_set1_epi16(1);
    let mut sums = [[_mm256_setzero_si256(); TILE]; T];
    let mut start = 0;
    while start < quads {
        let end = quads.min(start + RUN);
        let mut run = [[_mm256_setzero_si256(); TILE]; T];
        for k in start..end {
            // SAFETY: `k < quads`, so these are the loads promised by the caller.
            unsafe {
                let from = codes.add(k * QUAD_BYTES);
                let rows: [__m256i; TILE] =
                    core::array::from_fn(|y| _mm256_loadu_si256(from.add(32 * y).cast()));
                for t in 0..T {
                    let quad: *const i32 = q[t].add(4 * k).cast();
                    let quad = _mm256_set1_epi32(quad.read_unaligned());
                    for y in 0..TILE {
                        let products = _mm256_maddubs_epi16(rows[y], quad);
                        run[t][y] = _mm256_add_epi16(run[t][y], products);
                    }
                }
            }
        }
        for t in 0..T {
            for y in 0..TILE {
                let wide = _mm256_madd_epi16(run[t][y], one);
                sums[t][y] = _mm256_add_epi32(sums[t][y], wide);
            }
        }
        start = end;
    }
    sums
}
