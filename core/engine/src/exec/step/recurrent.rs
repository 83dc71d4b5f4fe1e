//! Recurrent layers: gated DeltaNet over the states of sequences.

use tritone_abi::KernelError;
use tritone_abi::numerics::LANES;

use super::buffers::RecurrentBuffers;
use super::{Before, NO_STATE, Step};
use crate::exec::clock::Part;
use crate::exec::delta;
use crate::exec::team::{Member, Poisoned};
use crate::weights::Recurrent;

/// Rows of the batch in one unit of the float products.
const FLOAT_ROWS: usize = 32;
/// Outputs of one unit of the float products.
const FLOAT_OUTPUTS: usize = 16;

impl Step<'_> {
    /// The phases of a recurrent layer; `before` is how the result of the layer before is added to
    /// `x`, if there is one.
    pub(super) fn recurrent(
        &self,
        m: &Member<'_>,
        part: &Recurrent,
        before: Before<'_>,
    ) -> Result<(), Poisoned> {
        let b = self.buffers;
        let (Some(shape), Some(own)) = (self.model.recipe.recurrent, &b.recurrent) else {
            // A recipe with such a layer has sizes, and buffers are made for it.
            return Err(Poisoned);
        };
        let rows = b.rows.len();
        self.units(m, rows, |row| self.norm_twice(m, row, before, part, own))?;
        self.clock.border(m, Part::Other);
        let [input, ..] = b.hidden_inputs();
        let outputs = (2 * shape.value_heads).div_ceil(FLOAT_OUTPUTS);
        self.products_and(
            m,
            [(&part.qkv, input, &own.qkv), (&part.gate, input, &own.gate)],
            outputs * rows.div_ceil(FLOAT_ROWS),
            |unit| self.rates(unit / outputs, unit % outputs, part, own),
        )?;
        let heads = 2 * shape.key_heads + shape.value_heads;
        self.units(m, b.firsts.len() * heads, |unit| {
            self.convolve(m, unit / heads, unit % heads, part, own)
        })?;
        let heads = shape.value_heads;
        self.units(m, b.firsts.len() * heads, |unit| {
            self.advance(m, unit / heads, unit % heads, part, own)
        })?;
        self.units(m, rows, |row| {
            // SAFETY: written in the phase before, only read in this one.
            let x = unsafe { own.mixed.read(row) };
            // SAFETY: the only reference to this member's values in this unit.
            let local = unsafe { b.locals.get(m) };
            let transform = part.transform.as_deref();
            self.quantize_row(x, transform, &mut local.row, (&own.mixed_q, row))
        })?;
        self.clock.border(m, Part::Attention);
        self.products(m, [(&part.out, &own.mixed_q, &b.result)])
    }

    /// As `add_and_quantize`, and keeps the normed row for the float products.
    fn norm_twice(
        &self,
        m: &Member<'_>,
        row: usize,
        before: Before<'_>,
        part: &Recurrent,
        own: &RecurrentBuffers,
    ) -> Result<(), KernelError> {
        self.add_and_quantize(m, row, before, &part.input)?;
        // SAFETY: the row of both belongs to this unit.
        let (x, normed) = unsafe { (self.buffers.x.write(row), own.normed.write(row)) };
        let eps = self.model.recipe.eps;
        self.kernel.rms_norm(x, &part.input.norm, eps, normed)
    }

    /// Some outputs of the float products for some rows.
    fn rates(
        &self,
        block: usize,
        output: usize,
        part: &Recurrent,
        own: &RecurrentBuffers,
    ) -> Result<(), KernelError> {
        let (width, hidden) = (own.rates.width, own.normed.width);
        let outputs = output * FLOAT_OUTPUTS..width.min((output + 1) * FLOAT_OUTPUTS);
        let end = self.buffers.rows.len().min((block + 1) * FLOAT_ROWS);
        for row in block * FLOAT_ROWS..end {
            // SAFETY: written in the phase before, only read in this one.
            let x = unsafe { own.normed.read(row) };
            // SAFETY: these outputs of this row belong to this unit.
            let out = unsafe {
                own.rates
                    .data
                    .write(row * width + outputs.start, outputs.len())
            };
            let weights = part.rates[outputs.start * hidden..].chunks_exact(hidden);
            for (out, weights) in out.iter_mut().zip(weights) {
                *out = delta::dot(weights, x);
            }
        }
        Ok(())
    }

    /// Convolution of one head of queries, keys or values over all positions of a slice; lengths of
    /// queries and keys, decay and write strength of a value head.
    fn convolve(
        &self,
        m: &Member<'_>,
        slice: usize,
        head: usize,
        part: &Recurrent,
        own: &RecurrentBuffers,
    ) -> Result<(), KernelError> {
        let (b, recipe) = (self.buffers, &self.model.recipe);
        let (shape, states, slot) = self.state(slice)?;
        let (dim, channels, keys) = (shape.head_dim, shape.channels(), shape.key_heads);
        let range = head * dim..(head + 1) * dim;
        let slice = (b.firsts[slice], &self.batch[slice]);
        // SAFETY: the only reference to this member's values in this unit.
        let local = unsafe { b.locals.get(m) };
        let (sum, window) = local.row.split_at_mut(dim);
        let window = &mut window[..(shape.taps - 1) * dim];
        for (i, past) in window.chunks_exact_mut(dim).enumerate() {
            if slice.1.start == 0 {
                past.fill(0.0);
            } else {
                // SAFETY: the channels of this head in the window belong to this unit.
                past.copy_from_slice(unsafe { states.window(slot, part.number, i, range.clone()) });
            }
        }
        for row in slice.0..slice.0 + slice.1.tokens.len() {
            // SAFETY: the channels of this head in this row belong to this unit.
            let x = unsafe { own.qkv.data.write(row * channels + range.start, dim) };
            delta::convolve(&part.taps, channels, range.clone(), window, sum, x);
            if head < 2 * keys {
                let scale = if head < keys {
                    1.0 / (dim as f32).sqrt()
                } else {
                    1.0
                };
                delta::normalize(x, recipe.eps, scale);
                continue;
            }
            let (value, start) = (head - 2 * keys, row * own.rates.width);
            // SAFETY: the two places of this value head in this row belong to this unit.
            let (decay, strength) = unsafe {
                let second = start + shape.value_heads + value;
                (
                    own.rates.data.write(start + value, 1),
                    own.rates.data.write(second, 1),
                )
            };
            decay[0] = delta::decay(decay[0] + part.bias[value], part.decay[value]);
            strength[0] = delta::sigmoid(strength[0]);
        }
        for (i, past) in window.chunks_exact(dim).enumerate() {
            // SAFETY: the channels of this head in the window belong to this unit.
            unsafe { states.window(slot, part.number, i, range.clone()) }.copy_from_slice(past);
        }
        Ok(())
    }

    /// All positions of a slice through the state of one value head; norm and gate of the result.
    fn advance(
        &self,
        m: &Member<'_>,
        slice: usize,
        head: usize,
        part: &Recurrent,
        own: &RecurrentBuffers,
    ) -> Result<(), KernelError> {
        let b = self.buffers;
        let (shape, states, slot) = self.state(slice)?;
        let (dim, width, heads) = (shape.head_dim, shape.inner(), shape.value_heads);
        let (first, slice) = (b.firsts[slice], &self.batch[slice]);
        let rows = first..first + slice.tokens.len();
        // SAFETY: the state of this head belongs to this unit.
        let state = unsafe { states.head(slot, part.number, head) };
        if slice.start == 0 {
            state.fill(0.0);
        }
        let key = head % shape.key_heads * dim;
        for (block, state) in state.chunks_exact_mut(dim * LANES).enumerate() {
            let column = head * dim + block * LANES;
            for row in rows.clone() {
                // SAFETY: both were written in the phase before, and are only read in this one.
                let (qkv, rates) = unsafe { (own.qkv.read(row), own.rates.read(row)) };
                let (q, rest) = qkv.split_at(shape.key_width());
                let (k, v) = rest.split_at(shape.key_width());
                let (q, k) = (&q[key..key + dim], &k[key..key + dim]);
                // SAFETY: these columns of this row belong to this unit.
                let out = unsafe { own.mixed.data.write(row * width + column, LANES) };
                let (Some(v), Some(out)) =
                    (v[column..].first_chunk::<LANES>(), out.first_chunk_mut())
                else {
                    continue;
                };
                delta::advance(state, (q, k, v), (rates[head], rates[heads + head]), out);
            }
        }
        // SAFETY: the only reference to this member's values in this unit.
        let local = unsafe { b.locals.get(m) };
        let work = &mut local.row[..dim];
        for row in rows {
            // SAFETY: these columns of this row belong to this unit.
            let out = unsafe { own.mixed.data.write(row * width + head * dim, dim) };
            let eps = self.model.recipe.eps;
            self.kernel.rms_norm(out, &part.norm, eps, work)?;
            // SAFETY: written some phases before, only read in this one.
            let gates = unsafe { own.gate.data.read(row * width + head * dim, dim) };
            for ((out, x), gate) in out.iter_mut().zip(work.iter()).zip(gates) {
                *out = x * delta::silu(*gate);
            }
        }
        Ok(())
    }

    /// Sizes, states and the slot of a slice.
    fn state(
        &self,
        slice: usize,
    ) -> Result<(crate::recipe::Recurrent, &crate::exec::States, u32), KernelError> {
        let shape = self.model.recipe.recurrent;
        let state = self.cache.state(self.batch[slice].pages);
        let (shape, (states, slot)) = shape.zip(state).ok_or(NO_STATE)?;
        Ok((shape, states, slot))
    }
}
