//! Seats: what all requests together may ask for, counted before anything is done for them.
//!
//! One lock is held for every change, for some additions at a time; so a check and its reservation are one step, and
//! a burst cannot pass the check together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::dispatch::Waiting;
use super::queue::FairQueue;
use super::stream::Meter;
use crate::guard::ClientId;
use crate::metrics::{Metrics, Rejected};
use crate::{ApiError, ErrorKind, Schedule};

/// What happens in the scheduler right now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Answers with the engine.
    pub running: usize,
    /// Answers that wait for it, those that are still being prepared included.
    pub waiting: usize,
    /// Answers that the engine writes at once.
    pub slots: usize,
    /// Answers that may wait.
    pub queue_limit: usize,
    /// Tokens that waiting answers may take.
    pub tokens_waiting: u64,
    /// Nothing new is admitted.
    pub draining: bool,
}

/// What the lock protects.
#[derive(Default)]
pub(super) struct State {
    pub(super) queue: FairQueue<Waiting>,
    /// Seats taken: prepared, waiting and running answers.
    taken: usize,
    /// The same of each client that has any.
    held: HashMap<ClientId, usize>,
    /// Answers with the engine.
    pub(super) running: usize,
    tokens_waiting: u64,
    pub(super) draining: bool,
    /// Time an answer took, smoothed; zero before there was one.
    mean: Duration,
    /// Answers with the engine, to be told when the server ends.
    pub(super) meters: Vec<std::sync::Weak<Meter>>,
    /// Grows with every random number that is wanted.
    draws: u64,
}

/// What seats and places in the engine share; it knows no engine, so it may be dropped on the engine's own thread.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Something may begin.
    pub(super) ready: Notify,
    pub(super) schedule: Schedule,
    pub(super) metrics: Arc<Metrics>,
}

/// The longest that anybody is told to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The shortest.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

impl Shared {
    pub(super) fn new(schedule: Schedule, metrics: Arc<Metrics>) -> Self {
        Self {
            state: Mutex::default(),
            ready: Notify::new(),
            schedule,
            metrics,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn status(&self) -> Status {
        let state = self.lock();
        Status {
            running: state.running,
            waiting: state.taken - state.running,
            slots: self.schedule.slots,
            queue_limit: self.schedule.queue_max,
            tokens_waiting: state.tokens_waiting,
            draining: state.draining,
        }
    }

    /// Takes `answers` seats for `client`, whose answers may take `tokens` tokens each.
    pub(super) fn reserve(
        self: &Arc<Self>,
        client: ClientId,
        answers: usize,
        tokens: u64,
    ) -> Result<Vec<Seat>, ApiError> {
        let schedule = &self.schedule;
        let mut state = self.lock();
        let held = state.held.get(&client).copied().unwrap_or(0);
        let all_tokens = state
            .tokens_waiting
            .saturating_add(tokens.saturating_mul(answers as u64));
        // A client has all slots and half of the queue, so that others always find a place in it.
        let share = schedule.slots + schedule.queue_max.div_ceil(2);
        let (why, error) = if state.draining {
            (Rejected::Draining, draining())
        } else if state.taken + answers > schedule.slots + schedule.queue_max {
            let text = format!(
                "the server is busy: {} answers are being written and {} wait, as many as may",
                state.running,
                state.taken - state.running
            );
            (
                Rejected::QueueFull,
                ApiError::new(ErrorKind::Unavailable, text).code("queue_full"),
            )
        } else if held + answers > share {
            let text = format!(
                "{held} requests of this client are under way; with {answers} more they would be over its share of {share}"
            );
            (
                Rejected::ClientShare,
                ApiError::new(ErrorKind::RateLimit, text).code("client_share"),
            )
        } else if state.taken >= schedule.slots && all_tokens > schedule.queued_tokens_max {
            let text = format!(
                "the server is busy: {} tokens wait to be read or written, and {} may",
                state.tokens_waiting, schedule.queued_tokens_max
            );
            (
                Rejected::TokensFull,
                ApiError::new(ErrorKind::Unavailable, text).code("tokens_full"),
            )
        } else {
            state.taken += answers;
            *state.held.entry(client).or_default() += answers;
            state.tokens_waiting = all_tokens;
            let seat = |_| Seat {
                shared: Arc::clone(self),
                client,
                tokens,
                runs: None,
            };
            return Ok((0..answers).map(seat).collect());
        };
        let wait = state.expected_wait(schedule.slots, answers);
        drop(state);
        self.metrics.rejected(why);
        Err(error.retry_after(wait))
    }
}

impl State {
    /// How long it takes, as far as can be said, until `answers` more can begin; not the same for everybody, so
    /// that they do not all come back at once.
    fn expected_wait(&mut self, slots: usize, answers: usize) -> Duration {
        let mean = if self.mean.is_zero() {
            Duration::from_secs(1)
        } else {
            self.mean
        };
        let ahead = (self.taken + answers).saturating_sub(slots).max(1);
        let rounds = ahead.div_ceil(slots.max(1));
        let wait = mean.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX));
        // SplitMix64 of a counter: spread is wanted, not secrecy.
        self.draws = self.draws.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.draws;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let spread = 0.75 + 0.5 * ((x >> 40) as f64 / (1_u64 << 24) as f64);
        wait.min(LONGEST_WAIT)
            .mul_f64(spread)
            .clamp(SHORTEST_WAIT, LONGEST_WAIT)
    }
}

/// What a server that is about to end says.
pub(crate) fn draining() -> ApiError {
    ApiError::new(
        ErrorKind::Unavailable,
        "the server is about to end and takes no more requests",
    )
    .code("draining")
    // Another process may take its place by then.
    .retry_after(Duration::from_secs(1))
    .closing()
}

/// A seat for one answer, from before anything is done for it until it is complete. Dropping it gives it back.
pub struct Seat {
    pub(super) shared: Arc<Shared>,
    client: ClientId,
    tokens: u64,
    /// Since when it is with the engine.
    runs: Option<Instant>,
}

impl Seat {
    /// Whose it is.
    #[must_use]
    pub fn client(&self) -> ClientId {
        self.client
    }

    /// Puts what is now known in place of what was estimated.
    pub fn correct(&mut self, tokens: u64) {
        let mut state = self.shared.lock();
        state.tokens_waiting = state
            .tokens_waiting
            .saturating_sub(self.tokens)
            .saturating_add(tokens);
        self.tokens = tokens;
    }

    /// Lets others have the engine; it has to have [a turn](super::Dispatcher::turn) again before more is done.
    pub fn rest(&mut self) {
        if self.runs.take().is_none() {
            return;
        }
        let mut state = self.shared.lock();
        state.running = state.running.saturating_sub(1);
        state.tokens_waiting = state.tokens_waiting.saturating_add(self.tokens);
        drop(state);
        self.shared.ready.notify_one();
    }

    /// The answer goes to the engine now; `state` is locked by the caller.
    pub(super) fn begin(&mut self, state: &mut State) {
        self.runs = Some(Instant::now());
        state.running += 1;
        state.tokens_waiting = state.tokens_waiting.saturating_sub(self.tokens);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.taken = state.taken.saturating_sub(1);
        if let Some(held) = state.held.get_mut(&self.client) {
            *held -= 1;
            if *held == 0 {
                state.held.remove(&self.client);
            }
        }
        match self.runs {
            None => state.tokens_waiting = state.tokens_waiting.saturating_sub(self.tokens),
            Some(began) => {
                state.running = state.running.saturating_sub(1);
                let took = began.elapsed();
                state.mean = if state.mean.is_zero() {
                    took
                } else {
                    (state.mean * 7 + took) / 8
                };
            }
        }
        drop(state);
        self.shared.ready.notify_one();
    }
}
