//! A partial kernel over a complete one.

use std::sync::Arc;

use tritone_abi::{
    Activations, AttendArgs, Facts, GateKind, HeadInput, HeadMatrix, Kernel, KernelError, MatOut,
    Norm, Ops, PackArgs, QuantizedRow, RopeArgs, Score, ScratchNeed, TernaryMatrix,
};

/// A kernel that takes the operations `top` implements from `top` and all others from `base`.
///
/// It goes by the name, version and score of `top`. Layout, row alignment and packing belong to
/// the layer that implements the ternary product.
pub struct Layered {
    top: Arc<dyn Kernel>,
    base: Arc<dyn Kernel>,
    facts: Facts,
}

impl Layered {
    /// Puts `top` over `base`.
    #[must_use]
    pub fn new(top: Arc<dyn Kernel>, base: Arc<dyn Kernel>) -> Self {
        let (t, b) = (top.facts(), base.facts());
        let product = if t.ops.contains(Ops::MATMUL) { t } else { b };
        let facts = Facts {
            name: t.name.clone(),
            version: t.version.clone(),
            build_id: format!("{} over {} {}", t.build_id, b.name, b.build_id),
            isa: format!("{}; {}", t.isa, b.isa),
            layout: product.layout,
            row_align: product.row_align,
            ops: Ops(t.ops.0 | b.ops.0),
        };
        Self { top, base, facts }
    }

    /// The complete kernel underneath.
    #[must_use]
    pub fn base(&self) -> &Arc<dyn Kernel> {
        &self.base
    }

    fn layer(&self, op: Ops) -> &dyn Kernel {
        if self.top.facts().ops.contains(op) {
            &*self.top
        } else {
            &*self.base
        }
    }
}

impl Layered {
    /// The layer whose fused operation stands for all of `parts`: the top's own, or the base's
    /// unless the top has one of the parts itself.
    fn fused(&self, parts: Ops) -> Option<&dyn Kernel> {
        let (top, base) = (self.top.facts().ops, self.base.facts().ops);
        if top.contains(Ops::FUSED) {
            Some(&*self.top)
        } else if base.contains(Ops::FUSED) && top.0 & parts.0 == 0 {
            Some(&*self.base)
        } else {
            None
        }
    }
}

impl Kernel for Layered {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The score of the top, unless one of the layers cannot run.
    fn score(&self) -> Score {
        let base = self.base.score();
        if base.rank == 0 {
            base
        } else {
            self.top.score()
        }
    }

    fn scratch_bytes(&self, need: &ScratchNeed) -> usize {
        let top = self.top.scratch_bytes(need);
        top.max(self.base.scratch_bytes(need))
    }

    fn packed_bytes(&self, rows: usize, cols: usize) -> Option<usize> {
        self.layer(Ops::MATMUL).packed_bytes(rows, cols)
    }

    fn pack(&self, args: &PackArgs<'_>, out: &mut [u8]) -> Result<(), KernelError> {
        self.layer(Ops::MATMUL).pack(args, out)
    }

    fn matmul(
        &self,
        w: &TernaryMatrix<'_>,
        x: &Activations<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        self.layer(Ops::MATMUL).matmul(w, x, out, scratch)
    }

    fn head(
        &self,
        w: &HeadMatrix<'_>,
        x: &HeadInput<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        self.layer(Ops::HEAD).head(w, x, out, scratch)
    }

    fn quantize(
        &self,
        x: &[f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Result<(), KernelError> {
        self.layer(Ops::QUANTIZE).quantize(x, group, out)
    }

    fn rms_norm(
        &self,
        x: &[f32],
        weight: &[f32],
        eps: f32,
        out: &mut [f32],
    ) -> Result<(), KernelError> {
        self.layer(Ops::RMS_NORM).rms_norm(x, weight, eps, out)
    }

    fn rope(&self, x: &mut [f32], args: &RopeArgs<'_>) -> Result<(), KernelError> {
        self.layer(Ops::ROPE).rope(x, args)
    }

    fn gate(
        &self,
        kind: GateKind,
        gate: &[f32],
        up: &[f32],
        out: &mut [f32],
    ) -> Result<(), KernelError> {
        self.layer(Ops::GATE).gate(kind, gate, up, out)
    }

    fn attend(
        &self,
        args: &AttendArgs<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        self.layer(Ops::ATTEND).attend(args, out, scratch)
    }

    fn attend_merge(
        &self,
        heads: usize,
        head_dim: usize,
        acc: &mut [f32],
        next: &[f32],
    ) -> Result<(), KernelError> {
        self.layer(Ops::ATTEND)
            .attend_merge(heads, head_dim, acc, next)
    }

    fn norm_quantize(
        &self,
        x: &[f32],
        norm: Norm<'_>,
        work: &mut [f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Result<(), KernelError> {
        if let Some(fused) = self.fused(Ops::RMS_NORM.with(Ops::QUANTIZE)) {
            return fused.norm_quantize(x, norm, work, group, out);
        }
        self.rms_norm(x, norm.weight, norm.eps, work)?;
        self.quantize(work, group, out)
    }

    fn gate_quantize(
        &self,
        (kind, gate, up): (GateKind, &mut [f32], &[f32]),
        norm: Option<Norm<'_>>,
        work: &mut [f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Result<(), KernelError> {
        let parts = Ops::RMS_NORM.with(Ops::QUANTIZE).with(Ops::GATE);
        if let Some(fused) = self.fused(parts) {
            return fused.gate_quantize((kind, gate, up), norm, work, group, out);
        }
        self.gate(kind, gate, up, work)?;
        let Some(norm) = norm else {
            return self.quantize(work, group, out);
        };
        self.rms_norm(work, norm.weight, norm.eps, gate)?;
        self.quantize(gate, group, out)
    }

    fn probe_read(&self, data: &[u8], prefetch: usize) -> Result<u64, KernelError> {
        self.layer(Ops::PROBE).probe_read(data, prefetch)
    }

    fn probe_int8(&self, rounds: u64) -> Result<u64, KernelError> {
        self.layer(Ops::PROBE).probe_int8(rounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Marked, called};
    use tritone_abi::LayoutId;

    const SINGLE: [Ops; 7] = [
        Ops::MATMUL,
        Ops::HEAD,
        Ops::QUANTIZE,
        Ops::RMS_NORM,
        Ops::ROPE,
        Ops::GATE,
        Ops::ATTEND,
    ];

    #[test]
    fn every_operation_goes_to_the_layer_that_has_it() {
        for top_ops in SINGLE {
            let top = Marked::kernel("top", 5, top_ops, 7);
            let base = Marked::kernel("base", 3, Ops::ALL, 9);
            let layered = Layered::new(top, base);
            for op in SINGLE {
                let mark = if op == top_ops { 7 } else { 9 };
                for answer in called(&layered, op) {
                    assert_eq!(answer, mark, "{op:?} under a top with {top_ops:?}");
                }
            }
        }
    }

    #[test]
    fn a_fused_operation_never_passes_over_the_top() {
        let fused = Ops::ALL.with(Ops::FUSED);
        for (top, base, norm, gate) in [
            (Ops::MATMUL, fused, 9, 9),
            (Ops::GATE, fused, 9, 7),
            (Ops::QUANTIZE, fused, 9, 9),
            (Ops::RMS_NORM, fused, 7, 9),
            (Ops::FUSED, Ops::ALL, 7, 7),
            (Ops::MATMUL, Ops::ALL, 9, 9),
        ] {
            let layered = Layered::new(
                Marked::kernel("top", 5, top, 7),
                Marked::kernel("base", 3, base, 9),
            );
            // The first of the parts is where an unfused call fails.
            assert_eq!(called(&layered, Ops::FUSED), [norm, gate], "{top:?}");
        }
        let layered = Layered::new(
            Marked::kernel("top", 5, Ops::QUANTIZE, 7),
            Marked::kernel("base", 3, fused, 9),
        );
        let parts = Ops::RMS_NORM.with(Ops::QUANTIZE);
        assert!(layered.fused(parts).is_none(), "the top quantises itself");
    }

    #[test]
    fn facts_are_merged() {
        let base = || Marked::kernel("base", 3, Ops::ALL, 9);
        let gate = Layered::new(Marked::kernel("top", 5, Ops::GATE, 7), base());
        assert_eq!(gate.facts().name, "top");
        assert_eq!(gate.facts().ops, Ops::ALL);
        assert_eq!(gate.facts().layout, LayoutId(9));
        assert_eq!(gate.facts().row_align, 9 * 16);
        assert_eq!(gate.facts().build_id, "b7 over base b9");
        assert_eq!(gate.score().rank, 5);
        assert_eq!(gate.scratch_bytes(&ScratchNeed::default()), 9);
        let product = Layered::new(Marked::kernel("top", 5, Ops::MATMUL, 7), base());
        assert_eq!(product.facts().layout, LayoutId(7));
        assert_eq!(product.facts().row_align, 7 * 16);
        let stuck = Marked::kernel("base", 0, Ops::ALL, 9);
        let stuck = Layered::new(Marked::kernel("top", 5, Ops::GATE, 7), stuck);
        assert_eq!(stuck.score().rank, 0);
    }
}
