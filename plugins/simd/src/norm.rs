//! Root-mean-square norm, and what a pass over a row may gather on the way.

use tritone_abi::numerics::LANES;

use crate::lanes::{Floats, Op, Simd};

/// What a pass gathers from the values that it writes.
pub(crate) trait Watch {
    fn start<S: Simd>(s: S) -> S::Floats;
    fn see<S: Simd>(seen: S::Floats, v: S::Floats) -> S::Floats;
}

/// Nothing.
pub(crate) struct Nothing;

impl Watch for Nothing {
    #[inline(always)]
    fn start<S: Simd>(s: S) -> S::Floats {
        s.splat(0.0)
    }

    #[inline(always)]
    fn see<S: Simd>(seen: S::Floats, _: S::Floats) -> S::Floats {
        seen
    }
}

/// The lanes of [`dot`](tritone_abi::numerics::dot) of the values with themselves.
pub(crate) struct Squares;

impl Watch for Squares {
    #[inline(always)]
    fn start<S: Simd>(s: S) -> S::Floats {
        s.splat(0.0)
    }

    #[inline(always)]
    fn see<S: Simd>(seen: S::Floats, v: S::Floats) -> S::Floats {
        v.fma(v, seen)
    }
}

/// The lanes of [`abs_max`](tritone_abi::numerics::abs_max), which is the same in any order; NaN
/// loses every comparison.
pub(crate) struct Peak;

impl Watch for Peak {
    #[inline(always)]
    fn start<S: Simd>(s: S) -> S::Floats {
        s.splat(1e-5)
    }

    #[inline(always)]
    fn see<S: Simd>(seen: S::Floats, v: S::Floats) -> S::Floats {
        v.abs().max(seen)
    }
}

/// [`numerics::rms_norm`](tritone_abi::numerics::rms_norm); the slices have one length.
pub(crate) struct RmsNorm<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) weight: &'a [f32],
    pub(crate) eps: f32,
    pub(crate) out: &'a mut [f32],
}

impl Op for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn body<S: Simd>(self, s: S) {
        let r = factor(squares(s, self.x).sum(), self.x.len(), self.eps);
        pass::<S, Nothing>(s, self.x, r, self.weight, self.out);
    }
}

/// The factor of a row of `n` values with this sum of squares.
#[inline(always)]
pub(crate) fn factor(squares: f32, n: usize, eps: f32) -> f32 {
    1.0 / (squares / n as f32 + eps).sqrt()
}

/// The lanes of the sum of squares. The zeros that fill up the last sixteen add nothing: no lane
/// is ever -0.
#[inline(always)]
pub(crate) fn squares<S: Simd>(s: S, x: &[f32]) -> S::Floats {
    let (x, tail) = x.as_chunks::<LANES>();
    let mut seen = Squares::start(s);
    for x in x {
        seen = Squares::see::<S>(seen, s.load(x));
    }
    if !tail.is_empty() {
        seen = Squares::see::<S>(seen, s.load_part(tail));
    }
    seen
}

/// Writes `(x[i] * r) * weight[i]`; gives what `W` saw of it. Behind the end of the row it sees
/// zero or, with an infinite `r`, NaN.
#[inline(always)]
pub(crate) fn pass<S: Simd, W: Watch>(
    s: S,
    x: &[f32],
    r: f32,
    weight: &[f32],
    out: &mut [f32],
) -> S::Floats {
    let ((x, x_tail), (weight, weight_tail)) =
        (x.as_chunks::<LANES>(), weight.as_chunks::<LANES>());
    let (out, out_tail) = out.as_chunks_mut::<LANES>();
    let r = s.splat(r);
    let mut seen = W::start(s);
    for ((x, w), out) in x.iter().zip(weight).zip(out) {
        let v = s.load(x).mul(r).mul(s.load(w));
        seen = W::see::<S>(seen, v);
        v.store(out);
    }
    if !out_tail.is_empty() {
        let v = s.load_part(x_tail).mul(r).mul(s.load_part(weight_tail));
        seen = W::see::<S>(seen, v);
        v.store_part(out_tail);
    }
    seen
}
