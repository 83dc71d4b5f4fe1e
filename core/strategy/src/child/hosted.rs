//! A model at a server that is a program of this machine: what all strategies that start one have in common.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tritone_engine::{LoadProgress, Request};

use super::contact::{ended, endpoint, explain, probe, told};
use super::guard::Guard;
use super::launch::Launch;
use super::server::{Server, Standing};
use crate::answer::Answer;
use crate::deployment::{Deployed, Deployment, ModelRef};
use crate::error::{Fault, StrategyError};
use crate::health::{Health, State};
use crate::ledger::{Ledger, Performance};
use crate::remote::{Dialect, Remote};
use crate::strategy::Strategy as _;

/// Answers that wait for a seat at the server.
const QUEUE: usize = 64;

/// What is known of a model before its server runs, and how it is spoken to.
#[derive(Clone)]
pub(crate) struct Card {
    /// Facts; what the server says fills gaps.
    pub(crate) deployed: Deployed,
    /// The name that the server is asked with; empty for the one it gives.
    pub(crate) model: String,
    /// How it is spoken to.
    pub(crate) dialect: Dialect,
    /// Answers that it writes at once, at least 1.
    pub(crate) seats: usize,
    /// Longest silence within an answer.
    pub(crate) silence: Duration,
}

/// The server of one strategy, if one runs.
pub(crate) struct Hosted {
    name: &'static str,
    guard: Guard,
    ledger: Arc<Ledger>,
    running: Mutex<Option<Arc<Running>>>,
}

struct Running {
    server: Arc<Server>,
    card: Card,
    /// Whether the server takes `stream_options`.
    stream_options: bool,
    seats: Arc<Semaphore>,
    remote: Mutex<(u64, Arc<Remote>)>,
}

impl Hosted {
    pub(crate) fn new(name: &'static str, guard: Guard) -> Self {
        Self {
            name,
            guard,
            ledger: Arc::default(),
            running: Mutex::default(),
        }
    }

    fn running(&self) -> Option<Arc<Running>> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.clone()
    }

    /// Starts a server instead of the one that runs, and returns when it has written a token.
    pub(crate) fn deploy(
        &self,
        launch: Launch,
        card: Card,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Deployed, StrategyError> {
        // One at a time: memory may not hold both.
        self.shutdown();
        let server = Server::start(launch, self.guard.clone(), progress)?;
        let running = Running::first(Arc::new(server), card, &self.ledger, progress)?;
        let deployed = running.card.deployed.clone();
        let mut place = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(Arc::new(running));
        Ok(deployed)
    }

    pub(crate) fn deployed(&self) -> Option<Deployed> {
        Some(self.running()?.card.deployed.clone())
    }

    fn remote(&self) -> Result<(Arc<Running>, Arc<Remote>), StrategyError> {
        let running = self
            .running()
            .ok_or_else(|| StrategyError::not_deployed(self.name))?;
        let remote = running.remote(&self.ledger)?;
        Ok((running, remote))
    }

    pub(crate) fn generate(&self, mut request: Request) -> Result<Answer, StrategyError> {
        let (running, remote) = self.remote()?;
        if running.waiting() >= QUEUE {
            let text = format!("{QUEUE} answers wait for {} already", self.name);
            return Err(StrategyError::new(Fault::Busy, text).remedy("try again in a moment"));
        }
        // Servers have their own ideas of how much is too much; without end is one of them.
        let context = running.card.deployed.context.unwrap_or(4096);
        request.max_tokens = Some(request.max_tokens.unwrap_or(context).min(context));
        remote.generate(request)
    }

    pub(crate) fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, StrategyError> {
        self.remote()?.1.embed(texts)
    }

    pub(crate) fn performance(&self) -> Performance {
        let pid = self.running().and_then(|running| running.pid());
        self.ledger
            .performance(pid.and_then(tritone_machine::resident_bytes_of))
    }

    /// By the process and by the answers that are written: servers of this kind answer no question while they are
    /// busy.
    pub(crate) fn health(&self) -> Health {
        let Some(running) = self.running() else {
            return Health::new(State::Off, format!("{} runs no model", self.name));
        };
        match running.server.standing() {
            Standing::Ready(_) => Health::new(
                State::Ready,
                format!(
                    "{}, {} of {} answers at once",
                    running.card.deployed.runs_on,
                    running.card.seats - running.seats.available_permits(),
                    running.card.seats
                ),
            ),
            Standing::Down { why, again } => {
                Health::new(State::Starting, format!("{why}; {}", told(again)))
            }
            Standing::Over { why } => Health::new(State::Unhealthy, why),
        }
    }

    /// Ends the server; nothing of it is left when this returns.
    pub(crate) fn shutdown(&self) {
        let mut place = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let running = place.take();
        drop(place);
        if let Some(running) = running {
            running.server.stop();
        }
    }
}

impl Running {
    /// The first contact with a server: whether it answers, and what it calls its model.
    fn first(
        server: Arc<Server>,
        mut card: Card,
        ledger: &Arc<Ledger>,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Self, StrategyError> {
        let Standing::Ready(place) = server.standing() else {
            return Err(ended(&server));
        };
        let seats = Arc::new(Semaphore::new(card.seats));
        let explain = explain(&server, place.turn, &seats, card.seats);
        let mut stream_options = true;
        let remote = loop {
            let remote = Remote::new(endpoint(&place, &card, stream_options))?;
            let fresh: Arc<Ledger> = Arc::default();
            let remote = remote.hosted(fresh, Arc::clone(&seats), Arc::clone(&explain));
            let wanted = Deployment::of(ModelRef::Named(card.model.clone()));
            let said = remote
                .deploy_model(&wanted, &mut |_| true)
                .map_err(&*explain)?;
            card.fill(said);
            remote.adopt(card.wire(), card.dialect);
            match probe(&remote, progress) {
                Ok(()) => break remote,
                Err(error) if error.fault == Fault::Cancelled => return Err(error),
                Err(_) if !matches!(server.standing(), Standing::Ready(_)) => {
                    return Err(ended(&server));
                }
                // Nobody says which field it was that a server does not take: the one that may be left out is.
                Err(_) if stream_options => stream_options = false,
                Err(error) => return Err(error),
            }
        };
        let remote = remote.hosted(Arc::clone(ledger), Arc::clone(&seats), explain);
        Ok(Self {
            remote: Mutex::new((place.turn, Arc::new(remote))),
            server,
            card,
            stream_options,
            seats,
        })
    }

    /// Answers that wait for a seat. A remote of the last start may have some too; they end by themselves.
    fn waiting(&self) -> usize {
        let remote = self.remote.lock().unwrap_or_else(PoisonError::into_inner);
        remote.1.in_flight().saturating_sub(self.card.seats)
    }

    fn pid(&self) -> Option<u32> {
        match self.server.standing() {
            Standing::Ready(place) => Some(place.pid),
            _ => None,
        }
    }

    /// The way to the server as it runs now.
    fn remote(&self, ledger: &Arc<Ledger>) -> Result<Arc<Remote>, StrategyError> {
        let Standing::Ready(place) = self.server.standing() else {
            return Err(ended(&self.server));
        };
        let mut remote = self.remote.lock().unwrap_or_else(PoisonError::into_inner);
        if remote.0 != place.turn {
            let explain = explain(&self.server, place.turn, &self.seats, self.card.seats);
            let new = Remote::new(endpoint(&place, &self.card, self.stream_options))?.hosted(
                Arc::clone(ledger),
                Arc::clone(&self.seats),
                explain,
            );
            new.adopt(self.card.wire(), self.card.dialect);
            *remote = (place.turn, Arc::new(new));
        }
        Ok(Arc::clone(&remote.1))
    }
}

impl Card {
    /// Fills gaps with what the server says.
    fn fill(&mut self, said: Deployed) {
        let known = &mut self.deployed;
        if self.model.is_empty() {
            self.model = said.model;
        }
        known.parameters = known.parameters.or(said.parameters);
        known.context = known.context.or(said.context);
        known.file_bytes = known.file_bytes.or(said.file_bytes);
    }

    /// The card under the name that the server is asked with.
    fn wire(&self) -> Deployed {
        Deployed {
            model: self.model.clone(),
            ..self.deployed.clone()
        }
    }
}
