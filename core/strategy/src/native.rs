//! The engine of this process.

use std::sync::{Arc, Mutex, PoisonError};

use tritone_engine::{EmbedRequest, Engine, Input, LoadError, LoadProgress, Request};

use crate::answer::Answer;
use crate::capability::Capabilities;
use crate::deployment::{Deployed, Deployment, on_threads};
use crate::environment::{Environment, Finding};
use crate::error::{Fault, StrategyError};
use crate::health::{Health, State};
use crate::ledger::{Ledger, Performance};
use crate::strategy::Strategy;

/// Loads a model: profiles, kernels and plugins are the program's business.
pub trait Loader: Send + Sync {
    /// What it would run on, in a line: kernel and threads.
    ///
    /// # Errors
    /// Why nothing can be run here.
    fn ready(&self) -> Result<String, String>;

    /// Loads a model.
    ///
    /// # Errors
    /// Why it is not loaded.
    fn load(
        &self,
        deployment: &Deployment,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Engine, StrategyError>;
}

/// Runs a model with the engine of this process.
pub struct Native {
    loader: Box<dyn Loader>,
    engine: Mutex<Option<Engine>>,
    ledger: Arc<Ledger>,
}

impl Native {
    /// The name with which it is chosen.
    pub const NAME: &'static str = "native";

    /// With the program's way to load a model.
    #[must_use]
    pub fn new(loader: Box<dyn Loader>) -> Self {
        Self {
            loader,
            engine: Mutex::default(),
            ledger: Arc::default(),
        }
    }

    /// With an engine that runs already, to ask it; another model cannot be deployed then.
    #[must_use]
    pub fn running(engine: Engine) -> Self {
        let native = Self::new(Box::new(NoLoader));
        native.put(Some(engine));
        native
    }

    fn engine(&self) -> Option<Engine> {
        let engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        engine.clone()
    }

    fn put(&self, engine: Option<Engine>) {
        let mut place = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *place, engine);
        // The old one's thread ends outside the lock.
        drop(place);
        drop(old);
    }
}

/// The loader of an engine that somebody else has loaded.
struct NoLoader;

impl Loader for NoLoader {
    fn ready(&self) -> Result<String, String> {
        Ok("the engine that runs".to_owned())
    }

    fn load(
        &self,
        _: &Deployment,
        _: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Engine, StrategyError> {
        Err(StrategyError::unsupported(
            Native::NAME,
            "a way to load another model here",
        ))
    }
}

fn card(engine: &Engine) -> Deployed {
    let info = engine.info();
    Deployed {
        model: info.name.clone(),
        architecture: Some(info.architecture.clone()),
        parameters: Some(info.parameters),
        context: Some(info.context),
        file_bytes: Some(info.file_bytes),
        asks_for_thinking: info.asks_for_thinking,
        runs_on: on_threads(
            &format!("kernel {}", engine.kernel_name()),
            engine.threads(),
        ),
        notices: info.notices.clone(),
    }
}

impl Strategy for Native {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn summary(&self) -> String {
        "Tritone's own engine, in this process".to_owned()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            streaming: true,
            logprobs: true,
            embeddings: true,
            kernel_switch: true,
            memory_limit: true,
            one_answer: true,
            leaves_machine: false,
        }
    }

    fn setup_environment(&self) -> Environment {
        let missing = |why| StrategyError::new(Fault::Missing, why).remedy("see `tritone doctor`");
        let ready = self.loader.ready().map_err(missing);
        Finding::of("a kernel for this processor", ready).into()
    }

    fn deploy_model(
        &self,
        deployment: &Deployment,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Deployed, StrategyError> {
        // One model at a time: memory may not hold both.
        self.put(None);
        let engine = self.loader.load(deployment, progress)?;
        let deployed = card(&engine);
        self.put(Some(engine));
        Ok(deployed)
    }

    fn deployed(&self) -> Option<Deployed> {
        self.engine().as_ref().map(card)
    }

    fn generate(&self, request: Request) -> Result<Answer, StrategyError> {
        let engine = self
            .engine()
            .ok_or_else(|| StrategyError::not_deployed(Self::NAME))?;
        let generation = engine.generate(request)?;
        Ok(Answer::of_engine(generation, Arc::clone(&self.ledger)))
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, StrategyError> {
        let engine = self
            .engine()
            .ok_or_else(|| StrategyError::not_deployed(Self::NAME))?;
        let vector = |text: &String| -> Result<Vec<f32>, StrategyError> {
            let request = EmbedRequest::new(Input::Text(text.clone()));
            Ok(engine.embed(&request)?.wait()?.vector)
        };
        texts.iter().map(vector).collect()
    }

    fn performance_metrics(&self) -> Performance {
        self.ledger.performance(tritone_machine::resident_bytes())
    }

    fn health(&self) -> Health {
        match self.engine() {
            None => Health::new(State::Off, "no model is loaded"),
            Some(engine) => Health::new(State::Ready, card(&engine).runs_on),
        }
    }

    fn shutdown(&self) {
        self.put(None);
    }
}

impl StrategyError {
    /// A model was not loaded; `why` is for people.
    #[must_use]
    pub fn not_loaded(error: &LoadError) -> Self {
        let fault = match error {
            LoadError::Memory { .. } => Fault::Memory,
            LoadError::Cancelled => Fault::Cancelled,
            LoadError::Thread(_) => Fault::Other,
            _ => Fault::Model,
        };
        Self::new(fault, error.to_string())
    }
}
