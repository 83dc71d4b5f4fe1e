//! How much memory a model takes, before it is loaded.

use std::fmt;

use tritone_abi::{Kernel, PAGE_TOKENS, ScratchNeed, padded_stride};

use crate::exec::{KvShape, RopeTables, step_bytes};
use crate::fit::{Fit, Wish};
use crate::forms::{Forms, Head, kv_name};
use crate::map::READ_AROUND;
use crate::recipe::{FeedForwardKind, LayerKind, Recipe};
use crate::weights::{Places, router_bytes, scale_bytes, ternary_head_bytes};

/// Rows of work that one step may hold, and what follows from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Positions of one sequence.
    pub context: usize,
    /// Sequences that run together.
    pub batch: usize,
    /// Rows of one step: all decodes and a prefill chunk.
    pub rows: usize,
    /// Rows of a step that may want logits.
    pub logit_rows: usize,
    /// Pages of the KV cache.
    pub kv_pages: usize,
    /// Recurrent states, where a model has them: one for every sequence, and copies to go back to.
    pub states: usize,
    /// Bytes that the program takes beside what a plan allows it: a screen.
    pub beside: u64,
}

impl Capacity {
    /// For `batch` sequences and chunks of `prefill_chunk` tokens.
    ///
    /// The cache holds one sequence of the whole context, and 512 positions (or the context, when
    /// it is shorter) for each further one: admission waits for pages, it does not overcommit.
    #[must_use]
    pub fn new(context: usize, batch: usize, prefill_chunk: usize) -> Self {
        let (context, batch) = (context.max(1), batch.max(1));
        let pages = |tokens: usize| tokens.div_ceil(PAGE_TOKENS);
        Self {
            context,
            batch,
            rows: prefill_chunk.clamp(1, context).saturating_add(batch - 1),
            logit_rows: batch,
            kv_pages: pages(context).saturating_add(pages(context.min(512)) * (batch - 1)),
            states: batch.saturating_add(1),
            beside: 0,
        }
    }

    /// The same batch and chunk with another context.
    #[must_use]
    pub fn with_context(&self, context: usize) -> Self {
        let chunk = self.rows.saturating_sub(self.batch - 1);
        let (logit_rows, states) = (self.logit_rows, self.states);
        Self {
            logit_rows,
            states,
            beside: self.beside,
            ..Self::new(context, self.batch, chunk)
        }
    }

    /// The same context and chunk with another number of sequences, of which each may want one row of
    /// logits.
    #[must_use]
    pub fn with_batch(&self, batch: usize) -> Self {
        if batch == self.batch {
            return *self;
        }
        let chunk = self.rows.saturating_sub(self.batch - 1);
        Self::new(self.context, batch, chunk).beside(self.beside)
    }

    /// The same for a program that takes so many bytes more.
    #[must_use]
    pub fn beside(self, bytes: u64) -> Self {
        Self {
            beside: bytes,
            ..self
        }
    }
}

/// Bytes of everything a model keeps in memory while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Packed ternary weights, and routers.
    pub weights: u64,
    /// Of them, the matrices of experts.
    pub experts: u64,
    /// Of so many experts a token uses some: how many, and of how many; 1 of 1 without.
    pub experts_used: (usize, usize),
    /// Output head; part of the mapped file when it is used as it stands.
    pub head: u64,
    /// Bytes of the head that one token reads.
    pub head_read: u64,
    /// KV cache.
    pub kv: u64,
    /// Recurrent states; 0 where a model has none.
    pub states: u64,
    /// Working memory of a step: activations, logits, tables, kernel scratch.
    pub scratch: u64,
    /// The program itself and what it keeps of the model beside the weights: an allowance for code,
    /// screen and conversation, the vocabulary, and rows of the embedding that are read from the file.
    pub program: u64,
    /// What the plan was made for.
    pub capacity: Capacity,
    /// Forms of the head and the KV cache.
    pub forms: Forms,
    /// Upper bound given by the profile.
    pub limit: Option<u64>,
    /// The largest context (multiple of 64) that would fit `limit`, if any does.
    pub fitting_context: Option<usize>,
    /// The setting nearest to this one that would fit `limit`, if any does.
    pub nearest: Option<Fit>,
}

impl MemoryPlan {
    /// Plans `recipe` on `kernel` with `threads` threads.
    ///
    /// Returns `None` when a size overflows or the kernel does not take a shape.
    #[must_use]
    pub fn new(
        recipe: &Recipe,
        kernel: &dyn Kernel,
        threads: usize,
        capacity: Capacity,
        forms: Forms,
        limit: Option<u64>,
    ) -> Option<Self> {
        let mut plan = Self::unlimited(recipe, kernel, threads, capacity, forms)?;
        plan.limit = limit;
        if let Some(limit) = limit.filter(|limit| plan.total() > *limit) {
            let wish = Wish {
                recipe,
                kernel,
                threads,
                capacity,
                forms,
            };
            plan.fitting_context = wish.context(limit);
            plan.nearest = wish.nearest(limit);
        }
        Some(plan)
    }

    /// [`new`](Self::new) without a limit.
    pub(crate) fn unlimited(
        recipe: &Recipe,
        kernel: &dyn Kernel,
        threads: usize,
        capacity: Capacity,
        forms: Forms,
    ) -> Option<Self> {
        let shape = KvShape {
            layers: recipe.kv_layers(),
            kv_heads: recipe.kv_heads,
            head_dim: recipe.head_dim,
            format: forms.kv,
        };
        let page = shape.page_bytes() as u64;
        let (head, head_read) = match forms.head {
            Head::Ternary => {
                let bytes = ternary_head_bytes(recipe, kernel)?;
                (bytes, bytes)
            }
            head => (
                head.bytes(recipe.vocab, recipe.hidden)?,
                head.token_bytes(recipe.vocab, recipe.hidden)?,
            ),
        };
        let places = Places::new(recipe, kernel)?;
        let routes = |layer: &&LayerKind| layer.feed_forward == FeedForwardKind::Experts;
        let routers = recipe.layers.iter().filter(routes).count() as u64;
        let router = match recipe.experts {
            Some(experts) => router_bytes(experts.count, recipe.hidden)?,
            None => 0,
        };
        Some(Self {
            weights: (places.bytes() as u64)
                .checked_add(scale_bytes(recipe))?
                .checked_add(recipe.float_bytes())?
                .checked_add(routers.checked_mul(router)?)?,
            experts: places.expert_bytes() as u64,
            experts_used: recipe.experts.map_or((1, 1), |e| (e.used, e.count)),
            head,
            head_read,
            kv: page.checked_mul(capacity.kv_pages as u64)?,
            states: recipe.state_bytes().checked_mul(capacity.states as u64)?,
            scratch: scratch(recipe, kernel, threads, &capacity, forms)?,
            program: program(recipe, threads, forms)?.checked_add(capacity.beside)?,
            capacity,
            forms,
            limit: None,
            fitting_context: None,
            nearest: None,
        })
    }

    /// All parts together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.weights + self.head + self.kv + self.states + self.scratch + self.program
    }

    /// Bytes of weights that a step reads for one token each of `sequences` sequences: all, but for
    /// the experts that none of them chooses, if each chooses at random.
    #[must_use]
    pub fn weights_read(&self, sequences: usize) -> u64 {
        let (used, count) = self.experts_used;
        let others = 1.0 - used as f64 / count.max(1) as f64;
        let chosen = 1.0 - libm::pow(others, sequences as f64);
        self.weights - self.experts + (self.experts as f64 * chosen).round() as u64
    }

    /// Whether the plan keeps its limit.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.limit.is_none_or(|limit| self.total() <= limit)
    }
}

/// Allowance for what is not planned in detail: code (25 MiB of a program without optimisation, which has
/// the most), threads, what the allocator keeps. What a screen takes beside comes with the capacity.
const PROGRAM: u64 = 40 << 20;

/// Bytes of the program, and of what it keeps of the model beside the weights.
fn program(recipe: &Recipe, threads: usize, forms: Forms) -> Option<u64> {
    // Measured: 80 bytes a token with the texts in the file; merges are texts in the file, too.
    let vocabulary = (64 * recipe.vocab as u64).checked_add(2 * recipe.header_bytes)?;
    let embedding = if recipe.keeps_embedding(forms.head) {
        0
    } else {
        // Rows are given back as they are read; every thread may read one, over two blocks of the file.
        let window = 2 * (READ_AROUND as u64).checked_mul(threads as u64)?;
        window.min(recipe.embedding_row.checked_mul(recipe.vocab as u64)?)
    };
    PROGRAM.checked_add(vocabulary)?.checked_add(embedding)
}

/// Bytes of step buffers, tables and kernel scratch.
fn scratch(
    recipe: &Recipe,
    kernel: &dyn Kernel,
    threads: usize,
    capacity: &Capacity,
    forms: Forms,
) -> Option<u64> {
    let rows = capacity.rows as u64;
    let slots = recipe.ffn_rows();
    let floats =
        2 * recipe.hidden + 2 * recipe.q_dim() + 2 * recipe.kv_dim() + 2 * recipe.ffn * slots;
    // One scale and one sum for every group of int8 activations.
    let groups = |cols: usize| recipe.weight_group.map_or(1, |group| cols / group.max(1));
    let scales = 8 * (groups(recipe.hidden) + groups(recipe.q_dim()) + groups(recipe.ffn) * slots);
    let bytes = scales
        + padded_stride(recipe.hidden) * recipe.hidden_inputs()
        + padded_stride(recipe.q_dim())
        + padded_stride(recipe.ffn) * slots
        + 4 * floats;
    let logits = capacity.logit_rows as u64 * (4 * (recipe.vocab + 2 * recipe.hidden)) as u64;
    let need = scratch_need(recipe, capacity);
    let local = kernel.scratch_bytes(&need) as u64 + 4 * (recipe.max_cols() + recipe.hidden) as u64;
    let rope = RopeTables::bytes(recipe, capacity.context);
    rows.checked_mul(bytes as u64)?
        .checked_add(logits)?
        .checked_add(local.checked_mul(threads as u64)?)?
        .checked_add(rope)?
        .checked_add(step_bytes(recipe, capacity, threads, forms)?)
}

/// The largest shapes a step of this capacity asks a kernel for.
pub(crate) fn scratch_need(recipe: &Recipe, capacity: &Capacity) -> ScratchNeed {
    ScratchNeed {
        max_cols: recipe.max_cols(),
        max_tokens: capacity.rows,
        max_heads: recipe.heads / recipe.kv_heads,
        max_head_dim: recipe.head_dim,
    }
}

/// Bytes for people, in the units that limits are given in: `1.21 GiB`, `345 MiB`, `12 KiB`.
#[must_use]
pub fn human_bytes(bytes: u64) -> String {
    const KIB: f64 = 1024.0;
    let bytes = bytes as f64;
    if bytes < KIB * KIB {
        format!("{:.0} KiB", bytes / KIB)
    } else if bytes < KIB * KIB * KIB {
        format!("{:.0} MiB", bytes / KIB / KIB)
    } else {
        format!("{:.2} GiB", bytes / KIB / KIB / KIB)
    }
}

impl fmt::Display for MemoryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "weights {}, head {} ({}), KV cache {} ({}, {} tokens), {}scratch {}, program {}: {}",
            human_bytes(self.weights),
            human_bytes(self.head),
            self.forms.head,
            human_bytes(self.kv),
            kv_name(self.forms.kv),
            self.capacity.kv_pages * PAGE_TOKENS,
            match self.states {
                0 => String::new(),
                states => format!(
                    "states {} (of {} sequences), ",
                    human_bytes(states),
                    self.capacity.states
                ),
            },
            human_bytes(self.scratch),
            human_bytes(self.program),
            human_bytes(self.total()),
        )?;
        let Some(limit) = self.limit.filter(|limit| self.total() > *limit) else {
            return Ok(());
        };
        write!(f, " of a limit of {}", human_bytes(limit))?;
        match &self.nearest {
            Some(fit) => {
                let total = human_bytes(fit.total);
                write!(f, "; `{}` would fit ({total})", fit.flags())?;
                let shorter = self.fitting_context.filter(|_| fit.forms != self.forms);
                if let Some(context) = shorter.filter(|context| *context != fit.context) {
                    write!(f, ", and so would `--ctx {context}` alone")?;
                }
                Ok(())
            }
            None => write!(
                f,
                "; nothing smaller fits: raise the limit (`--memory {}`), or choose a profile with more",
                self.total().div_ceil(1 << 20)
            ),
        }
    }
}
