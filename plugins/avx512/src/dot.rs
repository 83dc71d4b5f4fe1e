//! The dot product of four unsigned with four signed bytes in every 32-bit lane, in one
//! instruction or in three.
//!
//! Loops that need it are generic over [`Dot`] and `inline(always)`, without target features of
//! their own; [`for_each_isa`] wraps them in functions that carry the features, into which loop
//! and instruction are inlined together.

use core::arch::x86_64::*;

/// How byte dot products are computed. All sums are exact in 32 bits.
pub(crate) trait Dot {
    /// `acc + codes . q`, for codes up to 128.
    ///
    /// # Safety
    /// The processor has AVX-512 F, BW and VL, and the implementation's own feature.
    unsafe fn dot(acc: __m512i, codes: __m512i, q: __m512i) -> __m512i;

    /// `acc + codes . q`, for any codes.
    ///
    /// # Safety
    /// As for [`dot`](Self::dot).
    unsafe fn dot_wide(acc: __m512i, codes: __m512i, q: __m512i) -> __m512i;
}

/// `vpdpbusd`: needs VNNI.
pub(crate) struct Vnni;

impl Dot for Vnni {
    #[inline(always)]
    unsafe fn dot(acc: __m512i, codes: __m512i, q: __m512i) -> __m512i {
        // SAFETY: the caller says that VNNI is there.
        unsafe { _mm512_dpbusd_epi32(acc, codes, q) }
    }

    #[inline(always)]
    unsafe fn dot_wide(acc: __m512i, codes: __m512i, q: __m512i) -> __m512i {
        // SAFETY: the caller says that VNNI is there.
        unsafe { _mm512_dpbusd_epi32(acc, codes, q) }
    }
}

/// `vpmaddubsw`, `vpmaddwd`, `vpaddd`: nothing beyond BW.
pub(crate) struct Maddubs;

impl Dot for Maddubs {
    /// A pair of products lies in -32768..=32512 for codes up to 128, so `vpmaddubsw` does not
    /// saturate.
    #[inline(always)]
    unsafe fn dot(acc: __m512i, codes: __m512i, q: __m512i) -> __m512i {
        // SAFETY: the caller says that BW is there.
        unsafe {
            let pairs = _mm512_maddubs_epi16(codes, q);
            _mm512_add_epi32(acc, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))
        }
    }

    #[inline(always)]
    unsafe fn dot_wide(acc: __m512i, codes: __m512i, q: __m512i) -> __m512i {
        // SAFETY: the caller says that BW is there; both parts of the codes are at most 128.
        unsafe {
            let top = _mm512_set1_epi8(i8::MIN);
            let acc = Self::dot(acc, _mm512_andnot_si512(top, codes), q);
            Self::dot(acc, _mm512_and_si512(top, codes), q)
        }
    }
}

/// Calls `$body::<D, ..>` (an `inline(always)` function, unsafe for its features at least) inside
/// a function compiled with VNNI where `$isa` has it, else inside one without.
macro_rules! for_each_isa {
    ($isa:expr, $body:ident::<$($n:literal),*>($($arg:ident: $type:ty),* $(,)?)) => {{
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
        unsafe fn vnni($($arg: $type),*) {
            // SAFETY: this function has the features; the rest is the caller's promise.
            unsafe { $body::<$crate::dot::Vnni, $($n),*>($($arg),*) }
        }
        #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
        unsafe fn maddubs($($arg: $type),*) {
            // SAFETY: this function has the features; the rest is the caller's promise.
            unsafe { $body::<$crate::dot::Maddubs, $($n),*>($($arg),*) }
        }
        if $isa.vnni() {
            // SAFETY: the proof says that VNNI is there; the rest is the caller's promise.
            unsafe { vnni($($arg),*) }
        } else {
            // SAFETY: the proof says that F, BW and VL are there; the rest is the caller's promise.
            unsafe { maddubs($($arg),*) }
        }
    }};
}

pub(crate) use for_each_isa;
