//! `tritone strategies`: other ways to run a model, and the choice between them.

mod args;
mod list;
mod loader;
mod recommend;
mod record;
mod test;

use std::io::{self, Write as _};
use std::process::ExitCode;

use tritone_engine::ModelSource;
use tritone_profile::process_environment;
use tritone_strategy::{Deployment, Guard, Manager, ModelRef, Registry};

use super::args::CommonArgs;
use super::config::Settings;
use super::console::{Console, visible};
use super::directory;
use super::failure::Usage;
use super::setup;
use args::Action;
pub(crate) use args::{StrategiesArgs, StrategyFlag};
pub(crate) use list::{measured, told};
pub(crate) use record::Record;
pub(crate) use test::{Outcome, measure};

/// The word for what the program does by itself.
pub(crate) const AUTO: &str = "auto";

/// Runs the command.
pub(crate) fn run(
    args: &StrategiesArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(common);
    for note in &settings.notes {
        console.note(note);
    }
    let manager = manager(common, &settings)?;
    let record = Record::load(|note| console.note(&note));
    match &args.action {
        Action::List { json } => list::run(&manager, &record, *json),
        Action::Test { names, json } => test::run(&manager, record, names, *json, common, console),
        Action::Use { name } => prefer(&manager, record, name),
        Action::Recommend { purpose, json } => {
            let model = deployment(common)?.model.to_string();
            recommend::run(&record, &model, *purpose, *json)
        }
    }
}

/// The strategies there are.
///
/// # Errors
/// When the program cannot find itself, which it has to for those that it starts.
pub(crate) fn manager(common: &CommonArgs, settings: &Settings) -> anyhow::Result<Manager> {
    let config = settings.config.strategies();
    let guard = Guard::of_this_program()?;
    let loader = Box::new(loader::Loading::new(common));
    let registry = Registry::standard(loader, &guard, config, &process_environment);
    Ok(Manager::new(&registry, config.order.clone()))
}

/// What is to be run, as the flags say.
///
/// # Errors
/// When a name fits several models.
pub(crate) fn deployment(common: &CommonArgs) -> anyhow::Result<Deployment> {
    let source = setup::named_source(common.model.as_deref(), &mut Vec::new())?;
    let whole = |count: u64| usize::try_from(count).ok();
    Ok(Deployment {
        context: common.ctx.and_then(whole),
        threads: common.threads,
        memory_limit: common.memory.map(|mib| mib.saturating_mul(1 << 20)),
        ..Deployment::of(model_of(&source))
    })
}

/// A model as strategies name it.
pub(crate) fn model_of(source: &ModelSource) -> ModelRef {
    match source {
        ModelSource::File(path) => match directory::of(path) {
            Some(directory) => ModelRef::Directory(directory),
            None => ModelRef::File(path.clone()),
        },
        // It has no path that another program could open.
        ModelSource::Open { name, .. } => ModelRef::Named(name.clone()),
        ModelSource::Embedded { .. } => ModelRef::Embedded,
    }
}

/// Remembers which strategy the chat is to use.
fn prefer(manager: &Manager, mut record: Record, name: &str) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    if name == AUTO {
        record.preferred = None;
        record.save()?;
        writeln!(
            out,
            "the chat uses native again, or the order of your settings"
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let entry = manager
        .get(name)
        .map_err(|error| Usage(error.to_string()))?;
    record.preferred = Some(name.to_owned());
    record.save()?;
    writeln!(
        out,
        "the chat uses {name} from now on, and what comes after it where it fails; `tritone strategies use auto` \
         undoes that"
    )?;
    if let Some(missing) = entry.strategy.setup_environment().missing() {
        let text = missing.to_string();
        writeln!(out, "it cannot be used now: {}", visible(&text))?;
    }
    Ok(ExitCode::SUCCESS)
}
