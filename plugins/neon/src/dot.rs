//! Products of four rows' codes with one quad of activations, by `sdot` or by two `smlal`.
//!
//! A register of codes holds four rows with four neighbouring columns each, as `T2R32` and the
//! quantised heads have them. Loops that need the product are generic over [`Dot`] and
//! `inline(always)`, without target features of their own; [`for_each_isa`] wraps them in functions
//! that carry the features, into which loop and instruction are inlined together.

use core::arch::aarch64::*;
use core::arch::asm;

/// How codes are multiplied with activations. All sums are exact.
pub(crate) trait Dot {
    /// Sums for four rows, perhaps spread over more lanes than four.
    type Sum: Copy;

    /// Quads that a [`Sum`](Self::Sum) holds when codes are at most 2 in magnitude.
    const QUADS: usize;

    /// Tokens of a register tile of sixteen rows.
    const TOKENS: usize;

    /// Which of three sums each bit plane of [`planes`](Self::planes) is counted in; sum `i` counts
    /// 4^i-fold.
    const FOLDS: [usize; 4];

    /// No products yet.
    ///
    /// # Safety
    /// The processor has NEON.
    unsafe fn zero() -> Self::Sum;

    /// Adds the products of `codes` with quad `QUAD` of sixteen activations.
    ///
    /// # Safety
    /// The processor has NEON and the implementation's own feature.
    unsafe fn add<const QUAD: i32>(sum: Self::Sum, codes: int8x16_t, q: int8x16_t) -> Self::Sum;

    /// The sum of each row.
    ///
    /// # Safety
    /// The processor has NEON.
    unsafe fn total(sum: Self::Sum) -> int32x4_t;

    /// The four bit planes of sixteen bytes of `T2R32`, each 4^`FOLDS`-fold.
    ///
    /// # Safety
    /// The processor has NEON.
    unsafe fn planes(weights: uint8x16_t) -> [int8x16_t; 4];
}

/// `sdot`: needs `dotprod`.
pub(crate) struct Sdot;

impl Dot for Sdot {
    type Sum = int32x4_t;

    /// A quad adds at most 4 * 2 * 128 = 2^10; a matrix has at most 2^15 quads.
    const QUADS: usize = 1 << 15;

    const TOKENS: usize = 5;

    /// Masking a plane in its place is one instruction, moving it down another. Plane 3 comes down
    /// by the shift alone, and must: in its place a code of 2 is the sign bit.
    const FOLDS: [usize; 4] = [0, 1, 2, 0];

    #[inline(always)]
    unsafe fn zero() -> int32x4_t {
        // SAFETY: the caller says that NEON is there.
        unsafe { vdupq_n_s32(0) }
    }

    #[inline(always)]
    unsafe fn add<const QUAD: i32>(sum: int32x4_t, codes: int8x16_t, q: int8x16_t) -> int32x4_t {
        #[inline]
        #[target_feature(enable = "neon,dotprod")]
        fn sdot<const QUAD: i32>(mut sum: int32x4_t, codes: int8x16_t, q: int8x16_t) -> int32x4_t {
            // Not declared pure, which would let the compiler move many of them ahead of each other
            // until it runs out of registers.
            // SAFETY: this function has the feature; the instruction touches these registers only.
            unsafe {
                asm!(
                    "sdot {sum:v}.4s, {codes:v}.16b, {q:v}.4b[{quad}]",
                    sum = inout(vreg) sum,
                    codes = in(vreg) codes,
                    q = in(vreg) q,
                    quad = const QUAD,
                    options(nomem, nostack, preserves_flags),
                );
            }
            sum
        }
        // SAFETY: the caller says that `dotprod` is there.
        unsafe { sdot::<QUAD>(sum, codes, q) }
    }

    #[inline(always)]
    unsafe fn total(sum: int32x4_t) -> int32x4_t {
        sum
    }

    #[inline(always)]
    unsafe fn planes(weights: uint8x16_t) -> [int8x16_t; 4] {
        // SAFETY: the caller says that NEON is there.
        unsafe {
            [
                vandq_u8(weights, vdupq_n_u8(0x03)),
                vandq_u8(weights, vdupq_n_u8(0x0c)),
                vandq_u8(weights, vdupq_n_u8(0x30)),
                vshrq_n_u8::<6>(weights),
            ]
            .map(|plane| vreinterpretq_s8_u8(plane))
        }
    }
}

/// `smlal` and `smlal2`: nothing beyond NEON.
pub(crate) struct Smlal;

impl Dot for Smlal {
    /// The products of rows 0 and 1, and of rows 2 and 3: a lane of 16 bits for every column of a
    /// quad.
    type Sum = [int16x8_t; 2];

    /// A product is at most 2 * 128 in magnitude, so 128 of them reach -32768 at the lowest (codes
    /// of 2, activations of -128) and 32512 at the highest: they always fit 16 bits.
    const QUADS: usize = 128;

    const TOKENS: usize = 2;

    /// Every plane is brought down, because a product 16-fold would leave room for eight only.
    const FOLDS: [usize; 4] = [0; 4];

    #[inline(always)]
    unsafe fn zero() -> [int16x8_t; 2] {
        // SAFETY: the caller says that NEON is there.
        unsafe { [vdupq_n_s16(0); 2] }
    }

    #[inline(always)]
    unsafe fn add<const QUAD: i32>(
        [low, high]: [int16x8_t; 2],
        codes: int8x16_t,
        q: int8x16_t,
    ) -> [int16x8_t; 2] {
        // SAFETY: the caller says that NEON is there.
        unsafe {
            let q = vreinterpretq_s8_s32(vdupq_laneq_s32::<QUAD>(vreinterpretq_s32_s8(q)));
            [
                vmlal_s8(low, vget_low_s8(codes), vget_low_s8(q)),
                vmlal_high_s8(high, codes, q),
            ]
        }
    }

    #[inline(always)]
    unsafe fn total([low, high]: [int16x8_t; 2]) -> int32x4_t {
        // SAFETY: the caller says that NEON is there.
        unsafe { vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)) }
    }

    #[inline(always)]
    unsafe fn planes(weights: uint8x16_t) -> [int8x16_t; 4] {
        // SAFETY: the caller says that NEON is there.
        unsafe {
            let code = vdupq_n_u8(0x03);
            [
                vandq_u8(weights, code),
                vandq_u8(vshrq_n_u8::<2>(weights), code),
                vandq_u8(vshrq_n_u8::<4>(weights), code),
                vshrq_n_u8::<6>(weights),
            ]
            .map(|plane| vreinterpretq_s8_u8(plane))
        }
    }
}

/// Calls `$body::<D, ..>` (an `inline(always)` function, unsafe for its features at least) inside
/// a function compiled with `dotprod` where `$isa` has it, else inside one without.
macro_rules! for_each_isa {
    ($isa:expr, $body:ident::<$($n:literal),*>($($arg:ident: $type:ty),* $(,)?)) => {{
        #[target_feature(enable = "neon,dotprod")]
        unsafe fn sdot($($arg: $type),*) {
            // SAFETY: this function has the features; the rest is the caller's promise.
            unsafe { $body::<$crate::dot::Sdot, $($n),*>($($arg),*) }
        }
        #[target_feature(enable = "neon")]
        unsafe fn smlal($($arg: $type),*) {
            // SAFETY: this function has the feature; the rest is the caller's promise.
            unsafe { $body::<$crate::dot::Smlal, $($n),*>($($arg),*) }
        }
        if $isa.dotprod() {
            // SAFETY: the proof says that `dotprod` is there; the rest is the caller's promise.
            unsafe { sdot($($arg),*) }
        } else {
            // SAFETY: the proof says that NEON is there; the rest is the caller's promise.
            unsafe { smlal($($arg),*) }
        }
    }};
}

pub(crate) use for_each_isa;
