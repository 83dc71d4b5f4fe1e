//! What the screen shows of strategies and does with those that the chat does not use.

use std::cell::RefCell;

use tritone_engine::LoadProgress;
use tritone_strategy::{
    Entry, Fault, Kind, Native, State, Strategy, StrategyError, Trial, deploy_one,
};

use super::{Elsewhere, Program};
use crate::app::host::{Deed, Order, StrategyRow};
use crate::cli::strategies::{Outcome, Record, measure, measured, told};
use crate::health::{self, Bounds};
use crate::view::format;

/// What a test reports; how far it is cannot be told.
const TESTING: LoadProgress = LoadProgress {
    stage: "testing",
    done: 0,
    total: 0,
};

impl Elsewhere {
    /// The strategies, for the screen.
    pub(super) fn rows(&self, program: &Program) -> Vec<StrategyRow> {
        let record = Record::load(|_| ());
        let now = program.order().strategy.clone();
        let now = now.unwrap_or_else(|| Native::NAME.to_owned());
        // Servers that are not there take seconds each to say so.
        std::thread::scope(|scope| {
            let look = |entry| {
                let (record, now) = (&record, &now);
                scope.spawn(move || row(entry, record, now))
            };
            let looks: Vec<_> = self.manager.entries().into_iter().map(look).collect();
            looks
                .into_iter()
                .filter_map(|look| look.join().ok())
                .collect()
        })
    }

    /// Starts, ends or tests a strategy.
    pub(super) fn deed(
        &self,
        program: &Program,
        deed: &Deed,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<String, String> {
        let (Deed::Start(name) | Deed::Stop(name) | Deed::Test(name) | Deed::Health(name)) = deed;
        let entry = self.manager.get(name).map_err(|error| error.to_string())?;
        let order = program.order().clone();
        let active = order.strategy.as_deref().unwrap_or(Native::NAME) == name;
        let deployment = program.deployment(&order)?;
        match deed {
            Deed::Start(_) if active => Err(format!("{name} is in use")),
            Deed::Stop(_) if active => Err(format!(
                "{name} is in use: switch the chat to another one first"
            )),
            Deed::Start(_) => {
                let deployed = deploy_one(&*entry.strategy, &deployment, progress);
                let deployed = deployed.map_err(|error| error.to_string())?;
                Ok(format!(
                    "{name} runs {}: {}",
                    deployed.model, deployed.runs_on
                ))
            }
            Deed::Stop(_) => {
                entry.strategy.shutdown();
                Ok(format!("{name} runs nothing now"))
            }
            Deed::Health(_) if name == Native::NAME => healthy(program, &order, progress),
            Deed::Health(_) => {
                let health = entry.strategy.health();
                let text = format!("{name} is {}: {}", health.state.name(), health.why);
                match health.state {
                    State::Unhealthy => Err(text),
                    State::Off | State::Starting | State::Ready => Ok(text),
                }
            }
            Deed::Test(_) => {
                let progress = RefCell::new(progress);
                let report = |now| {
                    let mut progress = progress.borrow_mut();
                    progress(now)
                };
                // Between two prompts it can be given up.
                let stopped = || !report(TESTING);
                // One that was started stays so.
                let runs = active || entry.strategy.deployed().is_some();
                let outcome = match runs {
                    true => of_running(program, entry, &stopped),
                    false => measure(
                        entry,
                        &deployment,
                        &mut |now| report(now),
                        &stopped,
                        &|_| (),
                    ),
                };
                let tested = outcome.tested(&deployment.model.to_string());
                let mut record = Record::load(|_| ());
                let text = format!("{name}: {}", measured(&tested));
                record.add(tested);
                let kept = record.save();
                match (outcome.works(), kept) {
                    (true, Ok(())) => Ok(text),
                    (true, Err(why)) => Ok(format!("{text}; it is not kept: {why:#}")),
                    (false, _) => Err(outcome.rejected.map_or_else(
                        || format!("{name}: {}", outcome.trial.faults.join("; ")),
                        |rejected| rejected.to_string(),
                    )),
                }
            }
        }
    }
}

/// What a check reports; how far it is cannot be told.
const CHECKING: LoadProgress = LoadProgress {
    stage: "checking",
    done: 0,
    total: 0,
};

/// Checks this process's own engine with the model of the chat, loaded a second time beside it.
fn healthy(
    program: &Program,
    order: &Order,
    progress: &mut dyn FnMut(LoadProgress) -> bool,
) -> Result<String, String> {
    let mut setup = program.setup(order)?;
    if let Some(live) = program.live().as_ref() {
        // Both are in memory together, and the limit holds for both.
        setup.beside += live.engine.info().plan.total();
    }
    let checked = health::check(&setup, &Bounds::default(), &mut |_| progress(CHECKING));
    let report = checked.map_err(|_| "native: it was given up".to_owned())?;
    match report.is_healthy() {
        true => Ok(report.text()),
        false => Err(format!(
            "{}\nA second copy of the model was loaded for this; `tritone health` checks it alone.",
            report.text()
        )),
    }
}

/// Tests what runs already, as it runs.
fn of_running(program: &Program, entry: &Entry, stopped: &dyn Fn() -> bool) -> Outcome {
    let strategy = &entry.strategy;
    let engine = program.live().as_ref().map(|live| live.engine.clone());
    let native = engine
        .filter(|_| entry.kind == Kind::Process)
        .map(Native::running);
    let asked: &dyn Strategy = match &native {
        Some(native) => native,
        None => &**strategy,
    };
    let generate = |request| match stopped() {
        true => Err(StrategyError::new(Fault::Cancelled, "it was given up")),
        false => asked.generate(request),
    };
    let mut trial = Trial::of(&generate, None);
    trial.resident_bytes = asked.performance_metrics().resident_bytes;
    Outcome {
        name: strategy.name().to_owned(),
        deployed: strategy.deployed(),
        capabilities: strategy.capabilities(),
        trial,
        rejected: None,
        same_text: None,
        difference: None,
    }
}

fn row(entry: &Entry, record: &Record, now: &str) -> StrategyRow {
    let strategy = &entry.strategy;
    let environment = strategy.setup_environment();
    let capabilities = strategy.capabilities();
    let active = strategy.name() == now;
    let findings = environment.findings.iter().map(told);
    let mut findings: Vec<String> = findings.collect();
    let deployed = strategy.deployed();
    findings
        .extend(deployed.map(|deployed| format!("runs {}: {}", deployed.model, deployed.runs_on)));
    let bytes = strategy.performance_metrics().resident_bytes;
    let bytes = bytes.filter(|_| entry.kind == Kind::Child);
    findings.extend(bytes.map(|bytes| format!("takes {} of memory", format::bytes(bytes))));
    let can = capabilities.named().into_iter().filter(|(_, can)| *can);
    StrategyRow {
        name: strategy.name().to_owned(),
        summary: strategy.summary(),
        kind: entry.kind.name().to_owned(),
        state: match active {
            true => "in use".to_owned(),
            false => strategy.health().state.name().to_owned(),
        },
        usable: environment.is_usable(),
        findings,
        capabilities: can.map(|(name, _)| name.to_owned()).collect(),
        tested: record.last(strategy.name()).map(measured),
        leaves_machine: capabilities.leaves_machine,
        active,
    }
}
