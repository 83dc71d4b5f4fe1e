//! [`tritone_abi::numerics::exp`] on sixteen lanes: the same operations in the same order.

use tritone_abi::numerics::{EXP_MAX, EXP_MIN, EXP_POLY, LN2_HI, LN2_LO, LOG2_E};

use crate::lanes::{Floats, Simd};

/// [`tritone_abi::numerics::exp`].
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::Floats) -> S::Floats {
    let x = x.max(s.splat(EXP_MIN)).min(s.splat(EXP_MAX));
    let n = x.mul(s.splat(LOG2_E)).round();
    let r = n.fma(s.splat(-LN2_HI), x);
    let r = n.fma(s.splat(-LN2_LO), r);
    let mut p = s.splat(EXP_POLY[0]);
    for c in &EXP_POLY[1..] {
        p = p.fma(r, s.splat(*c));
    }
    p.mul(n.exp2_int())
}
