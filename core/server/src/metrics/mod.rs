//! What the server counts and times, and how it tells it: to Prometheus, and under the names of OpenTelemetry.
//!
//! Counting is one relaxed addition; nothing waits for it. No label has a value that a client could choose, so
//! there are always the same series, whatever is asked.

mod gauges;
mod histogram;
mod open_telemetry;
mod text;
mod watchdog;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use gauges::Gauges;
pub use histogram::Histogram;
pub use open_telemetry::open_telemetry;
pub use text::{Format, render};
pub use watchdog::Watchdog;

/// Why a request got no answer before it came to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// As many answers wait as may.
    QueueFull,
    /// As many tokens wait as may.
    TokensFull,
    /// The client has its share.
    ClientShare,
    /// The client asks too often.
    RateLimit,
    /// It waited for too long.
    Deadline,
    /// The server ends.
    Draining,
    /// The server is not ready yet.
    Loading,
    /// Body or headers are too long.
    TooLarge,
    /// No key, or a wrong one.
    Key,
    /// Something is wrong with the request.
    Invalid,
    /// A rule for what is asked.
    Filter,
}

impl Rejected {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::QueueFull,
        Self::TokensFull,
        Self::ClientShare,
        Self::RateLimit,
        Self::Deadline,
        Self::Draining,
        Self::Loading,
        Self::TooLarge,
        Self::Key,
        Self::Invalid,
        Self::Filter,
    ];

    /// The label's value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::TokensFull => "tokens_full",
            Self::ClientShare => "client_share",
            Self::RateLimit => "rate_limit",
            Self::Deadline => "deadline",
            Self::Draining => "draining",
            Self::Loading => "loading",
            Self::TooLarge => "too_large",
            Self::Key => "key",
            Self::Invalid => "invalid",
            Self::Filter => "filter",
        }
    }
}

/// How far an answer was when it was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waited.
    Queued,
    /// Its prompt was being read.
    Prefill,
    /// It was being written.
    Decode,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Queued, Self::Prefill, Self::Decode];

    /// The label's value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Prefill => "prefill",
            Self::Decode => "decode",
        }
    }
}

/// Routes that are counted by name; everything else is `other`.
pub(crate) const ROUTES: [&str; 8] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/models",
    "/tokenize",
    "/detokenize",
    "other",
];

/// Status codes that are counted by number; the others are counted as 500.
const STATUSES: [u16; 17] = [
    200, 204, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 431, 499, 500, 501, 503,
];

/// What has been counted since the server started.
#[derive(Debug)]
pub struct Metrics {
    requests: [[AtomicU64; STATUSES.len()]; ROUTES.len()],
    rejected: [AtomicU64; Rejected::ALL.len()],
    cancelled: [AtomicU64; Phase::ALL.len()],
    retries: AtomicU64,
    prompt_tokens: AtomicU64,
    cached_tokens: AtomicU64,
    generated_tokens: AtomicU64,
    response_queries: AtomicU64,
    response_hits: AtomicU64,
    first_token: Histogram,
    inter_token: Histogram,
    duration: Histogram,
    queue: Histogram,
    /// Since when it counts.
    pub(crate) started: Instant,
}

/// Bounds in seconds for what may take minutes on a processor.
const LONG: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0,
];
/// Bounds in seconds between two tokens.
const SHORT: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5, 10.0,
];

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            requests: Default::default(),
            rejected: Default::default(),
            cancelled: Default::default(),
            retries: AtomicU64::new(0),
            prompt_tokens: AtomicU64::new(0),
            cached_tokens: AtomicU64::new(0),
            generated_tokens: AtomicU64::new(0),
            response_queries: AtomicU64::new(0),
            response_hits: AtomicU64::new(0),
            first_token: Histogram::new(LONG),
            inter_token: Histogram::new(SHORT),
            duration: Histogram::new(LONG),
            queue: Histogram::new(LONG),
            started: Instant::now(),
        }
    }

    /// A request is over: its route as the router has it, the status it got (499 where the client left), and how
    /// long it took. Times are those of routes that are counted by name: probes, answered in microseconds every few
    /// seconds, would hide all others.
    pub fn request(&self, route: &str, status: u16, took: Duration) {
        let route = ROUTES
            .iter()
            .position(|name| *name == route)
            .unwrap_or(ROUTES.len() - 1);
        let status = STATUSES.iter().position(|code| *code == status);
        let status = status.or_else(|| STATUSES.iter().position(|code| *code == 500));
        if let Some(status) = status {
            add(&self.requests[route][status], 1);
        }
        if route < ROUTES.len() - 1 {
            self.duration.add(took);
        }
    }

    /// A request was refused.
    pub fn rejected(&self, why: Rejected) {
        add(&self.rejected[why as usize], 1);
    }

    /// An answer was cancelled.
    pub fn cancelled(&self, phase: Phase) {
        add(&self.cancelled[phase as usize], 1);
    }

    /// A client says that it tries again: the earliest sign of too much load.
    pub fn retry_seen(&self) {
        add(&self.retries, 1);
    }

    /// An answer has waited so long for its place in the engine.
    pub fn queued_for(&self, waited: Duration) {
        self.queue.add(waited);
    }

    /// From arrival to the first token.
    pub fn first_token(&self, took: Duration) {
        self.first_token.add(took);
    }

    /// Between two tokens of an answer.
    pub fn inter_token(&self, took: Duration) {
        self.inter_token.add(took);
    }

    /// Tokens of a prompt that was read, and how many of them were still known.
    pub fn prompt_tokens(&self, all: usize, cached: usize) {
        add(&self.prompt_tokens, all as u64);
        add(&self.cached_tokens, cached as u64);
    }

    /// Tokens that were written.
    pub fn generated(&self, tokens: usize) {
        add(&self.generated_tokens, tokens as u64);
    }

    /// An answer was looked for among those that are kept.
    pub fn response_cache(&self, found: bool) {
        add(&self.response_queries, 1);
        add(&self.response_hits, u64::from(found));
    }

    /// How often a request was refused for `why`.
    #[must_use]
    pub fn rejections(&self, why: Rejected) -> u64 {
        get(&self.rejected[why as usize])
    }

    /// How many answers were cancelled in `phase`.
    #[must_use]
    pub fn cancellations(&self, phase: Phase) -> u64 {
        get(&self.cancelled[phase as usize])
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_count_of_its_own() {
        for (at, why) in Rejected::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, at);
        }
        for (at, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase as usize, at);
        }
    }
}
