//! Strategies besides the engine of this process, as the screen knows them.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tritone_engine::LoadProgress;
use tritone_strategy::{
    Deployment, Entry, Fault, Kind, Manager, ModelRef, Native, Rejected, Running, StrategyError,
};

use super::{Live, Old, Order, Program};
use crate::app::backend::Backend;
use crate::app::host::{NotLoaded, Seat};
use crate::app::strategy::StrategyBackend;
use crate::cli::strategies::{AUTO, model_of};

/// With which strategy something is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) enum First {
    /// The engine of this process.
    #[default]
    Own,
    /// This one: where it fails, no other is taken.
    Named(String),
    /// This one first, then those of the order.
    Preferred(String),
    /// Those of the order.
    Order,
}

impl First {
    /// What the flag says, or what is remembered, or the order of the settings.
    pub(in crate::cli) fn new(
        flag: Option<&str>,
        preferred: Option<&str>,
        has_order: bool,
    ) -> Self {
        match (flag, preferred) {
            (Some(AUTO), _) => Self::Order,
            (Some(name), _) => Self::of(name),
            (None, Some(Native::NAME)) => Self::Own,
            (None, Some(name)) => Self::Preferred(name.to_owned()),
            (None, None) if has_order => Self::Order,
            (None, None) => Self::Own,
        }
    }

    fn of(name: &str) -> Self {
        match name {
            Native::NAME => Self::Own,
            AUTO => Self::Order,
            name => Self::Named(name.to_owned()),
        }
    }

    /// Whether it is the engine of this process and nothing else.
    pub(super) fn is_native(&self) -> bool {
        *self == Self::Own
    }
}

/// The strategies of a program.
pub(in crate::cli) struct Elsewhere {
    pub(super) manager: Manager,
    /// With what the program begins.
    begin: Mutex<Option<First>>,
}

impl Drop for Elsewhere {
    /// No program that was started here outlives this one.
    fn drop(&mut self) {
        self.manager.shutdown();
    }
}

impl Program {
    /// With strategies; `begin` is with which of them.
    pub(in crate::cli) fn with_strategies(mut self, manager: Manager, begin: First) -> Self {
        self.elsewhere = Some(Elsewhere {
            manager,
            begin: Mutex::new(Some(begin)),
        });
        self
    }

    /// What is to be loaded after what was loaded before, and with which strategy.
    pub(super) fn settled(&self, order: &Order) -> (Order, First) {
        let earlier = self.order().clone();
        let begin = self.elsewhere.as_ref().and_then(|elsewhere| {
            let mut begin = elsewhere
                .begin
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            begin.take()
        });
        let first = match (&order.strategy, begin, &earlier.strategy) {
            (Some(name), ..) => First::of(name),
            (None, Some(begin), _) => begin,
            // Another model, profile or setting is one of this program's engine; a program that was started for a model
            // can be started for another.
            (None, None, Some(now)) if self.keeps(now, order) => First::of(now),
            (None, None, _) => First::Own,
        };
        (order.clone().after(earlier), first)
    }

    /// Whether the strategy in use carries out `order`, too.
    fn keeps(&self, name: &str, order: &Order) -> bool {
        let entry = self
            .elsewhere
            .as_ref()
            .and_then(|elsewhere| elsewhere.manager.get(name).ok());
        entry.is_some_and(|entry| entry.kind == Kind::Child)
            && order.profile.is_none()
            && order.settings.is_empty()
    }

    /// What a strategy is to run.
    pub(super) fn deployment(&self, order: &Order) -> Result<Deployment, String> {
        let setup = self.setup(order)?;
        let whole = |count: u64| usize::try_from(count).ok();
        Ok(Deployment {
            context: self.common.ctx.and_then(whole),
            threads: self.common.threads,
            ..Deployment::of(model_of(&setup.source))
        })
    }

    /// Gives the loaded model up where memory may not hold it beside a program that runs one of `bytes`: such a program
    /// takes as much as the file, and as much again for its cache and itself.
    fn give_up(&self, seat: &dyn Seat, bytes: u64) -> Option<Old> {
        let mut live = self.live();
        let loaded = live.as_ref()?;
        let both = loaded.engine.info().plan.total();
        let both = both.saturating_add(bytes.saturating_mul(2));
        let usable = loaded.setup.machine.memory.usable_bytes();
        if usable.is_some_and(|usable| both <= usable) {
            return None;
        }
        if !seat.clear() {
            return None;
        }
        live.take().map(Live::old)
    }
}

impl Elsewhere {
    /// Loads what `order` asks for.
    pub(super) fn load(
        &self,
        program: &Program,
        order: &Order,
        first: &First,
        seat: &dyn Seat,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Arc<dyn Backend>, NotLoaded> {
        let preferred = match first {
            First::Named(name) => {
                let entry = self.manager.get(name).map_err(|error| error.to_string())?;
                let backend = deploy(program, entry, order, &[], seat, progress);
                let runs = program.order().strategy.is_some();
                return backend.map_err(|failed| match runs {
                    true => failed.or_stays(name),
                    false => failed,
                });
            }
            First::Preferred(name) => Some(name.as_str()),
            First::Order | First::Own => None,
        };
        if let Some(name) = preferred
            && let Err(error) = self.manager.get(name)
        {
            let said = format!("{error}; native is used instead");
            return program.load_own(order, &[said], seat, progress);
        }
        let mut before: Vec<Rejected> = Vec::new();
        let mut gave_up = false;
        let running = self.manager.first_that_runs(preferred, &mut |entry| {
            let name = entry.strategy.name();
            let mut said: Vec<String> = before.iter().map(ToString::to_string).collect();
            if !said.is_empty() {
                said.push(format!("{name} is used instead"));
            }
            let backend = match entry.kind {
                Kind::Process => program.load_own(order, &said, seat, progress),
                Kind::Child | Kind::Server => deploy(program, entry, order, &said, seat, progress),
            };
            backend.map_err(|failed| {
                gave_up |= failed.gave_up;
                let error = StrategyError::new(Fault::Other, failed.why);
                before.push(Rejected::new(name, error.clone()));
                error
            })
        });
        match running {
            Ok(Running { deployed, .. }) => Ok(deployed),
            Err(none) => Err(NotLoaded {
                why: none.to_string(),
                gave_up,
            }),
        }
    }

    /// Ends all strategies but the one in use, `None` being the engine of this process.
    pub(super) fn settle(&self, active: Option<&str>) {
        for entry in self.manager.entries() {
            let name = entry.strategy.name();
            if entry.kind != Kind::Process && active != Some(name) {
                entry.strategy.shutdown();
            }
        }
    }
}

/// Bytes of a model's file; of a directory, of the files in it.
fn bytes_of(model: &ModelRef) -> u64 {
    let length = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    match model {
        ModelRef::File(path) => length(path),
        ModelRef::Directory(path) => path.read_dir().map_or(0, |entries| {
            entries.flatten().map(|entry| length(&entry.path())).sum()
        }),
        ModelRef::Embedded | ModelRef::Named(_) => 0,
    }
}

/// Runs what `order` asks for with a strategy other than the engine of this process.
fn deploy(
    program: &Program,
    entry: &Entry,
    order: &Order,
    said: &[String],
    seat: &dyn Seat,
    progress: &mut dyn FnMut(LoadProgress) -> bool,
) -> Result<Arc<dyn Backend>, NotLoaded> {
    let deployment = program.deployment(order)?;
    let name = entry.strategy.name();
    // What is missing is known before anything is given up for it.
    if let Some(missing) = entry.strategy.setup_environment().missing() {
        return Err(format!("{name}: {missing}").into());
    }
    let old = match entry.kind {
        Kind::Child => program.give_up(seat, bytes_of(&deployment.model)),
        Kind::Process | Kind::Server => None,
    };
    match entry.strategy.deploy_model(&deployment, progress) {
        Ok(deployed) => {
            *program.live() = None;
            let strategy = Arc::clone(&entry.strategy);
            Ok(Arc::new(StrategyBackend::new(
                strategy,
                deployed,
                said.to_vec(),
            )))
        }
        Err(error) => {
            let why = format!("{name}: {error}");
            Err(match old {
                Some(old) => NotLoaded {
                    why: program.bring_back(old, &why, seat),
                    gave_up: true,
                },
                None => why.into(),
            })
        }
    }
}
