//! A server that speaks OpenAI's API.

mod dialect;
mod endpoint;
mod listen;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tritone_client::{Client, ClientError, ModelEntry, Times};
use tritone_engine::{Cancel, LoadProgress, Request};

pub use dialect::Dialect;
pub use endpoint::Endpoint;
pub(crate) use listen::Explain;

use crate::answer::Answer;
use crate::capability::Capabilities;
use crate::deployment::{Deployed, Deployment, ModelRef};
use crate::environment::{Environment, Finding};
use crate::error::{Fault, StrategyError};
use crate::health::{Health, State};
use crate::ledger::{Ledger, Performance};
use crate::runtime::runtime;
use crate::strategy::Strategy;

/// Events of an answer that wait to be taken; a server that is faster waits.
const AHEAD: usize = 256;

/// How long a server may take to say which models it has.
const LOOK: Duration = Duration::from_secs(5);

/// Asks a server.
pub struct Remote {
    endpoint: Endpoint,
    client: Client,
    chosen: Mutex<Option<Chosen>>,
    ledger: Arc<Ledger>,
    seats: Option<Arc<Semaphore>>,
    explain: Option<Explain>,
    /// Every answer that is asked for holds a clone.
    asked: Arc<()>,
}

/// The model that is asked.
#[derive(Clone)]
struct Chosen {
    dialect: Dialect,
    card: Deployed,
}

impl Remote {
    /// A strategy that asks the server at `endpoint`. Nothing is sent yet.
    ///
    /// # Errors
    /// When the key has characters that no header may have.
    pub fn new(endpoint: Endpoint) -> Result<Self, StrategyError> {
        let mut client = Client::new(endpoint.address.clone())
            .with_times(endpoint.times)
            .with_retries(endpoint.retries);
        if let Some(key) = &endpoint.key {
            client = client.with_key(key)?;
        }
        if !endpoint.stream_options {
            client = client.without_stream_options();
        }
        Ok(Self {
            endpoint,
            client,
            chosen: Mutex::default(),
            ledger: Arc::default(),
            seats: None,
            explain: None,
            asked: Arc::default(),
        })
    }

    /// Keeps the accounts of its answers in `ledger`, has at most as many written at once as there are `seats`, and
    /// has errors explained.
    pub(crate) fn hosted(
        mut self,
        ledger: Arc<Ledger>,
        seats: Arc<Semaphore>,
        explain: Explain,
    ) -> Self {
        self.ledger = ledger;
        self.seats = Some(seats);
        self.explain = Some(explain);
        self
    }

    /// Answers that are being written or wait for a seat.
    pub(crate) fn in_flight(&self) -> usize {
        Arc::strong_count(&self.asked) - 1
    }

    /// Asks for the model of `card` from here on, without asking the server whether it has it.
    pub(crate) fn adopt(&self, card: Deployed, dialect: Dialect) {
        self.choose(Some(Chosen { dialect, card }));
    }

    /// Waits for what a server says, on the runtime of the strategies.
    ///
    /// # Errors
    /// When there is no runtime, or the server says so.
    pub fn wait_for<T>(
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, StrategyError> {
        Ok(runtime()?.block_on(work)?)
    }

    /// Whose server it is, once a model was chosen.
    #[must_use]
    pub fn dialect(&self) -> Option<Dialect> {
        self.chosen().map(|chosen| chosen.dialect)
    }

    fn chosen(&self) -> Option<Chosen> {
        let chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        chosen.clone()
    }

    fn choose(&self, now: Option<Chosen>) {
        *self.chosen.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// The models that the server has.
    fn models(&self) -> Result<Vec<ModelEntry>, StrategyError> {
        let times = Times {
            answer: LOOK.min(self.endpoint.times.answer),
            ..self.endpoint.times
        };
        let client = self.client.clone().with_times(times);
        Self::wait_for(client.models())
    }

    /// The model to ask for, out of those the server has.
    fn pick(&self, wanted: &ModelRef, models: &[ModelEntry]) -> Result<ModelEntry, StrategyError> {
        let wanted = match wanted {
            ModelRef::Named(name) if !name.is_empty() => name.as_str(),
            // A server runs what it runs: a file here says nothing to it.
            _ => self.endpoint.model.as_str(),
        };
        let list = || {
            let names: Vec<&str> = models.iter().take(20).map(|model| &*model.id).collect();
            names.join(", ")
        };
        let found = match wanted {
            "" => models.first(),
            name => models.iter().find(|model| model.id == name),
        };
        found.cloned().ok_or_else(|| {
            let at = &self.endpoint.address;
            match models {
                [] => StrategyError::new(Fault::Model, format!("the server at {at} has no model"))
                    .remedy("load one there"),
                _ => StrategyError::new(
                    Fault::Model,
                    format!("the server at {at} has no model '{wanted}'"),
                )
                .remedy(format!("choose one of: {}", list())),
            }
        })
    }
}

impl Strategy for Remote {
    fn name(&self) -> &str {
        &self.endpoint.name
    }

    fn summary(&self) -> String {
        format!("the server at {}", self.endpoint.address)
    }

    fn capabilities(&self) -> Capabilities {
        let dialect = self.dialect();
        let ours = dialect == Some(Dialect::Tritone);
        Capabilities {
            streaming: true,
            logprobs: dialect.is_some_and(Dialect::has_logprobs),
            embeddings: true,
            kernel_switch: ours,
            memory_limit: false,
            one_answer: ours,
            leaves_machine: !self.endpoint.address.is_loopback(),
        }
    }

    fn setup_environment(&self) -> Environment {
        let what = format!("a server at {}", self.endpoint.address);
        let told = |models: Vec<ModelEntry>| {
            format!(
                "{} with {} model{}",
                Dialect::of(&models).name(),
                models.len(),
                if models.len() == 1 { "" } else { "s" }
            )
        };
        Finding::of(what, self.models().map(told)).into()
    }

    fn deploy_model(
        &self,
        deployment: &Deployment,
        _: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Deployed, StrategyError> {
        self.choose(None);
        let models = self.models()?;
        let model = self.pick(&deployment.model, &models)?;
        let dialect = self.endpoint.dialect.unwrap_or(Dialect::of(&models));
        let meta = model.meta.unwrap_or_default();
        let context = model.context();
        let card = Deployed {
            model: model.id,
            architecture: None,
            parameters: meta.n_params,
            context: context.and_then(|context| usize::try_from(context).ok()),
            file_bytes: meta.size,
            asks_for_thinking: meta.asks_for_thinking,
            runs_on: format!("{} at {}", dialect.name(), self.endpoint.address),
            notices: Vec::new(),
        };
        self.choose(Some(Chosen {
            dialect,
            card: card.clone(),
        }));
        Ok(card)
    }

    fn deployed(&self) -> Option<Deployed> {
        self.chosen().map(|chosen| chosen.card)
    }

    fn generate(&self, request: Request) -> Result<Answer, StrategyError> {
        let chosen = self
            .chosen()
            .ok_or_else(|| StrategyError::not_deployed(&self.endpoint.name))?;
        let body = wire::body(request, &chosen.card.model, chosen.dialect)?;
        let (sender, events) = mpsc::channel(AHEAD);
        let cancel = Cancel::default();
        let call = listen::Call {
            client: self.client.clone(),
            body,
            seats: self.seats.clone(),
            explain: self.explain.clone(),
            _asked: Arc::clone(&self.asked),
        };
        runtime()?.spawn(listen::listen(call, cancel.clone(), sender));
        Ok(Answer::of_task(events, cancel, Arc::clone(&self.ledger)))
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, StrategyError> {
        let chosen = self
            .chosen()
            .ok_or_else(|| StrategyError::not_deployed(&self.endpoint.name))?;
        let work = async {
            let _seat = match &self.seats {
                // Nobody closes it.
                Some(seats) => seats.acquire().await.ok(),
                None => None,
            };
            self.client.embeddings(&chosen.card.model, texts).await
        };
        Self::wait_for(work).map_err(|error| match &self.explain {
            Some(explain) => explain(error),
            None => error,
        })
    }

    fn performance_metrics(&self) -> Performance {
        self.ledger.performance(None)
    }

    fn health(&self) -> Health {
        let Some(chosen) = self.chosen() else {
            return Health::new(State::Off, "no model of the server is chosen");
        };
        match self.models() {
            Ok(models) if models.iter().any(|model| model.id == chosen.card.model) => {
                Health::new(State::Ready, chosen.card.runs_on)
            }
            Ok(_) => Health::new(
                State::Unhealthy,
                format!("the server no longer has '{}'", chosen.card.model),
            ),
            Err(error) => Health::new(State::Unhealthy, error.to_string()),
        }
    }

    fn shutdown(&self) {
        self.choose(None);
    }
}
