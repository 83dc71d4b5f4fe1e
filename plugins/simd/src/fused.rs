//! What comes before a ternary product, in fewer passes: the pass that writes a row also gathers
//! what the next one needs, and a group is quantised while it is in the nearest cache.
//!
//! The bits are those of `gate`, `rms_norm` and `quantize` one after another: the same operations
//! on the same values, the sum of squares in the same lanes, and a maximum that is the same in
//! any order.

use tritone_abi::{GateKind, Norm, QuantizedRow};

use crate::gate::{self, Curve, GeluTanh, Relu2, Silu};
use crate::lanes::{Floats, Op, Simd};
use crate::norm::{self, Peak, Squares, factor, squares};
use crate::quantize::put;

/// `rms_norm`, then `quantize`; the slices have one length, and `out` fits it.
pub(crate) struct NormQuantize<'a, 'b> {
    pub(crate) x: &'a [f32],
    pub(crate) norm: Norm<'a>,
    pub(crate) work: &'a mut [f32],
    pub(crate) group: usize,
    pub(crate) out: &'a mut QuantizedRow<'b>,
}

impl Op for NormQuantize<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn body<S: Simd>(self, s: S) {
        let Self {
            x,
            norm,
            work,
            group,
            out,
        } = self;
        let r = factor(squares(s, x).sum(), x.len(), norm.eps);
        out.q[x.len()..].fill(0);
        let parts = x.chunks_exact(group).zip(norm.weight.chunks_exact(group));
        for (g, ((x, w), work)) in parts.zip(work.chunks_exact_mut(group)).enumerate() {
            let peak = norm::pass::<S, Peak>(s, x, r, w, work).largest();
            put(s, work, peak, g, out);
        }
    }
}

/// `gate`, then `rms_norm` if there is a norm, then `quantize`; the slices have one length, and
/// `out` fits it.
pub(crate) struct GateQuantize<'a, 'b> {
    pub(crate) kind: GateKind,
    pub(crate) gate: &'a mut [f32],
    pub(crate) up: &'a [f32],
    pub(crate) norm: Option<Norm<'a>>,
    pub(crate) work: &'a mut [f32],
    pub(crate) group: usize,
    pub(crate) out: &'a mut QuantizedRow<'b>,
}

impl Op for GateQuantize<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn body<S: Simd>(self, s: S) {
        match self.kind {
            GateKind::Relu2 => self.with::<S, Relu2>(s),
            GateKind::Silu => self.with::<S, Silu>(s),
            GateKind::GeluTanh => self.with::<S, GeluTanh>(s),
        }
    }
}

impl GateQuantize<'_, '_> {
    #[inline(always)]
    fn with<S: Simd, C: Curve>(self, s: S) {
        let Self {
            gate,
            up,
            norm,
            work,
            group,
            out,
            ..
        } = self;
        out.q[gate.len()..].fill(0);
        let Some(norm) = norm else {
            let parts = gate.chunks_exact(group).zip(up.chunks_exact(group));
            for (g, ((gate, up), work)) in parts.zip(work.chunks_exact_mut(group)).enumerate() {
                let peak = gate::pass::<S, C, Peak>(s, gate, up, work).largest();
                put(s, work, peak, g, out);
            }
            return;
        };
        let sum = gate::pass::<S, C, Squares>(s, gate, up, work).sum();
        let r = factor(sum, gate.len(), norm.eps);
        let parts = work
            .chunks_exact(group)
            .zip(norm.weight.chunks_exact(group));
        for (g, ((x, w), normed)) in parts.zip(gate.chunks_exact_mut(group)).enumerate() {
            let peak = norm::pass::<S, Peak>(s, x, r, w, normed).largest();
            put(s, normed, peak, g, out);
        }
    }
}
