//! Logits of the quantised formats of [`tritone_abi::head`].
//!
//! Sixteen rows of a quantised head are two registers. The sums of a group of 32 columns (eight
//! column quads) are exact; see `dot`.

use core::arch::x86_64::*;

use tritone_abi::head::{BLOCK_COLS, GROUP_ROWS, SCALE_COLS};
use tritone_abi::{Activations, HeadFormat, HeadMatrix, MatOut};

use crate::dot::{Dot, for_each_isa};
use crate::isa::Isa;

/// Registers that hold one value for each of sixteen rows.
const HALVES: usize = GROUP_ROWS / 8;

/// Bytes of scales at the start of a block.
const SCALE_BYTES: usize = 64;

/// How far ahead of its use a cache line is asked for.
const PREFETCH_BYTES: usize = 4096;

/// Logits of a quantised head; the arguments are checked.
pub(crate) fn codes(isa: Isa, w: &HeadMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) {
    for_each_isa!(isa, code_rows::<>(
        w: &HeadMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>
    ));
}

/// # Safety
/// The processor has the features of `D`.
#[inline(always)]
unsafe fn code_rows<D: Dot>(w: &HeadMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) {
    let group_bytes = w.cols.div_ceil(BLOCK_COLS) * w.format.block_bytes();
    for first_row in out.range().step_by(GROUP_ROWS) {
        let data = &w.data[first_row / GROUP_ROWS * group_bytes..][..group_bytes];
        let mut token = 0;
        while token < x.tokens {
            let at = (first_row, token);
            // SAFETY: the features are there.
            token += unsafe {
                match x.tokens - token {
                    1 => row_group::<D, 1>(w.format, data, x, out, at),
                    2 => row_group::<D, 2>(w.format, data, x, out, at),
                    3 => row_group::<D, 3>(w.format, data, x, out, at),
                    _ => row_group::<D, 4>(w.format, data, x, out, at),
                }
            };
        }
    }
}

/// Sixteen rows (`data`) for tokens `token .. token + T`; gives `T`.
///
/// # Safety
/// The processor has the features of `D`.
#[inline(always)]
unsafe fn row_group<D: Dot, const T: usize>(
    format: HeadFormat,
    data: &[u8],
    x: &Activations<'_>,
    out: &mut MatOut<'_>,
    (first_row, token): (usize, usize),
) -> usize {
    let offset = match format {
        HeadFormat::Q8 => 128,
        HeadFormat::Q6 => 32,
        _ => 8,
    };
    let groups = x.groups();
    // SAFETY: the features are there.
    let mut acc = unsafe { [[_mm256_setzero_ps(); HALVES]; T] };
    for (block_index, block) in data.chunks_exact(format.block_bytes()).enumerate() {
        // SAFETY: the features are there.
        unsafe { prefetch(block) };
        let (scales, codes) = block.split_at(SCALE_BYTES);
        let vectors = codes.as_chunks::<64>().0;
        let here = 2 * block_index..groups.min(2 * block_index + 2);
        for (g, scales) in here.zip(scales.as_chunks::<32>().0) {
            let mut q: [&[i8; SCALE_COLS]; T] = [&[0; SCALE_COLS]; T];
            for (t, q) in q.iter_mut().enumerate() {
                *q = &x.row(token + t).as_chunks().0[g];
            }
            // SAFETY: the features are there; 16 * y + 16 bytes are inside the 32 of the scales.
            unsafe {
                let sums = match format {
                    HeadFormat::Q8 => sums_q8::<D, T>(vectors, g % 2, &q),
                    HeadFormat::Q6 => sums_q6::<D, T>(vectors, g % 2, &q),
                    _ => sums_q4::<D, T>(vectors, g % 2, &q),
                };
                for y in 0..HALVES {
                    let scale = _mm_loadu_si128(scales.as_ptr().add(16 * y).cast());
                    let scale = _mm256_cvtph_ps(scale);
                    for t in 0..T {
                        let at = (token + t) * groups + g;
                        let excess = _mm256_set1_epi32(x.sums[at].wrapping_mul(offset));
                        let sum = _mm256_cvtepi32_ps(_mm256_sub_epi32(sums[t][y], excess));
                        let scale = _mm256_mul_ps(scale, _mm256_set1_ps(x.scales[at]));
                        acc[t][y] = _mm256_fmadd_ps(sum, scale, acc[t][y]);
                    }
                }
            }
        }
    }
    for (t, acc) in acc.iter().enumerate() {
        for (y, values) in acc.iter().enumerate() {
            // SAFETY: the features are there.
            unsafe { crate::fold::store(out, token + t, first_row + 8 * y, *values) };
        }
    }
    T
}

/// Asks for what lies [`PREFETCH_BYTES`] behind a block.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn prefetch(block: &[u8]) {
    for at in (0..block.len()).step_by(64) {
        // A prefetch cannot fault, so it may run past the end of the weights.
        let ahead = block.as_ptr().wrapping_add(PREFETCH_BYTES + at).cast();
        _mm_prefetch::<_MM_HINT_T0>(ahead);
    }
}

/// Both registers of a code vector.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load(vector: &[u8; 64]) -> [__m256i; HALVES] {
    // SAFETY: the vector is two registers long.
    unsafe {
        [
            _mm256_loadu_si256(vector.as_ptr().cast()),
            _mm256_loadu_si256(vector.as_ptr().add(32).cast()),
        ]
    }
}

/// The activations of column quad `k`, for every row.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn quad(q: &[i8; SCALE_COLS], k: usize) -> __m256i {
    let [a, b, c, d] = q.as_chunks::<4>().0[k];
    _mm256_set1_epi32(i32::from_le_bytes([a, b, c, d].map(|v| v as u8)))
}

type Sums<const T: usize> = [[__m256i; HALVES]; T];

/// Products of codes and activations over the eight quads of half `half` of a block.
///
/// # Safety
/// The processor has the features of `D`.
#[inline(always)]
unsafe fn sums_q4<D: Dot, const T: usize>(
    vectors: &[[u8; 64]],
    half: usize,
    q: &[&[i8; SCALE_COLS]; T],
) -> Sums<T> {
    // SAFETY: the features are there.
    unsafe {
        let nibble = _mm256_set1_epi8(0x0f);
        let mut sums = [[_mm256_setzero_si256(); HALVES]; T];
        for (v, vector) in vectors[4 * half..][..4].iter().enumerate() {
            for (y, codes) in load(vector).into_iter().enumerate() {
                let low = _mm256_and_si256(codes, nibble);
                let high = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), nibble);
                for t in 0..T {
                    sums[t][y] = D::step(sums[t][y], low, quad(q[t], v));
                    sums[t][y] = D::step(sums[t][y], high, quad(q[t], v + 4));
                }
            }
        }
        for sums in &mut sums {
            for sum in sums {
                *sum = D::widen(*sum);
            }
        }
        sums
    }
}

/// As [`sums_q4`], with the upper two bits of every code from vectors 8 to 11.
///
/// # Safety
/// The processor has the features of `D`.
#[inline(always)]
unsafe fn sums_q6<D: Dot, const T: usize>(
    vectors: &[[u8; 64]],
    half: usize,
    q: &[&[i8; SCALE_COLS]; T],
) -> Sums<T> {
    // SAFETY: the features are there.
    unsafe {
        let nibble = _mm256_set1_epi8(0x0f);
        let tops = &vectors[8 + 2 * half..][..2];
        let (top_low, top_high) = (load(&tops[0]), load(&tops[1]));
        let mut sums = [[_mm256_setzero_si256(); HALVES]; T];
        for (v, vector) in vectors[4 * half..][..4].iter().enumerate() {
            for (y, codes) in load(vector).into_iter().enumerate() {
                let low = _mm256_and_si256(codes, nibble);
                let low = _mm256_or_si256(low, place(top_low[y], v));
                let high = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), nibble);
                let high = _mm256_or_si256(high, place(top_high[y], v));
                for t in 0..T {
                    let (p, q) = (quad(q[t], v), quad(q[t], v + 4));
                    sums[t][y] = D::add_two(sums[t][y], [low, p], [high, q]);
                }
            }
        }
        sums
    }
}

/// Bits 2v, 2v + 1 of every byte, at bits 4, 5.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn place(bits: __m256i, v: usize) -> __m256i {
    let moved = match v {
        0 => _mm256_slli_epi16::<4>(bits),
        1 => _mm256_slli_epi16::<2>(bits),
        2 => bits,
        _ => _mm256_srli_epi16::<2>(bits),
    };
    _mm256_and_si256(moved, _mm256_set1_epi8(0x30))
}

/// As [`sums_q4`], for bytes of any value.
///
/// # Safety
/// The processor has the features of `D`.
#[inline(always)]
unsafe fn sums_q8<D: Dot, const T: usize>(
    vectors: &[[u8; 64]],
    half: usize,
    q: &[&[i8; SCALE_COLS]; T],
) -> Sums<T> {
    // SAFETY: the features are there.
    unsafe {
        let mut sums = [[_mm256_setzero_si256(); HALVES]; T];
        for (k, vector) in vectors[8 * half..][..8].iter().enumerate() {
            let codes = load(vector);
            for t in 0..T {
                sums[t] = D::add_any(sums[t], codes, quad(q[t], k));
            }
        }
        sums
    }
}
