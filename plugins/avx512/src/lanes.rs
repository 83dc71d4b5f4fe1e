//! The sixteen virtual lanes of [`tritone_abi::numerics`], held in one register. Every
//! operation is the lane-wise IEEE operation of its name.

use core::arch::x86_64::*;

use tritone_abi::numerics::LANES;
use tritone_simd::{Floats, Ints, Op, Simd};

use crate::isa::Isa;

impl Simd for Isa {
    type Floats = F32x16;
    type Ints = I32x16;

    const WIDTH: usize = 2;

    #[inline]
    fn detect() -> Option<Self> {
        Self::new()
    }

    #[inline]
    fn run<O: Op>(self, op: O) -> O::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
        fn compiled<O: Op>(isa: Isa, op: O) -> O::Output {
            op.body(isa)
        }
        // SAFETY: the proof says that the function's features are there.
        unsafe { compiled(self, op) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> F32x16 {
        // SAFETY: the proof says that the instructions are there.
        unsafe { F32x16(_mm512_set1_ps(x)) }
    }

    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> F32x16 {
        // SAFETY: the proof says that the instructions are there;
        // the array is sixteen floats long.
        unsafe { F32x16(_mm512_loadu_ps(x.as_ptr())) }
    }

    #[inline(always)]
    fn load_f16(self, x: &[u16; LANES]) -> F32x16 {
        // SAFETY: the proof says that the instructions are there;
        // the array is 32 bytes long.
        unsafe { F32x16(_mm512_cvtph_ps(_mm256_loadu_si256(x.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn load_f16_bytes(self, x: &[u8; 2 * LANES]) -> F32x16 {
        // SAFETY: the proof says that the instructions are there;
        // the array is 32 bytes long.
        unsafe { F32x16(_mm512_cvtph_ps(_mm256_loadu_si256(x.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn load_i8(self, x: &[i8; LANES]) -> F32x16 {
        // SAFETY: the proof says that the instructions are there;
        // the array is sixteen bytes long.
        unsafe {
            let x = _mm_loadu_si128(x.as_ptr().cast());
            F32x16(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(x)))
        }
    }

    #[inline(always)]
    fn no_ints(self) -> I32x16 {
        // SAFETY: the proof says that the instructions are there.
        unsafe { I32x16(_mm512_setzero_si512()) }
    }

    #[inline(always)]
    fn prefetch(self, address: *const u8) {
        // SAFETY: x86-64 has SSE, and a prefetch cannot fault.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
}

/// Sixteen f32. There is one only where there was a proof.
#[derive(Clone, Copy)]
pub(crate) struct F32x16(__m512);

impl Floats for F32x16 {
    type Ints = I32x16;

    #[inline(always)]
    fn store(self, out: &mut [f32; LANES]) {
        // SAFETY: the value proves that the instructions are there;
        // the array is sixteen floats long.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn add(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(_mm512_add_ps(self.0, b.0)) }
    }

    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(_mm512_sub_ps(self.0, b.0)) }
    }

    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(_mm512_mul_ps(self.0, b.0)) }
    }

    #[inline(always)]
    fn div(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(_mm512_div_ps(self.0, b.0)) }
    }

    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(_mm512_fmadd_ps(self.0, b.0, c.0)) }
    }

    #[inline(always)]
    fn max(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(_mm512_max_ps(self.0, b.0)) }
    }

    #[inline(always)]
    fn min(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(_mm512_min_ps(self.0, b.0)) }
    }

    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            let magnitude = _mm512_set1_epi32(i32::MAX);
            let bits = _mm512_and_si512(_mm512_castps_si512(self.0), magnitude);
            Self(_mm512_castsi512_ps(bits))
        }
    }

    #[inline(always)]
    fn neg(self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            let sign = _mm512_set1_epi32(i32::MIN);
            let bits = _mm512_xor_si512(_mm512_castps_si512(self.0), sign);
            Self(_mm512_castsi512_ps(bits))
        }
    }

    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
            Self(_mm512_roundscale_ps::<NEAREST>(self.0))
        }
    }

    #[inline(always)]
    fn exp2_int(self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            let biased = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased)))
        }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            let upper = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(self.0));
            let eight = _mm256_add_ps(_mm512_castps512_ps256(self.0), _mm256_castpd_ps(upper));
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
        unsafe { _mm512_reduce_max_ps(self.0) }
    }

    #[inline(always)]
    fn rotate_pairs(self, cos: &[f32; LANES / 2], sin: &[f32; LANES / 2]) -> Self {
        // SAFETY: the value proves that the instructions are there;
        // the arrays are eight floats long.
        unsafe {
            let (cos, sin) = (_mm256_loadu_ps(cos.as_ptr()), _mm256_loadu_ps(sin.as_ptr()));
            let pairs = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
            let cos = _mm512_permutexvar_ps(pairs, _mm512_castps256_ps512(cos));
            let sin = _mm512_permutexvar_ps(pairs, _mm512_castps256_ps512(sin));
            let swapped = _mm512_permute_ps::<0b10_11_00_01>(self.0);
            Self(_mm512_fmaddsub_ps(self.0, cos, _mm512_mul_ps(swapped, sin)))
        }
    }

    #[inline(always)]
    fn to_i8(self) -> I32x16 {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            let floor = _mm512_max_ps(self.0, _mm512_set1_ps(-128.0));
            let clamped = _mm512_min_ps(floor, _mm512_set1_ps(127.0));
            let number = _mm512_cmp_ps_mask::<_CMP_ORD_Q>(self.0, self.0);
            I32x16(_mm512_maskz_cvtps_epi32(number, clamped))
        }
    }
}

/// Sixteen integers. There is one only where there was a proof.
#[derive(Clone, Copy)]
pub(crate) struct I32x16(__m512i);

impl Ints for I32x16 {
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(_mm512_add_epi32(self.0, b.0)) }
    }

    #[inline(always)]
    fn sum(self) -> i32 {
        // SAFETY: the value proves that the instructions are there.
        unsafe { _mm512_reduce_add_epi32(self.0) }
    }

    #[inline(always)]
    fn store(self, out: &mut [i8; LANES]) {
        // SAFETY: the value proves that the instructions are there;
        // the array is sixteen bytes long.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(self.0)) }
    }
}
