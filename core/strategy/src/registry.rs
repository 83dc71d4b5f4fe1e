//! The strategies there are. This is the place where another one is registered.

use std::sync::Arc;

use tritone_engine::{LoadProgress, Request};

use crate::answer::Answer;
use crate::bitnet_cpp::BitnetCpp;
use crate::capability::Capabilities;
use crate::child::Guard;
use crate::config::Config;
use crate::deployment::{Deployed, Deployment};
use crate::environment::{Environment, Finding};
use crate::error::StrategyError;
use crate::health::{Health, State};
use crate::ledger::Performance;
use crate::native::{Loader, Native};
use crate::remote::Remote;
use crate::strategy::Strategy;
use crate::transformers::Transformers;

/// Where a strategy runs the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// In this process.
    Process,
    /// In a program that it starts here.
    Child,
    /// On a server that somebody else runs.
    Server,
}

impl Kind {
    /// Its name, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Process => "in this process",
            Self::Child => "a program it starts",
            Self::Server => "a server",
        }
    }
}

/// A strategy that can be chosen.
#[derive(Clone)]
pub struct Entry {
    /// Where it runs the model.
    pub kind: Kind,
    /// The strategy.
    pub strategy: Arc<dyn Strategy>,
}

/// The strategies there are, in the order in which they were registered.
#[derive(Clone, Default)]
pub struct Registry {
    entries: Vec<Entry>,
}

impl Registry {
    /// Those that the program has: its own engine, with the program's way to load a model, programs that are started
    /// under `guard`, and the servers of the user. `variable` reads the environment, where keys are.
    #[must_use]
    pub fn standard(
        loader: Box<dyn Loader>,
        guard: &Guard,
        config: &Config,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let mut registry = Self::default();
        registry.register(Kind::Process, Arc::new(Native::new(loader)));
        let bitnet_cpp = BitnetCpp::new(config.bitnet_cpp.clone(), guard.clone());
        registry.register(Kind::Child, Arc::new(bitnet_cpp));
        let settings = config.transformers.clone();
        // A server that runs already is not started, and takes no model of this process.
        let kind = match settings.url {
            Some(_) => Kind::Server,
            None => Kind::Child,
        };
        let transformers: Arc<dyn Strategy> = match Transformers::new(settings, guard.clone()) {
            Ok(transformers) => Arc::new(transformers),
            Err(why) => Arc::new(Unready {
                name: Transformers::NAME.to_owned(),
                summary: "a server for directories of the transformers library".to_owned(),
                leaves_machine: false,
                why,
            }),
        };
        registry.register(kind, transformers);
        for server in &config.servers {
            let remote = server.endpoint(variable).and_then(Remote::new);
            let strategy: Arc<dyn Strategy> = match remote {
                Ok(remote) => Arc::new(remote),
                Err(why) => Arc::new(Unready {
                    name: server.name.clone(),
                    summary: format!("the server at {}", server.url),
                    leaves_machine: !server.url.is_loopback(),
                    why,
                }),
            };
            registry.register(Kind::Server, strategy);
        }
        registry
    }

    /// Adds a strategy; one of the same name gives way to it.
    pub fn register(&mut self, kind: Kind, strategy: Arc<dyn Strategy>) {
        let same = |entry: &Entry| entry.strategy.name() == strategy.name();
        let place = self.entries.iter().position(same);
        let entry = Entry { kind, strategy };
        match place.and_then(|place| self.entries.get_mut(place)) {
            Some(place) => *place = entry,
            None => self.entries.push(entry),
        }
    }

    /// All of them.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// A strategy that cannot be set up as it was configured: it is listed, with what is wrong.
struct Unready {
    name: String,
    summary: String,
    leaves_machine: bool,
    why: StrategyError,
}

impl Strategy for Unready {
    fn name(&self) -> &str {
        &self.name
    }

    fn summary(&self) -> String {
        self.summary.clone()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            leaves_machine: self.leaves_machine,
            ..Capabilities::default()
        }
    }

    fn setup_environment(&self) -> Environment {
        let StrategyError { what, remedy, .. } = self.why.clone();
        Environment {
            findings: vec![Finding::missing("its configuration", what, remedy)],
        }
    }

    fn deploy_model(
        &self,
        _: &Deployment,
        _: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Deployed, StrategyError> {
        Err(self.why.clone())
    }

    fn deployed(&self) -> Option<Deployed> {
        None
    }

    fn generate(&self, _: Request) -> Result<Answer, StrategyError> {
        Err(self.why.clone())
    }

    fn performance_metrics(&self) -> Performance {
        Performance::default()
    }

    fn health(&self) -> Health {
        Health::new(State::Off, self.why.to_string())
    }

    fn shutdown(&self) {}
}
