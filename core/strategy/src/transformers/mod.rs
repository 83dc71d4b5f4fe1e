//! Directories of the transformers library, by `transformers serve` or vLLM: started here, or running somewhere.

mod check;
mod program;
mod python;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use tritone_client::Times;
use tritone_engine::{LoadProgress, Request};

pub use settings::Settings;

use crate::answer::Answer;
use crate::capability::Capabilities;
use crate::child::{Card, Guard, Hosted, Launch, Plan};
use crate::deployment::{Deployed, Deployment};
use crate::environment::{Environment, Finding};
use crate::error::{Fault, StrategyError};
use crate::health::Health;
use crate::ledger::Performance;
use crate::remote::{Endpoint, Remote};
use crate::strategy::Strategy;
use program::{Found, Kind};

/// What is looked for.
const NEEDED: &str = "a server for directories of the transformers library";

/// Runs a directory of the transformers library.
pub struct Transformers {
    settings: Settings,
    way: Way,
}

enum Way {
    /// A server that runs already.
    Attached(Box<Remote>),
    /// One that is started.
    Started(Hosted),
}

impl Transformers {
    /// The name with which it is chosen.
    pub const NAME: &'static str = "transformers";

    /// With what is configured, and the guard of what is started. Nothing is started or sent yet.
    ///
    /// # Errors
    /// When `url` is no address, or the key has characters that no header may have.
    pub fn new(settings: Settings, guard: Guard) -> Result<Self, StrategyError> {
        let way = match &settings.url {
            Some(url) => Way::Attached(Box::new(Remote::new(endpoint(url, &settings)?)?)),
            None => Way::Started(Hosted::new(Self::NAME, guard)),
        };
        Ok(Self { settings, way })
    }

    fn start(
        &self,
        hosted: &Hosted,
        deployment: &Deployment,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Deployed, StrategyError> {
        let directory = check::directory_of(&deployment.model)?;
        // The server stands in another directory.
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        let facts = check::check(&directory)?;
        let found = Found::look(&self.settings)?;
        let finding = found.finding();
        if !finding.ok {
            return Err(StrategyError::new(Fault::Missing, finding.found).remedy(finding.remedy));
        }
        let name = found.told();
        let (plan, mut notices) = Plan::of(deployment, facts.context, &name);
        if found.kind != Kind::Vllm {
            notices.push(format!(
                "{name} takes no key: others on this machine can ask it too"
            ));
        }
        let card = Card {
            deployed: Deployed {
                asks_for_thinking: false,
                model: facts.name,
                architecture: facts.architecture,
                parameters: None,
                context: Some(plan.context),
                file_bytes: Some(facts.bytes),
                runs_on: plan.runs_on(&name),
                notices,
            },
            model: String::new(),
            dialect: found.dialect(),
            seats: plan.slots,
            silence: Duration::from_secs(self.settings.silence_limit_s.unwrap_or(300)),
        };
        let mut environment = quiet();
        environment.insert("OMP_NUM_THREADS".to_owned(), plan.threads.to_string());
        environment.extend(self.settings.environment.clone());
        let launch = Launch {
            program: found.program.clone(),
            environment,
            key_variables: &["VLLM_API_KEY"],
            ready: &["/health", "/v1/models"],
            start_limit: Duration::from_secs(self.settings.start_limit_s.unwrap_or(900)),
            bytes: facts.bytes,
            reading: {
                let (name, directory) = (name.clone(), directory.clone());
                Arc::new(move |log| check::read_log(log, &name, &directory))
            },
            arguments: Arc::new(move |port| found.arguments(&directory, &plan, port)),
            name,
        };
        hosted.deploy(launch, card, progress)
    }
}

/// Nothing is fetched, and nothing is told anybody: a model that is on the disk needs neither.
fn quiet() -> std::collections::BTreeMap<String, String> {
    [
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "HF_HUB_DISABLE_TELEMETRY",
        "VLLM_NO_USAGE_STATS",
        "DO_NOT_TRACK",
    ]
    .map(|name| (name.to_owned(), "1".to_owned()))
    .into()
}

/// A server that runs already.
fn endpoint(url: &str, settings: &Settings) -> Result<Endpoint, StrategyError> {
    let key = settings.key_variable.as_ref().map(|name| {
        std::env::var(name).map_err(|_| {
            StrategyError::new(
                Fault::Missing,
                format!("the variable {name} of the environment is to hold a key, and is not set"),
            )
            .remedy("set it, or leave `key_variable` out")
        })
    });
    let times = Times::default();
    let silence = settings.silence_limit_s.map(Duration::from_secs);
    Ok(Endpoint {
        key: key.transpose()?,
        model: settings.model.clone(),
        times: Times {
            silence: silence.unwrap_or(times.silence),
            ..times
        },
        ..Endpoint::new(Transformers::NAME, url.parse()?)
    })
}

impl Strategy for Transformers {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn summary(&self) -> String {
        match &self.way {
            Way::Attached(remote) => remote.summary(),
            Way::Started(_) => {
                "the transformers library or vLLM, started here: for directories of Hugging Face"
                    .to_owned()
            }
        }
    }

    fn capabilities(&self) -> Capabilities {
        match &self.way {
            Way::Attached(remote) => remote.capabilities(),
            Way::Started(_) => Capabilities {
                streaming: true,
                ..Capabilities::default()
            },
        }
    }

    fn setup_environment(&self) -> Environment {
        match &self.way {
            Way::Attached(remote) => remote.setup_environment(),
            Way::Started(_) => match Found::look(&self.settings) {
                Ok(found) => found.finding().into(),
                Err(error) => Finding::of(NEEDED, Err(error)).into(),
            },
        }
    }

    fn deploy_model(
        &self,
        deployment: &Deployment,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Deployed, StrategyError> {
        match &self.way {
            Way::Attached(remote) => remote.deploy_model(deployment, progress),
            Way::Started(hosted) => self.start(hosted, deployment, progress),
        }
    }

    fn deployed(&self) -> Option<Deployed> {
        match &self.way {
            Way::Attached(remote) => remote.deployed(),
            Way::Started(hosted) => hosted.deployed(),
        }
    }

    fn generate(&self, request: Request) -> Result<Answer, StrategyError> {
        match &self.way {
            Way::Attached(remote) => remote.generate(request),
            Way::Started(hosted) => hosted.generate(request),
        }
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, StrategyError> {
        match &self.way {
            Way::Attached(remote) => remote.embed(texts),
            Way::Started(_) => Err(StrategyError::unsupported(Self::NAME, "embeddings")),
        }
    }

    fn performance_metrics(&self) -> Performance {
        match &self.way {
            Way::Attached(remote) => remote.performance_metrics(),
            Way::Started(hosted) => hosted.performance(),
        }
    }

    fn health(&self) -> Health {
        match &self.way {
            Way::Attached(remote) => remote.health(),
            Way::Started(hosted) => hosted.health(),
        }
    }

    fn shutdown(&self) {
        match &self.way {
            Way::Attached(remote) => remote.shutdown(),
            Way::Started(hosted) => hosted.shutdown(),
        }
    }
}
