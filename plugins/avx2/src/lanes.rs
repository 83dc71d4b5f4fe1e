//! The sixteen virtual lanes of [`tritone_abi::numerics`], held in two registers: lanes 0..7 and
//! 8..15. Every
//! operation is the lane-wise IEEE operation of its name.

use core::arch::x86_64::*;

use tritone_abi::numerics::LANES;
use tritone_simd::{Floats, Ints, Op, Simd};

use crate::isa::Isa;

impl Simd for Isa {
    type Floats = F32x16;
    type Ints = I32x16;

    const WIDTH: usize = 1;

    #[inline]
    fn detect() -> Option<Self> {
        Self::new()
    }

    #[inline]
    fn run<O: Op>(self, op: O) -> O::Output {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn compiled<O: Op>(isa: Isa, op: O) -> O::Output {
            op.body(isa)
        }
        // SAFETY: the proof says that the function's features are there.
        unsafe { compiled(self, op) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> F32x16 {
        // SAFETY: the proof says that the instructions are there.
        unsafe {
            let v = _mm256_set1_ps(x);
            F32x16(v, v)
        }
    }

    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> F32x16 {
        // SAFETY: the proof says that the instructions are there;
        // the array is sixteen floats long.
        unsafe {
            let x = x.as_ptr();
            F32x16(_mm256_loadu_ps(x), _mm256_loadu_ps(x.add(8)))
        }
    }

    #[inline(always)]
    fn load_f16(self, x: &[u16; LANES]) -> F32x16 {
        // SAFETY: the proof says that the instructions are there;
        // the array is 32 bytes long.
        unsafe { widen(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn load_f16_bytes(self, x: &[u8; 2 * LANES]) -> F32x16 {
        // SAFETY: the proof says that the instructions are there;
        // the array is 32 bytes long.
        unsafe { widen(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn load_i8(self, x: &[i8; LANES]) -> F32x16 {
        // SAFETY: the proof says that the instructions are there;
        // the array is sixteen bytes long.
        unsafe {
            let x = _mm_loadu_si128(x.as_ptr().cast());
            let high = _mm_unpackhi_epi64(x, x);
            F32x16(
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(x)),
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(high)),
            )
        }
    }

    #[inline(always)]
    fn no_ints(self) -> I32x16 {
        // SAFETY: the proof says that the instructions are there.
        unsafe { I32x16(_mm256_setzero_si256(), _mm256_setzero_si256()) }
    }

    #[inline(always)]
    fn prefetch(self, address: *const u8) {
        // SAFETY: x86-64 has SSE, and a prefetch cannot fault.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
}

/// # Safety
/// AVX and F16C are there, and 32 bytes are readable at `x`.
#[inline(always)]
unsafe fn widen(x: *const __m128i) -> F32x16 {
    // SAFETY: promised by the caller.
    unsafe {
        F32x16(
            _mm256_cvtph_ps(_mm_loadu_si128(x)),
            _mm256_cvtph_ps(_mm_loadu_si128(x.add(1))),
        )
    }
}

/// Sixteen f32. There is one only where there was a proof.
#[derive(Clone, Copy)]
pub(crate) struct F32x16(__m256, __m256);

impl Floats for F32x16 {
    type Ints = I32x16;

    #[inline(always)]
    fn store(self, out: &mut [f32; LANES]) {
        // SAFETY: the value proves that the instructions are there;
        // the array is sixteen floats long.
        unsafe {
            let out = out.as_mut_ptr();
            _mm256_storeu_ps(out, self.0);
            _mm256_storeu_ps(out.add(8), self.1);
        }
    }

    #[inline(always)]
    fn add(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(_mm256_add_ps(self.0, b.0), _mm256_add_ps(self.1, b.1)) }
    }

    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(_mm256_sub_ps(self.0, b.0), _mm256_sub_ps(self.1, b.1)) }
    }

    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(_mm256_mul_ps(self.0, b.0), _mm256_mul_ps(self.1, b.1)) }
    }

    #[inline(always)]
    fn div(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(_mm256_div_ps(self.0, b.0), _mm256_div_ps(self.1, b.1)) }
    }

    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            Self(
                _mm256_fmadd_ps(self.0, b.0, c.0),
                _mm256_fmadd_ps(self.1, b.1, c.1),
            )
        }
    }

    #[inline(always)]
    fn max(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(_mm256_max_ps(self.0, b.0), _mm256_max_ps(self.1, b.1)) }
    }

    #[inline(always)]
    fn min(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(_mm256_min_ps(self.0, b.0), _mm256_min_ps(self.1, b.1)) }
    }

    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            let sign = _mm256_set1_ps(-0.0);
            Self(
                _mm256_andnot_ps(sign, self.0),
                _mm256_andnot_ps(sign, self.1),
            )
        }
    }

    #[inline(always)]
    fn neg(self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            let sign = _mm256_set1_ps(-0.0);
            Self(_mm256_xor_ps(sign, self.0), _mm256_xor_ps(sign, self.1))
        }
    }

    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
            Self(
                _mm256_round_ps::<NEAREST>(self.0),
                _mm256_round_ps::<NEAREST>(self.1),
            )
        }
    }

    #[inline(always)]
    fn exp2_int(self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            let bias = _mm256_set1_epi32(127);
            let low = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), bias);
            let high = _mm256_add_epi32(_mm256_cvtps_epi32(self.1), bias);
            Self(
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(low)),
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(high)),
            )
        }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            let eight = _mm256_add_ps(self.0, self.1);
            let four = _mm_add_ps(
                _mm256_castps256_ps128(eight),
                _mm256_extractf128_ps::<1>(eight),
            );
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            let eight = _mm256_max_ps(self.0, self.1);
            let four = _mm_max_ps(
                _mm256_castps256_ps128(eight),
                _mm256_extractf128_ps::<1>(eight),
            );
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    fn rotate_pairs(self, cos: &[f32; LANES / 2], sin: &[f32; LANES / 2]) -> Self {
        // SAFETY: the value proves that the instructions are there;
        // the arrays are eight floats long.
        unsafe {
            let (cos, sin) = (_mm256_loadu_ps(cos.as_ptr()), _mm256_loadu_ps(sin.as_ptr()));
            let low = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
            let high = _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7);
            Self(
                rotate(self.0, cos, sin, low),
                rotate(self.1, cos, sin, high),
            )
        }
    }

    #[inline(always)]
    fn to_i8(self) -> I32x16 {
        // SAFETY: the value proves that the instructions are there.
        unsafe { I32x16(round_to_i8(self.0), round_to_i8(self.1)) }
    }
}

/// Rotates four pairs by the angles that `pairs` picks.
///
/// # Safety
/// AVX2 and FMA are there.
#[inline(always)]
unsafe fn rotate(x: __m256, cos: __m256, sin: __m256, pairs: __m256i) -> __m256 {
    // SAFETY: promised by the caller.
    unsafe {
        let cos = _mm256_permutevar8x32_ps(cos, pairs);
        let sin = _mm256_permutevar8x32_ps(sin, pairs);
        let swapped = _mm256_permute_ps::<0b10_11_00_01>(x);
        _mm256_fmaddsub_ps(x, cos, _mm256_mul_ps(swapped, sin))
    }
}

/// # Safety
/// AVX2 is there.
#[inline(always)]
unsafe fn round_to_i8(x: __m256) -> __m256i {
    // SAFETY: promised by the caller.
    unsafe {
        let floor = _mm256_max_ps(x, _mm256_set1_ps(-128.0));
        let clamped = _mm256_min_ps(floor, _mm256_set1_ps(127.0));
        let number = _mm256_cmp_ps::<_CMP_ORD_Q>(x, x);
        _mm256_cvtps_epi32(_mm256_and_ps(clamped, number))
    }
}

/// Sixteen integers. There is one only where there was a proof.
#[derive(Clone, Copy)]
pub(crate) struct I32x16(__m256i, __m256i);

impl Ints for I32x16 {
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(_mm256_add_epi32(self.0, b.0), _mm256_add_epi32(self.1, b.1)) }
    }

    #[inline(always)]
    fn sum(self) -> i32 {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            let eight = _mm256_add_epi32(self.0, self.1);
            let four = _mm_add_epi32(
                _mm256_castsi256_si128(eight),
                _mm256_extracti128_si256::<1>(eight),
            );
            let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
            _mm_cvtsi128_si32(two).wrapping_add(_mm_extract_epi32::<1>(two))
        }
    }

    #[inline(always)]
    fn store(self, out: &mut [i8; LANES]) {
        // SAFETY: the value proves that the instructions are there;
        // the array is sixteen bytes long.
        unsafe {
            // The 256-bit pack works inside 128-bit halves; the permutation brings quarters
            // 0, 2, 1, 3 back into order.
            let words = _mm256_packs_epi32(self.0, self.1);
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
            let bytes = _mm_packs_epi16(
                _mm256_castsi256_si128(words),
                _mm256_extracti128_si256::<1>(words),
            );
            _mm_storeu_si128(out.as_mut_ptr().cast(), bytes);
        }
    }
}
