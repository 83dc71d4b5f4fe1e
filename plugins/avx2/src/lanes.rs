//! The sixteen virtual lanes of [`tritone_abi::numerics`], held in two registers: lanes 0..7 and
//! 8..15. Every operation is the lane-wise IEEE operation of its name.

use core::arch::x86_64::*;

use tritone_abi::numerics::LANES;

/// Sixteen f32.
#[derive(Clone, Copy)]
pub(crate) struct F32x16(__m256, __m256);

impl F32x16 {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn splat(x: f32) -> Self {
        let v = _mm256_set1_ps(x);
        Self(v, v)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn load(x: &[f32; LANES]) -> Self {
        // SAFETY: the array is sixteen floats long.
        unsafe {
            Self(
                _mm256_loadu_ps(x.as_ptr()),
                _mm256_loadu_ps(x.as_ptr().add(8)),
            )
        }
    }

    /// Up to sixteen values; zeros follow.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn load_part(x: &[f32]) -> Self {
        let mut all = [0.0; LANES];
        all[..x.len()].copy_from_slice(x);
        Self::load(&all)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn store(self, out: &mut [f32; LANES]) {
        // SAFETY: the array is sixteen floats long.
        unsafe {
            _mm256_storeu_ps(out.as_mut_ptr(), self.0);
            _mm256_storeu_ps(out.as_mut_ptr().add(8), self.1);
        }
    }

    /// The first values, as many as `out` holds (at most sixteen).
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn store_part(self, out: &mut [f32]) {
        let all = self.to_array();
        out.copy_from_slice(&all[..out.len()]);
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn to_array(self) -> [f32; LANES] {
        let mut all = [0.0; LANES];
        self.store(&mut all);
        all
    }

    /// Sixteen binary16 values, widened exactly.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn load_f16(x: &[u16; LANES]) -> Self {
        // SAFETY: the array is 32 bytes long.
        unsafe { Self::widen(x.as_ptr().cast()) }
    }

    /// Sixteen little-endian binary16 values, widened exactly.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn load_f16_bytes(x: &[u8; 2 * LANES]) -> Self {
        // SAFETY: the array is 32 bytes long.
        unsafe { Self::widen(x.as_ptr().cast()) }
    }

    /// # Safety
    /// 32 bytes are readable at `x`.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn widen(x: *const __m128i) -> Self {
        // SAFETY: promised by the caller.
        let (low, high) = unsafe { (_mm_loadu_si128(x), _mm_loadu_si128(x.add(1))) };
        Self(_mm256_cvtph_ps(low), _mm256_cvtph_ps(high))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn add(self, b: Self) -> Self {
        Self(_mm256_add_ps(self.0, b.0), _mm256_add_ps(self.1, b.1))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn sub(self, b: Self) -> Self {
        Self(_mm256_sub_ps(self.0, b.0), _mm256_sub_ps(self.1, b.1))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn mul(self, b: Self) -> Self {
        Self(_mm256_mul_ps(self.0, b.0), _mm256_mul_ps(self.1, b.1))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn div(self, b: Self) -> Self {
        Self(_mm256_div_ps(self.0, b.0), _mm256_div_ps(self.1, b.1))
    }

    /// `self * b + c`, rounded once.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn fma(self, b: Self, c: Self) -> Self {
        Self(
            _mm256_fmadd_ps(self.0, b.0, c.0),
            _mm256_fmadd_ps(self.1, b.1, c.1),
        )
    }

    /// `if self > b { self } else { b }`: `b` where either is NaN.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn max(self, b: Self) -> Self {
        Self(_mm256_max_ps(self.0, b.0), _mm256_max_ps(self.1, b.1))
    }

    /// `if self < b { self } else { b }`: `b` where either is NaN.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn min(self, b: Self) -> Self {
        Self(_mm256_min_ps(self.0, b.0), _mm256_min_ps(self.1, b.1))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn abs(self) -> Self {
        let sign = _mm256_set1_ps(-0.0);
        Self(
            _mm256_andnot_ps(sign, self.0),
            _mm256_andnot_ps(sign, self.1),
        )
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn neg(self) -> Self {
        let sign = _mm256_set1_ps(-0.0);
        Self(_mm256_xor_ps(sign, self.0), _mm256_xor_ps(sign, self.1))
    }

    /// To the nearest integer, half to even.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn round(self) -> Self {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        Self(
            _mm256_round_ps::<NEAREST>(self.0),
            _mm256_round_ps::<NEAREST>(self.1),
        )
    }

    /// `2^self` of integers from -126 to 127.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn exp2_int(self) -> Self {
        let bias = _mm256_set1_epi32(127);
        let power = |n| {
            let biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), bias);
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
        };
        Self(power(self.0), power(self.1))
    }

    /// Sum over the fixed tree: lanes 8 apart, then 4, 2 and 1.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn sum(self) -> f32 {
        let eight = _mm256_add_ps(self.0, self.1);
        let four = _mm_add_ps(
            _mm256_castps256_ps128(eight),
            _mm256_extractf128_ps::<1>(eight),
        );
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }

    /// The largest lane. No lane is NaN.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn largest(self) -> f32 {
        let eight = _mm256_max_ps(self.0, self.1);
        let four = _mm_max_ps(
            _mm256_castps256_ps128(eight),
            _mm256_extractf128_ps::<1>(eight),
        );
        let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }

    /// Rotates the pairs `(x[2i], x[2i + 1])` by the angles of `cos[i]`, `sin[i]`:
    /// `fma(a, cos, -(b * sin))` and `fma(b, cos, a * sin)`.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn rotate_pairs(self, cos: &[f32; LANES / 2], sin: &[f32; LANES / 2]) -> Self {
        // SAFETY: the arrays are eight floats long.
        let (cos, sin) = unsafe { (_mm256_loadu_ps(cos.as_ptr()), _mm256_loadu_ps(sin.as_ptr())) };
        let rotate = |x, pairs| {
            let cos = _mm256_permutevar8x32_ps(cos, pairs);
            let sin = _mm256_permutevar8x32_ps(sin, pairs);
            let swapped = _mm256_permute_ps::<0b10_11_00_01>(x);
            _mm256_fmaddsub_ps(x, cos, _mm256_mul_ps(swapped, sin))
        };
        Self(
            rotate(self.0, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3)),
            rotate(self.1, _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7)),
        )
    }

    /// `clamp(round_half_even(self), -128, 127)`, NaN giving 0.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn to_i8(self) -> I8x16 {
        let convert = |x| {
            let floor = _mm256_max_ps(x, _mm256_set1_ps(-128.0));
            let clamped = _mm256_min_ps(floor, _mm256_set1_ps(127.0));
            let number = _mm256_cmp_ps::<_CMP_ORD_Q>(x, x);
            _mm256_cvtps_epi32(_mm256_and_ps(clamped, number))
        };
        I8x16(convert(self.0), convert(self.1))
    }
}

/// Sixteen integers in the range of i8, still 32 bits wide.
#[derive(Clone, Copy)]
pub(crate) struct I8x16(__m256i, __m256i);

impl I8x16 {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn zero() -> Self {
        Self(_mm256_setzero_si256(), _mm256_setzero_si256())
    }

    /// Sums; these may leave the range of i8.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn add(self, b: Self) -> Self {
        Self(_mm256_add_epi32(self.0, b.0), _mm256_add_epi32(self.1, b.1))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn sum(self) -> i32 {
        let eight = _mm256_add_epi32(self.0, self.1);
        let four = _mm_add_epi32(
            _mm256_castsi256_si128(eight),
            _mm256_extracti128_si256::<1>(eight),
        );
        let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
        _mm_cvtsi128_si32(two).wrapping_add(_mm_extract_epi32::<1>(two))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn store(self, out: &mut [i8; LANES]) {
        // The 256-bit pack works inside 128-bit halves; the permutation brings quarters
        // 0, 2, 1, 3 back into order.
        let words = _mm256_packs_epi32(self.0, self.1);
        let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
        let bytes = _mm_packs_epi16(
            _mm256_castsi256_si128(words),
            _mm256_extracti128_si256::<1>(words),
        );
        // SAFETY: the array is sixteen bytes long.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), bytes) };
    }
}
