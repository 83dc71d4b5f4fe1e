//! The model under measurement.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tritone_engine::{
    LoadError, LoadProgress, Model, Pages, Recipe, Runner, RunnerOptions, Slice, StepError, Want,
};

/// A loaded model with one sequence whose every position has been computed once.
pub(super) struct Subject {
    runner: Runner,
    pages: Pages,
    tokens: Vec<u32>,
    chunk: usize,
}

impl Subject {
    /// Loads `model` and reserves the whole context for one sequence.
    pub(super) fn load(
        model: &Arc<Model>,
        options: RunnerOptions,
        chunk: usize,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> anyhow::Result<Self> {
        let context = options.capacity.context;
        let mut runner = Runner::load(Arc::clone(model), options, progress)?;
        let pages = runner
            .reserve(context)
            .context("the KV cache has too few pages for the measurement")?;
        Ok(Self {
            runner,
            pages,
            tokens: tokens(model.recipe().vocab, context),
            chunk: chunk.clamp(1, context),
        })
    }

    /// What it takes in memory.
    pub(super) fn plan(&self) -> &tritone_engine::MemoryPlan {
        self.runner.plan()
    }

    /// Computes the first `count` positions in chunks, with the logits of the last one, and says
    /// how long that took; `None` when `go_on` said no on the way.
    pub(super) fn prefill(
        &mut self,
        count: usize,
        mut go_on: impl FnMut(usize) -> bool,
    ) -> Result<Option<Duration>, StepError> {
        let started = Instant::now();
        let mut start = 0;
        while start < count {
            if !go_on(start) {
                return Ok(None);
            }
            let end = count.min(start + self.chunk);
            let want = if end == count {
                Want::Last
            } else {
                Want::Nothing
            };
            self.step(start, end, want)?;
            start = end;
        }
        Ok(Some(started.elapsed()))
    }

    /// Computes `count` positions from `start` on one by one, with logits, and says how long that
    /// took; `None` when `go_on` said no on the way. All positions before must be in the cache;
    /// what `prefill` computed for these positions is computed again.
    pub(super) fn decode(
        &mut self,
        start: usize,
        count: usize,
        mut go_on: impl FnMut(usize) -> bool,
    ) -> Result<Option<Duration>, StepError> {
        let started = Instant::now();
        for done in 0..count {
            if !go_on(done) {
                return Ok(None);
            }
            self.step(start + done, start + done + 1, Want::Last)?;
        }
        Ok(Some(started.elapsed()))
    }

    fn step(&mut self, start: usize, end: usize, want: Want) -> Result<(), StepError> {
        self.runner.step(&[Slice {
            tokens: &self.tokens[start..end],
            start,
            pages: &self.pages,
            want,
        }])
    }
}

/// Tokens from all over the vocabulary, always the same.
fn tokens(vocab: usize, count: usize) -> Vec<u32> {
    // Knuth's multiplicative hash; the result is below the vocabulary's size, a u32.
    let token = |i: u64| (i.wrapping_mul(2_654_435_761) >> 7) % vocab.max(1) as u64;
    (1..=count as u64).map(|i| token(i) as u32).collect()
}

/// Ternary multiply-adds for one token.
pub(super) fn ternary_macs(recipe: &Recipe) -> u64 {
    let matrices = recipe.matrices();
    let layer: u64 = matrices
        .iter()
        .map(|(_, rows, cols)| *rows as u64 * *cols as u64)
        .sum();
    layer * recipe.layers as u64
}

/// Mean bytes of keys and values (binary16) that attention reads for one token when `count` tokens
/// are decoded from position `start` on.
pub(super) fn kv_bytes(recipe: &Recipe, start: usize, count: usize) -> f64 {
    let position = 2 * 2 * recipe.kv_dim() * recipe.layers;
    position as f64 * (start as f64 + (count as f64 + 1.0) / 2.0)
}

/// Says whether a failure to load is the user's wish.
pub(super) fn is_cancelled(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(LoadError::Cancelled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::setup;

    #[test]
    fn work_is_counted_as_the_shape_says() {
        let model = Model::open(&setup::source(None)).unwrap();
        let recipe = model.recipe();
        // The model card: 4,718,592 ternary weights.
        assert_eq!(ternary_macs(recipe), 4_718_592);
        // 6 layers, keys and values of 2 heads of 64 binary16 values.
        assert_eq!(kv_bytes(recipe, 0, 1), 3072.0);
        // Positions 10, 11, 12 see 11, 12, 13.
        assert_eq!(kv_bytes(recipe, 10, 3), 3072.0 * 12.0);
    }

    #[test]
    fn tokens_stay_in_the_vocabulary_and_differ() {
        let tokens = tokens(2048, 500);
        assert!(tokens.iter().all(|token| *token < 2048));
        let distinct: std::collections::BTreeSet<_> = tokens.iter().collect();
        assert!(distinct.len() > 300, "{}", distinct.len());
    }
}
