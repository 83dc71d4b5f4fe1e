//! One step of the decoder for a batch of sequence slices, prefill and decode mixed.
//!
//! # Phases
//!
//! Every line is a phase; a barrier stands between two lines. *Row* is one token of the batch.
//!
//! ```text
//! per row                 x = embedding, scaled
//! for every layer:
//!   with attention:
//!     per row             x += result of the layer before, normed if the model says so; norm,
//!                         quantise
//!     per tile            q, k, v products
//!     per row and KV head norm of heads, rotate; key and value into the cache
//!     per block of tokens
//!       and KV head       attention; a single token with a long past: per span of positions
//!     per row             merge the spans; gate, sub-norm, quantise
//!     per tile            output product
//!   recurrent:
//!     per row             x += result of the layer before; norm, quantise
//!     per tile            q, k, v and gate products; those that decide decay and write strength
//!     per slice and head  convolution; decay and write strength
//!     per slice and head  all its positions through the state; norm, gate
//!     per row             quantise
//!     per tile            output product
//!   per row               x += result (normed); norm, quantise
//!   per tile              gate and up products
//!   per row               gate * up, sub-norm, quantise
//!   per tile              down product
//! per wanted row          x += result (normed); norm, for logits or as the state itself
//! per tile                head
//! per wanted row          with an exact head: choose the best rows of the vocabulary
//! per sixteen of them     compute them again
//! ```
//!
//! Inputs of folded weights are transformed before they are quantised.
//!
//! The definition of attention over a long past is independent of the split: the running state is
//! kept for spans of [`SPAN_TOKENS`] positions, and spans are merged in order, whether one thread
//! does it or several.
//!
//! **Phase rule**: a unit writes only memory that belongs to it (its row, its tile, its position
//! and head), and reads only what earlier phases wrote. Barriers separate phases, so no location
//! is written by one thread while another uses it.

mod attention;
mod buffers;
mod experts;
mod head;
mod recurrent;
mod rows;
#[cfg(test)]
mod tests;

use tritone_abi::{Kernel, KernelError};
use tritone_formats::TensorView;

pub(crate) use self::buffers::{Buffers, step_bytes};
use self::buffers::{Quantized, Rows};
use super::clock::{Part, StepClock};
use super::kv::{KvCache, Pages};
use super::rope::RopeTables;
use super::team::{Member, Poisoned};
use crate::model::Model;
use crate::weights::{Attention, Dense, FeedForward, Layer, Matrix, Mixer, Weights};

/// What is to be added to the residual stream first: `None` for nothing, else the last product's
/// result, as it is or with this norm.
type Before<'a> = Option<Option<&'a [f32]>>;

/// Which positions of a slice want logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// None: a part of a prompt that is not its end.
    Nothing,
    /// The last one.
    Last,
    /// All of them.
    All,
    /// None, but the state of the last position after the final norm: what the head is given.
    State,
    /// None, but the states of all positions.
    States,
}

/// Consecutive tokens of one sequence.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a> {
    /// At least one token.
    pub tokens: &'a [u32],
    /// Position of the first one; all before it are in the cache.
    pub start: usize,
    /// Pages of the sequence; they hold all positions of the slice.
    pub pages: &'a Pages,
    /// Logits wanted.
    pub want: Want,
}

impl Slice<'_> {
    /// Rows of logits this slice asks for.
    #[must_use]
    pub fn wanted(&self) -> usize {
        match self.want {
            Want::Nothing | Want::State | Want::States => 0,
            Want::Last => 1,
            Want::All => self.tokens.len(),
        }
    }

    /// States this slice asks for.
    #[must_use]
    pub fn states(&self) -> usize {
        match self.want {
            Want::Nothing | Want::Last | Want::All => 0,
            Want::State => 1,
            Want::States => self.tokens.len(),
        }
    }
}

/// The embedding, or a row of it, is not what it was when the model was opened.
pub(crate) const NO_EMBEDDING: KernelError =
    KernelError::BadArgument("an embedding row cannot be read");

/// A sequence without the recurrent state that its model needs.
const NO_STATE: KernelError = KernelError::BadArgument("a sequence has no recurrent state");

/// Tokens of one slice that one attention unit takes together.
const ATTEND_TOKENS: usize = 16;
/// Positions whose attention is one running state; a multiple of the page.
pub(crate) const SPAN_TOKENS: usize = 512;
/// Bytes of packed weights in one unit of a product with few tokens.
const TILE_BYTES: usize = 64 << 10;
/// Rows in one unit of a product with many tokens, and of the head.
const TILE_ROWS: usize = 64;

/// Everything a step reads.
pub(crate) struct Step<'a> {
    pub(crate) model: &'a Model,
    /// Rows of the embedding, one a token.
    pub(crate) embedding: TensorView<'a>,
    /// All of the embedding is to stay in memory: it is the head.
    pub(crate) keeps_embedding: bool,
    pub(crate) weights: &'a Weights,
    pub(crate) kernel: &'a dyn Kernel,
    pub(crate) cache: &'a KvCache,
    pub(crate) rope: &'a RopeTables,
    pub(crate) buffers: &'a Buffers,
    pub(crate) batch: &'a [Slice<'a>],
    pub(crate) clock: &'a StepClock,
}

/// Rows that one thread takes at a time of a product with `cols` columns and `tokens` tokens: whole row
/// groups of the kernel, few enough that threads end together.
#[must_use]
pub fn tile_rows(kernel: &dyn Kernel, cols: usize, tokens: usize) -> usize {
    let align = kernel.facts().row_align.max(1);
    let rows = if tokens >= 8 {
        TILE_ROWS
    } else {
        TILE_BYTES * 4 / cols.max(1)
    };
    (rows / align * align).max(align)
}

impl Step<'_> {
    /// The program every member runs.
    pub(crate) fn run(&self, m: &Member<'_>) -> Result<(), Poisoned> {
        let b = self.buffers;
        let rows = b.rows.len();
        self.clock.begin(m);
        self.units(m, rows, |row| self.embed(row))?;
        let mut last: Option<&Layer> = None;
        for layer in &self.weights.layers {
            let before = last
                .replace(layer)
                .map(|last| last.ffn_post_norm.as_deref());
            match &layer.mixer {
                Mixer::Attention(part) => self.attention(m, part, before)?,
                Mixer::Recurrent(part) => self.recurrent(m, part, before)?,
            }
            let before = Some(layer.mixer_post_norm.as_deref());
            match &layer.feed_forward {
                FeedForward::Dense(part) => self.dense(m, part, before)?,
                FeedForward::Experts(part) => self.experts(m, part, before)?,
            }
        }
        let wanted = b.wanted.len();
        self.units(m, wanted + b.states.len(), |i| {
            match i.checked_sub(wanted) {
                None => self.finish_row(m, i),
                Some(i) => self.finish_state(m, b.states[i]),
            }
        })?;
        self.clock.border(m, Part::Other);
        let tiles = if b.wanted.is_empty() {
            0
        } else {
            self.model.recipe.vocab.div_ceil(self.head_tile())
        };
        self.units(m, tiles, |tile| self.head(m, tile))?;
        if let Some(exact) = self.weights.exact(self.model) {
            self.units(m, b.wanted.len(), |i| self.choose(i))?;
            let units = b.wanted.len() * b.exact_units();
            self.units(m, units, |unit| self.compute_again(m, &exact, unit))?;
        }
        self.clock.border(m, Part::Head);
        Ok(())
    }

    /// The phases of attention; `before` is how the result of the layer before is added to `x`, if
    /// there is one.
    fn attention(
        &self,
        m: &Member<'_>,
        part: &Attention,
        before: Before<'_>,
    ) -> Result<(), Poisoned> {
        let b = self.buffers;
        let rows = b.rows.len();
        self.units(m, rows, |row| {
            self.add_and_quantize(m, row, before, &part.input)
        })?;
        self.clock.border(m, Part::Other);
        let [q, k, v] = b.hidden_inputs();
        let queries = b.gated.as_ref().unwrap_or(&b.q);
        self.products(
            m,
            [
                (&part.q, q, queries),
                (&part.k, k, &b.k),
                (&part.v, v, &b.v),
            ],
        )?;
        let kv_heads = self.model.recipe.kv_heads;
        self.units(m, rows * kv_heads, |unit| self.store(m, unit, part))?;
        self.units(m, b.parts.len() * kv_heads, |unit| {
            self.attend(m, unit, part)
        })?;
        self.units(m, rows, |row| self.quantize_attended(m, row, part))?;
        self.clock.border(m, Part::Attention);
        self.products(m, [(&part.o, &b.attended_q, &b.result)])
    }

    /// The phases of a dense feed-forward part.
    fn dense(&self, m: &Member<'_>, part: &Dense, before: Before<'_>) -> Result<(), Poisoned> {
        let b = self.buffers;
        let rows = b.rows.len();
        self.units(m, rows, |row| {
            self.add_and_quantize(m, row, before, &part.input)
        })?;
        self.clock.border(m, Part::Other);
        let [gate, up, _] = b.hidden_inputs();
        self.products(m, [(&part.gate, gate, &b.gate), (&part.up, up, &b.up)])?;
        self.units(m, rows, |row| self.gate(m, row, part))?;
        self.clock.border(m, Part::Other);
        self.products(m, [(&part.down, &b.ffn_q, &b.result)])
    }

    /// One phase: all units, claimed by whoever is free, then a barrier.
    fn units(
        &self,
        m: &Member<'_>,
        count: usize,
        work: impl Fn(usize) -> Result<(), KernelError>,
    ) -> Result<(), Poisoned> {
        loop {
            let unit = m.claim();
            if unit >= count {
                break;
            }
            if let Err(error) = work(unit) {
                // The failure ends the answer; the other threads still meet their barriers.
                let failure = &self.buffers.failure;
                failure
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .get_or_insert(error);
            }
        }
        m.barrier()
    }

    /// Products of matrices with their inputs, as one phase.
    fn products<const N: usize>(
        &self,
        m: &Member<'_>,
        parts: [(&Matrix, &Quantized, &Rows); N],
    ) -> Result<(), Poisoned> {
        self.products_and(m, parts, 0, |_| Ok(()))
    }

    /// Products as one phase with other units, which come first.
    fn products_and<const N: usize>(
        &self,
        m: &Member<'_>,
        parts: [(&Matrix, &Quantized, &Rows); N],
        others: usize,
        other: impl Fn(usize) -> Result<(), KernelError>,
    ) -> Result<(), Poisoned> {
        let rows = self.buffers.rows.len();
        let tile: [usize; N] =
            std::array::from_fn(|i| tile_rows(self.kernel, parts[i].0.view().cols, rows));
        let counts: [usize; N] = std::array::from_fn(|i| parts[i].0.rows.div_ceil(tile[i]));
        self.units(m, others + counts.iter().sum::<usize>(), |unit| {
            if unit < others {
                return other(unit);
            }
            let (mut part, mut unit) = (0, unit - others);
            while unit >= counts[part] {
                unit -= counts[part];
                part += 1;
            }
            let (matrix, input, out) = parts[part];
            // SAFETY: the input was written in the phase before and is only read in this one.
            let x = unsafe { input.rows(rows) };
            let range = unit * tile[part]..matrix.rows.min((unit + 1) * tile[part]);
            // SAFETY: the tile belongs to this unit alone.
            let mut out = unsafe { out.tile(0, rows, range) };
            // SAFETY: the only reference to this member's values in this unit.
            let local = unsafe { self.buffers.locals.get(m) };
            self.kernel
                .matmul(&matrix.view(), &x, &mut out, local.scratch.as_mut_slice())
        })?;
        self.clock.border(m, Part::Matmul);
        Ok(())
    }

    fn embed(&self, row: usize) -> Result<(), KernelError> {
        let token = self.buffers.rows[row].token as usize;
        // SAFETY: the row belongs to this unit.
        let x = unsafe { self.buffers.x.write(row) };
        let read = self.embedding.decode_row(token, x);
        read.map_err(|_| NO_EMBEDDING)?;
        if !self.keeps_embedding {
            self.model.release_row(&self.embedding, token);
        }
        if let Some(transform) = &self.weights.embedding {
            transform.undo(x);
        }
        let scale = self.model.recipe.embedding_scale;
        if scale != 1.0 {
            x.iter_mut().for_each(|x| *x *= scale);
        }
        Ok(())
    }
}
