//! The model under measurement.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tritone_abi::Kernel;
use tritone_engine::{
    LoadError, LoadProgress, MemoryPlan, Model, Pages, Runner, RunnerOptions, Slice, StepError,
    Want,
};

use super::pin::{Held, Pins};

/// A loaded model with sequences whose caches are full of something.
pub(super) struct Subject {
    runner: Runner,
    /// The first one takes the whole context.
    sequences: Vec<Pages>,
    tokens: Vec<u32>,
    chunk: usize,
}

/// What the measurements need at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Positions of the first sequence.
    pub(super) context: usize,
    /// Sequences.
    pub(super) sequences: usize,
    /// Positions of every further sequence.
    pub(super) further: usize,
    /// Prompt tokens of a step.
    pub(super) chunk: usize,
}

impl Extent {
    /// The capacity of a runner for these measurements.
    pub(super) fn capacity(&self) -> tritone_engine::Capacity {
        let pages = |positions: usize| positions.div_ceil(tritone_abi::PAGE_TOKENS);
        let plain = tritone_engine::Capacity::new(self.context, self.sequences, self.chunk);
        tritone_engine::Capacity {
            kv_pages: pages(self.context) + pages(self.further) * (self.sequences - 1),
            states: self.sequences,
            ..plain
        }
    }
}

impl Subject {
    /// Loads `model` and fills the caches of all sequences.
    pub(super) fn load(
        model: &Arc<Model>,
        options: RunnerOptions,
        extent: Extent,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> anyhow::Result<Self> {
        let runner = Runner::load(Arc::clone(model), options, progress)?;
        let mut subject = Self {
            runner,
            sequences: Vec::with_capacity(extent.sequences),
            tokens: tokens(model.recipe().vocab, extent.context),
            chunk: extent.chunk.clamp(1, extent.context),
        };
        for i in 0..extent.sequences {
            let positions = if i == 0 {
                extent.context
            } else {
                extent.further
            };
            let pages = subject.runner.reserve(positions);
            let pages = pages.context("the KV cache has too few pages for the measurement")?;
            subject.sequences.push(pages);
        }
        subject.fill()?;
        Ok(subject)
    }

    /// Computes the first page and copies it over all others, so that what is decoded later has a
    /// past of any depth and no page is touched for the first time.
    fn fill(&mut self) -> Result<(), StepError> {
        let first = tritone_abi::PAGE_TOKENS.min(self.tokens.len());
        self.prefill(first, |_| true)?;
        for pages in &self.sequences {
            self.runner.repeat_page(&self.sequences[0], pages)?;
        }
        Ok(())
    }

    /// What it takes in memory.
    pub(super) fn plan(&self) -> &MemoryPlan {
        self.runner.plan()
    }

    /// Goes on with this kernel and so many threads, on their places if there are any.
    pub(super) fn adapt(
        &mut self,
        kernel: &Arc<dyn Kernel>,
        threads: usize,
        pins: Option<&Pins>,
    ) -> anyhow::Result<()> {
        if !Arc::ptr_eq(kernel, self.runner.kernel()) {
            self.runner.set_kernel(Arc::clone(kernel))?;
        }
        self.runner.set_threads(threads)?;
        if let Some(pins) = pins {
            // The caller's own thread stays free until a measurement holds it: what it starts before
            // then would inherit its place.
            self.runner.on_threads(&|thread| {
                if thread > 0 {
                    pins.pin(thread);
                }
            })?;
        }
        Ok(())
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
            self.step(0, 0, Some((start, end, end == count)))?;
            start = end;
        }
        Ok(Some(started.elapsed()))
    }

    /// Computes `count` positions of each of `sequences` sequences from `start` on, one step for one
    /// position of all, with logits, and says how long that took; `None` when `go_on` said no on
    /// the way. What the caches hold at these positions is computed again.
    pub(super) fn decode(
        &mut self,
        sequences: usize,
        start: usize,
        count: usize,
        mut go_on: impl FnMut(usize) -> bool,
    ) -> Result<Option<Duration>, StepError> {
        for pages in &self.sequences[..sequences] {
            self.runner.assume_position(pages, start);
        }
        let started = Instant::now();
        for done in 0..count {
            if !go_on(done) {
                return Ok(None);
            }
            let slices = decoding(&self.tokens, &self.sequences[..sequences], start + done);
            self.runner.step(&slices)?;
        }
        Ok(Some(started.elapsed()))
    }

    /// Times of steps in seconds: first `count` steps in which sequences 1 to `decoders` compute a
    /// position each, from `start` on, then those in which they go on while the first sequence reads
    /// a prompt of `prompt` tokens in chunks. `None` when `go_on` said no on the way.
    pub(super) fn mixed(
        &mut self,
        decoders: usize,
        start: usize,
        count: usize,
        prompt: usize,
        mut go_on: impl FnMut(usize) -> bool,
    ) -> Result<Option<[Vec<f64>; 2]>, StepError> {
        for pages in &self.sequences[1..decoders + 1] {
            self.runner.assume_position(pages, start);
        }
        let mut times = [Vec::with_capacity(count), Vec::new()];
        let chunks = prompt.div_ceil(self.chunk);
        for done in 0..count + chunks {
            if !go_on(done) {
                return Ok(None);
            }
            let chunk = done.checked_sub(count).map(|i| i * self.chunk);
            let piece = chunk.map(|first| {
                let end = prompt.min(first + self.chunk);
                (first, end, end == prompt)
            });
            let begin = Instant::now();
            self.step(decoders, start + done, piece)?;
            times[usize::from(piece.is_some())].push(begin.elapsed().as_secs_f64());
        }
        Ok(Some(times))
    }

    /// One step: position `position` of sequences 1 to `decoders`, and of the first sequence the
    /// positions of `piece` (from, to, whether the logits of the last are wanted).
    fn step(
        &mut self,
        decoders: usize,
        position: usize,
        piece: Option<(usize, usize, bool)>,
    ) -> Result<(), StepError> {
        let sequences = &self.sequences[1..decoders + 1];
        let mut slices = decoding(&self.tokens, sequences, position);
        if let Some((start, end, last)) = piece {
            slices.push(Slice {
                tokens: &self.tokens[start..end],
                start,
                pages: &self.sequences[0],
                want: if last { Want::Last } else { Want::Nothing },
            });
        }
        self.runner.step(&slices)
    }
}

/// The token at `position` of every sequence.
fn decoding<'a>(tokens: &'a [u32], sequences: &'a [Pages], position: usize) -> Vec<Slice<'a>> {
    let slice = |pages| Slice {
        tokens: &tokens[position..position + 1],
        start: position,
        pages,
        want: Want::Last,
    };
    sequences.iter().map(slice).collect()
}

/// Holds the calling thread in its place, if there is one.
pub(super) fn hold(pins: Option<&Pins>) -> Option<Held> {
    pins.map(Pins::hold)
}

/// Tokens from all over the vocabulary, always the same.
pub(super) fn tokens(vocab: usize, count: usize) -> Vec<u32> {
    // Knuth's multiplicative hash; the result is below the vocabulary's size, a u32.
    let token = |i: u64| (i.wrapping_mul(2_654_435_761) >> 7) % vocab.max(1) as u64;
    (1..=count as u64).map(|i| token(i) as u32).collect()
}

/// Mean bytes of keys and values that attention reads for one token when `count` tokens are decoded
/// from position `start` on, and the cache takes what `plan` says.
pub(super) fn kv_bytes(plan: &MemoryPlan, start: usize, count: usize) -> f64 {
    let positions = plan.capacity.kv_pages * tritone_abi::PAGE_TOKENS;
    plan.kv as f64 / positions as f64 * (start as f64 + (count as f64 + 1.0) / 2.0)
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
        assert_eq!(recipe.ternary_weights(), 4_718_592);
        let kernel = setup::registry(&Default::default()).best().unwrap();
        let capacity = tritone_engine::Capacity::new(100, 3, 10);
        let forms = tritone_engine::Forms::default();
        let plan = MemoryPlan::new(recipe, &*kernel, 1, capacity, forms, None).unwrap();
        // 6 layers, keys and values of 2 heads of 64 binary16 values.
        assert_eq!(kv_bytes(&plan, 0, 1), 3072.0);
        // Positions 10, 11, 12 see 11, 12, 13.
        assert_eq!(kv_bytes(&plan, 10, 3), 3072.0 * 12.0);
    }

    #[test]
    fn tokens_stay_in_the_vocabulary_and_differ() {
        let tokens = tokens(2048, 500);
        assert!(tokens.iter().all(|token| *token < 2048));
        let distinct: std::collections::BTreeSet<_> = tokens.iter().collect();
        assert!(distinct.len() > 300, "{}", distinct.len());
    }

    #[test]
    fn every_measurement_runs_at_the_edge_of_its_extent() {
        let model = Arc::new(Model::open(&setup::source(None)).unwrap());
        let kernel = setup::registry(&Default::default()).best().unwrap();
        let extent = Extent {
            context: 200,
            sequences: 4,
            further: 75,
            chunk: 32,
        };
        let options = RunnerOptions::new(Arc::clone(&kernel), extent.capacity());
        let mut subject = Subject::load(&model, options, extent, &mut |_| true).unwrap();
        assert!(subject.prefill(200, |_| true).unwrap().is_some());
        assert!(subject.decode(1, 190, 10, |_| true).unwrap().is_some());
        assert!(subject.decode(4, 70, 5, |_| true).unwrap().is_some());
        subject.adapt(&kernel, 2, None).unwrap();
        // 3 steps alone and 3 with pieces of 32, 32 and 6 tokens, positions 69 to 74.
        let times = subject.mixed(3, 69, 3, 70, |_| true).unwrap().unwrap();
        assert_eq!([times[0].len(), times[1].len()], [3, 3]);
        assert!(times.iter().flatten().all(|time| *time > 0.0));
        // Interrupted on the way.
        assert!(subject.decode(1, 0, 5, |done| done < 2).unwrap().is_none());
        assert!(subject.prefill(100, |done| done < 64).unwrap().is_none());
        assert!(
            subject
                .mixed(2, 0, 2, 64, |done| done < 3)
                .unwrap()
                .is_none()
        );
        // One position more than there is room for.
        assert!(subject.decode(4, 126, 3, |_| true).is_err());
    }
}
