//! Logits of the quantised formats of [`tritone_abi::head`].
//!
//! Sixteen rows of a quantised head are two registers. How the sums of a group of 32 columns
//! (eight column quads) stay exact:
//!
//! * `Q4`: a pair of products is at most 2 * 15 * 128 = 3840, eight of them 30720: 16 bits do;
//! * `Q6`: a pair is at most 2 * 63 * 128 = 16128, so two of them fit before widening;
//! * `Q8`: codes and activations are widened to 16 bits before they are multiplied.

use core::arch::x86_64::*;

use tritone_abi::head::{BLOCK_COLS, GROUP_ROWS, SCALE_COLS};
use tritone_abi::{Activations, HeadFormat, HeadMatrix, MatOut};

use crate::isa::Isa;

/// Registers that hold one value for each of sixteen rows.
const HALVES: usize = GROUP_ROWS / 8;

/// Bytes of scales at the start of a block.
const SCALE_BYTES: usize = 64;

/// How far ahead of its use a cache line is asked for.
const PREFETCH_BYTES: usize = 4096;

/// Logits of a quantised head; the arguments are checked.
pub(crate) fn codes(_: Isa, w: &HeadMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) {
    // SAFETY: the proof says that the function's features are there.
    unsafe { code_rows(w, x, out) };
}

#[target_feature(enable = "avx2,fma,f16c")]
fn code_rows(w: &HeadMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) {
    let group_bytes = w.cols.div_ceil(BLOCK_COLS) * w.format.block_bytes();
    for first_row in out.range().step_by(GROUP_ROWS) {
        let data = &w.data[first_row / GROUP_ROWS * group_bytes..][..group_bytes];
        let mut token = 0;
        while token < x.tokens {
            let at = (first_row, token);
            token += match x.tokens - token {
                1 => row_group::<1>(w.format, data, x, out, at),
                2 => row_group::<2>(w.format, data, x, out, at),
                3 => row_group::<3>(w.format, data, x, out, at),
                _ => row_group::<4>(w.format, data, x, out, at),
            };
        }
    }
}

/// Sixteen rows for `T` tokens; gives `T`.
#[target_feature(enable = "avx2,fma,f16c")]
fn row_group<const T: usize>(
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
    let mut acc = [[_mm256_setzero_ps(); HALVES]; T];
    for (b, block) in data.chunks_exact(format.block_bytes()).enumerate() {
        prefetch(block);
        let (scales, codes) = block.split_at(SCALE_BYTES);
        for (g, scales) in (2 * b..groups.min(2 * b + 2)).zip(scales.as_chunks::<32>().0) {
            let q: [&[i8; SCALE_COLS]; T] =
                core::array::from_fn(|t| &x.row(token + t).as_chunks().0[g]);
            let sums = match format {
                HeadFormat::Q8 => sums_q8(codes.as_chunks().0, g % 2, &q),
                HeadFormat::Q6 => sums_q6(codes.as_chunks().0, g % 2, &q),
                _ => sums_q4(codes.as_chunks().0, g % 2, &q),
            };
            for y in 0..HALVES {
                // SAFETY: 16 * y + 16 bytes are inside the 32 bytes of scales.
                let scale = unsafe { _mm_loadu_si128(scales.as_ptr().add(16 * y).cast()) };
                let scale = _mm256_cvtph_ps(scale);
                for t in 0..T {
                    let at = (token + t) * groups + g;
                    // Codes are values plus `offset`.
                    let excess = _mm256_set1_epi32(x.sums[at].wrapping_mul(offset));
                    let sum = _mm256_cvtepi32_ps(_mm256_sub_epi32(sums[t][y], excess));
                    let scale = _mm256_mul_ps(scale, _mm256_set1_ps(x.scales[at]));
                    acc[t][y] = _mm256_fmadd_ps(sum, scale, acc[t][y]);
                }
            }
        }
    }
    for (t, acc) in acc.iter().enumerate() {
        for (y, values) in acc.iter().enumerate() {
            crate::fold::store(out, token + t, first_row + 8 * y, *values);
        }
    }
    T
}

/// Asks for the bytes that follow `block` at some distance.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn prefetch(block: &[u8]) {
    for line in (0..block.len()).step_by(64) {
        let ahead = block.as_ptr().wrapping_add(PREFETCH_BYTES + line);
        // A prefetch cannot fault, so it may run past the end of the weights.
        _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
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

/// Quad `k` of 32 activations, in every lane.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn quad(q: &[i8; SCALE_COLS], k: usize) -> __m256i {
    let [a, b, c, d] = q.as_chunks::<4>().0[k];
    _mm256_set1_epi32(i32::from_le_bytes([a, b, c, d].map(|v| v as u8)))
}

type Sums<const T: usize> = [[__m256i; HALVES]; T];

/// Integer products of codes with the activations of half `half` of a `Q4` block.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn sums_q4<const T: usize>(
    vectors: &[[u8; 64]],
    half: usize,
    q: &[&[i8; SCALE_COLS]; T],
) -> Sums<T> {
    let nibble = _mm256_set1_epi8(0x0f);
    let mut sums = [[_mm256_setzero_si256(); HALVES]; T];
    for (v, vector) in vectors[4 * half..][..4].iter().enumerate() {
        for (y, codes) in load(vector).into_iter().enumerate() {
            let low = _mm256_and_si256(codes, nibble);
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), nibble);
            for t in 0..T {
                let low = _mm256_maddubs_epi16(low, quad(q[t], v));
                let high = _mm256_maddubs_epi16(high, quad(q[t], v + 4));
                sums[t][y] = _mm256_add_epi16(sums[t][y], _mm256_add_epi16(low, high));
            }
        }
    }
    sums.map(|sums| sums.map(|sum| _mm256_madd_epi16(sum, _mm256_set1_epi16(1))))
}

/// As [`sums_q4`], with two more bits to each code.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn sums_q6<const T: usize>(
    vectors: &[[u8; 64]],
    half: usize,
    q: &[&[i8; SCALE_COLS]; T],
) -> Sums<T> {
    let (nibble, top) = (_mm256_set1_epi8(0x0f), _mm256_set1_epi8(0x30));
    let one = _mm256_set1_epi16(1);
    let tops = &vectors[8 + 2 * half..][..2];
    let (top_low, top_high) = (load(&tops[0]), load(&tops[1]));
    let mut sums = [[_mm256_setzero_si256(); HALVES]; T];
    for (v, vector) in vectors[4 * half..][..4].iter().enumerate() {
        for (y, codes) in load(vector).into_iter().enumerate() {
            // Bits 2v, 2v + 1 go to bits 4, 5.
            let place = |bits| {
                let moved = match v {
                    0 => _mm256_slli_epi16::<4>(bits),
                    1 => _mm256_slli_epi16::<2>(bits),
                    2 => bits,
                    _ => _mm256_srli_epi16::<2>(bits),
                };
                _mm256_and_si256(moved, top)
            };
            let low = _mm256_and_si256(codes, nibble);
            let low = _mm256_or_si256(low, place(top_low[y]));
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), nibble);
            let high = _mm256_or_si256(high, place(top_high[y]));
            for t in 0..T {
                let low = _mm256_maddubs_epi16(low, quad(q[t], v));
                let high = _mm256_maddubs_epi16(high, quad(q[t], v + 4));
                let wide = _mm256_madd_epi16(_mm256_add_epi16(low, high), one);
                sums[t][y] = _mm256_add_epi32(sums[t][y], wide);
            }
        }
    }
    sums
}

/// As [`sums_q4`], for bytes of any value: even and odd columns are widened to 16 bits.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn sums_q8<const T: usize>(
    vectors: &[[u8; 64]],
    half: usize,
    q: &[&[i8; SCALE_COLS]; T],
) -> Sums<T> {
    let byte = _mm256_set1_epi16(0x00ff);
    let mut sums = [[_mm256_setzero_si256(); HALVES]; T];
    for (k, vector) in vectors[8 * half..][..8].iter().enumerate() {
        let codes = load(vector);
        for t in 0..T {
            let quad = quad(q[t], k);
            let even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(quad));
            let odd = _mm256_srai_epi16::<8>(quad);
            for y in 0..HALVES {
                let even = _mm256_madd_epi16(_mm256_and_si256(codes[y], byte), even);
                let odd = _mm256_madd_epi16(_mm256_srli_epi16::<8>(codes[y]), odd);
                sums[t][y] = _mm256_add_epi32(sums[t][y], _mm256_add_epi32(even, odd));
            }
        }
    }
    sums
}
