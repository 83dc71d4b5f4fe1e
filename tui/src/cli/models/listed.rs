//! The models of this machine for the screen: what they are, and what they would take in memory.

use tritone_engine::{MemoryPlan, Model, ModelSource};
use tritone_profile::process_environment;

use super::facts::Runs;
use super::places::places;
use super::scan::scan;
use super::{Listed, built_in};
use crate::app::host::{ModelList, ModelRow, Smaller};
use crate::cli::setup::Setup;

/// All of them, those that run first. `report` is told how many were looked at, and of how many.
///
/// # Errors
/// When `report` says no, or the built-in model cannot be read.
pub(crate) fn list(
    setup: &Setup,
    report: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<ModelList, String> {
    let stopped = || "looking for models was stopped".to_owned();
    if !report(0, 0) {
        return Err(stopped());
    }
    let places = places(&process_environment, std::env::current_dir().ok());
    let (entries, notes) = scan(&places);
    let mut models = vec![built_in().map_err(|error| format!("{error:#}"))?];
    let total = entries.len() + 1;
    for (done, entry) in entries.into_iter().enumerate() {
        if !report(done + 1, total) {
            return Err(stopped());
        }
        models.push(Listed::of(entry));
    }
    models.sort_by(|a, b| a.order().cmp(&b.order()));
    let mut rows = Vec::with_capacity(models.len());
    for model in models {
        if !report(total, total) {
            return Err(stopped());
        }
        rows.push(row(model, setup));
    }
    Ok(ModelList { rows, notes })
}

fn row(model: Listed, setup: &Setup) -> ModelRow {
    let plan = match model.facts.runs {
        Runs::Yes => plan(&model, setup),
        Runs::NotTernary | Runs::No(_) => None,
    };
    let nearest = plan.as_ref().and_then(|plan| plan.nearest);
    ModelRow {
        active: false,
        memory: plan.as_ref().map(|plan| (plan.total(), plan.limit)),
        fits: plan.as_ref().is_some_and(MemoryPlan::fits),
        smaller: nearest.map(|fit| Smaller {
            settings: fit
                .settings()
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
            flags: fit.flags(),
            total: fit.total,
        }),
        why_not: model.facts.why_not().map(str::to_owned),
        architecture: model.facts.architecture,
        format: model.facts.ty,
        parameters: model.facts.parameters,
        bytes: model.bytes,
        place: model.kind.word().to_owned(),
        path: model
            .path
            .map_or_else(String::new, |path| path.display().to_string()),
        name: model.id,
    }
}

/// What a model would take under the present profile. A directory is not converted to find out.
fn plan(model: &Listed, setup: &Setup) -> Option<MemoryPlan> {
    let source = match &model.path {
        Some(path) if path.is_dir() => return None,
        Some(path) => ModelSource::File(path.clone()),
        None => crate::cli::setup::source(None),
    };
    let opened = Model::open(&source).ok()?;
    let (options, _) = setup.options(&opened, 1);
    options.plan(&opened)
}
