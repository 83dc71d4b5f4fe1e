//! Products of unsigned with signed bytes, with one instruction (AVX-VNNI) or without.
//!
//! Loops that need them are generic over [`Dot`] and `inline(always)`, without target features of
//! their own; [`for_each_isa`] wraps them in functions that carry the features, into which loop
//! and instruction are inlined together.
//!
//! # No sum overflows
//!
//! Activations are -128..=127, codes at most `C`. A *step* multiplies codes and activations and
//! adds neighbours to an accumulator.
//!
//! Without VNNI an accumulator is 16 bits wide and a step adds two products to it, so `n` steps
//! reach `-2 * C * 128 * n` at the lowest and `2 * C * 127 * n` at the highest. `vpmaddubsw`
//! itself saturates at 16 bits, which a single step never reaches while `C` is at most 128. The
//! lowest is the tighter end:
//!
//! | loop | codes | steps before widening | lowest | highest |
//! |---|---|---|---|---|
//! | decode, planes as they are | 2 | 2 planes x 8 blocks | -8192 | 8128 |
//! | decode, planes 4-fold | 8 | 2 planes x 8 blocks | **-32768** | 32512 |
//! | gemm | 2 | 64 quads | **-32768** | 32512 |
//! | head `Q4` | 15 | 8 quads | -30720 | 30480 |
//! | head `Q6` | 63 | 2 quads | -32256 | 32004 |
//!
//! The two of decode are joined, the 4-fold one divided by 4 (its terms are multiples of 4), to
//! -16384..=16256. Widening adds neighbours to 32 bits, where a lane belongs to a row: over its
//! at most 131072 columns it stays within 2 * 128 * 131072 = 2^25, and over a group of 32 columns
//! of a `Q8` head within 255 * 128 * 32 < 2^20.
//!
//! With VNNI an accumulator is 32 bits wide, a step adds four products, and a row is summed in
//! one run: the 4-fold planes reach 4 * 8 * 128 a step, two steps for each of 8192 blocks: 2^26.

use core::arch::asm;
use core::arch::x86_64::*;

/// How byte products are computed and summed. All sums are exact.
pub(crate) trait Dot {
    /// Blocks of [`T2R32`](tritone_abi::LayoutId::T2R32) that accumulators of decode hold.
    const BLOCKS: usize;

    /// Column quads of codes up to 2 that an accumulator holds.
    const QUADS: usize;

    /// One step of an accumulator that starts at zero.
    ///
    /// # Safety
    /// The processor has AVX2 and the implementation's own feature.
    unsafe fn step(acc: __m256i, codes: __m256i, q: __m256i) -> __m256i;

    /// An accumulator as 32-bit sums.
    ///
    /// # Safety
    /// As for [`step`](Self::step).
    unsafe fn widen(acc: __m256i) -> __m256i;

    /// `ones + fours / 4` as 32-bit sums; `fours` holds multiples of 4.
    ///
    /// # Safety
    /// As for [`step`](Self::step).
    unsafe fn join(ones: __m256i, fours: __m256i) -> __m256i;

    /// 32-bit sums plus the products of codes up to 63: `sum + a . p + b . q`.
    ///
    /// # Safety
    /// As for [`step`](Self::step).
    unsafe fn add_two(sum: __m256i, a: [__m256i; 2], b: [__m256i; 2]) -> __m256i;

    /// Two registers of 32-bit sums plus the products of any codes.
    ///
    /// # Safety
    /// As for [`step`](Self::step).
    unsafe fn add_any(sums: [__m256i; 2], codes: [__m256i; 2], q: __m256i) -> [__m256i; 2];
}

/// `vpdpbusd` on 256 bits: needs AVX-VNNI.
pub(crate) struct Vnni;

impl Dot for Vnni {
    // A whole row of 131072 columns.
    const BLOCKS: usize = 8192;
    const QUADS: usize = 32768;

    #[inline(always)]
    unsafe fn step(acc: __m256i, codes: __m256i, q: __m256i) -> __m256i {
        // SAFETY: the caller says that AVX-VNNI is there.
        unsafe { _mm256_dpbusd_avx_epi32(acc, codes, q) }
    }

    #[inline(always)]
    unsafe fn widen(acc: __m256i) -> __m256i {
        acc
    }

    #[inline(always)]
    unsafe fn join(ones: __m256i, fours: __m256i) -> __m256i {
        // SAFETY: the caller says that AVX2 is there.
        unsafe { _mm256_add_epi32(ones, _mm256_srai_epi32::<2>(fours)) }
    }

    #[inline(always)]
    unsafe fn add_two(sum: __m256i, a: [__m256i; 2], b: [__m256i; 2]) -> __m256i {
        // SAFETY: the caller says that AVX-VNNI is there.
        unsafe { Self::step(Self::step(sum, a[0], a[1]), b[0], b[1]) }
    }

    #[inline(always)]
    unsafe fn add_any(sums: [__m256i; 2], codes: [__m256i; 2], q: __m256i) -> [__m256i; 2] {
        // SAFETY: the caller says that AVX-VNNI is there.
        unsafe {
            [
                Self::step(sums[0], codes[0], q),
                Self::step(sums[1], codes[1], q),
            ]
        }
    }
}

/// `vpmaddubsw` and 16-bit additions: nothing beyond AVX2.
pub(crate) struct Maddubs;

impl Dot for Maddubs {
    const BLOCKS: usize = 8;
    const QUADS: usize = 64;

    #[inline(always)]
    unsafe fn step(acc: __m256i, codes: __m256i, q: __m256i) -> __m256i {
        // SAFETY: the caller says that AVX2 is there.
        unsafe { _mm256_add_epi16(acc, _mm256_maddubs_epi16(codes, q)) }
    }

    #[inline(always)]
    unsafe fn widen(acc: __m256i) -> __m256i {
        // SAFETY: the caller says that AVX2 is there.
        unsafe { _mm256_madd_epi16(acc, _mm256_set1_epi16(1)) }
    }

    #[inline(always)]
    unsafe fn join(ones: __m256i, fours: __m256i) -> __m256i {
        // SAFETY: the caller says that AVX2 is there.
        unsafe { Self::widen(_mm256_add_epi16(ones, _mm256_srai_epi16::<2>(fours))) }
    }

    #[inline(always)]
    unsafe fn add_two(sum: __m256i, a: [__m256i; 2], b: [__m256i; 2]) -> __m256i {
        // SAFETY: the caller says that AVX2 is there.
        unsafe {
            let two = Self::step(_mm256_maddubs_epi16(a[0], a[1]), b[0], b[1]);
            _mm256_add_epi32(sum, Self::widen(two))
        }
    }

    /// Even and odd columns are widened to 16 bits before they are multiplied.
    #[inline(always)]
    unsafe fn add_any(sums: [__m256i; 2], codes: [__m256i; 2], q: __m256i) -> [__m256i; 2] {
        // SAFETY: the caller says that AVX2 is there.
        unsafe {
            let byte = _mm256_set1_epi16(0x00ff);
            let even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(q));
            let odd = _mm256_srai_epi16::<8>(q);
            let low = _mm256_add_epi32(
                _mm256_madd_epi16(_mm256_and_si256(codes[0], byte), even),
                _mm256_madd_epi16(_mm256_srli_epi16::<8>(codes[0]), odd),
            );
            let high = _mm256_add_epi32(
                _mm256_madd_epi16(_mm256_and_si256(codes[1], byte), even),
                _mm256_madd_epi16(_mm256_srli_epi16::<8>(codes[1]), odd),
            );
            in_order([
                _mm256_add_epi32(sums[0], low),
                _mm256_add_epi32(sums[1], high),
            ])
        }
    }
}

/// Does nothing, but the compiler cannot look through it. Else it would add up a whole group in
/// another order, one register after the other, and keep what both need in memory.
#[inline]
#[target_feature(enable = "avx2")]
fn in_order([mut a, mut b]: [__m256i; 2]) -> [__m256i; 2] {
    // SAFETY: there is no instruction.
    unsafe {
        asm!(
            "/* {a} {b} */",
            a = inout(ymm_reg) a,
            b = inout(ymm_reg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    [a, b]
}

/// Whether so many steps with codes up to `codes` fit 16 bits.
const fn fits(codes: i32, steps: usize) -> bool {
    -2 * codes * 128 * steps as i32 >= i16::MIN as i32
}

// The table above; one step more would be too many where the lowest sum is in bold.
const _: () = assert!(fits(8, 2 * Maddubs::BLOCKS) && !fits(8, 2 * Maddubs::BLOCKS + 1));
const _: () = assert!(fits(2, Maddubs::QUADS) && !fits(2, Maddubs::QUADS + 1));
const _: () = assert!(fits(15, 8) && fits(63, 2));

/// Calls `$body::<D, ..>` (an `inline(always)` function, unsafe for its features at least) inside
/// a function compiled with AVX-VNNI where `$isa` has it, else inside one without.
macro_rules! for_each_isa {
    ($isa:expr, $body:ident::<$($n:literal),*>($($arg:ident: $type:ty),* $(,)?)) => {{
        #[target_feature(enable = "avx2,fma,f16c,avxvnni")]
        unsafe fn vnni($($arg: $type),*) {
            // SAFETY: this function has the features; the rest is the caller's promise.
            unsafe { $body::<$crate::dot::Vnni, $($n),*>($($arg),*) }
        }
        #[target_feature(enable = "avx2,fma,f16c")]
        unsafe fn maddubs($($arg: $type),*) {
            // SAFETY: this function has the features; the rest is the caller's promise.
            unsafe { $body::<$crate::dot::Maddubs, $($n),*>($($arg),*) }
        }
        if $isa.vnni() {
            // SAFETY: the proof says that AVX-VNNI is there; the rest is the caller's promise.
            unsafe { vnni($($arg),*) }
        } else {
            // SAFETY: the proof says that AVX2 is there; the rest is the caller's promise.
            unsafe { maddubs($($arg),*) }
        }
    }};
}

pub(crate) use for_each_isa;
