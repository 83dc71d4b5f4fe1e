//! The definition of every operation that rounds.
//!
//! A kernel is right when it gives the bits these functions give. They are written for reading
//! and for being inlined into loops compiled with `fma`; the scalar plugin calls them directly,
//! the SIMD plugins repeat the same sequence of operations in registers.
//!
//! * Only `+ - * /`, `sqrt` and fused multiply-add of IEEE 754 binary32 are used, each correctly
//!   rounded, so the results do not depend on the platform.
//! * A sum over a vector runs over [`LANES`] virtual lanes ([`sum_lanes`]).
//! * [`exp`] is this crate's own polynomial.

/// Virtual lanes of a reduction: lane `l` takes the elements `i` with `i % 16 == l`.
pub const LANES: usize = 16;

/// Combines sixteen lanes: first those 8 apart, then 4, 2 and 1.
#[inline(always)]
#[must_use]
pub fn sum_lanes(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for l in 0..width {
            lanes[l] += lanes[l + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// `sum(a[i] * b[i])`: every lane accumulates by fused multiply-add in increasing `i`.
/// The slices have one length.
#[inline(always)]
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (mut ca, mut cb) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (x, y) in ca.by_ref().zip(cb.by_ref()) {
        for l in 0..LANES {
            lanes[l] = x[l].mul_add(y[l], lanes[l]);
        }
    }
    for (l, (x, y)) in ca.remainder().iter().zip(cb.remainder()).enumerate() {
        lanes[l] = x.mul_add(*y, lanes[l]);
    }
    sum_lanes(lanes)
}

/// Smallest argument of [`exp`]; smaller ones (and NaN) give `exp(EXP_MIN)`, about 1.6e-38.
pub const EXP_MIN: f32 = -87.0;
/// Largest argument of [`exp`]; larger ones give `exp(EXP_MAX)`, about 1.7e38.
pub const EXP_MAX: f32 = 88.0;
/// `log2(e)`.
pub const LOG2_E: f32 = core::f32::consts::LOG2_E;
/// Upper part of `ln(2)`: few enough bits that `n * LN2_HI` is exact.
pub const LN2_HI: f32 = 0.693_359_4;
/// `ln(2) - LN2_HI`.
pub const LN2_LO: f32 = -2.121_944_4e-4;
/// Coefficients of the polynomial, highest power first: `1/6!`, `1/5!`, ..., `1`, `1`.
pub const EXP_POLY: [f32; 7] = [
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
    1.0,
    1.0,
];

/// `e^x` within about 2 ulp on `EXP_MIN ..= EXP_MAX`, clamped outside.
///
/// `n = round_half_even(x * LOG2_E)`, `r = fma(n, -LN2_LO, fma(n, -LN2_HI, x))`, Horner over
/// [`EXP_POLY`] with fused multiply-add, times `2^n`.
#[inline(always)]
#[must_use]
pub fn exp(x: f32) -> f32 {
    // Written so that NaN takes the lower bound, as `max(x, EXP_MIN)` of the SIMD units does.
    let x = if x > EXP_MIN { x } else { EXP_MIN };
    let x = if x < EXP_MAX { x } else { EXP_MAX };
    let n = (x * LOG2_E).round_ties_even();
    let r = n.mul_add(-LN2_LO, n.mul_add(-LN2_HI, x));
    let mut p = EXP_POLY[0];
    for c in &EXP_POLY[1..] {
        p = p.mul_add(r, *c);
    }
    p * f32::from_bits((((n as i32) + 127) as u32) << 23)
}

/// `x / (1 + exp(-x))` (SiLU, also called swish).
#[inline(always)]
#[must_use]
pub fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// `max(x, 0)^2`. NaN gives 0.
#[inline(always)]
#[must_use]
pub fn relu2(x: f32) -> f32 {
    let r = if x > 0.0 { x } else { 0.0 };
    r * r
}

/// GELU in its tanh form: `0.5 x (1 + tanh(u))`, `u = sqrt(2/pi) (x + 0.044715 x^3)`, with
/// `1 + tanh(u) = 2 - 2 / (exp(2u) + 1)`.
#[inline(always)]
#[must_use]
pub fn gelu_tanh(x: f32) -> f32 {
    let u = 0.797_884_6 * (0.044_715 * x * x).mul_add(x, x);
    let t = 2.0 - 2.0 / (exp(2.0 * u) + 1.0);
    0.5 * x * t
}

/// Root-mean-square norm (Zhang & Sennrich 2019): `(x[i] * r) * weight[i]` with
/// `r = 1 / sqrt(dot(x, x) / n + eps)`. The slices have one length, at least 1.
#[inline(always)]
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let r = 1.0 / (dot(x, x) / x.len() as f32 + eps).sqrt();
    for ((o, x), w) in out.iter_mut().zip(x).zip(weight) {
        *o = (x * r) * w;
    }
}

/// Largest absolute value, at least 1e-5. NaN is passed over.
#[inline(always)]
#[must_use]
pub fn abs_max(x: &[f32]) -> f32 {
    let mut m = 1e-5f32;
    for v in x {
        let a = v.abs();
        m = if a > m { a } else { m };
    }
    m
}

/// The factor that takes activations to int8 for a given [`abs_max`].
#[inline(always)]
#[must_use]
pub fn quantize_factor(abs_max: f32) -> f32 {
    127.0 / abs_max
}

/// The scale that takes int8 activations back for a given [`abs_max`].
#[inline(always)]
#[must_use]
pub fn activation_scale(abs_max: f32) -> f32 {
    abs_max / 127.0
}

/// One activation to int8: `clamp(round_half_even(x * factor), -128, 127)`; NaN gives 0.
#[inline(always)]
#[must_use]
pub fn quantize_one(x: f32, factor: f32) -> i8 {
    let v = (x * factor).round_ties_even();
    // `as` saturates and maps NaN to 0.
    v as i8
}

/// Quantises one row with one scale, which it returns; `put` takes every index and code
/// ([`quantize_one`]).
#[inline(always)]
pub fn quantize_row(x: &[f32], mut put: impl FnMut(usize, i8)) -> f32 {
    let m = abs_max(x);
    let factor = quantize_factor(m);
    for (i, x) in x.iter().enumerate() {
        put(i, quantize_one(*x, factor));
    }
    activation_scale(m)
}

/// binary16 bits to binary32. Exact.
#[inline(always)]
#[must_use]
pub fn f16_to_f32(h: u16) -> f32 {
    let sign = u32::from(h & 0x8000) << 16;
    let magnitude = u32::from(h & 0x7fff);
    let bits = if magnitude >= 0x7c00 {
        // Infinity and NaN; a NaN is made quiet as the hardware conversion does.
        let nan = if magnitude > 0x7c00 { 0x0040_0000 } else { 0 };
        0x7f80_0000 | ((magnitude & 0x3ff) << 13) | nan
    } else {
        // Shifting the fields into place leaves an exponent that is 112 too small; multiplying
        // by 2^112 mends it for normal and subnormal numbers alike.
        (f32::from_bits(magnitude << 13) * f32::from_bits(0x7780_0000)).to_bits()
    };
    f32::from_bits(bits | sign)
}

/// binary32 to binary16 bits, rounding half to even; overflow gives infinity.
#[inline(always)]
#[must_use]
pub fn f32_to_f16(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00 | ((magnitude >> 13) & 0x3ff) as u16;
    }
    if magnitude >= 0x477f_f000 {
        return sign | 0x7c00;
    }
    if magnitude < 0x3880_0000 {
        // Subnormal result: adding 0.5 puts the unit of binary16's subnormals at the last bit of
        // the sum, so the addition itself rounds half to even.
        let shifted = f32::from_bits(magnitude) + 0.5;
        return sign | (shifted.to_bits() - 0x3f00_0000) as u16;
    }
    let odd = (magnitude >> 13) & 1;
    sign | (magnitude.wrapping_add(0xc800_0fff + odd) >> 13) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "exhaustive: hours under Miri")]
    fn exp_is_close_and_clamped() {
        let mut worst = 0.0f64;
        for i in -870_000..=880_000 {
            let x = i as f32 * 1e-4;
            let want = f64::from(x).exp();
            let got = f64::from(exp(x));
            worst = worst.max(((got - want) / want).abs());
        }
        assert!(worst < 2.5e-7, "relative error {worst}");
        assert_eq!(exp(f32::NAN).to_bits(), exp(EXP_MIN).to_bits());
        assert_eq!(exp(f32::NEG_INFINITY).to_bits(), exp(EXP_MIN).to_bits());
        assert_eq!(exp(f32::INFINITY).to_bits(), exp(EXP_MAX).to_bits());
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn halves_round_trip_and_round_to_even() {
        for h in 0..=u16::MAX {
            let x = f16_to_f32(h);
            if x.is_nan() {
                assert!(f16_to_f32(f32_to_f16(x)).is_nan());
            } else {
                assert_eq!(f32_to_f16(x), h, "{x}");
            }
        }
        // Exactly between two halves: the even one wins; a hair above: the upper one.
        for h in [0x0000u16, 0x0001, 0x03ff, 0x0400, 0x3c00, 0x3c01, 0x7bfe] {
            let mid = (f64::from(f16_to_f32(h)) + f64::from(f16_to_f32(h + 1))) / 2.0;
            let even = if h % 2 == 0 { h } else { h + 1 };
            assert_eq!(f32_to_f16(mid as f32), even, "between {h:#x} and the next");
            assert_eq!(
                f32_to_f16(f32::from_bits((mid as f32).to_bits() + 1)),
                h + 1
            );
        }
        assert_eq!(f32_to_f16(65519.0), 0x7bff);
        assert_eq!(f32_to_f16(65520.0), 0x7c00);
        assert_eq!(f32_to_f16(-1e30), 0xfc00);
    }

    #[test]
    fn lanes_combine_in_the_stated_tree() {
        let lanes: [f32; 16] = core::array::from_fn(|i| (i as f32 + 1.0) * 1.1e7);
        let mut level: Vec<f32> = lanes.to_vec();
        while level.len() > 1 {
            let half = level.len() / 2;
            level = (0..half).map(|i| level[i] + level[i + half]).collect();
        }
        assert_eq!(sum_lanes(lanes).to_bits(), level[0].to_bits());
    }

    #[test]
    fn quantisation_rounds_half_to_even_and_takes_odd_input() {
        assert_eq!(quantize_one(2.5, 1.0), 2);
        assert_eq!(quantize_one(3.5, 1.0), 4);
        assert_eq!(quantize_one(-2.5, 1.0), -2);
        assert_eq!(quantize_one(1e9, 1.0), 127);
        assert_eq!(quantize_one(-1e9, 1.0), -128);
        assert_eq!(quantize_one(f32::NAN, 1.0), 0);
        assert_eq!(abs_max(&[f32::NAN, -3.0, 2.0]), 3.0);
        assert_eq!(abs_max(&[0.0]), 1e-5);
    }

    #[test]
    fn gates_match_their_formulas() {
        for i in -2000..2000 {
            let x = i as f32 * 0.01;
            let d = f64::from(x);
            assert!((f64::from(silu(x)) - d / (1.0 + (-d).exp())).abs() < 2e-6);
            let u = (2.0 / std::f64::consts::PI).sqrt() * (d + 0.044715 * d.powi(3));
            assert!((f64::from(gelu_tanh(x)) - 0.5 * d * (1.0 + u.tanh())).abs() < 5e-6);
        }
        assert_eq!(relu2(-3.0), 0.0);
        assert_eq!(relu2(3.0), 9.0);
        assert_eq!(relu2(f32::NAN), 0.0);
    }
}
