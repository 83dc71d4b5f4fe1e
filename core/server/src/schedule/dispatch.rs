//! From the queue to the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tritone_engine::{Engine, Event, Request, Sink, Timings};

use super::admission::{Seat, Shared, Status};
use super::cache::{Cache, CacheStatus, Recorder, Repeatable};
use super::stream::{AnswerStream, Meter, Source};
use super::turn::Turn;
use crate::guard::ClientId;
use crate::metrics::{Metrics, Phase, Rejected};
use crate::{ApiError, Schedule};

/// Something that waits for the engine.
pub(super) struct Waiting {
    seat: Seat,
    meter: Arc<Meter>,
    work: Work,
    since: Instant,
}

enum Work {
    Answer(Box<Request>, UnboundedSender<Event>),
    /// Whoever waits does the work.
    Turn(oneshot::Sender<Seat>),
}

/// Takes requests, and brings them to the engine in turn.
pub struct Dispatcher {
    engine: Engine,
    shared: Arc<Shared>,
    cache: Arc<Cache>,
    ids: AtomicU64,
}

impl Dispatcher {
    /// A dispatcher for `engine`, and the task that runs it on the current tokio runtime. The task ends when the
    /// dispatcher has been drained and its last handle dropped.
    #[must_use]
    pub fn start(engine: Engine, schedule: Schedule, metrics: Arc<Metrics>) -> Arc<Self> {
        let cache = Arc::new(Cache::new(schedule.cache_bytes));
        let dispatcher = Arc::new(Self {
            engine,
            shared: Arc::new(Shared::new(schedule, metrics)),
            cache,
            ids: AtomicU64::new(0),
        });
        let (weak, shared) = (Arc::downgrade(&dispatcher), Arc::clone(&dispatcher.shared));
        tokio::spawn(async move {
            loop {
                shared.ready.notified().await;
                match weak.upgrade() {
                    Some(dispatcher) => dispatcher.dispatch(),
                    None => return,
                }
            }
        });
        dispatcher
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What happens right now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// How the cache of answers does.
    #[must_use]
    pub fn cache_status(&self) -> CacheStatus {
        self.cache.status()
    }

    /// Takes seats for `answers` answers of a client, of `tokens` tokens each as far as can be said. Nothing may be
    /// done for a request before it has them.
    ///
    /// # Errors
    /// When there is no room: 503, or 429 where it is the client's own share; with the time after which it is worth
    /// coming back.
    pub fn reserve(
        &self,
        client: ClientId,
        answers: usize,
        tokens: u64,
    ) -> Result<Vec<Seat>, ApiError> {
        self.shared.reserve(client, answers, tokens)
    }

    /// Queues an answer. `patience` is how long the client waits for it, where it says so; `repeatable` that the
    /// answer may be kept and given again.
    #[must_use]
    pub fn submit(
        &self,
        seat: Seat,
        request: Request,
        patience: Option<Duration>,
        repeatable: Option<Repeatable<'_>>,
    ) -> AnswerStream {
        let now = Instant::now();
        let schedule = &self.shared.schedule;
        let client = seat.client();
        let meter = Arc::new(Meter::new());
        let key = repeatable
            .filter(|_| self.cache.is_on())
            .map(|mark| mark.key(&request));
        let patience = patience.unwrap_or(Duration::MAX);
        let mut stream = AnswerStream {
            shared: Arc::clone(&self.shared),
            meter: Arc::clone(&meter),
            place: None,
            events: Source::Kept(Vec::new().into()),
            queue_deadline: now + schedule.queue_time.min(patience),
            deadline: now + schedule.total_time,
            recorder: None,
            last_token: None,
            over: false,
            timings: Timings::default(),
        };
        if let Some(key) = key {
            let kept = self.cache.get(&key);
            self.shared.metrics.response_cache(kept.is_some());
            if let Some(events) = kept {
                stream.events = Source::Kept(events.to_vec().into());
                return stream;
            }
            stream.recorder = Some(Recorder::new(Arc::clone(&self.cache), key));
        }
        let (sender, events) = unbounded_channel();
        stream.events = Source::Engine(events);
        let id = self.queue(seat, meter, Work::Answer(Box::new(request), sender));
        stream.place = Some((client, id));
        stream
    }

    /// Queues work that is no answer. It has to be done by `deadline`.
    #[must_use]
    pub fn turn(&self, seat: Seat, deadline: Instant) -> Turn {
        let client = seat.client();
        let (sender, seat_again) = oneshot::channel();
        let id = self.queue(seat, Arc::new(Meter::new()), Work::Turn(sender));
        Turn {
            shared: Arc::clone(&self.shared),
            place: (client, id),
            seat: seat_again,
            deadline,
        }
    }

    /// When a request that comes now has to be done.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.shared.schedule.total_time
    }

    fn queue(&self, seat: Seat, meter: Arc<Meter>, work: Work) -> u64 {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let client = seat.client();
        let waiting = Waiting {
            seat,
            meter,
            work,
            since: Instant::now(),
        };
        let refused = {
            let mut state = self.shared.lock();
            if state.draining {
                // It reserved its seat before; the seat takes the lock when it is dropped.
                Some(waiting)
            } else {
                state.queue.push(client, id, waiting);
                None
            }
        };
        match refused {
            Some(waiting) => refuse(waiting),
            // The common case: there is room, and nobody need wait for a task to wake up.
            None => self.dispatch(),
        }
        id
    }

    /// Brings to the engine what there is room for.
    fn dispatch(&self) {
        loop {
            let waiting = {
                let mut state = self.shared.lock();
                if state.running >= self.shared.schedule.slots {
                    return;
                }
                // A server that drains has emptied the queue, and nothing enters it any more.
                let Some((_, mut waiting)) = state.queue.pop() else {
                    return;
                };
                waiting.seat.begin(&mut state);
                state.meters.retain(|meter| meter.strong_count() > 0);
                state.meters.push(Arc::downgrade(&waiting.meter));
                waiting
            };
            self.begin(waiting);
        }
    }

    /// Hands something to the engine.
    fn begin(&self, waiting: Waiting) {
        let Waiting {
            seat,
            meter,
            work,
            since,
        } = waiting;
        self.shared.metrics.queued_for(since.elapsed());
        meter.is_in(Phase::Prefill);
        let handle = match work {
            Work::Answer(request, sender) => {
                let errors = sender.clone();
                let sink = sink(seat, Arc::clone(&meter), sender);
                self.engine.generate_into(*request, sink).map_err(|error| {
                    let _ = errors.send(Event::Failed(error));
                })
            }
            Work::Turn(sender) => {
                // Nobody may wait for it any more; then the seat is given back.
                let _ = sender.send(seat);
                return;
            }
        };
        if let Ok(handle) = handle {
            let cancel = meter.cancel.get_or_init(|| handle.cancel);
            if meter.gone.load(Ordering::Relaxed) {
                cancel.cancel();
            }
        }
    }

    /// Takes nothing more; what waits is refused, what runs goes on.
    pub fn drain(&self) {
        let waiting = {
            let mut state = self.shared.lock();
            state.draining = true;
            state.queue.drain()
        };
        waiting.into_iter().for_each(refuse);
    }

    /// Ends what still runs, after [`drain`](Self::drain); every answer says so in its last frame.
    pub fn end_all(&self) {
        let meters = std::mem::take(&mut self.shared.lock().meters);
        for meter in meters.iter().filter_map(std::sync::Weak::upgrade) {
            meter.drain();
        }
    }
}

/// Where events of an answer go. The seat is given back when the engine is done with it.
fn sink(seat: Seat, meter: Arc<Meter>, sender: UnboundedSender<Event>) -> Sink {
    let (events, limit) = (
        seat.shared.schedule.stream_events,
        seat.shared.schedule.unread_time,
    );
    Box::new(move |event| {
        // Part of the sink, so that it lives as long.
        let _seat = &seat;
        let last = event.is_last();
        if matches!(event, Event::Text { .. }) {
            meter.is_in(Phase::Decode);
        }
        meter.untaken.fetch_add(1, Ordering::Relaxed);
        let there = sender.send(event).is_ok();
        // What waits to be read is bounded by the tokens of an answer; a client that takes nothing for long has to go.
        there && (last || !meter.is_unread(events, limit))
    })
}

/// Says to something that waited that the server is about to end.
fn refuse(waiting: Waiting) {
    waiting.seat.shared.metrics.rejected(Rejected::Draining);
    match waiting.work {
        // Without an end, which the stream takes for what it is.
        Work::Answer(_, sender) => drop(sender),
        Work::Turn(sender) => drop(sender),
    }
    drop(waiting.seat);
}
