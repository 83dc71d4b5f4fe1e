//! Keys and values into the cache, and attention over it.

use std::ops::Range;

use tritone_abi::{AttendArgs, KernelError, MatOut, PAGE_TOKENS, attend_width};

use super::buffers::{Block, Local, Part, Row};
use super::{SPAN_TOKENS, Step};
use crate::exec::team::Member;
use crate::weights::Attention;

impl Step<'_> {
    /// Norms and rotates queries and key of one KV head of one row, and stores key and value.
    pub(super) fn store(
        &self,
        m: &Member<'_>,
        unit: usize,
        part: &Attention,
    ) -> Result<(), KernelError> {
        let (b, recipe) = (self.buffers, &self.model.recipe);
        let (row, kv_head) = (unit / recipe.kv_heads, unit % recipe.kv_heads);
        let Row {
            slice, position, ..
        } = b.rows[row];
        let group = recipe.heads / recipe.kv_heads * recipe.head_dim;
        let rope = self.rope.at(recipe, part.window, position);
        let head = kv_head * recipe.head_dim;
        // SAFETY: the queries of this row and KV head belong to this unit.
        let q = unsafe {
            b.q.data
                .write(row * recipe.q_dim() + kv_head * group, group)
        };
        if let Some(gated) = &b.gated {
            // SAFETY: written in the phase before, only read in this one.
            let gated = unsafe {
                gated
                    .data
                    .read(2 * (row * recipe.q_dim() + kv_head * group), 2 * group)
            };
            let heads = gated.chunks_exact(2 * recipe.head_dim);
            for (q, gated) in q.chunks_exact_mut(recipe.head_dim).zip(heads) {
                q.copy_from_slice(&gated[..recipe.head_dim]);
            }
        }
        self.norm_heads(m, part.q_norm.as_deref(), q)?;
        if let Some(rope) = &rope {
            self.kernel.rope(q, rope)?;
        }
        // SAFETY: the key of this row and head belongs to this unit.
        let k = unsafe {
            b.k.data
                .write(row * recipe.kv_dim() + head, recipe.head_dim)
        };
        self.norm_heads(m, part.k_norm.as_deref(), k)?;
        if let Some(rope) = &rope {
            self.kernel.rope(k, rope)?;
        }
        // SAFETY: written two phases before, only read in this one.
        let v = unsafe { b.v.data.read(row * recipe.kv_dim() + head, recipe.head_dim) };
        // SAFETY: this position, layer and head belongs to this unit, and is first read in the
        // next phase.
        unsafe {
            let (pages, layer) = (self.batch[slice].pages, part.kv_layer);
            self.cache.write(pages, layer, kv_head, position, k, v);
        };
        Ok(())
    }

    /// Attention of one KV head's queries over the past of a block, or over one span of it.
    pub(super) fn attend(
        &self,
        m: &Member<'_>,
        unit: usize,
        attention: &Attention,
    ) -> Result<(), KernelError> {
        let (b, recipe) = (self.buffers, &self.model.recipe);
        let (Part { block, span }, kv_head) =
            (b.parts[unit / recipe.kv_heads], unit % recipe.kv_heads);
        let group = recipe.heads / recipe.kv_heads * recipe.head_dim;
        // SAFETY: the only reference to this member's values in this unit.
        let local = unsafe { b.locals.get(m) };
        let seen = self.seen(block, attention.window);
        let place = (block, attention, kv_head);
        if let Some((span, slot)) = span {
            let width = self.partial_width();
            let start = (slot * recipe.kv_heads + kv_head) * width;
            // SAFETY: the slot's part for this KV head belongs to this unit.
            let out = unsafe { b.partials.write(start, width) };
            if (span + 1) * SPAN_TOKENS <= seen.start {
                // Before the window: a state that saw nothing.
                out.fill(0.0);
                return Ok(());
            }
            let mut out = MatOut::new(out, width, 0..width)?;
            return self.attend_span(place, Some(span), local, &mut out);
        }
        let columns = kv_head * group..(kv_head + 1) * group;
        // SAFETY: these rows' columns of this KV head belong to this unit.
        let mut out = unsafe { b.attended.tile(block.row, block.tokens, columns) };
        let spans = seen.start / SPAN_TOKENS..seen.end.div_ceil(SPAN_TOKENS);
        if spans.len() <= 1 {
            return self.attend_span(place, None, local, &mut out);
        }
        self.attend_spans(place, spans, local, &mut out)
    }

    /// Positions that the tokens of a block see: from the oldest in the first token's window to the
    /// last token itself.
    fn seen(&self, block: Block, window: Option<usize>) -> Range<usize> {
        let len = self.batch[block.slice].start + block.token + 1;
        let oldest = window.map_or(0, |window| len.saturating_sub(window));
        oldest..len + block.tokens - 1
    }

    /// Some spans of a block's past, one after another.
    fn attend_spans(
        &self,
        place: (Block, &Attention, usize),
        spans: Range<usize>,
        local: &mut Local,
        out: &mut MatOut<'_>,
    ) -> Result<(), KernelError> {
        let recipe = &self.model.recipe;
        let heads = recipe.heads / recipe.kv_heads;
        let (tokens, width) = (place.0.tokens, self.partial_width());
        let [mut acc, mut next] = std::mem::take(&mut local.spans);
        let mut work = || {
            for span in spans.clone() {
                let first = span == spans.start;
                let target = if first { &mut acc } else { &mut next };
                let mut target = MatOut::new(&mut target[..tokens * width], width, 0..width)?;
                self.attend_span(place, Some(span), local, &mut target)?;
                if !first {
                    let rows = acc.chunks_exact_mut(width).zip(next.chunks_exact(width));
                    for (acc, next) in rows.take(tokens) {
                        self.kernel
                            .attend_merge(heads, recipe.head_dim, acc, next)?;
                    }
                }
            }
            for (token, acc) in acc.chunks_exact(width).take(tokens).enumerate() {
                finish(heads, recipe.head_dim, acc, out.row(token));
            }
            Ok(())
        };
        let result = work();
        local.spans = [acc, next];
        result
    }

    /// One call of the kernel: one span, partially, or all of a past that lies in one span. Pages
    /// before the window are left out.
    fn attend_span(
        &self,
        (block, attention, kv_head): (Block, &Attention, usize),
        span: Option<usize>,
        local: &mut Local,
        out: &mut MatOut<'_>,
    ) -> Result<(), KernelError> {
        let (b, recipe) = (self.buffers, &self.model.recipe);
        let slice = &self.batch[block.slice];
        let heads = recipe.heads / recipe.kv_heads;
        let (q_dim, group) = (recipe.q_dim(), heads * recipe.head_dim);
        let len = slice.start + block.token + 1;
        let seen = self.seen(block, attention.window);
        let pages = seen.start / PAGE_TOKENS..seen.end.div_ceil(PAGE_TOKENS);
        let which = span.map_or(pages.clone(), |span| span_pages(span, &pages));
        local.pages.clear();
        // SAFETY: the cache is not written in this phase.
        unsafe {
            let (pages, layer) = (slice.pages, attention.kv_layer);
            self.cache
                .views(pages, layer, kv_head, which.clone(), &mut local.pages)
        }?;
        let start = block.row * q_dim + kv_head * group;
        let args = AttendArgs {
            // SAFETY: queries were written in earlier phases and are only read in this one.
            q: unsafe { b.q.data.read(start, (block.tokens - 1) * q_dim + group) },
            q_stride: q_dim,
            tokens: block.tokens,
            heads,
            head_dim: recipe.head_dim,
            pages: &local.pages,
            first: which.start * PAGE_TOKENS,
            len,
            window: attention.window.unwrap_or(0),
            scale: recipe.attention_scale,
            partial: span.is_some(),
        };
        self.kernel.attend(&args, out, local.scratch.as_mut_slice())
    }

    /// Merges the partial results of a row, in order of position, into its row of `attended`.
    pub(super) fn merge_spans(&self, row: usize) -> Result<(), KernelError> {
        let (b, recipe) = (self.buffers, &self.model.recipe);
        let (first, count) = b.rows[row].spans;
        let heads = recipe.heads / recipe.kv_heads;
        let (width, group) = (self.partial_width(), heads * recipe.head_dim);
        for kv_head in 0..recipe.kv_heads {
            let start = |slot: usize| (slot * recipe.kv_heads + kv_head) * width;
            // SAFETY: the row's slots belong to this unit; they were written in the phase before.
            let acc = unsafe { b.partials.write(start(first), width) };
            for slot in first + 1..first + count {
                // SAFETY: as above; another slot than the accumulator's.
                let next = unsafe { b.partials.read(start(slot), width) };
                self.kernel
                    .attend_merge(heads, recipe.head_dim, acc, next)?;
            }
            // SAFETY: the row belongs to this unit.
            let out = unsafe { b.attended.write(row) };
            let out = &mut out[kv_head * group..(kv_head + 1) * group];
            finish(heads, recipe.head_dim, acc, out);
        }
        Ok(())
    }

    /// Floats of the partial result of one token and KV head.
    fn partial_width(&self) -> usize {
        let recipe = &self.model.recipe;
        attend_width(recipe.heads / recipe.kv_heads, recipe.head_dim, true)
    }
}

/// Those of `pages` that lie in a span.
fn span_pages(span: usize, pages: &Range<usize>) -> Range<usize> {
    const PAGES: usize = SPAN_TOKENS / PAGE_TOKENS;
    let inside = |page: usize| page.clamp(pages.start, pages.end);
    inside(span * PAGES)..inside((span + 1) * PAGES)
}

/// Divides a partial row by its sums: the result of attention.
fn finish(heads: usize, head_dim: usize, partial: &[f32], out: &mut [f32]) {
    let (values, states) = partial.split_at(heads * head_dim);
    let heads = values
        .chunks_exact(head_dim)
        .zip(out.chunks_exact_mut(head_dim));
    for ((values, out), state) in heads.zip(states.chunks_exact(2)) {
        let r = 1.0 / state[1];
        for (out, value) in out.iter_mut().zip(values) {
            *out = value * r;
        }
    }
}
