//! [`tritone_abi::numerics::exp`] and the gates built on it, on sixteen lanes: the same operations in the same
//! order.

use tritone_abi::numerics::{EXP_MAX, EXP_MIN, EXP_POLY, LN2_HI, LN2_LO, LOG2_E};

use crate::lanes::F32x16;

/// [`tritone_abi::numerics::exp`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(crate) fn exp(x: F32x16) -> F32x16 {
    let x = x.max(F32x16::splat(EXP_MIN)).min(F32x16::splat(EXP_MAX));
    let n = x.mul(F32x16::splat(LOG2_E)).round();
    let r = n.fma(F32x16::splat(-LN2_HI), x);
    let r = n.fma(F32x16::splat(-LN2_LO), r);
    let mut p = F32x16::splat(EXP_POLY[0]);
    for c in &EXP_POLY[1..] {
        p = p.fma(r, F32x16::splat(*c));
    }
    p.mul(n.exp2_int())
}

/// [`tritone_abi::numerics::silu`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(crate) fn silu(x: F32x16) -> F32x16 {
    x.div(F32x16::splat(1.0).add(exp(x.neg())))
}

/// [`tritone_abi::numerics::relu2`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(crate) fn relu2(x: F32x16) -> F32x16 {
    let r = x.max(F32x16::splat(0.0));
    r.mul(r)
}

/// [`tritone_abi::numerics::gelu_tanh`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(crate) fn gelu_tanh(x: F32x16) -> F32x16 {
    let (one, two) = (F32x16::splat(1.0), F32x16::splat(2.0));
    let cube = F32x16::splat(0.044_715).mul(x).mul(x).fma(x, x);
    let u = F32x16::splat(0.797_884_6).mul(cube);
    let t = two.sub(two.div(exp(two.mul(u)).add(one)));
    F32x16::splat(0.5).mul(x).mul(t)
}

#[cfg(test)]
mod tests {
    use tritone_abi::numerics;

    use super::*;
    use crate::isa::Isa;

    type Case = (&'static str, F32x16, fn(f32) -> f32);

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn check(x: &[f32; 16]) {
        let v = F32x16::load(x);
        let cases: [Case; 4] = [
            ("exp", exp(v), numerics::exp),
            ("silu", silu(v), numerics::silu),
            ("relu2", relu2(v), numerics::relu2),
            ("gelu", gelu_tanh(v), numerics::gelu_tanh),
        ];
        for (name, got, want) in cases {
            for (x, got) in x.iter().zip(got.to_array()) {
                let want = want(*x);
                assert!(
                    got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan()),
                    "{name}({x}): {got} instead of {want}"
                );
            }
        }
    }

    #[test]
    fn every_exponent_gives_the_bits_of_the_definition() {
        if Isa::new().is_none() {
            return;
        }
        let mut state = 1u32;
        for _ in 0..40_000 {
            let x = core::array::from_fn(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f32::from_bits(state)
            });
            // SAFETY: the proof exists.
            unsafe { check(&x) };
        }
        for i in -1100..1100 {
            let x = core::array::from_fn(|l| i as f32 * 0.1 + l as f32 * 0.006);
            // SAFETY: the proof exists.
            unsafe { check(&x) };
        }
        let mut odd = [
            0.0,
            -0.0,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            -f32::NAN,
        ]
        .iter()
        .chain(&[
            EXP_MIN, EXP_MAX, 1e-40, -1e-40, 2.5, 3.5, -2.5, 88.5, -87.5, 1e30,
        ])
        .copied();
        // SAFETY: the proof exists.
        unsafe { check(&core::array::from_fn(|_| odd.next().unwrap())) };
    }
}
