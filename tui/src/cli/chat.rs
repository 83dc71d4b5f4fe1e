//! `tritone` and `tritone chat`: the conversation in the terminal.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use tritone_engine::{EngineStatus, GenerateError, LoadProgress, Request};
use tritone_machine::Machine;
use tritone_monitor::Limits;
use tritone_profile::{Resolved, process_environment};

use super::args::{ChatArgs, CommonArgs};
use super::config::Settings;
use super::console::Console;
use super::failure::Usage;
use super::hint;
use super::plain;
use super::profile::{self, what_if};
use super::sessions;
use super::setup::{Ready, Setup};
use crate::app::backend::{
    Backend, Bounds, ChoiceCard, EngineBackend, EventSource, KernelChoice, KernelOption, ModelCard,
    RaceOrder, RaceResult, Standing,
};
use crate::app::host::{Host, Order};
use crate::app::profiles::{PlanCard, ProfilesCard};
use crate::term;

/// Holds a conversation.
pub(crate) fn run(
    args: &ChatArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let in_lines = common.plain || plain::is_needed(|name| std::env::var(name).ok());
    for (stream, name) in [
        (io::stdin().is_terminal(), "standard input"),
        (io::stdout().is_terminal(), "standard output"),
    ] {
        if !stream && !common.plain {
            let why = format!(
                "the chat needs a terminal, but {name} is not one; for one answer in a script or \
                 pipe there is `tritone run [PROMPT]`, for a conversation `tritone --plain`"
            );
            return Err(Usage(why).into());
        }
    }
    let sampling = args.sampling.sampling(common)?;
    let settings = Settings::load(common);
    let setup = Setup::new(common)?;
    if in_lines {
        let profile = setup.profile().name.clone();
        let conversation = plain::Setup {
            profile,
            sampling,
            system: args.system.clone(),
            max_tokens: args.max_tokens,
            notes: setup.notes.clone(),
            monitor: args.monitor.watch(),
            host: Arc::new(Program {
                common: common.clone(),
                first: Mutex::new(Some(setup)),
            }),
        };
        return plain::run(conversation, console);
    }
    let keymap = settings.config.keymap().0;
    let mut notes: Vec<String> = hint::first_run(&process_environment, &keymap)
        .into_iter()
        .collect();
    notes.extend(settings.notes.iter().cloned());
    notes.extend(setup.notes.iter().cloned());
    let keep = match args.no_save {
        true => Err("nothing of this chat is kept (--no-save)"),
        false => sessions::start(args.resume.as_deref(), args.go_on)?,
    };
    let keep = keep.map_err(|why| notes.push(why.to_owned())).ok();
    let terminal = term::Setup {
        profile: setup.profile().name.clone(),
        machine: setup.machine.clone(),
        sampling,
        system: args.system.clone(),
        max_tokens: args.max_tokens,
        color: settings.color(console),
        manners: settings.config.manners(),
        keymap,
        notes,
        monitor: args.monitor.watch(),
        browse: keep.is_some() && args.resume.as_deref() == Some(""),
        keep,
        host: Arc::new(Program {
            common: common.clone(),
            first: Mutex::new(Some(setup)),
        }),
    };
    Ok(ExitCode::from(term::run(terminal)?.exit_status()))
}

/// The program as the screen knows it.
struct Program {
    /// What the command line says.
    common: CommonArgs,
    /// What was settled before the screen was taken.
    first: Mutex<Option<Setup>>,
}

impl Host for Program {
    fn load(
        &self,
        order: &Order,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Arc<dyn Backend>, String> {
        let first = self
            .first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let setup = match first {
            Some(setup) if *order == Order::default() => setup,
            _ => {
                let mut common = self.common.clone();
                if let Some(model) = &order.model {
                    common.model = Some(model.into());
                }
                if let Some(profile) = &order.profile {
                    common.profile = Some(profile.clone());
                }
                Setup::with_settings(&common, &order.settings)
                    .map_err(|error| format!("{error:#}"))?
            }
        };
        load(&setup, progress)
    }

    fn profiles(&self, order: &Order, backend: &dyn Backend) -> Result<ProfilesCard, String> {
        profile::cards(&self.common, order, backend)
    }
}

fn load(
    setup: &Setup,
    progress: &mut dyn FnMut(LoadProgress) -> bool,
) -> Result<Arc<dyn Backend>, String> {
    let ready = setup.load(progress).map_err(|error| error.to_string())?;
    let sentence = ready.sentence();
    let option = |found: &tritone_loader::Found| {
        let facts = &found.facts;
        Some(KernelOption {
            name: facts.name.clone(),
            detail: format!("{}, score {}", facts.isa, found.score.rank),
            kernel: Arc::clone(found.kernel()?),
        })
    };
    let kernels = setup.registry.kernels().iter().filter_map(option).collect();
    let races = setup.races(ready.engine.model());
    let bounds = bounds(setup, &ready);
    Ok(Arc::new(Noted {
        bounds,
        backend: EngineBackend::new(ready.engine, kernels, races, setup.profile().name.clone()),
        notices: ready.notes,
        sentence,
        machine: setup.machine.clone(),
    }))
}

/// What the profile bounds. A limit that nobody asked for was raised to what the model takes: being near
/// it is no news, nor being above what the preset has watched.
fn bounds(setup: &Setup, ready: &Ready) -> Bounds {
    let profile = setup.profile();
    let alerts = &profile.alerts;
    let raised = ready.memory_limit > profile.memory_bytes();
    let watched = alerts.memory_mb.saturating_mul(1 << 20);
    Bounds {
        memory: Some(ready.memory_limit),
        alerts: Limits {
            memory_bytes: if raised {
                watched.max(ready.memory_limit)
            } else {
                watched
            },
            near_limit: !raised,
            cpu_percent: alerts.cpu_percent,
            min_tokens_per_second: alerts.min_tokens_per_second,
            error_rate_percent: alerts.error_rate_percent,
            latency_ms: alerts.latency_ms as f64,
        },
    }
}

/// A backend whose model card also says what was decided before the engine saw the model.
struct Noted {
    bounds: Bounds,
    backend: EngineBackend,
    notices: Vec<String>,
    /// How long loading took.
    sentence: String,
    machine: Machine,
}

impl Backend for Noted {
    fn model(&self) -> ModelCard {
        ModelCard {
            notices: self.notices.clone(),
            ready: self.sentence.clone(),
            ..self.backend.model()
        }
    }

    fn profile(&self) -> String {
        self.backend.profile()
    }

    fn what_if(&self, profile: &Resolved) -> Option<PlanCard> {
        let model = self.backend.engine().model();
        what_if(profile, &self.machine, model, self.backend.kernel()?)
    }

    fn bounds(&self) -> Bounds {
        self.bounds
    }

    fn generate(&self, request: Request) -> Result<Box<dyn EventSource>, GenerateError> {
        self.backend.generate(request)
    }

    fn status(&self) -> EngineStatus {
        self.backend.status()
    }

    fn threads(&self) -> usize {
        self.backend.threads()
    }

    fn kernel_name(&self) -> String {
        self.backend.kernel_name()
    }

    fn kernels(&self) -> Vec<KernelChoice> {
        self.backend.kernels()
    }

    fn set_kernel(
        &self,
        name: &str,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Vec<String>, String> {
        self.backend.set_kernel(name, progress)
    }

    fn choice(&self) -> ChoiceCard {
        self.backend.choice()
    }

    fn race(&self, order: RaceOrder, report: &mut dyn FnMut(&Standing) -> bool) -> RaceResult {
        self.backend.race(order, report)
    }

    fn wait_for_packs(&self, go_on: &mut dyn FnMut() -> bool) -> Vec<String> {
        self.backend.wait_for_packs(go_on)
    }
}
