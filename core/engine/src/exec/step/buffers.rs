//! The buffers of a step, made once, and how a batch is laid out in them.

use std::ops::Range;
use std::sync::Mutex;

use tritone_abi::{
    Activations, Kernel, KernelError, KvPage, MatOut, PAGE_TOKENS, QuantizedRow, attend_width,
    padded_stride,
};

use super::experts::Routing;
use super::head::EXACT_UNIT;
use super::{ATTEND_TOKENS, SPAN_TOKENS, Slice, TILE_ROWS};
use crate::exec::shared::{AlignedBuf, PerMember, Shared};
use crate::forms::{EXACT_ROWS, Forms, Head};
use crate::plan::{Capacity, scratch_need};
use crate::recipe::{Recipe, Recurrent};
use crate::weights::Groups;

/// int8 activations of a step.
#[derive(Debug)]
pub(super) struct Quantized {
    pub(super) q: Shared<i8>,
    pub(super) scales: Shared<f32>,
    pub(super) sums: Shared<i32>,
    pub(super) cols: usize,
    pub(super) group: usize,
}

impl Quantized {
    pub(super) fn new(rows: usize, cols: usize, group: usize) -> Option<Self> {
        let scales = rows.checked_mul(cols / group)?;
        Some(Self {
            q: Shared::zeroed(rows.checked_mul(padded_stride(cols))?)?,
            scales: Shared::zeroed(scales)?,
            sums: Shared::zeroed(scales)?,
            cols,
            group,
        })
    }

    /// Row `row`, to write.
    ///
    /// # Safety
    /// The row belongs to the caller in this phase.
    pub(super) unsafe fn row(&self, row: usize) -> QuantizedRow<'_> {
        let (stride, groups) = (padded_stride(self.cols), self.cols / self.group);
        // SAFETY: passed on to the caller.
        unsafe {
            QuantizedRow {
                q: self.q.write(row * stride, stride),
                scales: self.scales.write(row * groups, groups),
                sums: self.sums.write(row * groups, groups),
            }
        }
    }

    /// The first `rows` rows.
    ///
    /// # Safety
    /// Nobody writes them in this phase.
    pub(super) unsafe fn rows(&self, rows: usize) -> Activations<'_> {
        // SAFETY: passed on to the caller.
        unsafe { self.rows_from(0, rows) }
    }

    /// `rows` rows from `first`.
    ///
    /// # Safety
    /// Nobody writes them in this phase.
    pub(super) unsafe fn rows_from(&self, first: usize, rows: usize) -> Activations<'_> {
        let (stride, groups) = (padded_stride(self.cols), self.cols / self.group);
        // SAFETY: passed on to the caller.
        unsafe {
            Activations {
                tokens: rows,
                cols: self.cols,
                group: self.group,
                q: self.q.read(first * stride, rows * stride),
                scales: self.scales.read(first * groups, rows * groups),
                sums: self.sums.read(first * groups, rows * groups),
            }
        }
    }
}

/// f32 rows of a step.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) data: Shared<f32>,
    pub(super) width: usize,
}

impl Rows {
    pub(super) fn new(rows: usize, width: usize) -> Option<Self> {
        Some(Self {
            data: Shared::zeroed(rows.checked_mul(width)?)?,
            width,
        })
    }

    /// # Safety
    /// Nobody writes this row in this phase.
    pub(super) unsafe fn read(&self, row: usize) -> &[f32] {
        // SAFETY: passed on to the caller.
        unsafe { self.data.read(row * self.width, self.width) }
    }

    /// # Safety
    /// The row belongs to the caller in this phase.
    #[expect(clippy::mut_from_ref, reason = "the phase rule")]
    pub(super) unsafe fn write(&self, row: usize) -> &mut [f32] {
        // SAFETY: passed on to the caller.
        unsafe { self.data.write(row * self.width, self.width) }
    }

    /// Columns `range` of `rows` rows from `first`, as the output of a kernel operation.
    ///
    /// # Safety
    /// The rectangle belongs to the caller in this phase.
    pub(super) unsafe fn tile(&self, first: usize, rows: usize, range: Range<usize>) -> MatOut<'_> {
        let inside = (first + rows) * self.width <= self.data.len() && range.end <= self.width;
        assert!(inside, "tile in range");
        // SAFETY: inside the buffer by the assertion; exclusive by contract.
        unsafe {
            let base = self.data.base().add(first * self.width);
            MatOut::from_raw(base, self.width, rows, range)
        }
    }
}

/// What one thread has for itself.
pub(super) struct Local {
    pub(super) scratch: AlignedBuf<u8>,
    pub(super) row: Vec<f32>,
    pub(super) pages: Vec<KvPage<'static>>,
    /// Two partial results of attention for a block of tokens, when the past is long.
    pub(super) spans: [Vec<f32>; 2],
}

/// One attention unit before KV heads are told apart: tokens of one slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) slice: usize,
    /// First row of the batch.
    pub(super) row: usize,
    /// First token of the slice.
    pub(super) token: usize,
    pub(super) tokens: usize,
}

/// A block, or one span of a block's past.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) block: Block,
    /// The span and the slot for its partial result; `None` for all of the past.
    pub(super) span: Option<(usize, usize)>,
}

/// One row of the batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) slice: usize,
    pub(super) token: u32,
    pub(super) position: usize,
    /// First slot and number of the row's partial results; none when one unit did it all.
    pub(super) spans: (usize, usize),
}

/// All buffers of a step; made once.
pub(crate) struct Buffers {
    pub(super) capacity: Capacity,
    pub(super) x: Rows,
    pub(super) q: Rows,
    pub(super) k: Rows,
    pub(super) v: Rows,
    pub(super) attended: Rows,
    /// Queries and their gates, `[head][queries, gates]`, where attention has gates.
    pub(super) gated: Option<Rows>,
    /// Of recurrent layers.
    pub(super) recurrent: Option<RecurrentBuffers>,
    /// Rows, or slots of rows where a model has experts.
    pub(super) gate: Rows,
    pub(super) up: Rows,
    /// Result of the output or down product, not yet added to `x`.
    pub(super) result: Rows,
    /// Normed hidden states: one for all products of the residual stream, or, where every product
    /// has a norm of its own, one for each of the most that stand side by side.
    pub(super) hidden_q: Vec<Quantized>,
    pub(super) attended_q: Quantized,
    pub(super) ffn_q: Quantized,
    pub(super) routing: Option<Routing>,
    /// Normed hidden states of the rows that want logits, one after another.
    pub(super) last: Rows,
    pub(super) last_q: Option<Quantized>,
    pub(super) logits: Rows,
    pub(super) exact: Option<Exact>,
    /// Partial results of attention: `[slot][kv head]`.
    pub(super) partials: Shared<f32>,
    slots: usize,
    pub(super) locals: PerMember<Local>,
    pub(super) rows: Vec<Row>,
    pub(super) parts: Vec<Part>,
    /// First row of every slice.
    pub(super) firsts: Vec<usize>,
    pub(super) wanted: Vec<usize>,
    /// Rows whose states are wanted.
    pub(super) states: Vec<usize>,
    pub(super) failure: Mutex<Option<KernelError>>,
}

impl Buffers {
    /// Buffers for steps of `capacity` on `members` threads; `None` when memory does not suffice.
    pub(crate) fn new(
        recipe: &Recipe,
        kernel: &dyn Kernel,
        capacity: Capacity,
        members: usize,
        forms: Forms,
        groups: Groups,
    ) -> Option<Self> {
        let rows = capacity.rows;
        let ffn_rows = rows.checked_mul(recipe.ffn_rows())?;
        let scratch = kernel.scratch_bytes(&scratch_need(recipe, &capacity));
        let pages = capacity.context.div_ceil(PAGE_TOKENS);
        let partial = attend_width(recipe.heads / recipe.kv_heads, recipe.head_dim, true);
        let spans = span_floats(recipe, &capacity);
        let local = || {
            Some(Local {
                scratch: AlignedBuf::zeroed(scratch)?,
                row: vec![0.0; row_floats(recipe)],
                pages: Vec::with_capacity(pages),
                spans: std::array::from_fn(|_| vec![0.0; spans]),
            })
        };
        let locals = (0..members).map(|_| local()).collect::<Option<Vec<_>>>()?;
        let slots = span_slots(&capacity);
        let last_q = match forms.head {
            Head::F16 => None,
            _ => Some(Quantized::new(
                capacity.logit_rows,
                recipe.hidden,
                groups.head,
            )?),
        };
        Some(Self {
            capacity,
            x: Rows::new(rows, recipe.hidden)?,
            q: Rows::new(rows, recipe.q_dim())?,
            k: Rows::new(rows, recipe.kv_dim())?,
            v: Rows::new(rows, recipe.kv_dim())?,
            attended: Rows::new(rows, recipe.q_dim())?,
            gated: match recipe.gated_attention {
                true => Some(Rows::new(rows, recipe.q_rows())?),
                false => None,
            },
            recurrent: match &recipe.recurrent {
                Some(shape) => Some(RecurrentBuffers::new(rows, recipe.hidden, shape, groups)?),
                None => None,
            },
            gate: Rows::new(ffn_rows, recipe.ffn)?,
            up: Rows::new(ffn_rows, recipe.ffn)?,
            result: Rows::new(rows, recipe.hidden)?,
            hidden_q: (0..recipe.hidden_inputs())
                .map(|_| Quantized::new(rows, recipe.hidden, groups.hidden))
                .collect::<Option<_>>()?,
            attended_q: Quantized::new(rows, recipe.q_dim(), groups.attended)?,
            ffn_q: Quantized::new(ffn_rows, recipe.ffn, groups.ffn)?,
            routing: match recipe.experts {
                Some(shape) => Some(Routing::new(recipe, shape, rows, members, groups)?),
                None => None,
            },
            last: Rows::new(capacity.logit_rows, recipe.hidden)?,
            last_q,
            logits: Rows::new(capacity.logit_rows, recipe.vocab)?,
            exact: match forms.head.exact() {
                true => Some(Exact::new(capacity.logit_rows, recipe.vocab)?),
                false => None,
            },
            partials: Shared::zeroed(slots.checked_mul(recipe.kv_heads)?.checked_mul(partial)?)?,
            slots,
            locals: PerMember::new(locals),
            rows: Vec::with_capacity(rows),
            parts: Vec::with_capacity(rows + slots),
            firsts: Vec::with_capacity(rows),
            wanted: Vec::with_capacity(capacity.logit_rows),
            states: Vec::with_capacity(rows),
            failure: Mutex::new(None),
        })
    }

    /// Lays the batch out. The caller has checked it against the capacity.
    pub(crate) fn prepare(&mut self, batch: &[Slice<'_>]) {
        self.rows.clear();
        self.parts.clear();
        self.firsts.clear();
        self.wanted.clear();
        self.states.clear();
        let mut slot = 0;
        for (i, slice) in batch.iter().enumerate() {
            let first = self.rows.len();
            self.firsts.push(first);
            for (token, id) in slice.tokens.iter().enumerate() {
                self.rows.push(Row {
                    slice: i,
                    token: *id,
                    position: slice.start + token,
                    spans: (0, 0),
                });
            }
            let n = slice.tokens.len();
            for token in (0..n).step_by(ATTEND_TOKENS) {
                let tokens = ATTEND_TOKENS.min(n - token);
                let block = Block {
                    slice: i,
                    row: first + token,
                    token,
                    tokens,
                };
                let spans = (slice.start + token + tokens).div_ceil(SPAN_TOKENS);
                if tokens > 1 || spans == 1 || slot + spans > self.slots {
                    self.parts.push(Part { block, span: None });
                    continue;
                }
                // The last span is the one that may be short: first come, longest first.
                self.parts.extend((0..spans).map(|span| Part {
                    block,
                    span: Some((span, slot + span)),
                }));
                self.rows[first + token].spans = (slot, spans);
                slot += spans;
            }
            self.wanted.extend(first + n - slice.wanted()..first + n);
            self.states.extend(first + n - slice.states()..first + n);
        }
    }

    /// The inputs of products of the residual stream that stand side by side.
    pub(super) fn hidden_inputs(&self) -> [&Quantized; 3] {
        let last = self.hidden_q.len() - 1;
        std::array::from_fn(|i| &self.hidden_q[i.min(last)])
    }

    /// Units of [`Step::compute_again`] for one row of logits.
    pub(super) fn exact_units(&self) -> usize {
        self.exact.as_ref().map_or(0, Exact::units)
    }

    /// Logits of the `i`-th wanted position of the last step.
    pub(crate) fn logits(&mut self, i: usize) -> &mut [f32] {
        let width = self.logits.width;
        &mut self.logits.data.get_mut()[i * width..(i + 1) * width]
    }

    /// The `i`-th wanted state of the last step.
    pub(crate) fn state(&mut self, i: usize) -> &[f32] {
        let (row, width) = (self.states[i], self.result.width);
        &self.result.data.get_mut()[row * width..(row + 1) * width]
    }

    /// The first kernel error of the last step.
    pub(crate) fn take_failure(&mut self) -> Option<KernelError> {
        self.failure
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take()
    }

    pub(crate) fn capacity(&self) -> Capacity {
        self.capacity
    }
}

/// What recurrent layers need.
pub(super) struct RecurrentBuffers {
    /// Normed hidden states, as they are before any transform.
    pub(super) normed: Rows,
    /// Queries, keys and values: products, then convolved.
    pub(super) qkv: Rows,
    pub(super) gate: Rows,
    /// What decides decay and write strength of every value head, then the two themselves.
    pub(super) rates: Rows,
    /// The result, normed and gated.
    pub(super) mixed: Rows,
    pub(super) mixed_q: Quantized,
}

impl RecurrentBuffers {
    fn new(rows: usize, hidden: usize, shape: &Recurrent, groups: Groups) -> Option<Self> {
        Some(Self {
            normed: Rows::new(rows, hidden)?,
            qkv: Rows::new(rows, shape.channels())?,
            gate: Rows::new(rows, shape.inner())?,
            rates: Rows::new(rows, 2 * shape.value_heads)?,
            mixed: Rows::new(rows, shape.inner())?,
            mixed_q: Quantized::new(rows, shape.inner(), groups.mixed)?,
        })
    }

    /// Floats of one row, without the int8 codes.
    fn row_floats(hidden: usize, shape: &Recurrent) -> usize {
        hidden + shape.channels() + 2 * shape.inner() + 2 * shape.value_heads
    }
}

/// Floats that one thread has to work in: two rows side by side, or a head of a recurrent layer
/// with the positions before.
fn row_floats(recipe: &Recipe) -> usize {
    let second = match recipe.hadamard {
        Some(_) => recipe.max_cols(),
        None => recipe.hidden,
    };
    let window = (recipe.recurrent).map_or(0, |shape| (shape.taps + 1) * shape.head_dim);
    (recipe.max_cols() + second).max(window)
}

/// The rows of the vocabulary that are computed again.
pub(super) struct Exact {
    /// `[logit row][tile]`: the largest logit of every tile of the head.
    pub(super) maxima: Rows,
    /// `[logit row][EXACT_ROWS]`: the rows chosen.
    pub(super) chosen: Shared<u32>,
    /// How many are chosen of a vocabulary of this size.
    pub(super) count: usize,
    /// Room to choose in, one a logit row: tiles, then rows.
    pub(super) candidates: Shared<u32>,
}

impl Exact {
    fn new(logit_rows: usize, vocab: usize) -> Option<Self> {
        let count = EXACT_ROWS.min(vocab);
        Some(Self {
            maxima: Rows::new(logit_rows, vocab.div_ceil(TILE_ROWS))?,
            chosen: Shared::zeroed(logit_rows.checked_mul(count)?)?,
            count,
            candidates: Shared::zeroed(logit_rows.checked_mul(vocab)?)?,
        })
    }

    fn units(&self) -> usize {
        self.count.div_ceil(EXACT_UNIT)
    }

    fn bytes(logit_rows: u64, vocab: u64) -> Option<u64> {
        let tiles = vocab.div_ceil(TILE_ROWS as u64);
        let values = tiles.checked_add(EXACT_ROWS as u64)?.checked_add(vocab)?;
        logit_rows.checked_mul(values)?.checked_mul(4)
    }
}

/// Slots for partial results: every sequence has at most one for each span of its pages, and one
/// more for the span it has begun.
fn span_slots(capacity: &Capacity) -> usize {
    if capacity.context <= SPAN_TOKENS {
        return 0;
    }
    let spans = capacity.kv_pages.div_ceil(SPAN_TOKENS / PAGE_TOKENS);
    spans.saturating_add(capacity.batch)
}

/// Floats of a partial result for a block of tokens; none when no past is that long.
fn span_floats(recipe: &Recipe, capacity: &Capacity) -> usize {
    if capacity.context <= SPAN_TOKENS {
        return 0;
    }
    ATTEND_TOKENS * attend_width(recipe.heads / recipe.kv_heads, recipe.head_dim, true)
}

/// Bytes that [`Buffers`] takes beyond rows of activations, logits and kernel scratch.
pub(crate) fn step_bytes(
    recipe: &Recipe,
    capacity: &Capacity,
    threads: usize,
    forms: Forms,
) -> Option<u64> {
    let partial = attend_width(recipe.heads, recipe.head_dim, true) as u64;
    let slots = (span_slots(capacity) as u64).checked_mul(partial)?;
    let locals = (2 * span_floats(recipe, capacity) as u64).checked_mul(threads as u64)?;
    // Beyond what every model has.
    let mut more = (row_floats(recipe) - recipe.max_cols() - recipe.hidden) as u64;
    more = more.checked_mul(threads as u64)?;
    let mut row = if recipe.gated_attention {
        recipe.q_rows()
    } else {
        0
    };
    let mut codes = 0;
    if let Some(shape) = &recipe.recurrent {
        let inner = shape.inner();
        let groups = recipe.weight_group.map_or(1, |group| inner / group.max(1));
        row += RecurrentBuffers::row_floats(recipe.hidden, shape) + 2 * groups;
        codes = padded_stride(inner);
    }
    let rows = (capacity.rows as u64).checked_mul((4 * row + codes) as u64)?;
    let exact = match forms.head.exact() {
        true => Exact::bytes(capacity.logit_rows as u64, recipe.vocab as u64)?,
        false => 0,
    };
    slots
        .checked_add(locals)?
        .checked_add(more)?
        .checked_mul(4)?
        .checked_add(rows)?
        .checked_add(exact)?
        .checked_add(Routing::bytes(recipe, capacity, threads)?)
}
