//! The gates of the feed-forward product.

use tritone_abi::GateKind;
use tritone_abi::numerics::LANES;

use crate::exp::exp;
use crate::lanes::{Floats, Op, Simd};
use crate::norm::{Nothing, Watch};

/// A function of the gate.
pub(crate) trait Curve {
    fn at<S: Simd>(s: S, x: S::Floats) -> S::Floats;
}

/// [`tritone_abi::numerics::relu2`].
pub(crate) struct Relu2;

impl Curve for Relu2 {
    #[inline(always)]
    fn at<S: Simd>(s: S, x: S::Floats) -> S::Floats {
        let r = x.max(s.splat(0.0));
        r.mul(r)
    }
}

/// [`tritone_abi::numerics::silu`].
pub(crate) struct Silu;

impl Curve for Silu {
    #[inline(always)]
    fn at<S: Simd>(s: S, x: S::Floats) -> S::Floats {
        x.div(s.splat(1.0).add(exp(s, x.neg())))
    }
}

/// [`tritone_abi::numerics::gelu_tanh`].
pub(crate) struct GeluTanh;

impl Curve for GeluTanh {
    #[inline(always)]
    fn at<S: Simd>(s: S, x: S::Floats) -> S::Floats {
        let (one, two) = (s.splat(1.0), s.splat(2.0));
        let cube = s.splat(0.044_715).mul(x).mul(x).fma(x, x);
        let u = s.splat(0.797_884_6).mul(cube);
        let t = two.sub(two.div(exp(s, two.mul(u)).add(one)));
        s.splat(0.5).mul(x).mul(t)
    }
}

/// `out[i] = f(gate[i]) * up[i]`; the slices have one length.
pub(crate) struct Gate<'a> {
    pub(crate) kind: GateKind,
    pub(crate) gate: &'a [f32],
    pub(crate) up: &'a [f32],
    pub(crate) out: &'a mut [f32],
}

impl Op for Gate<'_> {
    type Output = ();

    #[inline(always)]
    fn body<S: Simd>(self, s: S) {
        // One loop for each function, so that the choice is made outside of it.
        match self.kind {
            GateKind::Relu2 => pass::<S, Relu2, Nothing>(s, self.gate, self.up, self.out),
            GateKind::Silu => pass::<S, Silu, Nothing>(s, self.gate, self.up, self.out),
            GateKind::GeluTanh => pass::<S, GeluTanh, Nothing>(s, self.gate, self.up, self.out),
        };
    }
}

/// Writes the gated products; gives what `W` saw of them. Behind the end of the row it sees
/// zeros: every function is 0 at 0.
#[inline(always)]
pub(crate) fn pass<S: Simd, C: Curve, W: Watch>(
    s: S,
    gate: &[f32],
    up: &[f32],
    out: &mut [f32],
) -> S::Floats {
    let ((gate, gate_tail), (up, up_tail)) = (gate.as_chunks::<LANES>(), up.as_chunks::<LANES>());
    let (out, out_tail) = out.as_chunks_mut::<LANES>();
    let mut seen = W::start(s);
    for ((x, up), out) in gate.iter().zip(up).zip(out) {
        let v = C::at(s, s.load(x)).mul(s.load(up));
        seen = W::see::<S>(seen, v);
        v.store(out);
    }
    if !out_tail.is_empty() {
        let v = C::at(s, s.load_part(gate_tail)).mul(s.load_part(up_tail));
        seen = W::see::<S>(seen, v);
        v.store_part(out_tail);
    }
    seen
}
