//! A third party's plugin in order: quantises and gates, and leaves the rest to others.
#![allow(unsafe_code, reason = "exports a symbol")]

use tritone_abi::numerics::{
    abs_max, activation_scale, gelu_tanh, quantize_factor, quantize_one, relu2, silu,
};
use tritone_abi::{
    Facts, GateKind, Kernel, KernelError, LayoutId, Ops, QuantizedRow, Score, export_kernel,
};

struct Stranger;

export_kernel! {
    static KERNEL: Stranger = Stranger;
    symbol: tritone_kernel_stranger,
    name: "stranger",
    isa: "any",
    layout: LayoutId::NONE,
    row_align: 32,
    ops: Ops(Ops::QUANTIZE.0 | Ops::GATE.0),
}

impl Kernel for Stranger {
    fn facts(&self) -> &Facts {
        facts()
    }

    fn score(&self) -> Score {
        Score {
            rank: 500,
            reason: "plain loops, runs anywhere".into(),
        }
    }

    fn quantize(
        &self,
        x: &[f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Result<(), KernelError> {
        out.check(x.len(), group)?;
        out.q.fill(0);
        for (g, x) in x.chunks_exact(group).enumerate() {
            let m = abs_max(x);
            let q = &mut out.q[g * group..(g + 1) * group];
            for (q, x) in q.iter_mut().zip(x) {
                *q = quantize_one(*x, quantize_factor(m));
            }
            out.scales[g] = activation_scale(m);
            out.sums[g] = q.iter().map(|q| i32::from(*q)).sum();
        }
        Ok(())
    }

    fn gate(
        &self,
        kind: GateKind,
        gate: &[f32],
        up: &[f32],
        out: &mut [f32],
    ) -> Result<(), KernelError> {
        let f = match kind {
            GateKind::Relu2 => relu2,
            GateKind::Silu => silu,
            GateKind::GeluTanh => gelu_tanh,
        };
        for ((o, g), u) in out.iter_mut().zip(gate).zip(up) {
            *o = f(*g) * u;
        }
        Ok(())
    }
}
