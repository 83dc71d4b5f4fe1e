//! The sixteen virtual lanes of [`tritone_abi::numerics`], held in four registers of four. Every
//! operation is the lane-wise IEEE operation of its name.

use core::arch::aarch64::*;

use tritone_abi::numerics::LANES;
use tritone_simd::{Floats, Ints, Op, Simd};

use crate::isa::Isa;
use crate::probe;

/// Applies an instruction to every register of one, two or three values.
macro_rules! each {
    ($function:ident($a:expr)) => {
        [
            $function($a[0]),
            $function($a[1]),
            $function($a[2]),
            $function($a[3]),
        ]
    };
    ($function:ident($a:expr, $b:expr)) => {
        [
            $function($a[0], $b[0]),
            $function($a[1], $b[1]),
            $function($a[2], $b[2]),
            $function($a[3], $b[3]),
        ]
    };
    ($function:ident($a:expr, $b:expr, $c:expr)) => {
        [
            $function($a[0], $b[0], $c[0]),
            $function($a[1], $b[1], $c[1]),
            $function($a[2], $b[2], $c[2]),
            $function($a[3], $b[3], $c[3]),
        ]
    };
}

impl Simd for Isa {
    type Floats = F32x16;
    type Ints = I32x16;

    /// Four queries keep sixteen registers of sums.
    const WIDTH: usize = 1;

    #[inline]
    fn detect() -> Option<Self> {
        Self::new()
    }

    #[inline]
    fn run<O: Op>(self, op: O) -> O::Output {
        #[target_feature(enable = "neon")]
        fn compiled<O: Op>(isa: Isa, op: O) -> O::Output {
            op.body(isa)
        }
        // SAFETY: the proof says that the function's features are there.
        unsafe { compiled(self, op) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> F32x16 {
        // SAFETY: the proof says that the instructions are there.
        unsafe { F32x16([vdupq_n_f32(x); 4]) }
    }

    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> F32x16 {
        // SAFETY: the proof says that the instructions are there;
        // the array is sixteen floats long.
        unsafe {
            let x = x.as_ptr();
            F32x16([
                vld1q_f32(x),
                vld1q_f32(x.add(4)),
                vld1q_f32(x.add(8)),
                vld1q_f32(x.add(12)),
            ])
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
        unsafe { widen(x.as_ptr()) }
    }

    #[inline(always)]
    fn load_i8(self, x: &[i8; LANES]) -> F32x16 {
        // SAFETY: the proof says that the instructions are there;
        // the array is sixteen bytes long.
        unsafe {
            let x = vld1q_s8(x.as_ptr());
            let (low, high) = (vmovl_s8(vget_low_s8(x)), vmovl_high_s8(x));
            F32x16([
                vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
                vcvtq_f32_s32(vmovl_high_s16(low)),
                vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
                vcvtq_f32_s32(vmovl_high_s16(high)),
            ])
        }
    }

    #[inline(always)]
    fn no_ints(self) -> I32x16 {
        // SAFETY: the proof says that the instructions are there.
        unsafe { I32x16([vdupq_n_s32(0); 4]) }
    }

    #[inline(always)]
    fn prefetch(self, address: *const u8) {
        probe::prefetch::<0>(address);
    }
}

/// # Safety
/// NEON is there, and 32 bytes are readable at `x`.
#[inline(always)]
unsafe fn widen(x: *const u8) -> F32x16 {
    // SAFETY: promised by the caller. The conversion is part of NEON; only arithmetic on binary16
    // is a feature of its own.
    unsafe {
        let low = vreinterpretq_f16_u8(vld1q_u8(x));
        let high = vreinterpretq_f16_u8(vld1q_u8(x.add(16)));
        F32x16([
            vcvt_f32_f16(vget_low_f16(low)),
            vcvt_high_f32_f16(low),
            vcvt_f32_f16(vget_low_f16(high)),
            vcvt_high_f32_f16(high),
        ])
    }
}

/// Sixteen f32. There is one only where there was a proof.
#[derive(Clone, Copy)]
pub(crate) struct F32x16([float32x4_t; 4]);

impl Floats for F32x16 {
    type Ints = I32x16;

    #[inline(always)]
    fn store(self, out: &mut [f32; LANES]) {
        // SAFETY: the value proves that the instructions are there;
        // the array is sixteen floats long.
        unsafe {
            let out = out.as_mut_ptr();
            vst1q_f32(out, self.0[0]);
            vst1q_f32(out.add(4), self.0[1]);
            vst1q_f32(out.add(8), self.0[2]);
            vst1q_f32(out.add(12), self.0[3]);
        }
    }

    #[inline(always)]
    fn add(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(each!(vaddq_f32(self.0, b.0))) }
    }

    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(each!(vsubq_f32(self.0, b.0))) }
    }

    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(each!(vmulq_f32(self.0, b.0))) }
    }

    #[inline(always)]
    fn div(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(each!(vdivq_f32(self.0, b.0))) }
    }

    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(each!(vfmaq_f32(c.0, self.0, b.0))) }
    }

    #[inline(always)]
    fn max(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            // Not the unit's own maximum, which gives NaN where either is.
            let larger = each!(vcgtq_f32(self.0, b.0));
            Self(each!(vbslq_f32(larger, self.0, b.0)))
        }
    }

    #[inline(always)]
    fn min(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            let smaller = each!(vcltq_f32(self.0, b.0));
            Self(each!(vbslq_f32(smaller, self.0, b.0)))
        }
    }

    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(each!(vabsq_f32(self.0))) }
    }

    #[inline(always)]
    fn neg(self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(each!(vnegq_f32(self.0))) }
    }

    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(each!(vrndnq_f32(self.0))) }
    }

    #[inline(always)]
    fn exp2_int(self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            let bias = [vdupq_n_s32(127); 4];
            let biased = each!(vaddq_s32(each!(vcvtq_s32_f32(self.0)), bias));
            let powers = each!(shift_to_exponent(biased));
            Self(each!(vreinterpretq_f32_s32(powers)))
        }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            let [a, b, c, d] = self.0;
            let four = vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d));
            let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
            vpadds_f32(two)
        }
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            let [a, b, c, d] = self.0;
            vmaxvq_f32(vmaxq_f32(vmaxq_f32(a, c), vmaxq_f32(b, d)))
        }
    }

    #[inline(always)]
    fn rotate_pairs(self, cos: &[f32; LANES / 2], sin: &[f32; LANES / 2]) -> Self {
        // SAFETY: the value proves that the instructions are there;
        // the arrays are eight floats long.
        unsafe {
            let (cos, sin) = (spread(cos.as_ptr()), spread(sin.as_ptr()));
            Self(each!(rotate(self.0, cos, sin)))
        }
    }

    #[inline(always)]
    fn to_i8(self) -> I32x16 {
        // SAFETY: the value proves that the instructions are there. The conversion rounds half to
        // even, clamps to 32 bits and gives 0 for NaN.
        unsafe {
            let rounded = each!(vcvtnq_s32_f32(self.0));
            let (low, high) = ([vdupq_n_s32(-128); 4], [vdupq_n_s32(127); 4]);
            let raised = each!(vmaxq_s32(rounded, low));
            I32x16(each!(vminq_s32(raised, high)))
        }
    }
}

/// # Safety
/// NEON is there.
#[inline(always)]
unsafe fn shift_to_exponent(x: int32x4_t) -> int32x4_t {
    // SAFETY: promised by the caller.
    unsafe { vshlq_n_s32::<23>(x) }
}

/// Eight values, each twice.
///
/// # Safety
/// NEON is there, and eight floats are readable at `x`.
#[inline(always)]
unsafe fn spread(x: *const f32) -> [float32x4_t; 4] {
    // SAFETY: promised by the caller.
    unsafe {
        let (low, high) = (vld1q_f32(x), vld1q_f32(x.add(4)));
        [
            vzip1q_f32(low, low),
            vzip2q_f32(low, low),
            vzip1q_f32(high, high),
            vzip2q_f32(high, high),
        ]
    }
}

/// Rotates two pairs.
///
/// # Safety
/// NEON is there.
#[inline(always)]
unsafe fn rotate(x: float32x4_t, cos: float32x4_t, sin: float32x4_t) -> float32x4_t {
    // SAFETY: promised by the caller.
    unsafe {
        // The sign bit of the even lanes, whose product is taken away.
        let signs = vreinterpretq_u32_u64(vdupq_n_u64(1 << 31));
        let product = vreinterpretq_u32_f32(vmulq_f32(vrev64q_f32(x), sin));
        vfmaq_f32(vreinterpretq_f32_u32(veorq_u32(product, signs)), x, cos)
    }
}

/// Sixteen integers. There is one only where there was a proof.
#[derive(Clone, Copy)]
pub(crate) struct I32x16([int32x4_t; 4]);

impl Ints for I32x16 {
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        // SAFETY: the value proves that the instructions are there.
        unsafe { Self(each!(vaddq_s32(self.0, b.0))) }
    }

    #[inline(always)]
    fn sum(self) -> i32 {
        // SAFETY: the value proves that the instructions are there.
        unsafe {
            let [a, b, c, d] = self.0;
            vaddvq_s32(vaddq_s32(vaddq_s32(a, c), vaddq_s32(b, d)))
        }
    }

    #[inline(always)]
    fn store(self, out: &mut [i8; LANES]) {
        // SAFETY: the value proves that the instructions are there;
        // the array is sixteen bytes long.
        unsafe {
            let [a, b, c, d] = self.0;
            let low = vmovn_high_s32(vmovn_s32(a), b);
            let high = vmovn_high_s32(vmovn_s32(c), d);
            vst1q_s8(out.as_mut_ptr(), vmovn_high_s16(vmovn_s16(low), high));
        }
    }
}
