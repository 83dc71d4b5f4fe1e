//! The ternary product of many tokens.
//!
//! The codes of 32 rows are unpacked once to a byte each, `[cols / 4][32 rows][4]`, and stay in
//! the second-level cache while all tokens pass by in register tiles of 16 rows by [`TOKENS`].
//! How many columns may be summed before widening to 32 bits is worked out in `dot`.

use core::arch::x86_64::*;

use tritone_abi::layout::t2r32::{BLOCK_BYTES, BLOCK_COLS, GROUP_ROWS};
use tritone_abi::{Activations, MatOut, TernaryMatrix};

use crate::dot::{Dot, for_each_isa};
use crate::fold::{self, QUARTERS, Spans};
use crate::isa::Isa;

/// Tokens of a register tile: 2 x 6 sums, two registers of codes and one of activations.
const TOKENS: usize = 6;

/// Registers of eight rows in a register tile.
const TILE: usize = 2;

/// Bytes of the codes of four columns of a row group.
const QUAD_BYTES: usize = 4 * GROUP_ROWS;

/// Scratch memory for matrices with up to `cols` columns: the codes of a row group.
pub(crate) fn scratch_bytes(cols: usize) -> usize {
    cols.div_ceil(BLOCK_COLS)
        .saturating_mul(BLOCK_COLS * GROUP_ROWS)
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
        // SAFETY: the features are there.
        unsafe { unpack(&w.data[row_group * group_bytes..][..group_bytes], scratch) };
        let mut token = 0;
        while token < x.tokens {
            let at = (row_group, token);
            // SAFETY: the features are there.
            token += unsafe {
                match x.tokens - token {
                    1 => tokens::<D, 1>(w, x, out, scratch, at),
                    2 => tokens::<D, 2>(w, x, out, scratch, at),
                    3 => tokens::<D, 3>(w, x, out, scratch, at),
                    4 => tokens::<D, 4>(w, x, out, scratch, at),
                    5 => tokens::<D, 5>(w, x, out, scratch, at),
                    _ => tokens::<D, TOKENS>(w, x, out, scratch, at),
                }
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
    let span_quads = spans.cols.div_ceil(BLOCK_COLS) * (BLOCK_COLS / 4);
    for quarter in (0..QUARTERS).step_by(TILE) {
        // SAFETY: the features are there.
        let mut acc = unsafe { [[_mm256_setzero_ps(); TILE]; T] };
        for span in 0..spans.count {
            let quads = span * span_quads..(span + 1) * span_quads;
            let codes = &codes[quads.start * QUAD_BYTES..quads.end * QUAD_BYTES];
            let mut q = [core::ptr::null(); T];
            for (t, q) in q.iter_mut().enumerate() {
                *q = x.row(token + t)[4 * quads.start..4 * quads.end].as_ptr();
            }
            // SAFETY: the features are there; the slices above hold `span_quads` quads of codes
            // and activations; the registers from `quarter` lie inside a quad.
            unsafe {
                let mut sums = [[_mm256_setzero_si256(); TILE]; T];
                for (t, sums) in sums.iter_mut().enumerate() {
                    *sums = [spans.start(x, token + t, span); TILE];
                }
                tile::<D, T>(codes.as_ptr().add(32 * quarter), &q, span_quads, &mut sums);
                for t in 0..T {
                    for y in 0..TILE {
                        let at = (row_group, span, quarter + y);
                        acc[t][y] = spans.fold(acc[t][y], sums[t][y], x, token + t, at);
                    }
                }
            }
        }
        for (t, acc) in acc.iter().enumerate() {
            for (y, values) in acc.iter().enumerate() {
                let row = row_group * GROUP_ROWS + 8 * (quarter + y);
                // SAFETY: the features are there.
                unsafe { fold::store(out, token + t, row, *values) };
            }
        }
    }
    T
}

/// Adds products of codes and activations over `quads` column quads: 16 rows by `T` tokens.
///
/// # Safety
/// * The processor has the features of `D`.
/// * `32 * TILE` bytes are readable at `codes + k * QUAD_BYTES` for every `k < quads`;
/// * `4 * quads` activations are readable at every `q[t]`.
#[inline(always)]
unsafe fn tile<D: Dot, const T: usize>(
    codes: *const u8,
    q: &[*const i8; T],
    quads: usize,
    sums: &mut [[__m256i; TILE]; T],
) {
    // SAFETY: the features are there; `k < quads`, so the loads are those promised by the caller.
    unsafe {
        let mut start = 0;
        while start < quads {
            let end = quads.min(start + D::QUADS);
            let mut run = [[_mm256_setzero_si256(); TILE]; T];
            for k in start..end {
                let from = codes.add(k * QUAD_BYTES);
                let mut rows = [_mm256_setzero_si256(); TILE];
                for (y, row) in rows.iter_mut().enumerate() {
                    *row = _mm256_loadu_si256(from.add(32 * y).cast());
                }
                for t in 0..T {
                    let quad: *const i32 = q[t].add(4 * k).cast();
                    let quad = _mm256_set1_epi32(quad.read_unaligned());
                    for y in 0..TILE {
                        run[t][y] = D::step(run[t][y], rows[y], quad);
                    }
                }
            }
            for t in 0..T {
                for y in 0..TILE {
                    sums[t][y] = _mm256_add_epi32(sums[t][y], D::widen(run[t][y]));
                }
            }
            start = end;
        }
    }
}
