//! The program as the screen knows it: what is loaded, and how something else is.

mod deeds;
mod elsewhere;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tritone_engine::{
    Engine, EngineOptions, EngineStatus, GenerateError, LoadError, LoadProgress, MemoryPlan, Model,
    ModelSource, Request, human_bytes,
};
use tritone_machine::Machine;
use tritone_monitor::Limits;
use tritone_profile::Resolved;
use tritone_strategy::Native;

use super::args::CommonArgs;
use super::models::listed;
use super::profile::{self, what_if};
use super::setup::{Ready, Setup};
use crate::app::backend::{
    Backend, Bounds, ChoiceCard, Counted, EngineBackend, EventSource, KernelChoice, ModelCard,
    RaceOrder, RaceResult, Standing,
};
use crate::app::host::{Deed, Host, ModelList, NotLoaded, Order, Seat, StrategyRow};
use crate::app::profiles::{PlanCard, ProfilesCard};
use elsewhere::Elsewhere;
pub(super) use elsewhere::First;

/// Bytes of a screen: the terminal, colours of code (16 MiB once there is some), a day of measurements,
/// conversations, and what looking at other models leaves with the allocator.
const SCREEN: u64 = 40 << 20;

/// The program around a conversation.
pub(super) struct Program {
    /// What the command line says.
    common: CommonArgs,
    /// What was settled before the screen was taken.
    first: Mutex<Option<Setup>>,
    live: Mutex<Option<Live>>,
    /// What was loaded last.
    order: Mutex<Order>,
    elsewhere: Option<Elsewhere>,
    /// Bytes that the screen takes.
    beside: u64,
}

/// What is loaded.
struct Live {
    engine: Engine,
    setup: Setup,
    options: EngineOptions,
}

impl Live {
    /// What is needed to bring it back, with the kernel that it uses now.
    fn old(self) -> Old {
        let mut options = self.options;
        if let Ok(kernel) = self.setup.registry.by_name(&self.engine.kernel_name()) {
            options.kernel = kernel;
        }
        Old {
            model: self.engine.shared_model(),
            setup: self.setup,
            options,
        }
    }
}

/// Everything that is needed to load a model again.
struct Old {
    model: Arc<Model>,
    setup: Setup,
    options: EngineOptions,
}

impl Program {
    /// With what is settled already, for the first thing that is loaded; `screen` is whether there is one.
    pub(super) fn new(common: &CommonArgs, mut first: Setup, screen: bool) -> Self {
        let beside = if screen { SCREEN } else { 0 };
        first.beside = beside;
        Self {
            common: common.clone(),
            first: Mutex::new(Some(first)),
            live: Mutex::default(),
            order: Mutex::default(),
            elsewhere: None,
            beside,
        }
    }

    fn live(&self) -> MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `order` settles.
    fn setup(&self, order: &Order) -> Result<Setup, String> {
        let mut common = self.common.clone();
        if let Some(model) = &order.model {
            common.model = Some(model.into());
        }
        if let Some(profile) = &order.profile {
            common.profile = Some(profile.clone());
        }
        let setup = Setup::with_settings(&common, &order.settings);
        let mut setup = setup.map_err(|error| format!("{error:#}"))?;
        setup.beside = self.beside;
        Ok(setup)
    }

    /// Runs the loaded model as `setup` says; `said` is what there is to say already.
    fn change(
        &self,
        live: &mut Live,
        setup: Setup,
        said: &[String],
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Arc<dyn Backend>, LoadError> {
        let engine = live.engine.clone();
        let model = engine.shared_model();
        let (mut options, more) = setup.options(&model, 1);
        let mut notes = said.to_vec();
        notes.extend(more);
        let before = engine.info();
        notes.extend(engine.reconfigure(&options, progress)?);
        // A kernel that somebody named; one that was chosen may have been switched since.
        let wanted = options.kernel.facts().name.clone();
        if setup.names_kernel() && wanted != engine.kernel_name() {
            match engine.switch_kernel(Arc::clone(&options.kernel), progress) {
                Ok(more) => notes.extend(more),
                Err(why) => notes.push(format!("kernel {} stays: {why}", engine.kernel_name())),
            }
        }
        let after = engine.info();
        if loses_cache(&before.plan, &after.plan) {
            notes.push(
                "the KV cache was made again: the conversation is read anew with the next message"
                    .to_owned(),
            );
        }
        notes.extend(left_over(&live.options, &options));
        (options.pack_cache, options.mlock) = (live.options.pack_cache.clone(), live.options.mlock);
        let ready = Ready {
            memory_limit: options.memory_limit.unwrap_or(u64::MAX),
            engine,
            notes,
            open: std::time::Duration::ZERO,
            load: std::time::Duration::ZERO,
        };
        let backend = backend(&setup, ready, String::new());
        (live.setup, live.options) = (setup, options);
        Ok(backend)
    }

    /// Loads the model of `setup`; `said` is what there is to say already.
    fn open(
        &self,
        setup: Setup,
        said: &[String],
        seat: &dyn Seat,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Arc<dyn Backend>, NotLoaded> {
        let begin = std::time::Instant::now();
        let say = |error: LoadError| error.to_string();
        let (model, more) = setup.open(progress).map_err(say)?;
        let mut notes = said.to_vec();
        notes.extend(more);
        let (model, open) = (Arc::new(model), begin.elapsed());
        let (options, more) = setup.options(&model, 1);
        notes.extend(more);
        let plan = options
            .plan(&model)
            .ok_or_else(|| "the model is too large for this machine".to_owned())?;
        if !plan.fits() {
            let (model, plan) = (model.source().to_owned(), Box::new(plan));
            return Err(say(LoadError::Memory { model, plan }).into());
        }
        if let Some(live) = self.live().as_ref() {
            let otherwise = model.reads_otherwise(live.engine.model());
            notes.push(format!(
                "the conversation stays and is read anew{}{}",
                if otherwise.is_empty() { "" } else { ": " },
                otherwise.join("; ")
            ));
        }
        let old = self.make_room(&setup, &plan, seat, &mut notes)?;
        let started = Engine::start(model, &options, progress);
        let engine = match (started, old) {
            (Ok(engine), _) => engine,
            (Err(why), None) => return Err(say(why).into()),
            (Err(why), Some(old)) => {
                return Err(NotLoaded {
                    why: self.bring_back(old, &say(why), seat),
                    gave_up: true,
                });
            }
        };
        notes.extend(engine.info().notices.iter().cloned());
        let ready = Ready {
            memory_limit: options.memory_limit.unwrap_or(u64::MAX),
            engine: engine.clone(),
            notes,
            open,
            load: begin.elapsed(),
        };
        let sentence = ready.sentence();
        let backend = backend(&setup, ready, sentence);
        *self.live() = Some(Live {
            engine,
            setup,
            options,
        });
        Ok(backend)
    }

    /// Gives the loaded model up if memory does not hold it beside one of `plan`; returns what is needed
    /// to bring it back.
    fn make_room(
        &self,
        setup: &Setup,
        plan: &MemoryPlan,
        seat: &dyn Seat,
        notes: &mut Vec<String>,
    ) -> Result<Option<Old>, String> {
        let mut live = self.live();
        let Some(loaded) = live.as_ref() else {
            return Ok(None);
        };
        let now = &loaded.engine.info().plan;
        // The program is there once.
        let both = (now.total() - now.program).saturating_add(plan.total());
        let limit = plan.limit.into_iter().chain(now.limit).max();
        let usable = setup.machine.memory.usable_bytes();
        let most = limit.into_iter().chain(usable).min().unwrap_or(u64::MAX);
        if both <= most {
            return Ok(None);
        }
        let both = format!(
            "both models together take {} of {}",
            human_bytes(both),
            human_bytes(most)
        );
        if !seat.clear() {
            return Err(format!("{both}; leave, and start with the other model"));
        }
        notes.push(format!("{both}: the old one was given up first"));
        Ok(live.take().map(Live::old))
    }

    /// Loads the old model again; the value says why that was necessary.
    fn bring_back(&self, old: Old, why: &str, seat: &dyn Seat) -> String {
        let Old {
            model,
            setup,
            options,
        } = old;
        let begin = std::time::Instant::now();
        match Engine::start(model, &options, &mut |_| true) {
            Ok(engine) => {
                let ready = Ready {
                    memory_limit: options.memory_limit.unwrap_or(u64::MAX),
                    engine: engine.clone(),
                    notes: Vec::new(),
                    open: std::time::Duration::ZERO,
                    load: begin.elapsed(),
                };
                seat.put(backend(&setup, ready, String::new()));
                *self.live() = Some(Live {
                    engine,
                    setup,
                    options,
                });
                format!("{why}; the old model is back")
            }
            Err(error) => format!("{why}; and the old model could not be brought back: {error}"),
        }
    }
}

fn loses_cache(before: &MemoryPlan, after: &MemoryPlan) -> bool {
    before.forms.kv != after.forms.kv || before.capacity.kv_pages != after.capacity.kv_pages
}

/// What only counts when a model is loaded.
fn left_over(now: &EngineOptions, wanted: &EngineOptions) -> Vec<String> {
    let mut left = Vec::new();
    if now.pack_cache != wanted.pack_cache {
        left.push("`pack_cache`");
    }
    if now.mlock != wanted.mlock {
        left.push("`mlock`");
    }
    match left.is_empty() {
        true => Vec::new(),
        false => vec![format!(
            "{} of this profile counts when a model is loaded next",
            left.join(" and ")
        )],
    }
}

/// Whether two sources are one model.
fn is_same(a: &ModelSource, b: &ModelSource) -> bool {
    match (a, b) {
        (ModelSource::File(a), ModelSource::File(b)) => {
            a == b
                || a.canonicalize()
                    .ok()
                    .is_some_and(|a| b.canonicalize().ok() == Some(a))
        }
        (ModelSource::Embedded { name: a, .. }, ModelSource::Embedded { name: b, .. }) => a == b,
        _ => false,
    }
}

impl Program {
    /// Loads what `order` asks for with the engine of this process; `said` is what there is to say already.
    fn load_own(
        &self,
        order: &Order,
        said: &[String],
        seat: &dyn Seat,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Arc<dyn Backend>, NotLoaded> {
        let first = self
            .first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let same = Order {
            strategy: None,
            ..order.clone()
        };
        let setup = match first {
            Some(setup) if same == Order::default() => setup,
            _ => self.setup(order)?,
        };
        // One order is carried out at a time, so that nobody takes the place of what is changed here.
        let mut live = self.live();
        if let Some(live) = live.as_mut()
            && is_same(&live.setup.source, &setup.source)
        {
            let changed = self.change(live, setup, said, progress);
            return Ok(changed.map_err(|error| error.to_string())?);
        }
        drop(live);
        self.open(setup, said, seat, progress)
    }
}

impl Host for Program {
    fn load(
        &self,
        order: &Order,
        seat: &dyn Seat,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Arc<dyn Backend>, NotLoaded> {
        let before = self.order().strategy.clone();
        let unnamed = order.strategy.is_none();
        let (order, first) = self.settled(order);
        let left = before.filter(|name| unnamed && name != Native::NAME && first.is_native());
        let said = left.map(|name| format!("native runs it: {name} runs what it has"));
        let backend = match (&self.elsewhere, first) {
            (Some(elsewhere), first) if !first.is_native() => {
                elsewhere.load(self, &order, &first, seat, progress)?
            }
            _ => self.load_own(&order, said.as_slice(), seat, progress)?,
        };
        *self.order() = Order {
            strategy: Some(
                backend
                    .strategy()
                    .unwrap_or_else(|| Native::NAME.to_owned()),
            ),
            ..order
        };
        if let Some(elsewhere) = &self.elsewhere {
            elsewhere.settle(backend.strategy().as_deref());
        }
        Ok(backend)
    }

    fn strategies(&self) -> Result<Vec<StrategyRow>, String> {
        let elsewhere = self.elsewhere.as_ref();
        let elsewhere = elsewhere.ok_or("there are no strategies here")?;
        Ok(elsewhere.rows(self))
    }

    fn deed(
        &self,
        deed: &Deed,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<String, String> {
        let elsewhere = self.elsewhere.as_ref();
        let elsewhere = elsewhere.ok_or("there are no strategies here")?;
        elsewhere.deed(self, deed, progress)
    }

    fn profiles(&self, backend: &dyn Backend) -> Result<ProfilesCard, String> {
        let order = self.order().clone();
        profile::cards(&self.common, &order, backend)
    }

    fn models(&self, report: &mut dyn FnMut(usize, usize) -> bool) -> Result<ModelList, String> {
        // As they would be loaded now.
        let order = Order {
            model: None,
            ..self.order().clone()
        };
        let mut list = listed::list(&self.setup(&order)?, report)?;
        if let Some(live) = self.live().as_ref() {
            for row in &mut list.rows {
                let path = Some(row.path.as_str()).filter(|path| !path.is_empty());
                let source = super::setup::source(path.map(std::path::Path::new));
                row.active = is_same(&source, &live.setup.source);
            }
        }
        Ok(list)
    }
}

fn backend(setup: &Setup, ready: Ready, sentence: String) -> Arc<dyn Backend> {
    let kernels = super::kernels::options(setup, ready.engine.model());
    let races = setup.races(ready.engine.model());
    let bounds = bounds(setup, ready.memory_limit);
    Arc::new(Noted {
        bounds,
        backend: EngineBackend::new(ready.engine, kernels, races, setup.profile().name.clone()),
        notices: ready.notes,
        sentence,
        machine: setup.machine.clone(),
        beside: setup.beside,
    })
}

/// What the profile bounds. A limit that nobody asked for was raised to what the model takes: being near
/// it is no news, nor being above what the preset has watched.
pub(super) fn bounds(setup: &Setup, memory_limit: u64) -> Bounds {
    let profile = setup.profile();
    let alerts = &profile.alerts;
    let raised = memory_limit > profile.memory_bytes();
    let watched = alerts.memory_mb.saturating_mul(1 << 20);
    Bounds {
        memory: Some(memory_limit),
        interval: Duration::from_millis(profile.monitor.interval_ms),
        alerts: Limits {
            memory_bytes: if raised {
                watched.max(memory_limit)
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
    beside: u64,
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
        what_if(
            profile,
            &self.machine,
            model,
            self.backend.kernel()?,
            self.beside,
        )
    }

    fn bounds(&self) -> Bounds {
        self.bounds
    }

    fn generate(&self, request: Request) -> Result<Box<dyn EventSource>, GenerateError> {
        self.backend.generate(request)
    }

    fn count(&self, texts: &[String]) -> Result<Counted, String> {
        self.backend.count(texts)
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

#[cfg(test)]
mod tests;
