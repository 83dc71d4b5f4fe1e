//! Logits of the quantised formats of [`tritone_abi::head`].
//!
//! Sixteen rows of a quantised head are one register. Sums are exact: codes are at most 255, so a
//! byte dot product is at most 4 * 255 * 128, and a group of 32 columns has eight of them.

use core::arch::x86_64::*;

use tritone_abi::head::{BLOCK_COLS, GROUP_ROWS, SCALE_COLS};
use tritone_abi::{Activations, HeadFormat, HeadMatrix, MatOut};

use crate::dot::{Dot, for_each_isa};
use crate::isa::Isa;

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

/// Sixteen rows for `T` tokens; gives `T`.
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
        HeadFormat::F16 => return T, // No codes; `HeadMatrix::check` refuses the combination.
        HeadFormat::Q8 => 128,
        HeadFormat::Q6 => 32,
        HeadFormat::Q4 => 8,
    };
    let groups = x.groups();
    // SAFETY: the features are there.
    let mut acc = unsafe { [_mm512_setzero_ps(); T] };
    for (b, block) in data.chunks_exact(format.block_bytes()).enumerate() {
        // SAFETY: the features are there.
        unsafe { prefetch(block) };
        let (scales, codes) = block.split_at(SCALE_BYTES);
        let vectors = codes.as_chunks::<64>().0;
        for (g, scales) in (2 * b..groups.min(2 * b + 2)).zip(scales.as_chunks::<32>().0) {
            let mut q: [&[i8; SCALE_COLS]; T] = [&[0; SCALE_COLS]; T];
            for (t, q) in q.iter_mut().enumerate() {
                *q = &x.row(token + t).as_chunks().0[g];
            }
            // SAFETY: the features are there, and the scales are 32 bytes long.
            unsafe {
                let sums = match format {
                    HeadFormat::Q8 => sums_q8::<D, T>(vectors, g % 2, &q),
                    HeadFormat::Q6 => sums_q6::<D, T>(vectors, g % 2, &q),
                    _ => sums_q4::<D, T>(vectors, g % 2, &q),
                };
                let scale = _mm512_cvtph_ps(_mm256_loadu_si256(scales.as_ptr().cast()));
                for t in 0..T {
                    let at = (token + t) * groups + g;
                    // Codes are values plus `offset`.
                    let excess = _mm512_set1_epi32(x.sums[at].wrapping_mul(offset));
                    let sum = _mm512_cvtepi32_ps(_mm512_sub_epi32(sums[t], excess));
                    let scale = _mm512_mul_ps(scale, _mm512_set1_ps(x.scales[at]));
                    acc[t] = _mm512_fmadd_ps(sum, scale, acc[t]);
                }
            }
        }
    }
    for (t, values) in acc.iter().enumerate() {
        // SAFETY: the features are there.
        unsafe { crate::fold::store(out, token + t, first_row, *values) };
    }
    T
}

/// Asks for the bytes that follow `block` at some distance.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn prefetch(block: &[u8]) {
    for line in (0..block.len()).step_by(64) {
        let ahead = block.as_ptr().wrapping_add(PREFETCH_BYTES + line);
        // A prefetch cannot fault, so it may run past the end of the weights.
        _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load(vector: &[u8; 64]) -> __m512i {
    // SAFETY: the vector is one register long.
    unsafe { _mm512_loadu_si512(vector.as_ptr().cast()) }
}

/// Quad `k` of 32 activations, in every lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn quad(q: &[i8; SCALE_COLS], k: usize) -> __m512i {
    let [a, b, c, d] = q.as_chunks::<4>().0[k];
    _mm512_set1_epi32(i32::from_le_bytes([a, b, c, d].map(|v| v as u8)))
}

/// Integer products of codes with the activations of half `half` of a `Q4` block.
///
/// # Safety
/// The processor has the features of `D`.
#[inline(always)]
unsafe fn sums_q4<D: Dot, const T: usize>(
    vectors: &[[u8; 64]],
    half: usize,
    q: &[&[i8; SCALE_COLS]; T],
) -> [__m512i; T] {
    // SAFETY: the features are there.
    unsafe {
        let nibble = _mm512_set1_epi8(0x0f);
        let mut sums = [_mm512_setzero_si512(); T];
        for (v, vector) in vectors[4 * half..][..4].iter().enumerate() {
            let codes = load(vector);
            let low = _mm512_and_si512(codes, nibble);
            let high = _mm512_and_si512(_mm512_srli_epi16::<4>(codes), nibble);
            for t in 0..T {
                sums[t] = D::dot(sums[t], low, quad(q[t], v));
                sums[t] = D::dot(sums[t], high, quad(q[t], v + 4));
            }
        }
        sums
    }
}

/// As [`sums_q4`], with two more bits to each code.
///
/// # Safety
/// The processor has the features of `D`.
#[inline(always)]
unsafe fn sums_q6<D: Dot, const T: usize>(
    vectors: &[[u8; 64]],
    half: usize,
    q: &[&[i8; SCALE_COLS]; T],
) -> [__m512i; T] {
    // SAFETY: the features are there.
    unsafe {
        let (nibble, top) = (_mm512_set1_epi8(0x0f), _mm512_set1_epi8(0x30));
        // Bits 2v, 2v + 1 of the upper bits' vectors belong at bits 4, 5 of quads v and v + 4.
        let places = |bits: __m512i| {
            [
                _mm512_slli_epi16::<4>(bits),
                _mm512_slli_epi16::<2>(bits),
                bits,
                _mm512_srli_epi16::<2>(bits),
            ]
        };
        let tops = &vectors[8 + 2 * half..][..2];
        let (top_low, top_high) = (places(load(&tops[0])), places(load(&tops[1])));
        let mut sums = [_mm512_setzero_si512(); T];
        for (v, vector) in vectors[4 * half..][..4].iter().enumerate() {
            let codes = load(vector);
            let low = _mm512_and_si512(codes, nibble);
            let low = _mm512_or_si512(low, _mm512_and_si512(top_low[v], top));
            let high = _mm512_and_si512(_mm512_srli_epi16::<4>(codes), nibble);
            let high = _mm512_or_si512(high, _mm512_and_si512(top_high[v], top));
            for t in 0..T {
                sums[t] = D::dot(sums[t], low, quad(q[t], v));
                sums[t] = D::dot(sums[t], high, quad(q[t], v + 4));
            }
        }
        sums
    }
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
) -> [__m512i; T] {
    // SAFETY: the features are there.
    unsafe {
        let mut sums = [_mm512_setzero_si512(); T];
        for (k, vector) in vectors[8 * half..][..8].iter().enumerate() {
            let codes = load(vector);
            for t in 0..T {
                sums[t] = D::dot_wide(sums[t], codes, quad(q[t], k));
            }
        }
        sums
    }
}
