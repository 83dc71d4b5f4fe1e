//! From floats to int8 activations.

use tritone_abi::QuantizedRow;
use tritone_abi::numerics::{self, LANES};

use crate::lanes::{Floats, Ints, Op, Simd};
use crate::norm::{Peak, Watch};

/// Quantises a row in groups; `out` fits it.
pub(crate) struct Quantize<'a, 'b> {
    pub(crate) x: &'a [f32],
    pub(crate) group: usize,
    pub(crate) out: &'a mut QuantizedRow<'b>,
}

impl Op for Quantize<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn body<S: Simd>(self, s: S) {
        let Self { x, group, out } = self;
        out.q[x.len()..].fill(0);
        for (g, x) in x.chunks_exact(group).enumerate() {
            put(s, x, peak(s, x), g, out);
        }
    }
}

/// Largest absolute value of a group, at least 1e-5.
#[inline(always)]
fn peak<S: Simd>(s: S, x: &[f32]) -> f32 {
    let (x, tail) = x.as_chunks::<LANES>();
    let mut seen = Peak::start(s);
    for x in x {
        seen = Peak::see::<S>(seen, s.load(x));
    }
    if !tail.is_empty() {
        seen = Peak::see::<S>(seen, s.load_part(tail));
    }
    seen.largest()
}

/// Writes group `g` of a row, whose values are `x` and whose largest absolute value is `peak`.
#[inline(always)]
pub(crate) fn put<S: Simd>(s: S, x: &[f32], peak: f32, g: usize, out: &mut QuantizedRow<'_>) {
    let q = &mut out.q[g * x.len()..][..x.len()];
    let factor = s.splat(numerics::quantize_factor(peak));
    let mut sum = s.no_ints();
    let ((x, x_tail), (q, q_tail)) = (x.as_chunks::<LANES>(), q.as_chunks_mut::<LANES>());
    for (x, q) in x.iter().zip(q) {
        let v = s.load(x).mul(factor).to_i8();
        sum = sum.add(v);
        v.store(q);
    }
    if !q_tail.is_empty() {
        // The lanes behind the end are `0 * factor`, which adds nothing.
        let v = s.load_part(x_tail).mul(factor).to_i8();
        sum = sum.add(v);
        let mut all = [0; LANES];
        v.store(&mut all);
        q_tail.copy_from_slice(&all[..q_tail.len()]);
    }
    out.scales[g] = numerics::activation_scale(peak);
    out.sums[g] = sum.sum();
}
