//! The setting nearest to what was asked for that fits a memory limit.
//!
//! Everything that can be given up is tried together with everything else, each with the largest
//! context that then fits, and the combination that loses least is proposed. What it loses:
//!
//! * a shorter context changes no answer that fits it, so a little of it goes first; half of it counts
//!   as much as a 6-bit head;
//! * fewer sequences change no answer at all, but make them wait;
//! * an int8 KV cache rounds keys and values; it halves what grows with the context;
//! * a smaller head changes the logits: the perplexity of BitNet 2B4T goes from 17.11 (f16) to 17.12
//!   (q8), 17.15 (q6) and 17.35 (q4).

use tritone_abi::{Kernel, KvFormat, PAGE_TOKENS};

use crate::forms::{Forms, Head, kv_name};
use crate::plan::{Capacity, MemoryPlan};
use crate::recipe::Recipe;

/// Positions below which a context is no proposal, unless fewer were asked for.
const LEAST_CONTEXT: usize = 256;

/// A setting that fits a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Positions of one sequence.
    pub context: usize,
    /// Sequences that run together.
    pub batch: usize,
    /// Forms of the head and the KV cache.
    pub forms: Forms,
    /// What it takes in bytes.
    pub total: u64,
    /// What was asked for.
    asked: (Capacity, Forms),
}

impl Fit {
    /// The settings of a profile that differ from what was asked for, and their values, in the order
    /// in which they are said.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let (capacity, forms) = self.asked;
        let mut settings = Vec::new();
        if self.forms.kv != forms.kv {
            settings.push(("kv_type", kv_name(self.forms.kv).to_owned()));
        }
        if self.forms.head != forms.head {
            settings.push(("head", self.forms.head.to_string()));
        }
        if self.context != capacity.context {
            settings.push(("context", self.context.to_string()));
        }
        if self.batch != capacity.batch {
            settings.push(("batch", self.batch.to_string()));
        }
        settings
    }

    /// The same as flags of the command line: `--kv q8 --ctx 2048`; sequences, which have no flag
    /// of their own in every command, as words.
    #[must_use]
    pub fn flags(&self) -> String {
        let said = |(key, value): (&str, String)| match key {
            "kv_type" => format!("--kv {value}"),
            "head" => format!("--head {value}"),
            "context" => format!("--ctx {value}"),
            _ => format!("{value} of {} sequences", self.asked.0.batch),
        };
        let all: Vec<String> = self.settings().into_iter().map(said).collect();
        all.join(" ")
    }

    /// How much is given up, to compare: 1 is an int8 KV cache.
    fn loss(&self) -> f64 {
        let (capacity, forms) = self.asked;
        let halvings = |now: usize, before: usize| {
            libm::log2(before.max(1) as f64 / now.max(1) as f64).max(0.0)
        };
        let kv = if self.forms.kv == forms.kv { 0.0 } else { 1.0 };
        let head = match self.forms.head {
            head if head == forms.head => 0.0,
            Head::Q8 => 1.2,
            Head::Ternary => 1.5,
            Head::Q6 => 2.5,
            Head::Q4 | Head::Q4Exact | Head::F16 => 5.0,
        };
        kv + head
            + 2.5 * halvings(self.context, capacity.context)
            + 0.5 * halvings(self.batch, capacity.batch)
    }
}

/// What is planned, to be made smaller.
pub(crate) struct Wish<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) kernel: &'a dyn Kernel,
    pub(crate) threads: usize,
    pub(crate) capacity: Capacity,
    pub(crate) forms: Forms,
}

impl Wish<'_> {
    /// What it takes with other sizes and forms.
    fn total(&self, capacity: Capacity, forms: Forms) -> Option<u64> {
        MemoryPlan::unlimited(self.recipe, self.kernel, self.threads, capacity, forms)
            .map(|plan| plan.total())
    }

    /// The largest context, in whole pages or as asked for, with which it fits.
    fn largest(&self, capacity: Capacity, forms: Forms, limit: u64) -> Option<Fit> {
        let fit = |context: usize| {
            let total = self.total(capacity.with_context(context), forms)?;
            (total <= limit).then_some(Fit {
                context,
                batch: capacity.batch,
                forms,
                total,
                asked: (self.capacity, self.forms),
            })
        };
        if let Some(whole) = fit(capacity.context) {
            return Some(whole);
        }
        // Everything shrinks with the context, so the largest that fits can be bisected.
        let (mut best, mut most) = (None, 0);
        let mut not = capacity.context.div_ceil(PAGE_TOKENS);
        while most + 1 < not {
            let middle = most.midpoint(not);
            match fit(middle * PAGE_TOKENS) {
                Some(found) => (best, most) = (Some(found), middle),
                None => not = middle,
            }
        }
        best
    }

    /// The largest context that fits with the forms asked for.
    pub(crate) fn context(&self, limit: u64) -> Option<usize> {
        Some(self.largest(self.capacity, self.forms, limit)?.context)
    }

    /// The setting that fits and loses least.
    pub(crate) fn nearest(&self, limit: u64) -> Option<Fit> {
        let mut batches = vec![self.capacity.batch];
        while let Some(batch) = batches.last().filter(|batch| **batch > 1) {
            batches.push(batch / 2);
        }
        let smaller_kv = (self.forms.kv != KvFormat::Q8).then_some(KvFormat::Q8);
        let kvs = [Some(self.forms.kv), smaller_kv];
        let mut best: Option<Fit> = None;
        for batch in batches {
            let capacity = self.capacity.with_batch(batch);
            for kv in kvs.into_iter().flatten() {
                for head in self.heads() {
                    let found = self.largest(capacity, Forms { head, kv }, limit);
                    let least = LEAST_CONTEXT.min(self.capacity.context);
                    let found = found.filter(|fit| fit.context >= least);
                    let better = |fit: &Fit| best.is_none_or(|best| fit.loss() < best.loss());
                    if let Some(fit) = found.filter(better) {
                        best = Some(fit);
                    }
                }
            }
        }
        best
    }

    /// The form of the head that was asked for, and those that take less.
    fn heads(&self) -> Vec<Head> {
        let asked = self.forms.head;
        let can = |head: &Head| match head {
            Head::Ternary => self.recipe.ternary_head.is_some(),
            // It keeps the binary16 rows beside its own.
            Head::Q4Exact | Head::F16 => false,
            Head::Q8 | Head::Q6 | Head::Q4 => true,
        };
        let bytes = |head: Head| {
            let plan = (self.recipe, self.kernel, self.threads);
            let forms = Forms {
                head,
                kv: self.forms.kv,
            };
            Some(MemoryPlan::unlimited(plan.0, plan.1, plan.2, self.capacity, forms)?.head)
        };
        let now = bytes(asked);
        let smaller = Head::ALL.into_iter().filter(can);
        let smaller = smaller.filter(|head| match (bytes(*head), now) {
            (Some(bytes), Some(now)) => bytes < now,
            _ => false,
        });
        std::iter::once(asked).chain(smaller).collect()
    }
}
