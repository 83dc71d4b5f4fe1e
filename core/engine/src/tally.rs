//! What an engine has done so far: counts and times that only grow.
//!
//! Written by the engine's thread as things happen, each with one relaxed addition, and read by
//! anybody at any time; two counts that are read together may be one event apart.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where the time of steps went, as the first thread of the team saw it; waiting for the others at the
/// end of a phase belongs to the phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepTimes {
    /// Ternary products, those of experts included.
    pub matmul: Duration,
    /// Keys and values into the cache and attention over it; recurrent states.
    pub attention: Duration,
    /// The output head.
    pub head: Duration,
    /// Embedding, norms, gates, quantisation, choice of experts.
    pub other: Duration,
}

impl StepTimes {
    /// All of them together.
    #[must_use]
    pub fn total(&self) -> Duration {
        [self.matmul, self.attention, self.head, self.other]
            .iter()
            .fold(Duration::ZERO, |sum, part| sum.saturating_add(*part))
    }

    /// What was added since `earlier`, a reading of the same engine; nothing where that is later.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            matmul: self.matmul.saturating_sub(earlier.matmul),
            attention: self.attention.saturating_sub(earlier.attention),
            head: self.head.saturating_sub(earlier.head),
            other: self.other.saturating_sub(earlier.other),
        }
    }
}

/// What an engine has done since it was started. Everything only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Steps: each computes some tokens of one or more sequences.
    pub steps: u64,
    /// Tokens of prompts that were computed.
    pub prompt_tokens: u64,
    /// Tokens of prompts that were found in the KV cache.
    pub cached_tokens: u64,
    /// Tokens that were generated.
    pub decoded_tokens: u64,
    /// Requests that were given a place; embeddings included, here and below.
    pub started: u64,
    /// Requests that ended by themselves.
    pub finished: u64,
    /// Requests that somebody cancelled, running or waiting.
    pub cancelled: u64,
    /// Requests that could not be completed.
    pub failed: u64,
    /// Answers whose first token has come.
    pub first_tokens: u64,
    /// From submission to the first token, all those answers together.
    pub first_token_sum: Duration,
    /// The same, of the last of them.
    pub first_token_last: Duration,
    /// Time of steps that computed tokens of a prompt.
    pub prefill_time: Duration,
    /// Time of steps that computed the next token of a sequence that writes. A step may be both.
    pub decode_time: Duration,
    /// Choosing tokens and handing them out, between steps.
    pub sampling_time: Duration,
    /// Where the time of steps went.
    pub step: StepTimes,
}

/// A sequence of the running batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceStatus {
    /// Positions in the KV cache.
    pub positions: usize,
    /// Positions it may come to take: its prompt and the longest answer that was asked for.
    pub most: usize,
    /// Tokens of its prompt.
    pub prompt: usize,
    /// Tokens it has generated.
    pub generated: usize,
}

/// The counts, shared between the engine's thread and whoever looks.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) steps: Count,
    pub(crate) prompt_tokens: Count,
    pub(crate) cached_tokens: Count,
    pub(crate) decoded_tokens: Count,
    pub(crate) started: Count,
    pub(crate) finished: Count,
    pub(crate) cancelled: Count,
    pub(crate) failed: Count,
    first_tokens: Count,
    first_token_sum: Count,
    first_token_last: AtomicU64,
    pub(crate) prefill_time: Count,
    pub(crate) decode_time: Count,
    pub(crate) sampling_time: Count,
}

/// A number that grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// Adds `more`.
    pub(crate) fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    /// Adds a time, in nanoseconds.
    pub(crate) fn add_time(&self, more: Duration) {
        self.0.fetch_add(nanoseconds(more), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn time(&self) -> Duration {
        Duration::from_nanos(self.get())
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Tally {
    /// The first token of an answer came, so long after its submission.
    pub(crate) fn first_token(&self, after: Duration) {
        self.first_tokens.add(1);
        self.first_token_sum.add_time(after);
        self.first_token_last
            .store(nanoseconds(after), Ordering::Relaxed);
    }

    /// The counts now, with the times inside steps.
    pub(crate) fn counters(&self, step: StepTimes) -> Counters {
        Counters {
            steps: self.steps.get(),
            prompt_tokens: self.prompt_tokens.get(),
            cached_tokens: self.cached_tokens.get(),
            decoded_tokens: self.decoded_tokens.get(),
            started: self.started.get(),
            finished: self.finished.get(),
            cancelled: self.cancelled.get(),
            failed: self.failed.get(),
            first_tokens: self.first_tokens.get(),
            first_token_sum: self.first_token_sum.time(),
            first_token_last: Duration::from_nanos(self.first_token_last.load(Ordering::Relaxed)),
            prefill_time: self.prefill_time.time(),
            decode_time: self.decode_time.time(),
            sampling_time: self.sampling_time.time(),
            step,
        }
    }
}
