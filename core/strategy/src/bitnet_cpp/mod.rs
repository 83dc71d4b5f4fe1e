//! bitnet.cpp's `llama-server`, and other servers of llama.cpp's family, as programs of this machine.
//!
//! Builds of that server differ, and what is true of one is not of the next: what it takes is tried, not assumed. What
//! goes to it is what [`Remote`](crate::Remote) knows such servers to take and nothing else, always streamed, always with a
//! most number of tokens, and never more answers at once than it has slots.

mod arguments;
mod check;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tritone_engine::{LoadProgress, Request};

pub use settings::Settings;

use crate::answer::Answer;
use crate::capability::Capabilities;
use crate::child::{Card, Guard, Hosted, Launch, Plan, asked, find, of_command};
use crate::deployment::{Deployed, Deployment};
use crate::environment::{Environment, Finding};
use crate::error::{Fault, StrategyError};
use crate::health::Health;
use crate::ledger::Performance;
use crate::remote::Dialect;
use crate::strategy::Strategy;

/// What is looked for where nothing is configured.
const PROGRAM: &str = "llama-server";

/// Runs a model with a server of llama.cpp's family.
pub struct BitnetCpp {
    settings: Settings,
    hosted: Hosted,
}

/// The server to be started.
struct Found {
    program: PathBuf,
    /// Arguments of a configured command.
    command: Option<Vec<String>>,
}

impl Found {
    /// Its name, for people: that of the program, or of the module that an interpreter runs.
    fn told(&self) -> String {
        if let Some([flag, module, ..]) = self.command.as_deref()
            && flag == "-m"
        {
            return module.clone();
        }
        let name = self.program.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

impl BitnetCpp {
    /// The name with which it is chosen.
    pub const NAME: &'static str = "bitnet.cpp";

    /// With what is configured, and the guard of what is started.
    #[must_use]
    pub fn new(settings: Settings, guard: Guard) -> Self {
        Self {
            settings,
            hosted: Hosted::new(Self::NAME, guard),
        }
    }

    fn found(&self) -> Result<Found, StrategyError> {
        let configured = self.settings.command.split_first();
        let (name, command) = match configured {
            Some((program, arguments)) => (PathBuf::from(program), Some(arguments.to_vec())),
            None => {
                let usual = || PathBuf::from(PROGRAM);
                (self.settings.program.clone().unwrap_or_else(usual), None)
            }
        };
        let program = find(&name, &usual_places()).ok_or_else(|| {
            let where_ = if name.components().count() > 1 {
                "there is no such program"
            } else {
                "it is neither in PATH nor where it is usually built"
            };
            StrategyError::new(Fault::Missing, format!("{} is missing: {where_}", name.display()))
                .remedy(
                    "build bitnet.cpp (github.com/microsoft/BitNet) or llama.cpp, or `pip install 'llama-cpp-python[server]'`, \
                     and set `program` or `command` of the strategy bitnet.cpp",
                )
        })?;
        Ok(Found { program, command })
    }
}

/// Where builds of the server usually lie.
fn usual_places() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let roots = [home.unwrap_or_default(), PathBuf::from("/opt")];
    let builds = ["BitNet", "bitnet.cpp", "llama.cpp"];
    let of = |root: &PathBuf| builds.map(|build| root.join(build).join("build/bin"));
    let mut places: Vec<PathBuf> = roots.iter().flat_map(of).collect();
    places.extend(["/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from));
    places
}

/// What a server says of its version, in a line; empty if it says nothing.
fn version(program: &Path) -> String {
    let said = asked(program, &["--version"]).unwrap_or_default();
    version_in(&said)
}

fn version_in(said: &str) -> String {
    let line = said.lines().find_map(|line| line.split_once("version"));
    let rest = line.map_or("", |(_, rest)| rest.trim_start_matches(':').trim());
    rest.chars().filter(|c| !c.is_control()).take(80).collect()
}

impl Strategy for BitnetCpp {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn summary(&self) -> String {
        "a server of llama.cpp's family, started here: bitnet.cpp's llama-server".to_owned()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            streaming: true,
            embeddings: self.settings.embeddings,
            ..Capabilities::default()
        }
    }

    fn setup_environment(&self) -> Environment {
        let found = self.found();
        let found = found.map(|found| found.program.display().to_string());
        Finding::of("a server of llama.cpp's family", found).into()
    }

    fn deploy_model(
        &self,
        deployment: &Deployment,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Deployed, StrategyError> {
        let file = check::file_of(&deployment.model)?;
        // The server stands in another directory.
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let facts = check::check(&file)?;
        let found = self.found()?;
        let server = found.told();
        let version = match found.command {
            None => version(&found.program),
            Some(_) => String::new(),
        };
        let (plan, notices) = Plan::of(deployment, facts.context, &server);
        let shown = format!("{server} {version}");
        let runs_on = plan.runs_on(shown.trim_end());
        let card = Card {
            deployed: Deployed {
                asks_for_thinking: false,
                model: facts.name,
                architecture: Some(facts.architecture),
                parameters: Some(facts.parameters),
                context: Some(plan.context),
                file_bytes: Some(facts.bytes),
                runs_on,
                notices,
            },
            model: String::new(),
            dialect: Dialect::LlamaCpp,
            seats: plan.slots,
            silence: Duration::from_secs(self.settings.silence_limit_s.unwrap_or(300)),
        };
        let launch = Launch {
            program: found.program,
            arguments: {
                let (command, file) = (found.command, file.clone());
                let embeddings = self.settings.embeddings;
                Arc::new(move |port| match &command {
                    Some(command) => of_command(command, &file, &plan, port),
                    None => arguments::of_llama_server(&file, &plan, embeddings, port),
                })
            },
            environment: self.settings.environment.clone(),
            // llama-server's, and that of llama-cpp-python.
            key_variables: &["LLAMA_API_KEY", "API_KEY"],
            // Newer ones list their model while they load it, and some have no /health.
            ready: &["/health", "/v1/models"],
            start_limit: Duration::from_secs(self.settings.start_limit_s.unwrap_or(600)),
            bytes: facts.bytes,
            reading: {
                let (server, file) = (server.clone(), file.clone());
                Arc::new(move |log| check::read_log(log, &server, &file))
            },
            name: server,
        };
        self.hosted.deploy(launch, card, progress)
    }

    fn deployed(&self) -> Option<Deployed> {
        self.hosted.deployed()
    }

    fn generate(&self, request: Request) -> Result<Answer, StrategyError> {
        self.hosted.generate(request)
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, StrategyError> {
        if !self.settings.embeddings {
            return Err(StrategyError::unsupported(Self::NAME, "embeddings").remedy(
                "set `embeddings` of the strategy bitnet.cpp, with a server that makes them",
            ));
        }
        self.hosted.embed(texts)
    }

    fn performance_metrics(&self) -> Performance {
        self.hosted.performance()
    }

    fn health(&self) -> Health {
        self.hosted.health()
    }

    fn shutdown(&self) {
        self.hosted.shutdown();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_among_other_lines() {
        let old = "ggml: loading\nversion: 3957 (a1b2c3d)\nbuilt with GNU 12.2.0";
        assert_eq!(version_in(old), "3957 (a1b2c3d)");
        assert_eq!(version_in("nothing"), "");
    }
}
