/// The least argument of [`exp`].
pub(crate) const LEAST: f32 = -29.0;

/// 2^23: a float of this size has no fraction, and the bits of a smaller integer added to it are
/// its last ones.
pub(super) const WHOLE: f32 = 8_388_608.0;

/// 1 / ln 2, and ln 2 in two parts: the first has so few digits that small multiples are exact.
const INVERSE_LN2: f32 = f32::from_bits(0x3fb8_aa3b);
const LN2_HIGH: f32 = f32::from_bits(0x3f31_7200);
const LN2_LOW: f32 = f32::from_bits(0x35bf_be8e);

/// Coefficients of x^2 and x^4 in an approximation of x (e^x + 1) / (e^x - 1) - 2.
const P1: f32 = f32::from_bits(0x3e2a_aa8f);
const P2: f32 = f32::from_bits(0xbb35_5215);

/// For arguments up to this size the result is 1 + x.
const TINY: f32 = f32::from_bits(0x3900_0000);

/// e^x for `LEAST <= x <= 0`, bit for bit that of `libm::expf`, but without branches and calls, so
/// that a loop over it becomes vector code.
///
/// The method is that of the `expf` of FreeBSD, which `libm` follows: x = r - n ln 2 with |r| at
/// most half of ln 2, e^r by a rational function, and 2^-n by the exponent. Each operation is an
/// exactly rounded one of IEEE 754, in the same order. The two round ties of n differently, which
/// changes no result.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let n = (WHOLE - INVERSE_LN2 * x) - WHOLE;
    let high = x + n * LN2_HIGH;
    let low = n * LN2_LOW;
    let r = high + low;
    let square = r * r;
    let c = r - square * (P1 + square * P2);
    let curve = r * c / (2.0 - c);
    let curve = if x < -TINY { curve } else { 0.0 };
    let y = 1.0 + (curve + low + high);
    // The integer n is in the last bits, and moves to the exponent.
    f32::from_bits(y.to_bits().wrapping_sub((n + WHOLE).to_bits() << 23))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(step: usize) {
        let end = LEAST.to_bits();
        let start = (-0.0f32).to_bits();
        for bits in (start..=end).step_by(step).chain([end]) {
            let x = f32::from_bits(bits);
            assert_eq!(exp(x).to_bits(), libm::expf(x).to_bits(), "{x:e}");
        }
    }

    #[test]
    fn the_bits_are_those_of_libm() {
        check(997);
        assert_eq!((exp(0.0), exp(-0.0)), (1.0, 1.0));
        let ties = (0..40).map(|n| (n as f32 + 0.5) * std::f32::consts::LN_2);
        for edge in ties.chain([TINY, 1.0, 28.0]) {
            for bits in edge.to_bits() - 2_000..edge.to_bits() + 2_000 {
                let x = -f32::from_bits(bits);
                assert_eq!(exp(x).to_bits(), libm::expf(x).to_bits(), "{x:e}");
            }
        }
    }

    #[test]
    #[ignore = "a billion arguments: half a minute"]
    fn the_bits_are_those_of_libm_everywhere() {
        check(1);
    }
}
