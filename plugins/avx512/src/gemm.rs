//! The ternary product of many tokens.
//!
//! The codes of two row groups (64 rows) are unpacked once to a byte each,
//! `[cols / 4][64 rows][4]`, and stay in the second-level cache while all tokens pass by in
//! register tiles of 64 rows by [`TOKENS`]. A last single row group takes tiles of 32 rows. A dot
//! product is at most 4 * 2 * 128 = 2^10, 2^15 of them stay below 2^25.

use core::arch::x86_64::*;

use tritone_abi::layout::t2r32::{BLOCK_BYTES, BLOCK_COLS, GROUP_ROWS};
use tritone_abi::{Activations, MatOut, TernaryMatrix};

use crate::dot::{Dot, for_each_isa};
use crate::fold::{self, HALVES, Spans};
use crate::isa::Isa;

/// Tokens of a register tile: 4 x 6 sums, four registers of codes and one of activations.
const TOKENS: usize = 6;

/// Registers of sixteen rows in a register tile.
const WIDE: usize = 2 * HALVES;

/// Scratch memory for matrices with up to `cols` columns: the codes of two row groups.
pub(crate) fn scratch_bytes(cols: usize) -> usize {
    cols.div_ceil(BLOCK_COLS)
        .saturating_mul(2 * BLOCK_COLS * GROUP_ROWS)
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
    let rows = out.range();
    for first_row in rows.clone().step_by(2 * GROUP_ROWS) {
        let row_group = first_row / GROUP_ROWS;
        // SAFETY: the features are there.
        unsafe {
            if rows.end - first_row > GROUP_ROWS {
                rows_of::<D, WIDE>(w, x, out, scratch, row_group);
            } else {
                rows_of::<D, HALVES>(w, x, out, scratch, row_group);
            }
        }
    }
}

/// `16 * R` rows for all tokens.
///
/// # Safety
/// The processor has the features of `D`.
#[inline(always)]
unsafe fn rows_of<D: Dot, const R: usize>(
    w: &TernaryMatrix<'_>,
    x: &Activations<'_>,
    out: &mut MatOut<'_>,
    scratch: &mut [u8],
    row_group: usize,
) {
    let group_bytes = w.cols.div_ceil(BLOCK_COLS) * BLOCK_BYTES;
    for g in 0..R / HALVES {
        let data = &w.data[(row_group + g) * group_bytes..][..group_bytes];
        // SAFETY: the features are there.
        unsafe { unpack::<R>(data, g, scratch) };
    }
    let mut token = 0;
    while token < x.tokens {
        let at = (row_group, token);
        // SAFETY: the features are there.
        token += unsafe {
            match x.tokens - token {
                1 => tokens::<D, R, 1>(w, x, out, scratch, at),
                2 => tokens::<D, R, 2>(w, x, out, scratch, at),
                3 => tokens::<D, R, 3>(w, x, out, scratch, at),
                4 => tokens::<D, R, 4>(w, x, out, scratch, at),
                5 => tokens::<D, R, 5>(w, x, out, scratch, at),
                _ => tokens::<D, R, TOKENS>(w, x, out, scratch, at),
            }
        };
    }
}

/// Spreads the four bit planes of every block of row group `g` of a tile over quads of columns, a
/// byte a code.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn unpack<const R: usize>(data: &[u8], g: usize, codes: &mut [u8]) {
    let mask = _mm512_set1_epi8(0x03);
    let blocks = data.as_chunks::<BLOCK_BYTES>().0;
    let places = codes.chunks_exact_mut(4 * 64 * R);
    for (block, place) in blocks.iter().zip(places) {
        for h in 0..HALVES {
            // SAFETY: a block is two registers long, a place `4 * R`; `h` is below two, the
            // planes are four, and `HALVES * g + h` is below `R`.
            unsafe {
                let v = _mm512_loadu_si512(block.as_ptr().add(64 * h).cast());
                let planes = [
                    v,
                    _mm512_srli_epi16::<2>(v),
                    _mm512_srli_epi16::<4>(v),
                    _mm512_srli_epi16::<6>(v),
                ];
                for (p, plane) in planes.iter().enumerate() {
                    let to = place.as_mut_ptr().add(64 * (R * p + HALVES * g + h));
                    _mm512_storeu_si512(to.cast(), _mm512_and_si512(*plane, mask));
                }
            }
        }
    }
}

/// One tile of rows for tokens `token .. token + T`; gives `T`.
///
/// # Safety
/// The processor has the features of `D`.
#[inline(always)]
unsafe fn tokens<D: Dot, const R: usize, const T: usize>(
    w: &TernaryMatrix<'_>,
    x: &Activations<'_>,
    out: &mut MatOut<'_>,
    codes: &[u8],
    (row_group, token): (usize, usize),
) -> usize {
    let spans = Spans::of(w);
    let span_quads = spans.cols.div_ceil(BLOCK_COLS) * (BLOCK_COLS / 4);
    // SAFETY: the features are there.
    let mut acc = unsafe { [[_mm512_setzero_ps(); R]; T] };
    for span in 0..spans.count {
        let quads = span * span_quads..(span + 1) * span_quads;
        let codes = &codes[quads.start * 64 * R..quads.end * 64 * R];
        let mut q = [core::ptr::null(); T];
        for (t, q) in q.iter_mut().enumerate() {
            *q = x.row(token + t)[4 * quads.start..4 * quads.end].as_ptr();
        }
        // SAFETY: the features are there; the slices hold `span_quads` quads of codes and of
        // activations.
        unsafe {
            let sums = tile::<D, R, T>(codes.as_ptr(), &q, span_quads);
            for t in 0..T {
                for r in 0..R {
                    let at = (row_group + r / HALVES, span, r % HALVES);
                    acc[t][r] = spans.fold(acc[t][r], sums[t][r], x, token + t, at);
                }
            }
        }
    }
    for (t, acc) in acc.iter().enumerate() {
        for (r, values) in acc.iter().enumerate() {
            let row = row_group * GROUP_ROWS + 16 * r;
            // SAFETY: the features are there.
            unsafe { fold::store(out, token + t, row, *values) };
        }
    }
    T
}

/// Products of codes and activations over `quads` column quads: `16 * R` rows by `T` tokens.
///
/// # Safety
/// * The processor has the features of `D`.
/// * `quads * 64 * R` bytes are readable at `codes`;
/// * `4 * quads` activations are readable at every `q[t]`.
#[inline(always)]
unsafe fn tile<D: Dot, const R: usize, const T: usize>(
    codes: *const u8,
    q: &[*const i8; T],
    quads: usize,
) -> [[__m512i; R]; T] {
    // SAFETY: the features are there, and the loads are those promised by the caller.
    unsafe {
        let mut sums = [[_mm512_setzero_si512(); R]; T];
        for k in 0..quads {
            let mut rows = [_mm512_setzero_si512(); R];
            for (r, row) in rows.iter_mut().enumerate() {
                *row = _mm512_loadu_si512(codes.add(64 * (R * k + r)).cast());
            }
            for t in 0..T {
                let quad: *const i32 = q[t].add(4 * k).cast();
                let quad = _mm512_set1_epi32(quad.read_unaligned());
                for r in 0..R {
                    sums[t][r] = D::dot(sums[t][r], rows[r], quad);
                }
            }
        }
        sums
    }
}
