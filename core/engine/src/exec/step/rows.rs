//! What a step does to whole rows: residual sums, norms, quantisation, the gate.

use tritone_abi::{KernelError, Norm};

use super::buffers::Quantized;
use super::{Before, Step};
use crate::exec::Transform;
use crate::exec::delta::sigmoid;
use crate::exec::team::Member;
use crate::weights::{Attention, Dense, Input};

impl Step<'_> {
    /// `x += result` as `before` says, norm and quantise; where every product has a norm of its own,
    /// those one after another.
    pub(super) fn add_and_quantize(
        &self,
        m: &Member<'_>,
        row: usize,
        before: Before<'_>,
        input: &Input,
    ) -> Result<(), KernelError> {
        let b = self.buffers;
        // SAFETY: the row belongs to this unit.
        let x = unsafe { b.x.write(row) };
        if let Some(post) = before {
            self.add_result(m, row, post, x)?;
        }
        // SAFETY: the only reference to this member's values in this unit.
        let local = unsafe { b.locals.get(m) };
        let transform = input.transform.as_deref();
        if input.own.is_empty() {
            return self.norm_row(
                x,
                &input.norm,
                transform,
                &mut local.row,
                (&b.hidden_q[0], row),
            );
        }
        let (normed, work) = local.row.split_at_mut(x.len());
        let eps = self.model.recipe.eps;
        self.kernel.rms_norm(x, &input.norm, eps, normed)?;
        for (norm, out) in input.own.iter().zip(&b.hidden_q) {
            self.norm_row(normed, norm, transform, work, (out, row))?;
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

    /// Norm of `x`, transform if there is one, and quantise into a row of `out`, which belongs to
    /// this unit. `work` is as long as `x`, with a transform twice.
    pub(super) fn norm_row(
        &self,
        x: &[f32],
        norm: &[f32],
        transform: Option<&Transform>,
        work: &mut [f32],
        out: (&Quantized, usize),
    ) -> Result<(), KernelError> {
        let (work, rest) = work.split_at_mut(x.len());
        if transform.is_some() {
            self.kernel.rms_norm(x, norm, self.model.recipe.eps, work)?;
            return self.quantize_row(work, transform, rest, out);
        }
        let (out, row) = out;
        // SAFETY: the row belongs to this unit.
        let mut place = unsafe { out.row(row) };
        let norm = self.norm(norm);
        self.kernel
            .norm_quantize(x, norm, work, out.group, &mut place)
    }

    /// Transform of `x`, if there is one, and quantise into a row of `out`, which belongs to this
    /// unit. `work` is as long as `x`.
    pub(super) fn quantize_row(
        &self,
        x: &[f32],
        transform: Option<&Transform>,
        work: &mut [f32],
        (out, row): (&Quantized, usize),
    ) -> Result<(), KernelError> {
        // SAFETY: the row belongs to this unit.
        let mut place = unsafe { out.row(row) };
        let Some(transform) = transform else {
            return self.kernel.quantize(x, out.group, &mut place);
        };
        let work = &mut work[..x.len()];
        transform.apply(x, work);
        self.kernel.quantize(work, out.group, &mut place)
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

    /// Merges the spans of the row's attention, if it was split; gate, sub-norm and quantise.
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
        let x = unsafe { b.attended.write(row) };
        if let Some(gated) = &b.gated {
            let dim = self.model.recipe.head_dim;
            // SAFETY: written some phases before, only read in this one.
            let gates = unsafe { gated.read(row) }.chunks_exact(2 * dim);
            for (x, gates) in x.chunks_exact_mut(dim).zip(gates) {
                for (x, gate) in x.iter_mut().zip(&gates[dim..]) {
                    *x *= sigmoid(*gate);
                }
            }
        }
        // SAFETY: the only reference to this member's values in this unit.
        let local = unsafe { b.locals.get(m) };
        let (transform, out) = (part.transform.as_deref(), (&b.attended_q, row));
        match &part.sub_norm {
            None => self.quantize_row(x, transform, &mut local.row, out),
            Some(norm) => self.norm_row(x, norm, transform, &mut local.row, out),
        }
    }

    /// `gate * up`, sub-norm and quantise.
    pub(super) fn gate(&self, m: &Member<'_>, row: usize, part: &Dense) -> Result<(), KernelError> {
        let b = self.buffers;
        // SAFETY: `up` was written in the phase before and is only read in this one; the gate's
        // row, which also serves as working memory, belongs to this unit.
        let (gate, up) = unsafe { (b.gate.write(row), b.up.read(row)) };
        // SAFETY: the only reference to this member's values in this unit.
        let local = unsafe { b.locals.get(m) };
        let kind = self.model.recipe.gate;
        if let Some(transform) = &part.transform {
            let (work, rest) = local.row.split_at_mut(gate.len());
            self.kernel.gate(kind, gate, up, work)?;
            let (transform, out) = (Some(&**transform), (&b.ffn_q, row));
            let Some(norm) = &part.sub_norm else {
                return self.quantize_row(work, transform, rest, out);
            };
            self.kernel
                .rms_norm(work, norm, self.model.recipe.eps, gate)?;
            return self.quantize_row(gate, transform, rest, out);
        }
        let work = &mut local.row[..gate.len()];
        // SAFETY: the row belongs to this unit.
        let mut out = unsafe { b.ffn_q.row(row) };
        let norm = part.sub_norm.as_deref().map(|norm| self.norm(norm));
        self.kernel
            .gate_quantize((kind, gate, up), norm, work, b.ffn_q.group, &mut out)
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
