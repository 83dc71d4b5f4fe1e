//! The real engine as a [`Backend`].

use std::sync::Arc;
use std::time::Duration;

use tritone_abi::Kernel;
use tritone_engine::{
    Cancel, Engine, EngineStatus, Event, GenerateError, Generation, Input, LoadProgress, Request,
};

use super::backend::{
    Backend, ChoiceCard, Counted, EventSource, KernelCard, KernelChoice, ModelCard, RaceOrder,
    RaceResult, Standing,
};
use crate::race::run::{Terms, race};

/// A kernel that was found and passed its checks.
#[derive(Clone)]
pub struct KernelOption {
    /// Its name.
    pub name: String,
    /// What it is and how well it suits this machine, in a line.
    pub detail: String,
    /// What else is known of it.
    pub card: KernelCard,
    /// The kernel.
    pub kernel: Arc<dyn Kernel>,
}

/// Keeps the result of a race; says why the automatic choice is what it is now, or why the result could
/// not be kept.
pub type Keep = Box<dyn Fn(&Standing) -> Result<String, String> + Send + Sync>;

/// What races are about.
pub struct Races {
    /// How the kernel was chosen.
    pub choice: ChoiceCard,
    /// The kernels of a race that nobody asks for; fewer than two are none.
    pub automatic: Vec<Arc<dyn Kernel>>,
    /// Keeps a result.
    pub keep: Keep,
}

/// Time of a race that was asked for, and of one that was not.
const ASKED: Duration = Duration::from_secs(4);
const UNASKED: Duration = Duration::from_secs(1);

/// An [`Engine`] and the kernels it can be switched to.
pub struct EngineBackend {
    engine: Engine,
    kernels: Vec<KernelOption>,
    races: Races,
    profile: String,
}

impl EngineBackend {
    /// Puts them together; the best kernel comes first. `profile` is the name of the profile in force.
    #[must_use]
    pub fn new(engine: Engine, kernels: Vec<KernelOption>, races: Races, profile: String) -> Self {
        Self {
            engine,
            kernels,
            races,
            profile,
        }
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The kernel in use.
    pub(crate) fn kernel(&self) -> Option<&dyn Kernel> {
        let name = self.engine.kernel_name();
        let used = self.kernels.iter().find(|option| option.name == name)?;
        Some(&*used.kernel)
    }
}

impl Backend for EngineBackend {
    fn model(&self) -> ModelCard {
        let info = self.engine.info();
        ModelCard {
            name: info.name.clone(),
            architecture: info.architecture.clone(),
            parameters: info.parameters,
            context: info.context,
            file_bytes: info.file_bytes,
            asks_for_thinking: info.asks_for_thinking,
            notices: info.notices.clone(),
            ready: String::new(),
        }
    }

    fn profile(&self) -> String {
        self.profile.clone()
    }

    fn generate(&self, request: Request) -> Result<Box<dyn EventSource>, GenerateError> {
        Ok(Box::new(self.engine.generate(request)?))
    }

    fn count(&self, texts: &[String]) -> Result<Counted, String> {
        Counted::by(texts, &|messages| {
            let count = self.engine.count_tokens(&Input::Chat(messages));
            count.map_err(|error| error.to_string())
        })
    }

    fn status(&self) -> EngineStatus {
        self.engine.status()
    }

    fn threads(&self) -> usize {
        self.engine.threads()
    }

    fn kernel_name(&self) -> String {
        self.engine.kernel_name()
    }

    fn kernels(&self) -> Vec<KernelChoice> {
        let choice = |option: &KernelOption| KernelChoice {
            name: option.name.clone(),
            detail: option.detail.clone(),
            card: option.card.clone(),
        };
        self.kernels.iter().map(choice).collect()
    }

    fn set_kernel(
        &self,
        name: &str,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Vec<String>, String> {
        let Some(option) = self.kernels.iter().find(|option| option.name == name) else {
            let names: Vec<_> = self
                .kernels
                .iter()
                .map(|option| option.name.as_str())
                .collect();
            return Err(format!(
                "there is no kernel {name}; choose one of: {}",
                names.join(", ")
            ));
        };
        self.engine
            .switch_kernel(Arc::clone(&option.kernel), progress)
            .map_err(|error| error.to_string())
    }

    fn choice(&self) -> ChoiceCard {
        self.races.choice.clone()
    }

    fn race(&self, order: RaceOrder, report: &mut dyn FnMut(&Standing) -> bool) -> RaceResult {
        let all = self.kernels.iter().map(|option| Arc::clone(&option.kernel));
        let (kernels, terms) = if order.automatic {
            let terms = Terms {
                budget: UNASKED,
                keep_pages: true,
            };
            (self.races.automatic.clone(), terms)
        } else {
            let terms = Terms {
                budget: ASKED,
                keep_pages: false,
            };
            (all.collect(), terms)
        };
        // No read bandwidth: its buffer would break the memory limit.
        let standing = race(&self.engine, &kernels, terms, None, report);
        let mut choice = self.races.choice.explanation.clone();
        let mut not_kept = None;
        if standing.is_complete() {
            match (self.races.keep)(&standing) {
                Ok(now) => choice = now,
                Err(why) => not_kept = Some(why),
            }
            let leader = standing.leader().map(|leader| leader.name.as_str());
            let leader = leader.filter(|leader| *leader != self.engine.kernel_name());
            if let Some(leader) = leader.filter(|_| order.switch)
                && let Err(why) = self.set_kernel(leader, &mut |_| true)
            {
                not_kept = Some(why);
            }
        }
        RaceResult {
            standing,
            kernel: self.engine.kernel_name(),
            choice,
            not_kept,
        }
    }

    fn wait_for_packs(&self, go_on: &mut dyn FnMut() -> bool) -> Vec<String> {
        self.engine.wait_for_packs(&mut |_| go_on())
    }
}

impl EventSource for Generation {
    fn next_event(&mut self) -> Option<Event> {
        Generation::next_event(self)
    }

    fn cancel_handle(&self) -> Cancel {
        Generation::cancel_handle(self)
    }
}
