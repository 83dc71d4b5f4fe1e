//! The state that all requests share.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Semaphore;
use tritone_engine::Engine;

use super::control::Control;
use super::monitor::Monitor;
use super::phase::{Life, Phase};
use crate::guard::Guard;
use crate::metrics::{Metrics, Watchdog};
use crate::schedule::{Dispatcher, draining};
use crate::{ApiError, ErrorKind, Grammars, Limits, Schedule};

/// How a server behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What one request may ask for.
    pub limits: Limits,
    /// What all together may.
    pub schedule: Schedule,
    /// How long answers may go on after the server was asked to end.
    pub drain_time: Duration,
    /// How long clients may take to read what is on its way when everything else is done.
    pub close_time: Duration,
    /// Silence after which a stream gets a comment, so that a client that is gone is noticed.
    pub keep_alive: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            schedule: Schedule::default(),
            drain_time: Duration::from_secs(30),
            close_time: Duration::from_secs(2),
            keep_alive: Duration::from_secs(12),
        }
    }
}

/// A model that is loaded, and how to change what it runs on.
pub struct Live {
    /// The engine.
    pub engine: Engine,
    /// Answers it writes at once.
    pub slots: usize,
    /// What the model is called in requests.
    pub model: String,
    /// What names the weights: the same text, the same answers.
    pub content: String,
    /// Forms that its answers can be held to.
    pub grammars: Grammars,
    /// What the admin routes do.
    pub control: Box<dyn Control>,
}

impl Live {
    /// Whether a request may call the model so.
    fn is_called(&self, name: &str) -> bool {
        self.model == name
    }

    /// What answers depend on besides the request. The kernel is no part of it: every kernel gives the
    /// same answer.
    pub(super) fn fingerprint(&self) -> String {
        format!("tritone-{}", self.content)
    }
}

/// The state of a server.
pub(super) struct App {
    pub(super) config: Config,
    pub(super) guard: Guard,
    pub(super) metrics: Arc<Metrics>,
    /// Looks whether the engine moves while there is work.
    pub(super) watchdog: Mutex<Watchdog>,
    pub(super) life: Life,
    /// What was measured of machine and engine.
    pub(super) monitor: Monitor,
    pub(super) live: OnceLock<(Arc<Live>, Arc<Dispatcher>)>,
    /// Requests whose answers are not complete.
    pub(super) open: AtomicUsize,
    /// Held while something is changed: one change at a time.
    pub(super) changing: Mutex<()>,
    /// Room for bodies of requests, in bytes.
    pub(super) bodies: Arc<Semaphore>,
    pub(super) started: Instant,
    /// When that was, in seconds since 1970.
    pub(super) created: u64,
}

impl App {
    pub(super) fn new(config: Config, guard: Guard) -> Self {
        let limits = &config.limits;
        let bodies = limits
            .bodies_bytes
            .clamp(limits.body_bytes, Semaphore::MAX_PERMITS);
        let bodies = Arc::new(Semaphore::new(bodies));
        Self {
            config,
            guard,
            metrics: Arc::new(Metrics::new()),
            watchdog: Mutex::new(Watchdog::new(Instant::now())),
            life: Life::new(),
            monitor: Monitor::new(),
            live: OnceLock::new(),
            open: AtomicUsize::new(0),
            changing: Mutex::new(()),
            bodies,
            started: Instant::now(),
            created: unix_time(),
        }
    }

    /// The model is there: requests are taken from now on. Called on the runtime that answers are made on.
    pub(super) fn ready(&self, live: Live) {
        let schedule = Schedule {
            slots: live.slots,
            ..self.config.schedule.clone()
        };
        let metrics = Arc::clone(&self.metrics);
        let dispatcher = Dispatcher::start(live.engine.clone(), schedule, metrics);
        if self.live.set((Arc::new(live), dispatcher)).is_ok() {
            self.life.advance(Phase::Ready);
        }
    }

    /// Seconds since 1970.
    pub(super) fn now(&self) -> u64 {
        self.created + self.started.elapsed().as_secs()
    }

    /// Whether requests are taken, and by whom.
    fn taking(&self) -> Result<&(Arc<Live>, Arc<Dispatcher>), ApiError> {
        match self.life.phase() {
            Phase::Ready => self.live.get().ok_or_else(loading),
            Phase::Loading => Err(loading()),
            Phase::Draining | Phase::Over => Err(draining()),
        }
    }

    /// What brings requests to the engine, if they are taken now.
    pub(super) fn dispatcher(&self) -> Result<Arc<Dispatcher>, ApiError> {
        self.taking().map(|(_, dispatcher)| Arc::clone(dispatcher))
    }

    /// The model, if requests are taken now.
    pub(super) fn live(&self) -> Result<Arc<Live>, ApiError> {
        self.taking().map(|(live, _)| Arc::clone(live))
    }

    /// The model by the name a request has for it; a request may leave it out.
    pub(super) fn model(&self, name: Option<&str>) -> Result<Arc<Live>, ApiError> {
        let live = self.live()?;
        match name {
            Some(name) if !live.is_called(name) => Err(ApiError::new(
                ErrorKind::NotFound,
                format!(
                    "there is no model '{}' here: this server runs '{}'",
                    shortened(name),
                    live.model
                ),
            )
            .param("model")
            .code("model_not_found")),
            _ => Ok(live),
        }
    }
}

/// What a request sent, short and without control characters, to be shown to its sender.
pub(super) fn shortened(text: &str) -> String {
    let mut short: String = text.escape_debug().take(100).collect();
    if short.len() < text.len() && text.chars().nth(100).is_some() {
        short.push('…');
    }
    short
}

fn unix_time() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

pub(super) fn loading() -> ApiError {
    ApiError::new(
        ErrorKind::Unavailable,
        "the model is being loaded: try again soon",
    )
    .code("loading")
    .retry_after(Duration::from_secs(1))
}
