//! An answer on its way to a client.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;
use tritone_engine::{Cancel, Event, FinishReason, GenerateError, Likelihood, Timings};

use super::admission::Shared;
use super::cache::Recorder;
use crate::api::Finish;
use crate::guard::ClientId;
use crate::metrics::{Phase, Rejected};
use crate::{ApiError, ErrorKind};

/// How far an answer has come, for those who may end it.
pub(super) struct Meter {
    /// There once it is with the engine.
    pub(super) cancel: OnceLock<Cancel>,
    /// Nobody wants it any more.
    pub(super) gone: AtomicBool,
    /// Why it was ended, by us; 0 if it was not.
    reason: AtomicU8,
    /// Milliseconds since `born` when the client last took something.
    taken: AtomicU64,
    /// Events that wait to be taken.
    pub(super) untaken: AtomicUsize,
    /// Where it is: a [`Phase`].
    phase: AtomicU8,
    born: Instant,
}

const DEADLINE: u8 = 1;
const DRAINING: u8 = 2;
const UNREAD: u8 = 3;

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            cancel: OnceLock::new(),
            gone: AtomicBool::new(false),
            reason: AtomicU8::new(0),
            taken: AtomicU64::new(0),
            untaken: AtomicUsize::new(0),
            phase: AtomicU8::new(0),
            born: Instant::now(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn end(&self, reason: u8) {
        let _ = self
            .reason
            .compare_exchange(0, reason, Ordering::Relaxed, Ordering::Relaxed);
        if let Some(cancel) = self.cancel.get() {
            cancel.cancel();
        }
    }

    /// Nobody wants it any more.
    fn leave(&self) {
        self.gone.store(true, Ordering::Relaxed);
        if let Some(cancel) = self.cancel.get() {
            cancel.cancel();
        }
    }

    /// The server ends.
    pub(super) fn drain(&self) {
        self.end(DRAINING);
    }

    /// Whether the client has left things lying for longer than it may; ends the answer then.
    pub(super) fn is_unread(&self, events: usize, limit: Duration) -> bool {
        let silent = self
            .now()
            .saturating_sub(self.taken.load(Ordering::Relaxed));
        let unread =
            self.untaken.load(Ordering::Relaxed) > events && u128::from(silent) > limit.as_millis();
        if unread {
            self.end(UNREAD);
        }
        unread
    }

    pub(super) fn is_in(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn phase(&self) -> Phase {
        let phase = self.phase.load(Ordering::Relaxed);
        [Phase::Queued, Phase::Prefill, Phase::Decode]
            .into_iter()
            .find(|p| *p as u8 == phase)
            .unwrap_or(Phase::Decode)
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct End {
    /// For the client.
    pub finish: Finish,
    /// Counts and times.
    pub timings: Timings,
    /// It was given before and kept.
    pub repeated: bool,
}

/// What an answer says, in order: any number of the first two, then one of the last two.
#[derive(Clone, Debug)]
pub enum Update {
    /// It has begun, or has read more of its prompt: a sign of life.
    Reading,
    /// More text, and the token it came with.
    Text {
        /// Text; may be empty.
        text: String,
        /// The token.
        token: u32,
        /// How likely it was, if that was asked for.
        likelihood: Option<Box<Likelihood>>,
        /// Counts and times so far.
        timings: Timings,
    },
    /// It is complete.
    Finished(End),
    /// There is no answer, or no more of it.
    Failed(ApiError),
}

/// An answer on its way. Dropping it ends it within a chunk of its prompt, or a token.
pub struct AnswerStream {
    pub(super) shared: Arc<Shared>,
    pub(super) meter: Arc<Meter>,
    /// Where it stands in the queue: client and number.
    pub(super) place: Option<(ClientId, u64)>,
    pub(super) events: Source,
    /// When it has to be with the engine.
    pub(super) queue_deadline: Instant,
    /// When it has to be complete.
    pub(super) deadline: Instant,
    pub(super) recorder: Option<Recorder>,
    /// When the last token came.
    pub(super) last_token: Option<Instant>,
    /// How it was once its end was told.
    pub(super) over: bool,
    pub(super) timings: Timings,
}

/// Where events come from.
pub(super) enum Source {
    /// The engine.
    Engine(UnboundedReceiver<Event>),
    /// An answer that was kept.
    Kept(VecDeque<Event>),
}

impl AnswerStream {
    /// What comes next; `None` after the end.
    pub async fn next(&mut self) -> Option<Update> {
        if self.over {
            return None;
        }
        let event = match &mut self.events {
            Source::Kept(events) => events.pop_front(),
            Source::Engine(events) => loop {
                let waits = self.meter.cancel.get().is_none();
                let deadline = if waits {
                    self.queue_deadline.min(self.deadline)
                } else {
                    self.deadline
                };
                tokio::select! {
                    biased;
                    event = events.recv() => break event,
                    () = tokio::time::sleep_until(deadline.into()) => {}
                }
                if self.meter.cancel.get().is_some() {
                    if Instant::now() < self.deadline {
                        // It has left the queue meanwhile.
                        continue;
                    }
                    // The engine says when it has stopped.
                    self.meter.end(DEADLINE);
                    self.deadline += Duration::from_secs(60);
                    continue;
                }
                self.over = true;
                self.shared.metrics.rejected(Rejected::Deadline);
                let waited = self.shared.schedule.queue_time.as_secs_f64();
                let text =
                    format!("the server was busy for too long: the request waited {waited} s");
                let error = ApiError::new(ErrorKind::Unavailable, text).code("queue_timeout");
                return Some(Update::Failed(error.retry_after(Duration::from_secs(1))));
            },
        };
        let _ = self
            .meter
            .untaken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        self.meter.taken.store(self.meter.now(), Ordering::Relaxed);
        Some(self.update(event))
    }

    fn update(&mut self, event: Option<Event>) -> Update {
        if let (Some(recorder), Some(event)) = (&mut self.recorder, &event) {
            recorder.hear(event);
        }
        let metrics = &self.shared.metrics;
        match event {
            Some(Event::Prefill { .. }) => Update::Reading,
            Some(Event::Text {
                text,
                token,
                likelihood,
                timings,
            }) => {
                let now = Instant::now();
                let kept = matches!(self.events, Source::Kept(_));
                match self.last_token.replace(now) {
                    // It was not written now.
                    _ if kept => {}
                    _ if timings.generated_tokens == self.timings.generated_tokens => {}
                    Some(last) => metrics.inter_token(now - last),
                    None => metrics.first_token(self.meter.born.elapsed()),
                }
                self.timings = timings;
                Update::Text {
                    text,
                    token,
                    likelihood,
                    timings,
                }
            }
            Some(Event::Finished(finished)) => {
                self.over = true;
                self.timings = finished.timings;
                self.finished(&finished.reason)
            }
            Some(Event::Failed(error)) => {
                self.over = true;
                Update::Failed(failure(&error))
            }
            // Without an end: it was ended here, or never came to the engine, or the engine is gone.
            None => {
                self.over = true;
                if self.meter.cancel.get().is_none() {
                    Update::Failed(super::admission::draining())
                } else if self.meter.reason.load(Ordering::Relaxed) == 0 {
                    Update::Failed(failure(&GenerateError::Stopped))
                } else {
                    self.finished(&FinishReason::Cancelled)
                }
            }
        }
    }

    fn finished(&mut self, reason: &FinishReason) -> Update {
        let repeated = matches!(self.events, Source::Kept(_));
        let timings = self.timings;
        let metrics = &self.shared.metrics;
        if !repeated {
            metrics.prompt_tokens(timings.prompt_tokens, timings.cached_tokens);
            metrics.generated(timings.generated_tokens);
        }
        if let Some(finish) = Finish::of(reason) {
            if let Some(recorder) = self.recorder.take() {
                recorder.keep();
            }
            return Update::Finished(End {
                finish,
                timings,
                repeated,
            });
        }
        let phase = self.meter.phase();
        metrics.cancelled(phase);
        let finish = match self.meter.reason.load(Ordering::Relaxed) {
            DEADLINE => Finish::Deadline,
            DRAINING => Finish::Draining,
            _ => {
                let text = "the answer was ended because nobody read it";
                return Update::Failed(ApiError::new(ErrorKind::Slow, text).code("unread"));
            }
        };
        if phase != Phase::Decode {
            // There is nothing to give.
            let text = match finish {
                Finish::Draining => return Update::Failed(super::admission::draining()),
                _ => "the answer took longer than a request may",
            };
            let error = ApiError::new(ErrorKind::Unavailable, text).code("deadline");
            return Update::Failed(error);
        }
        Update::Finished(End {
            finish,
            timings,
            repeated,
        })
    }
}

impl Drop for AnswerStream {
    fn drop(&mut self) {
        self.meter.leave();
        // Dropped outside of the lock, which its seat takes.
        let waiting = self
            .place
            .and_then(|(client, id)| self.shared.lock().queue.remove(client, id));
        if !self.over {
            // What was written for somebody who left was written all the same.
            let timings = self.timings;
            if matches!(self.events, Source::Engine(_)) && timings.generated_tokens > 0 {
                let metrics = &self.shared.metrics;
                metrics.prompt_tokens(timings.prompt_tokens, timings.cached_tokens);
                metrics.generated(timings.generated_tokens);
            }
            let phase = if waiting.is_some() {
                Phase::Queued
            } else {
                self.meter.phase()
            };
            self.shared.metrics.cancelled(phase);
        }
    }
}

/// What the engine says, for a client: what is wrong with the request is a 400 that nobody need repeat.
#[must_use]
pub fn failure(error: &GenerateError) -> ApiError {
    let text = error.to_string();
    match error {
        GenerateError::PromptTooLong { .. } => {
            ApiError::invalid("messages", text).code("context_length_exceeded")
        }
        GenerateError::EmptyPrompt => ApiError::invalid("messages", text),
        GenerateError::NothingWanted => ApiError::invalid("max_tokens", text),
        GenerateError::BadToken { .. } => ApiError::invalid("prompt", text),
        GenerateError::Text(_) => ApiError::invalid("messages", text),
        GenerateError::Sample(_) => ApiError::invalid("logit_bias", text),
        GenerateError::Grammar(_) => ApiError::invalid("response_format", text),
        GenerateError::Step(_) => ApiError::new(ErrorKind::Internal, text),
        GenerateError::Cancelled => ApiError::new(ErrorKind::Unavailable, text),
        GenerateError::Stopped => ApiError::new(ErrorKind::Unavailable, text).closing(),
    }
}
