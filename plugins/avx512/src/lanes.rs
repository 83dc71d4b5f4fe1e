//! The sixteen virtual lanes of [`tritone_abi::numerics`], held in one register. Every operation
//! is the lane-wise IEEE operation of its name.

use core::arch::x86_64::*;

use tritone_abi::numerics::LANES;

/// Sixteen f32.
#[derive(Clone, Copy)]
pub(crate) struct F32x16(__m512);

impl F32x16 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn splat(x: f32) -> Self {
        Self(_mm512_set1_ps(x))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn load(x: &[f32; LANES]) -> Self {
        // SAFETY: the array is sixteen floats long.
        unsafe { Self(_mm512_loadu_ps(x.as_ptr())) }
    }

    /// Up to sixteen values; zeros follow.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn load_part(x: &[f32]) -> Self {
        let mut all = [0.0; LANES];
        all[..x.len()].copy_from_slice(x);
        Self::load(&all)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn store(self, out: &mut [f32; LANES]) {
        // SAFETY: the array is sixteen floats long.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), self.0) };
    }

    /// The first values, as many as `out` holds (at most sixteen).
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn store_part(self, out: &mut [f32]) {
        let all = self.to_array();
        out.copy_from_slice(&all[..out.len()]);
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn to_array(self) -> [f32; LANES] {
        let mut all = [0.0; LANES];
        self.store(&mut all);
        all
    }

    /// Sixteen binary16 values, widened exactly.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn load_f16(x: &[u16; LANES]) -> Self {
        // SAFETY: the array is 32 bytes long.
        unsafe { Self(_mm512_cvtph_ps(_mm256_loadu_si256(x.as_ptr().cast()))) }
    }

    /// Sixteen little-endian binary16 values, widened exactly.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn load_f16_bytes(x: &[u8; 2 * LANES]) -> Self {
        // SAFETY: the array is 32 bytes long.
        unsafe { Self(_mm512_cvtph_ps(_mm256_loadu_si256(x.as_ptr().cast()))) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn add(self, b: Self) -> Self {
        Self(_mm512_add_ps(self.0, b.0))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn sub(self, b: Self) -> Self {
        Self(_mm512_sub_ps(self.0, b.0))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn mul(self, b: Self) -> Self {
        Self(_mm512_mul_ps(self.0, b.0))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn div(self, b: Self) -> Self {
        Self(_mm512_div_ps(self.0, b.0))
    }

    /// `self * b + c`, rounded once.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn fma(self, b: Self, c: Self) -> Self {
        Self(_mm512_fmadd_ps(self.0, b.0, c.0))
    }

    /// `if self > b { self } else { b }`: `b` where either is NaN.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn max(self, b: Self) -> Self {
        Self(_mm512_max_ps(self.0, b.0))
    }

    /// `if self < b { self } else { b }`: `b` where either is NaN.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn min(self, b: Self) -> Self {
        Self(_mm512_min_ps(self.0, b.0))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn abs(self) -> Self {
        let magnitude = _mm512_set1_epi32(i32::MAX);
        let bits = _mm512_and_si512(_mm512_castps_si512(self.0), magnitude);
        Self(_mm512_castsi512_ps(bits))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn neg(self) -> Self {
        let sign = _mm512_set1_epi32(i32::MIN);
        let bits = _mm512_xor_si512(_mm512_castps_si512(self.0), sign);
        Self(_mm512_castsi512_ps(bits))
    }

    /// To the nearest integer, half to even.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn round(self) -> Self {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        Self(_mm512_roundscale_ps::<NEAREST>(self.0))
    }

    /// `2^self` of integers from -126 to 127.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn exp2_int(self) -> Self {
        let biased = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
        Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased)))
    }

    /// Sum over the fixed tree: lanes 8 apart, then 4, 2 and 1.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn sum(self) -> f32 {
        let upper = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(self.0));
        let eight = _mm256_add_ps(_mm512_castps512_ps256(self.0), _mm256_castpd_ps(upper));
        let four = _mm_add_ps(
            _mm256_castps256_ps128(eight),
            _mm256_extractf128_ps::<1>(eight),
        );
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }

    /// The largest lane. No lane is NaN.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn largest(self) -> f32 {
        _mm512_reduce_max_ps(self.0)
    }

    /// Rotates the pairs `(x[2i], x[2i + 1])` by the angles of `cos[i]`, `sin[i]`:
    /// `fma(a, cos, -(b * sin))` and `fma(b, cos, a * sin)`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn rotate_pairs(self, cos: &[f32; LANES / 2], sin: &[f32; LANES / 2]) -> Self {
        // SAFETY: the arrays are eight floats long.
        let (cos, sin) = unsafe { (_mm256_loadu_ps(cos.as_ptr()), _mm256_loadu_ps(sin.as_ptr())) };
        let pairs = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
        let cos = _mm512_permutexvar_ps(pairs, _mm512_castps256_ps512(cos));
        let sin = _mm512_permutexvar_ps(pairs, _mm512_castps256_ps512(sin));
        let swapped = _mm512_permute_ps::<0b10_11_00_01>(self.0);
        Self(_mm512_fmaddsub_ps(self.0, cos, _mm512_mul_ps(swapped, sin)))
    }

    /// `clamp(round_half_even(self), -128, 127)`, NaN giving 0.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn to_i8(self) -> I8x16 {
        let floor = _mm512_max_ps(self.0, _mm512_set1_ps(-128.0));
        let clamped = _mm512_min_ps(floor, _mm512_set1_ps(127.0));
        let number = _mm512_cmp_ps_mask::<_CMP_ORD_Q>(self.0, self.0);
        I8x16(_mm512_maskz_cvtps_epi32(number, clamped))
    }
}

/// Sixteen integers in the range of i8, still 32 bits wide.
#[derive(Clone, Copy)]
pub(crate) struct I8x16(__m512i);

impl I8x16 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn zero() -> Self {
        Self(_mm512_setzero_si512())
    }

    /// Sums; these may leave the range of i8.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn add(self, b: Self) -> Self {
        Self(_mm512_add_epi32(self.0, b.0))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn sum(self) -> i32 {
        _mm512_reduce_add_epi32(self.0)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(crate) fn store(self, out: &mut [i8; LANES]) {
        // SAFETY: the array is sixteen bytes long.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(self.0)) };
    }
}
