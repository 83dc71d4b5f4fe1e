//! The ternary product of many tokens.
//!
//! The codes of 32 rows are unpacked once to a byte each, `[cols / 4][32 rows][4]`, and stay in
//! the second-level cache while all tokens pass by in register tiles of 16 rows by [`TOKENS`].
//! How many columns may be summed before widening to 32 bits is worked out in `dot`.

use core::arch::x86_64::*;

use tritone_abi::layout::t2r32::{BLOCK_BYTES, BLOCK_COLS, GROUP_ROWS};
use tritone_abi::{Activations, MatOut, TernaryMatrix};

use crate::dot::{Dot, for_each_isa};
use crate::fold::{self, Groups, QUARTERS};
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
    let quads = w.cols.div_ceil(BLOCK_COLS) * (BLOCK_COLS / 4);
    let codes = &codes[..quads * QUAD_BYTES];
    let groups = Groups::<T>::of(w, x, row_group, token);
    let mut q = [core::ptr::null(); T];
    for (t, q) in q.iter_mut().enumerate() {
        *q = x.row(token + t)[..4 * quads].as_ptr();
    }
    for quarter in (0..QUARTERS).step_by(TILE) {
        // SAFETY: the features are there; the slices above hold `quads` quads of codes and of
        // activations, which groups divide; the registers from `quarter` lie inside a quad.
        let acc = unsafe {
            let codes = codes.as_ptr().add(32 * quarter);
            match &groups {
                Some(groups) => grouped::<D, T>(codes, groups, quarter),
                None => {
                    let sums = whole::<D, T>(codes, &q, quads);
                    let mut acc = [[_mm256_setzero_ps(); TILE]; T];
                    for t in 0..T {
                        for y in 0..TILE {
                            let at = (row_group, quarter + y);
                            acc[t][y] = fold::scale(w, sums[t][y], x, token + t, at);
                        }
                    }
                    acc
                }
            }
        };
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

/// Products of codes and activations over `quads` column quads: 16 rows by `T` tokens.
///
/// # Safety
/// * The processor has the features of `D`.
/// * `32 * TILE` bytes are readable at `codes + k * QUAD_BYTES` for every `k < quads`;
/// * `4 * quads` activations are readable at every `q[t]`.
#[inline(always)]
unsafe fn whole<D: Dot, const T: usize>(
    codes: *const u8,
    q: &[*const i8; T],
    quads: usize,
) -> [[__m256i; TILE]; T] {
    // SAFETY: the features are there; a run ends at `quads` at the latest.
    unsafe {
        let mut sums = [[_mm256_setzero_si256(); TILE]; T];
        for start in (0..quads).step_by(D::QUADS) {
            let n = D::QUADS.min(quads - start);
            let run = run::<D, T>(codes.add(start * QUAD_BYTES), q, 4 * start, n);
            for t in 0..T {
                for y in 0..TILE {
                    sums[t][y] = _mm256_add_epi32(sums[t][y], D::widen(run[t][y]));
                }
            }
        }
        sums
    }
}

/// Outputs of 16 rows, from `quarter` on, for `T` tokens, with scale groups.
///
/// # Safety
/// * The processor has the features of `D`.
/// * `32 * TILE` bytes are readable at `codes + k * QUAD_BYTES` for every column quad `k`;
/// * what the groups were made of is still there; registers `quarter .. quarter + TILE` lie inside
///   a row group.
#[inline(always)]
unsafe fn grouped<D: Dot, const T: usize>(
    codes: *const u8,
    groups: &Groups<T>,
    quarter: usize,
) -> [[__m256; TILE]; T] {
    // A group is one run.
    const { assert!(D::QUADS >= 256 / 4) };
    // SAFETY: the features are there; the groups make up the row.
    unsafe {
        let mut acc = [[_mm256_setzero_ps(); TILE]; T];
        let quads = groups.cols / 4;
        for g in 0..groups.count {
            let from = codes.add(g * quads * QUAD_BYTES);
            let run = run::<D, T>(from, &groups.q, g * groups.cols, quads);
            for t in 0..T {
                let start = groups.start(t, g);
                for y in 0..TILE {
                    let sum = _mm256_add_epi32(D::widen(run[t][y]), start);
                    acc[t][y] = groups.fold(acc[t][y], sum, t, (g, quarter + y));
                }
            }
        }
        acc
    }
}

/// Accumulators of `n` column quads, with activations from `first` on.
///
/// # Safety
/// * The processor has the features of `D`.
/// * `32 * TILE` bytes are readable at `codes + k * QUAD_BYTES` for every `k < n`;
/// * `4 * n` activations are readable at every `q[t] + first`;
/// * `n <= D::QUADS`.
#[inline(always)]
unsafe fn run<D: Dot, const T: usize>(
    codes: *const u8,
    q: &[*const i8; T],
    first: usize,
    n: usize,
) -> [[__m256i; TILE]; T] {
    // SAFETY: the features are there; `k < n`, so the loads are those promised by the caller.
    unsafe {
        let mut run = [[_mm256_setzero_si256(); TILE]; T];
        for k in 0..n {
            let from = codes.add(k * QUAD_BYTES);
            let mut rows = [_mm256_setzero_si256(); TILE];
            for (y, row) in rows.iter_mut().enumerate() {
                *row = _mm256_loadu_si256(from.add(32 * y).cast());
            }
            for t in 0..T {
                let quad: *const i32 = q[t].add(first + 4 * k).cast();
                let quad = _mm256_set1_epi32(quad.read_unaligned());
                for y in 0..TILE {
                    run[t][y] = D::step(run[t][y], rows[y], quad);
                }
            }
        }
        run
    }
}
