/// The least argument of [`exp`].
pub(super) const LEAST: f32 = -29.0;

/// 2^23: a float of this size has no fraction, and the bits of a smaller integer added to it are
/// its last ones.
const WHOLE: f32 = 8_388_608.0;

/// 1 / ln 2, and ln 2 in two parts: the first has so few digits that small multiples are exact.
const INVERSE_LN2: f32 = f32::from_bits(0x3fb8_aa3b);
const LN2_HIGH: f32 = f32::from_bits(0x3f31_7200);
const LN2_LOW: f32 = f32::from_bits(0x35bf_be8e);

/// Coefficients of x^2 and x^4 in an approximation of x (e^x + 1) / (e^x - 1) - 2.
const P1: f32 = f32::from_bits(0x3e2a_aa8f);
const P2: f32 = f32::from_bits(0xbb35_5215);

/// Where the multiple of ln 2 that is taken off goes from 0 to 1, and from 1 to 2; and below
/// which size the result is 1 + x.
const HALF_LN2: f32 = f32::from_bits(0x3eb1_7218);
const THREE_HALF_LN2: f32 = f32::from_bits(0x3f85_1592);
const TINY: f32 = f32::from_bits(0x3900_0000);

/// e^x for `LEAST <= x <= 0`, bit for bit that of `libm::expf`, but without branches and calls, so
/// that a loop over it becomes vector code.
///
/// The method is that of the `expf` of FreeBSD, which `libm` follows: x = r - n ln 2 with |r| at
/// most half of ln 2, e^r by a rational function, and 2^-n by the exponent. Each operation is an
/// exactly rounded one of IEEE 754, in the same order.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let multiple = 0.5 - INVERSE_LN2 * x;
    let n = if x < -THREE_HALF_LN2 {
        floor(multiple)
    } else if x < -HALF_LN2 {
        1.0
    } else {
        0.0
    };
    let high = x + n * LN2_HIGH;
    let low = n * LN2_LOW;
    let r = high + low;
    let square = r * r;
    let c = r - square * (P1 + square * P2);
    let y = 1.0 + (r * c / (2.0 - c) + low + high);
    let y = if x < -TINY { y } else { 1.0 + x };
    y * f32::from_bits((127 - whole(n)) << 23)
}

/// The greatest integer not above `x`, for `0 <= x < 2^22`.
#[inline(always)]
pub(super) fn floor(x: f32) -> f32 {
    let nearest = (x + WHOLE) - WHOLE;
    if nearest > x { nearest - 1.0 } else { nearest }
}

/// The integer nearest to `x`, for `0 <= x < 2^22`. It never decreases as `x` increases.
///
/// An `as` also has to deal with NaN and with what does not fit, which costs more than this.
#[inline(always)]
pub(super) fn whole(x: f32) -> u32 {
    (x + WHOLE).to_bits() & 0x7f_ffff
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
        for edge in [HALF_LN2, THREE_HALF_LN2, TINY, 1.0, 28.0] {
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
