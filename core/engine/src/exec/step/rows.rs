//! What a step does to whole rows: residual sums, norms, quantisation, the gate.

use tritone_abi::{KernelError, Norm};

use super::{Before, Step};
use crate::exec::team::Member;
use crate::weights::{Attention, Dense};

impl Step<'_> {
    /// `x += result` as `before` says, norm and quantise; where every product has a norm of its own, those in `inputs`, one after another.
    pub(super) fn add_and_quantize(
        &self,
        m: &Member<'_>,
        row: usize,
        before: Before<'_>,
        norm: &[f32],
        inputs: &[Vec<f32>],
    ) -> Result<(), KernelError> {
        let b = self.buffers;
        // SAFETY: the row belongs to this unit.
        let x = unsafe { b.x.write(row) };
        if let Some(post) = before {
            self.add_result(m, row, post, x)?;
        }
        // SAFETY: the only reference to this member's values in this unit.
        let local = unsafe { b.locals.get(m) };
        let (work, normed) = local.row.split_at_mut(x.len());
        if inputs.is_empty() {
            let out = &b.hidden_q[0];
            // SAFETY: the row belongs to this unit.
            let mut place = unsafe { out.row(row) };
            let norm = self.norm(norm);
            return self
                .kernel
                .norm_quantize(x, norm, work, out.group, &mut place);
        }
        let normed = &mut normed[..x.len()];
        let eps = self.model.recipe.eps;
        self.kernel.rms_norm(x, norm, eps, normed)?;
        for (norm, out) in inputs.iter().zip(&b.hidden_q) {
            // SAFETY: the row belongs to this unit.
            let mut place = unsafe { out.row(row) };
            let norm = self.norm(norm);
            self.kernel
                .norm_quantize(normed, norm, work, out.group, &mut place)?;
        }
        Ok(())
    }

    /// Adds the last product's result of row `row` to `x`, the norm `post` of it if there is one.
    pub(super) fn add_result(
        &self,
        m: &Member<'_>,
        row: usize,
        post: Option<&[f32]>,
        x: &mut [f32],
    ) -> Result<(), KernelError> {
        // SAFETY: written in the phase before, only read in this one.
        let result = unsafe { self.buffers.result.read(row) };
        let Some(post) = post else {
            add_assign(x, result);
            return Ok(());
        };
        // SAFETY: the only reference to this member's values while it is used.
        let local = unsafe { self.buffers.locals.get(m) };
        let normed = &mut local.row[..x.len()];
        let eps = self.model.recipe.eps;
        self.kernel.rms_norm(result, post, eps, normed)?;
        add_assign(x, normed);
        Ok(())
    }

    /// Norm of every head in `x`, if the model has one.
    pub(super) fn norm_heads(
        &self,
        m: &Member<'_>,
        norm: Option<&[f32]>,
        x: &mut [f32],
    ) -> Result<(), KernelError> {
        let Some(norm) = norm else { return Ok(()) };
        // SAFETY: the only reference to this member's values in this unit.
        let local = unsafe { self.buffers.locals.get(m) };
        let eps = self.model.recipe.eps;
        for head in x.chunks_exact_mut(norm.len()) {
            let work = &mut local.row[..head.len()];
            self.kernel.rms_norm(head, norm, eps, work)?;
            head.copy_from_slice(work);
        }
        Ok(())
    }

    /// Merges the spans of the row's attention, if it was split; sub-norm and quantise.
    pub(super) fn quantize_attended(
        &self,
        m: &Member<'_>,
        row: usize,
        part: &Attention,
    ) -> Result<(), KernelError> {
        let b = self.buffers;
        if b.rows[row].spans.1 > 0 {
            self.merge_spans(row)?;
        }
        // SAFETY: written in the phase before or by this unit; the row belongs to this unit.
        let x = unsafe { b.attended.read(row) };
        // SAFETY: the row belongs to this unit.
        let mut out = unsafe { b.attended_q.row(row) };
        let Some(norm) = &part.sub_norm else {
            return self.kernel.quantize(x, b.attended_q.group, &mut out);
        };
        // SAFETY: the only reference to this member's values in this unit.
        let local = unsafe { b.locals.get(m) };
        let work = &mut local.row[..x.len()];
        self.kernel
            .norm_quantize(x, self.norm(norm), work, b.attended_q.group, &mut out)
    }

    /// `gate * up`, sub-norm and quantise.
    pub(super) fn gate(&self, m: &Member<'_>, row: usize, part: &Dense) -> Result<(), KernelError> {
        let b = self.buffers;
        // SAFETY: `up` was written in the phase before and is only read in this one; the gate's
        // row, which also serves as working memory, belongs to this unit.
        let (gate, up) = unsafe { (b.gate.write(row), b.up.read(row)) };
        // SAFETY: the only reference to this member's values in this unit.
        let local = unsafe { b.locals.get(m) };
        let work = &mut local.row[..gate.len()];
        // SAFETY: the row belongs to this unit.
        let mut out = unsafe { b.ffn_q.row(row) };
        let norm = part.sub_norm.as_deref().map(|norm| self.norm(norm));
        let gated = (self.model.recipe.gate, gate, up);
        self.kernel
            .gate_quantize(gated, norm, work, b.ffn_q.group, &mut out)
    }

    fn norm<'w>(&self, weight: &'w [f32]) -> Norm<'w> {
        let eps = self.model.recipe.eps;
        Norm { weight, eps }
    }
}

fn add_assign(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}
