//! One step of the decoder for a batch of sequence slices, prefill and decode mixed.
//!
//! # Phases
//!
//! Every line is a phase; a barrier stands between two lines. *Row* is one token of the batch.
//!
//! ```text
//! per row                 x = embedding
//! for every layer:
//!   per row               x += result of the layer before; norm, quantise
//!   per tile              q, k, v products
//!   per row and KV head   rotate; key and value into the cache
//!   per block of tokens
//!     and KV head         attention
//!   per row               sub-norm, quantise
//!   per tile              output product
//!   per row               x += result; norm, quantise
//!   per tile              gate and up products
//!   per row               gate * up, sub-norm, quantise
//!   per tile              down product
//! per wanted row          x += result; norm
//! per tile                head
//! ```
//!
//! **Phase rule**: a unit writes only memory that belongs to it (its row, its tile, its position
//! and head), and reads only what earlier phases wrote. Barriers separate phases, so no location
//! is written by one thread while another uses it.

use std::ops::Range;
use std::sync::Mutex;

use tritone_abi::{
    Activations, AttendArgs, HeadFormat, HeadInput, Kernel, KernelError, KvPage, MatOut,
    QuantizedRow, TernaryMatrix, head, padded_stride,
};
use tritone_formats::TensorView;

use super::kv::{KvCache, Pages};
use super::rope::RopeTable;
use super::shared::{AlignedBuf, PerMember, Shared};
use super::team::{Member, Poisoned};
use crate::model::Model;
use crate::plan::{Capacity, scratch_need};
use crate::recipe::Recipe;
use crate::weights::{Layer, Weights};

/// Which positions of a slice want logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// None: a part of a prompt that is not its end.
    Nothing,
    /// The last one.
    Last,
    /// All of them.
    All,
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
            Want::Nothing => 0,
            Want::Last => 1,
            Want::All => self.tokens.len(),
        }
    }
}

/// The embedding, or a row of it, is not what it was when the model was opened.
pub(crate) const NO_EMBEDDING: KernelError =
    KernelError::BadArgument("an embedding row cannot be read");

/// Tokens of one slice that one attention unit takes together.
const ATTEND_TOKENS: usize = 16;
/// Bytes of packed weights in one unit of a product with few tokens.
const TILE_BYTES: usize = 64 << 10;
/// Rows in one unit of a product with many tokens, and of the head.
const TILE_ROWS: usize = 64;

/// int8 activations of a step.
#[derive(Debug)]
struct Quantized {
    q: Shared<i8>,
    scales: Shared<f32>,
    sums: Shared<i32>,
    cols: usize,
    group: usize,
}

impl Quantized {
    fn new(rows: usize, cols: usize, group: usize) -> Option<Self> {
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
    unsafe fn row(&self, row: usize) -> QuantizedRow<'_> {
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
    unsafe fn rows(&self, rows: usize) -> Activations<'_> {
        let (stride, groups) = (padded_stride(self.cols), self.cols / self.group);
        // SAFETY: passed on to the caller.
        unsafe {
            Activations {
                tokens: rows,
                cols: self.cols,
                group: self.group,
                q: self.q.read(0, rows * stride),
                scales: self.scales.read(0, rows * groups),
                sums: self.sums.read(0, rows * groups),
            }
        }
    }
}

/// f32 rows of a step.
#[derive(Debug)]
struct Rows {
    data: Shared<f32>,
    width: usize,
}

impl Rows {
    fn new(rows: usize, width: usize) -> Option<Self> {
        Some(Self {
            data: Shared::zeroed(rows.checked_mul(width)?)?,
            width,
        })
    }

    /// # Safety
    /// Nobody writes this row in this phase.
    unsafe fn read(&self, row: usize) -> &[f32] {
        // SAFETY: passed on to the caller.
        unsafe { self.data.read(row * self.width, self.width) }
    }

    /// # Safety
    /// The row belongs to the caller in this phase.
    #[expect(clippy::mut_from_ref, reason = "the phase rule")]
    unsafe fn write(&self, row: usize) -> &mut [f32] {
        // SAFETY: passed on to the caller.
        unsafe { self.data.write(row * self.width, self.width) }
    }

    /// Columns `range` of `rows` rows from `first`, as the output of a kernel operation.
    ///
    /// # Safety
    /// The rectangle belongs to the caller in this phase.
    unsafe fn tile(&self, first: usize, rows: usize, range: Range<usize>) -> MatOut<'_> {
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
struct Local {
    scratch: AlignedBuf<u8>,
    row: Vec<f32>,
    pages: Vec<KvPage<'static>>,
}

/// One attention unit before KV heads are told apart: tokens of one slice.
#[derive(Clone, Copy, Debug)]
struct Block {
    slice: usize,
    /// First row of the batch.
    row: usize,
    /// First token of the slice.
    token: usize,
    tokens: usize,
}

/// One row of the batch.
#[derive(Clone, Copy, Debug)]
struct Row {
    slice: usize,
    token: u32,
    position: usize,
}

/// All buffers of a step; made once.
pub(crate) struct Buffers {
    capacity: Capacity,
    x: Rows,
    q: Rows,
    k: Rows,
    v: Rows,
    attended: Rows,
    gate: Rows,
    up: Rows,
    /// Result of the output or down product, not yet added to `x`.
    result: Rows,
    hidden_q: Quantized,
    attended_q: Quantized,
    ffn_q: Quantized,
    /// Normed hidden states of the rows that want logits, one after another.
    last: Rows,
    last_q: Option<Quantized>,
    logits: Rows,
    locals: PerMember<Local>,
    rows: Vec<Row>,
    blocks: Vec<Block>,
    wanted: Vec<usize>,
    failure: Mutex<Option<KernelError>>,
}

impl Buffers {
    /// Buffers for steps of `capacity` on `members` threads; `None` when memory does not suffice.
    pub(crate) fn new(
        recipe: &Recipe,
        kernel: &dyn Kernel,
        capacity: Capacity,
        members: usize,
        head: HeadFormat,
    ) -> Option<Self> {
        let rows = capacity.rows;
        let scratch = kernel.scratch_bytes(&scratch_need(recipe, &capacity));
        let pages = capacity.context.div_ceil(tritone_abi::PAGE_TOKENS);
        let local = || {
            Some(Local {
                scratch: AlignedBuf::zeroed(scratch)?,
                row: vec![0.0; recipe.max_cols()],
                pages: Vec::with_capacity(pages),
            })
        };
        let locals = (0..members).map(|_| local()).collect::<Option<Vec<_>>>()?;
        let last_q = match head {
            HeadFormat::F16 => None,
            _ => Some(Quantized::new(
                capacity.logit_rows,
                recipe.hidden,
                head::SCALE_COLS,
            )?),
        };
        Some(Self {
            capacity,
            x: Rows::new(rows, recipe.hidden)?,
            q: Rows::new(rows, recipe.q_dim())?,
            k: Rows::new(rows, recipe.kv_dim())?,
            v: Rows::new(rows, recipe.kv_dim())?,
            attended: Rows::new(rows, recipe.q_dim())?,
            gate: Rows::new(rows, recipe.ffn)?,
            up: Rows::new(rows, recipe.ffn)?,
            result: Rows::new(rows, recipe.hidden)?,
            hidden_q: Quantized::new(rows, recipe.hidden, recipe.hidden)?,
            attended_q: Quantized::new(rows, recipe.q_dim(), recipe.q_dim())?,
            ffn_q: Quantized::new(rows, recipe.ffn, recipe.ffn)?,
            last: Rows::new(capacity.logit_rows, recipe.hidden)?,
            last_q,
            logits: Rows::new(capacity.logit_rows, recipe.vocab)?,
            locals: PerMember::new(locals),
            rows: Vec::with_capacity(rows),
            blocks: Vec::with_capacity(rows),
            wanted: Vec::with_capacity(capacity.logit_rows),
            failure: Mutex::new(None),
        })
    }

    /// Lays the batch out. The caller has checked it against the capacity.
    pub(crate) fn prepare(&mut self, batch: &[Slice<'_>]) {
        self.rows.clear();
        self.blocks.clear();
        self.wanted.clear();
        for (i, slice) in batch.iter().enumerate() {
            let first = self.rows.len();
            for (token, id) in slice.tokens.iter().enumerate() {
                self.rows.push(Row {
                    slice: i,
                    token: *id,
                    position: slice.start + token,
                });
            }
            let n = slice.tokens.len();
            for token in (0..n).step_by(ATTEND_TOKENS) {
                let tokens = ATTEND_TOKENS.min(n - token);
                self.blocks.push(Block {
                    slice: i,
                    row: first + token,
                    token,
                    tokens,
                });
            }
            self.wanted.extend(first + n - slice.wanted()..first + n);
        }
    }

    /// Logits of the `i`-th wanted position of the last step.
    pub(crate) fn logits(&mut self, i: usize) -> &mut [f32] {
        let width = self.logits.width;
        &mut self.logits.data.get_mut()[i * width..(i + 1) * width]
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

/// Everything a step reads.
pub(crate) struct Step<'a> {
    pub(crate) model: &'a Model,
    /// Rows of the embedding, one a token.
    pub(crate) embedding: TensorView<'a>,
    pub(crate) weights: &'a Weights,
    pub(crate) kernel: &'a dyn Kernel,
    pub(crate) cache: &'a KvCache,
    pub(crate) rope: &'a RopeTable,
    pub(crate) buffers: &'a Buffers,
    pub(crate) batch: &'a [Slice<'a>],
}

/// Rows in one unit of a product.
fn tile_rows(kernel: &dyn Kernel, w: &TernaryMatrix<'_>, tokens: usize) -> usize {
    let align = kernel.facts().row_align.max(1);
    let rows = if tokens >= 8 {
        TILE_ROWS
    } else {
        TILE_BYTES * 4 / w.cols
    };
    (rows / align * align).max(align)
}

impl Step<'_> {
    /// The program every member runs.
    pub(crate) fn run(&self, m: &Member<'_>) -> Result<(), Poisoned> {
        let b = self.buffers;
        let rows = b.rows.len();
        self.units(m, rows, |row| self.embed(row))?;
        for (i, layer) in self.weights.layers.iter().enumerate() {
            self.units(m, rows, |row| {
                self.add_and_quantize(m, row, i > 0, &layer.attn_norm, &b.hidden_q)
            })?;
            self.products(
                m,
                &b.hidden_q,
                [(&layer.q, &b.q), (&layer.k, &b.k), (&layer.v, &b.v)],
            )?;
            let kv_heads = self.model.recipe.kv_heads;
            self.units(m, rows * kv_heads, |unit| self.store(unit, i))?;
            self.units(m, b.blocks.len() * kv_heads, |unit| self.attend(m, unit, i))?;
            self.units(m, rows, |row| self.quantize_attended(m, row, layer))?;
            self.products(m, &b.attended_q, [(&layer.o, &b.result)])?;
            self.units(m, rows, |row| {
                self.add_and_quantize(m, row, true, &layer.ffn_norm, &b.hidden_q)
            })?;
            self.products(m, &b.hidden_q, [(&layer.gate, &b.gate), (&layer.up, &b.up)])?;
            self.units(m, rows, |row| self.gate(m, row, layer))?;
            self.products(m, &b.ffn_q, [(&layer.down, &b.result)])?;
        }
        self.units(m, b.wanted.len(), |i| self.finish_row(i))?;
        let vocab = self.model.recipe.vocab;
        let tiles = if b.wanted.is_empty() {
            0
        } else {
            vocab.div_ceil(TILE_ROWS)
        };
        self.units(m, tiles, |tile| self.head(m, tile))
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

    /// The products of one input with several matrices, as one phase.
    fn products<const N: usize>(
        &self,
        m: &Member<'_>,
        input: &Quantized,
        parts: [(&crate::weights::Matrix, &Rows); N],
    ) -> Result<(), Poisoned> {
        let rows = self.buffers.rows.len();
        // SAFETY: the input was written in the phase before and is only read in this one.
        let x = unsafe { input.rows(rows) };
        let tile: [usize; N] =
            std::array::from_fn(|i| tile_rows(self.kernel, &parts[i].0.view(), rows));
        let counts: [usize; N] = std::array::from_fn(|i| parts[i].0.rows.div_ceil(tile[i]));
        self.units(m, counts.iter().sum(), |unit| {
            let (mut part, mut unit) = (0, unit);
            while unit >= counts[part] {
                unit -= counts[part];
                part += 1;
            }
            let (matrix, out) = parts[part];
            let range = unit * tile[part]..matrix.rows.min((unit + 1) * tile[part]);
            // SAFETY: the tile belongs to this unit alone.
            let mut out = unsafe { out.tile(0, rows, range) };
            // SAFETY: the only reference to this member's values in this unit.
            let local = unsafe { self.buffers.locals.get(m) };
            self.kernel
                .matmul(&matrix.view(), &x, &mut out, local.scratch.as_mut_slice())
        })
    }

    fn embed(&self, row: usize) -> Result<(), KernelError> {
        let token = self.buffers.rows[row].token as usize;
        // SAFETY: the row belongs to this unit.
        let x = unsafe { self.buffers.x.write(row) };
        let read = self.embedding.decode_row(token, x);
        read.map_err(|_| NO_EMBEDDING)
    }

    /// `x += result` (unless it is the first layer), norm and quantise.
    fn add_and_quantize(
        &self,
        m: &Member<'_>,
        row: usize,
        add: bool,
        norm: &[f32],
        out: &Quantized,
    ) -> Result<(), KernelError> {
        let b = self.buffers;
        // SAFETY: the row belongs to this unit.
        let x = unsafe { b.x.write(row) };
        if add {
            // SAFETY: written in the phase before, only read in this one.
            add_assign(x, unsafe { b.result.read(row) });
        }
        // SAFETY: the only reference to this member's values in this unit.
        let local = unsafe { b.locals.get(m) };
        let normed = &mut local.row[..x.len()];
        self.kernel
            .rms_norm(x, norm, self.model.recipe.eps, normed)?;
        // SAFETY: the row belongs to this unit.
        self.kernel
            .quantize(normed, out.group, &mut unsafe { out.row(row) })
    }

    /// Rotates queries and key of one KV head of one row, and stores key and value.
    fn store(&self, unit: usize, layer: usize) -> Result<(), KernelError> {
        let (b, recipe) = (self.buffers, &self.model.recipe);
        let (row, kv_head) = (unit / recipe.kv_heads, unit % recipe.kv_heads);
        let Row {
            slice, position, ..
        } = b.rows[row];
        let group = recipe.heads / recipe.kv_heads * recipe.head_dim;
        let rope = self.rope.at(position, recipe.head_dim);
        let head = kv_head * recipe.head_dim;
        // SAFETY: the queries of this row and KV head belong to this unit.
        let q = unsafe {
            b.q.data
                .write(row * recipe.q_dim() + kv_head * group, group)
        };
        self.kernel.rope(q, &rope)?;
        // SAFETY: the key of this row and head belongs to this unit.
        let k = unsafe {
            b.k.data
                .write(row * recipe.kv_dim() + head, recipe.head_dim)
        };
        self.kernel.rope(k, &rope)?;
        // SAFETY: written two phases before, only read in this one.
        let v = unsafe { b.v.data.read(row * recipe.kv_dim() + head, recipe.head_dim) };
        // SAFETY: this position, layer and head belongs to this unit, and is first read in the
        // next phase.
        unsafe {
            self.cache
                .write(self.batch[slice].pages, layer, kv_head, position, k, v)
        };
        Ok(())
    }

    fn attend(&self, m: &Member<'_>, unit: usize, layer: usize) -> Result<(), KernelError> {
        let (b, recipe) = (self.buffers, &self.model.recipe);
        let (block, kv_head) = (b.blocks[unit / recipe.kv_heads], unit % recipe.kv_heads);
        let slice = &self.batch[block.slice];
        let heads = recipe.heads / recipe.kv_heads;
        let (q_dim, group) = (recipe.q_dim(), heads * recipe.head_dim);
        let len = slice.start + block.token + 1;
        let count = (len + block.tokens - 1).div_ceil(tritone_abi::PAGE_TOKENS);
        // SAFETY: the only reference to this member's values in this unit.
        let local = unsafe { b.locals.get(m) };
        local.pages.clear();
        // SAFETY: the cache is not written in this phase.
        unsafe {
            self.cache
                .views(slice.pages, layer, kv_head, count, &mut local.pages)
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
            first: 0,
            len,
            window: 0,
            scale: 1.0 / (recipe.head_dim as f32).sqrt(),
            partial: false,
        };
        let columns = kv_head * group..(kv_head + 1) * group;
        // SAFETY: these rows' columns of this KV head belong to this unit.
        let mut out = unsafe { b.attended.tile(block.row, block.tokens, columns) };
        self.kernel
            .attend(&args, &mut out, local.scratch.as_mut_slice())
    }

    fn quantize_attended(
        &self,
        m: &Member<'_>,
        row: usize,
        layer: &Layer,
    ) -> Result<(), KernelError> {
        let b = self.buffers;
        // SAFETY: written in the phase before, only read in this one.
        let x = unsafe { b.attended.read(row) };
        // SAFETY: the row belongs to this unit.
        let mut out = unsafe { b.attended_q.row(row) };
        let Some(norm) = &layer.attn_sub_norm else {
            return self.kernel.quantize(x, b.attended_q.group, &mut out);
        };
        // SAFETY: the only reference to this member's values in this unit.
        let local = unsafe { b.locals.get(m) };
        let normed = &mut local.row[..x.len()];
        self.kernel
            .rms_norm(x, norm, self.model.recipe.eps, normed)?;
        self.kernel.quantize(normed, b.attended_q.group, &mut out)
    }

    fn gate(&self, m: &Member<'_>, row: usize, layer: &Layer) -> Result<(), KernelError> {
        let b = self.buffers;
        // SAFETY: `up` was written in the phase before and is only read in this one; the gate's
        // row, which serves as working memory for the norm, belongs to this unit.
        let (gate, up) = unsafe { (b.gate.write(row), b.up.read(row)) };
        // SAFETY: the only reference to this member's values in this unit.
        let local = unsafe { b.locals.get(m) };
        let product = &mut local.row[..gate.len()];
        self.kernel
            .gate(self.model.recipe.gate, gate, up, product)?;
        // SAFETY: the row belongs to this unit.
        let mut out = unsafe { b.ffn_q.row(row) };
        let Some(norm) = &layer.ffn_sub_norm else {
            return self.kernel.quantize(product, b.ffn_q.group, &mut out);
        };
        self.kernel
            .rms_norm(product, norm, self.model.recipe.eps, gate)?;
        self.kernel.quantize(gate, b.ffn_q.group, &mut out)
    }

    /// The final norm of the `i`-th row that wants logits.
    fn finish_row(&self, i: usize) -> Result<(), KernelError> {
        let b = self.buffers;
        let row = b.wanted[i];
        // SAFETY: every wanted row is one unit of this phase.
        let x = unsafe { b.x.write(row) };
        // SAFETY: written in the phase before, only read in this one.
        add_assign(x, unsafe { b.result.read(row) });
        // SAFETY: row `i` belongs to this unit.
        let out = unsafe { b.last.write(i) };
        self.kernel
            .rms_norm(x, &self.weights.output_norm, self.model.recipe.eps, out)?;
        match &b.last_q {
            None => Ok(()),
            // SAFETY: row `i` belongs to this unit.
            Some(q) => self.kernel.quantize(out, q.group, &mut unsafe { q.row(i) }),
        }
    }

    fn head(&self, m: &Member<'_>, tile: usize) -> Result<(), KernelError> {
        let b = self.buffers;
        let (vocab, hidden) = (self.model.recipe.vocab, self.model.recipe.hidden);
        let tokens = b.wanted.len();
        let input = if let Some(q) = &b.last_q {
            // SAFETY: written in the phase before, only read in this one.
            HeadInput::Int8(unsafe { q.rows(tokens) })
        } else {
            // SAFETY: as above.
            let x = unsafe { b.last.data.read(0, tokens * hidden) };
            HeadInput::F32 { x, tokens }
        };
        let range = tile * TILE_ROWS..vocab.min((tile + 1) * TILE_ROWS);
        // SAFETY: the tile belongs to this unit alone.
        let mut out = unsafe { b.logits.tile(0, tokens, range) };
        // SAFETY: the only reference to this member's values in this unit.
        let local = unsafe { b.locals.get(m) };
        let head = self.weights.head(self.model);
        self.kernel
            .head(&head, &input, &mut out, local.scratch.as_mut_slice())
    }
}

fn add_assign(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}
