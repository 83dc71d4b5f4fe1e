//! Logits of the quantised formats of [`tritone_abi::head`].
//!
//! Sixteen rows of a quantised head are four registers. The sums of a group of 32 columns (eight
//! column quads) stay exact: `sdot` has 32 bits for them, and for 16-bit sums ([`Dot::Sum`] of
//! `Smlal`, one product a lane and quad) the formats are widened in time:
//!
//! * `Q4`: a product is at most 15 * 128 = 1920 in magnitude, eight of them 15360;
//! * `Q6`: a product is at most 63 * 128 = 8064, four of them 32256;
//! * `Q8`: a product of two bytes is at most 128 * 128 = 16384, one at a time.

use core::arch::aarch64::*;

use tritone_abi::head::{BLOCK_COLS, GROUP_ROWS, SCALE_COLS};
use tritone_abi::{Activations, HeadFormat, HeadMatrix, MatOut};

use crate::dot::{Dot, for_each_isa};
use crate::fold::ROWS;
use crate::isa::Isa;
use crate::probe;

/// Registers that hold one value for each of sixteen rows.
const PARTS: usize = GROUP_ROWS / ROWS;

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
    // What a code is more than its value; those of `Q8` are turned into values as they are loaded.
    let offset = match format {
        HeadFormat::F16 => return T, // No codes; `HeadMatrix::check` refuses the combination.
        HeadFormat::Q8 => 0,
        HeadFormat::Q6 => 32,
        HeadFormat::Q4 => 8,
    };
    let groups = x.groups();
    // SAFETY: the features are there.
    let mut acc = unsafe { [[vdupq_n_f32(0.0); PARTS]; T] };
    for (b, block) in data.chunks_exact(format.block_bytes()).enumerate() {
        prefetch(block);
        let (scales, codes) = block.split_at(SCALE_BYTES);
        let vectors = codes.as_chunks::<64>().0;
        for (g, scales) in (2 * b..groups.min(2 * b + 2)).zip(scales.as_chunks::<32>().0) {
            // SAFETY: the features are there, the scales of four rows are half a register long, and
            // 32 activations are two registers.
            unsafe {
                let mut q = [[vdupq_n_s8(0); 2]; T];
                for (t, q) in q.iter_mut().enumerate() {
                    let from: &[i8; SCALE_COLS] = &x.row(token + t).as_chunks().0[g];
                    *q = [vld1q_s8(from.as_ptr()), vld1q_s8(from.as_ptr().add(16))];
                }
                for (p, scales) in scales.as_chunks::<{ 2 * ROWS }>().0.iter().enumerate() {
                    let sums = match format {
                        HeadFormat::Q8 => sums_q8::<D, T>(vectors, (g % 2, p), &q),
                        HeadFormat::Q6 => sums_q6::<D, T>(vectors, (g % 2, p), &q),
                        _ => sums_q4::<D, T>(vectors, (g % 2, p), &q),
                    };
                    let scale = vld1_u8(scales.as_ptr());
                    let scale = vcvt_f32_f16(vreinterpret_f16_u8(scale));
                    for t in 0..T {
                        let at = (token + t) * groups + g;
                        let excess = vdupq_n_s32(x.sums[at].wrapping_mul(offset));
                        let sum = vcvtq_f32_s32(vsubq_s32(sums[t], excess));
                        let scale = vmulq_f32(scale, vdupq_n_f32(x.scales[at]));
                        acc[t][p] = vfmaq_f32(acc[t][p], sum, scale);
                    }
                }
            }
        }
    }
    for (t, acc) in acc.iter().enumerate() {
        for (p, values) in acc.iter().enumerate() {
            // SAFETY: the features are there.
            unsafe { crate::fold::store(out, token + t, first_row + ROWS * p, *values) };
        }
    }
    T
}

/// Asks for the bytes that follow `block` at some distance.
#[inline(always)]
fn prefetch(block: &[u8]) {
    for line in (0..block.len()).step_by(64) {
        probe::prefetch::<PREFETCH_BYTES>(block.as_ptr().wrapping_add(line));
    }
}

/// Rows `4 * part ..` of a code vector.
#[inline]
#[target_feature(enable = "neon")]
fn load(vector: &[u8; 64], part: usize) -> uint8x16_t {
    let four = &vector.as_chunks::<16>().0[part];
    // SAFETY: the array is one register long.
    unsafe { vld1q_u8(four.as_ptr()) }
}

/// Adds the products of `codes` with quad `K` of a register of activations, for every token.
///
/// # Safety
/// The processor has the features of `D`.
#[inline(always)]
unsafe fn quad<D: Dot, const T: usize, const K: i32>(
    sums: &mut [D::Sum; T],
    codes: uint8x16_t,
    q: &[[int8x16_t; 2]; T],
    register: usize,
) {
    for t in 0..T {
        // SAFETY: the features are there.
        unsafe {
            sums[t] = D::add::<K>(sums[t], vreinterpretq_s8_u8(codes), q[t][register]);
        }
    }
}

/// Integer products of four rows' codes with the activations of half `half` of a `Q4` block.
///
/// # Safety
/// The processor has the features of `D`.
#[inline(always)]
unsafe fn sums_q4<D: Dot, const T: usize>(
    vectors: &[[u8; 64]],
    (half, part): (usize, usize),
    q: &[[int8x16_t; 2]; T],
) -> [int32x4_t; T] {
    let vectors = &vectors[4 * half..][..4];
    // SAFETY: the features are there.
    unsafe {
        let nibble = vdupq_n_u8(0x0f);
        let mut sums = [D::zero(); T];
        macro_rules! quads {
            ($($k:literal)*) => {$(
                let codes = load(&vectors[$k], part);
                quad::<D, T, $k>(&mut sums, vandq_u8(codes, nibble), q, 0);
                quad::<D, T, $k>(&mut sums, vshrq_n_u8::<4>(codes), q, 1);
            )*};
        }
        quads!(0 1 2 3);
        sums.map(|sum| D::total(sum))
    }
}

/// As [`sums_q4`], with two more bits to each code.
///
/// # Safety
/// The processor has the features of `D`.
#[inline(always)]
unsafe fn sums_q6<D: Dot, const T: usize>(
    vectors: &[[u8; 64]],
    (half, part): (usize, usize),
    q: &[[int8x16_t; 2]; T],
) -> [int32x4_t; T] {
    let tops = &vectors[8 + 2 * half..][..2];
    let vectors = &vectors[4 * half..][..4];
    // SAFETY: the features are there.
    unsafe {
        let (nibble, top) = (vdupq_n_u8(0x0f), vdupq_n_u8(0x30));
        // Bits 2k, 2k + 1 of the upper bits' vectors belong at bits 4, 5 of quads k and k + 4.
        let places = |bits: uint8x16_t| {
            [
                vshlq_n_u8::<4>(bits),
                vshlq_n_u8::<2>(bits),
                bits,
                vshrq_n_u8::<2>(bits),
            ]
        };
        let (low_tops, high_tops) = (places(load(&tops[0], part)), places(load(&tops[1], part)));
        let mut low = [D::zero(); T];
        let mut high = [D::zero(); T];
        macro_rules! quads {
            ($($k:literal)*) => {$(
                let codes = load(&vectors[$k], part);
                let bits = vorrq_u8(vandq_u8(codes, nibble), vandq_u8(low_tops[$k], top));
                quad::<D, T, $k>(&mut low, bits, q, 0);
                let bits = vorrq_u8(vshrq_n_u8::<4>(codes), vandq_u8(high_tops[$k], top));
                quad::<D, T, $k>(&mut high, bits, q, 1);
            )*};
        }
        quads!(0 1 2 3);
        let mut sums = [vdupq_n_s32(0); T];
        for t in 0..T {
            sums[t] = vaddq_s32(D::total(low[t]), D::total(high[t]));
        }
        sums
    }
}

/// As [`sums_q4`], for values from -128 to 127.
///
/// # Safety
/// The processor has the features of `D`.
#[inline(always)]
unsafe fn sums_q8<D: Dot, const T: usize>(
    vectors: &[[u8; 64]],
    (half, part): (usize, usize),
    q: &[[int8x16_t; 2]; T],
) -> [int32x4_t; T] {
    let vectors = &vectors[8 * half..][..8];
    // SAFETY: the features are there.
    unsafe {
        let sign = vdupq_n_u8(0x80);
        let mut sums = [vdupq_n_s32(0); T];
        macro_rules! quads {
            ($($k:literal)*) => {$(
                let values = veorq_u8(load(&vectors[$k], part), sign);
                let mut products = [D::zero(); T];
                quad::<D, T, { $k % 4 }>(&mut products, values, q, $k / 4);
                for (sum, products) in sums.iter_mut().zip(products) {
                    *sum = vaddq_s32(*sum, D::total(products));
                }
            )*};
        }
        quads!(0 1 2 3 4 5 6 7);
        sums
    }
}
