//! Admission and turns: how many answers there may be, and which are written now.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tritone_engine::{Cancel, Engine, Event, Likelihood, Request, Timings};

use super::app::draining;
use super::refusal::refusal;
use crate::api::Finish;
use crate::{ApiError, ErrorKind, Schedule};

/// Events that may wait for a client, as a multiple of what it is said to read in time. Beyond that it does
/// not read at all, and its answer is given up.
const PATIENCE: usize = 16;

/// What an answer says.
#[derive(Debug)]
pub(super) enum Step {
    /// The prompt is being read.
    Reading,
    /// A token.
    Text {
        text: String,
        token: u32,
        likelihood: Option<Box<Likelihood>>,
        timings: Timings,
    },
    /// The end.
    Ended(Finish, Timings),
    /// It could not be given, or not completed.
    Failed(ApiError),
}

/// Answers there are, and their tokens.
#[derive(Debug, Default)]
struct Admitted {
    answers: usize,
    tokens: u64,
}

/// The queue before an engine.
pub(super) struct Queue {
    engine: Engine,
    schedule: Schedule,
    seats: Arc<Semaphore>,
    admitted: Mutex<Admitted>,
    closed: AtomicBool,
    /// Answers that run are to end now.
    stopped: AtomicBool,
    stop: Notify,
}

/// Room for the answers to a request. Dropped, it is free again.
pub(super) struct Ticket {
    queue: Arc<Queue>,
    answers: usize,
    tokens: u64,
}

impl Queue {
    pub(super) fn new(engine: Engine, schedule: Schedule) -> Arc<Self> {
        Arc::new(Self {
            seats: Arc::new(Semaphore::new(schedule.slots)),
            engine,
            schedule,
            admitted: Mutex::default(),
            closed: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            stop: Notify::new(),
        })
    }

    fn admitted(&self) -> MutexGuard<'_, Admitted> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers that run, and that wait.
    pub(super) fn counts(&self) -> (usize, usize) {
        let running = self.schedule.slots - self.seats.available_permits();
        (running, self.admitted().answers.saturating_sub(running))
    }

    /// Whether one more answer would be taken.
    pub(super) fn has_room(&self) -> bool {
        self.admitted().answers < self.schedule.slots + self.schedule.queue_max
    }

    /// Takes room for answers: looked at and taken in one step, before anything expensive is done for them.
    ///
    /// # Errors
    /// 503 when there is none, with the time after which there may be.
    pub(super) fn reserve(
        self: &Arc<Self>,
        answers: usize,
        tokens: u64,
    ) -> Result<Ticket, ApiError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(draining());
        }
        let mut admitted = self.admitted();
        let most = self.schedule.slots + self.schedule.queue_max;
        // A request that is alone is taken whatever it asks for; its own limits hold in any case.
        let full = admitted.answers + answers > most
            || (admitted.answers >= self.schedule.slots
                && admitted.tokens.saturating_add(tokens) > self.schedule.queued_tokens_max);
        if full && admitted.answers > 0 {
            let waiting = admitted.answers;
            drop(admitted);
            return Err(ApiError::new(
                ErrorKind::Unavailable,
                format!("the queue is full: {waiting} answers are being written or wait"),
            )
            .code("queue_full")
            .retry_after(self.wait(waiting)));
        }
        admitted.answers += answers;
        admitted.tokens = admitted.tokens.saturating_add(tokens);
        Ok(Ticket {
            queue: Arc::clone(self),
            answers,
            tokens,
        })
    }

    /// When it is worth coming back: a second for every answer that a slot has before it.
    fn wait(&self, waiting: usize) -> Duration {
        let seconds = waiting.div_ceil(self.schedule.slots.max(1)).clamp(1, 30);
        Duration::from_secs(seconds as u64)
    }

    /// Takes nothing more, and refuses what waits.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // Who waits for a seat is told that there will be none; who has one keeps it.
        self.seats.close();
    }

    /// Ends what runs.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.stop.notify_waiters();
    }

    /// A place in the engine, in its turn.
    ///
    /// # Errors
    /// 503 when it did not come in time, or the server is about to stop.
    pub(super) async fn seat(
        &self,
        patience: Option<Duration>,
    ) -> Result<OwnedSemaphorePermit, ApiError> {
        let time = self.schedule.queue_time;
        // Nobody is there any more when a client's own time is over.
        let time = patience.map_or(time, |patience| time.min(patience));
        let seat = Arc::clone(&self.seats).acquire_owned();
        match tokio::time::timeout(time, seat).await {
            Ok(Ok(seat)) => Ok(seat),
            Ok(Err(_)) => Err(draining()),
            Err(_) => Err(ApiError::new(
                ErrorKind::Unavailable,
                format!("no answer could be begun within {} s", time.as_secs_f64()),
            )
            .code("queue_timeout")
            .retry_after(self.wait(self.admitted().answers))),
        }
    }

    /// The answer to a request, in its turn.
    pub(super) fn answer(
        self: &Arc<Self>,
        request: Request,
        patience: Option<Duration>,
        deadline: Instant,
    ) -> Answers {
        Answers {
            queue: Arc::clone(self),
            patience,
            deadline,
            state: State::Waiting(Box::new(request)),
            timings: Timings::default(),
        }
    }
}

impl Ticket {
    /// The answers there is room for.
    pub(super) fn answers(&self) -> usize {
        self.answers
    }

    /// The number of tokens is known better now.
    pub(super) fn correct(&mut self, tokens: u64) {
        let mut admitted = self.queue.admitted();
        admitted.tokens = (admitted.tokens - self.tokens).saturating_add(tokens);
        self.tokens = tokens;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut admitted = self.queue.admitted();
        admitted.answers -= self.answers;
        admitted.tokens = admitted.tokens.saturating_sub(self.tokens);
    }
}

/// An answer, from the queue to its end. Dropped, it is cancelled, wherever it is.
pub(super) struct Answers {
    queue: Arc<Queue>,
    patience: Option<Duration>,
    deadline: Instant,
    state: State,
    timings: Timings,
}

enum State {
    Waiting(Box<Request>),
    Running {
        events: mpsc::Receiver<Event>,
        cancel: Cancel,
        _seat: OwnedSemaphorePermit,
    },
    Over,
}

impl Answers {
    /// What it says next; `None` after the end.
    pub(super) async fn next(&mut self) -> Option<Step> {
        if let State::Waiting(_) = self.state {
            let seat = self.queue.seat(self.patience).await;
            let State::Waiting(request) = std::mem::replace(&mut self.state, State::Over) else {
                return None;
            };
            match seat.and_then(|seat| self.begin(*request, seat)) {
                Ok(running) => self.state = running,
                Err(error) => return Some(Step::Failed(error)),
            }
        }
        let State::Running { events, .. } = &mut self.state else {
            return None;
        };
        let queue = Arc::clone(&self.queue);
        let stopped = queue.stop.notified();
        let event = if queue.stopped.load(Ordering::SeqCst) {
            Err(Finish::Draining)
        } else {
            tokio::select! {
                biased;
                event = events.recv() => Ok(event),
                () = stopped => Err(Finish::Draining),
                () = tokio::time::sleep_until(self.deadline) => Err(Finish::Deadline),
            }
        };
        let step = match event {
            Ok(Some(event)) => self.step(event),
            Ok(None) => Step::Failed(too_slow()),
            Err(finish) => Step::Ended(finish, self.timings),
        };
        if matches!(step, Step::Ended(..) | Step::Failed(_)) {
            self.end();
        }
        Some(step)
    }

    fn begin(&self, request: Request, seat: OwnedSemaphorePermit) -> Result<State, ApiError> {
        let room = self.queue.schedule.stream_events.max(1) * PATIENCE;
        let (sender, events) = mpsc::channel(room);
        // The engine's thread does not wait: a channel that is full ends the answer.
        let sink = Box::new(move |event| sender.try_send(event).is_ok());
        let handle = self.queue.engine.generate_into(request, sink);
        let handle = handle.map_err(|error| refusal(&error))?;
        Ok(State::Running {
            events,
            cancel: handle.cancel,
            _seat: seat,
        })
    }

    fn step(&mut self, event: Event) -> Step {
        match event {
            Event::Prefill { .. } => Step::Reading,
            Event::Text {
                text,
                token,
                likelihood,
                timings,
            } => {
                self.timings = timings;
                Step::Text {
                    text,
                    token,
                    likelihood,
                    timings,
                }
            }
            Event::Finished(finished) => match Finish::of(&finished.reason) {
                Some(finish) => Step::Ended(finish, finished.timings),
                None => Step::Failed(too_slow()),
            },
            Event::Failed(error) => Step::Failed(refusal(&error)),
        }
    }

    fn end(&mut self) {
        if let State::Running { cancel, .. } = std::mem::replace(&mut self.state, State::Over) {
            cancel.cancel();
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.end();
    }
}

fn too_slow() -> ApiError {
    ApiError::new(
        ErrorKind::Unavailable,
        "the answer was given up: nobody read it",
    )
    .code("unread")
}
