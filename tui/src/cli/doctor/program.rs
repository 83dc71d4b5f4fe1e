//! The program: kernels, model, profile, and the files it keeps.

use tritone_loader::{Registry, State};
use tritone_machine::Machine;
use tritone_profile::{FileKind, check, process_environment, user_profiles};

use super::finding::{Area, Finding, Level};
use crate::cli::args::CommonArgs;
use crate::cli::config::Settings;
use crate::cli::console::visible;
use crate::cli::failure;
use crate::cli::models::{places, scan};
use crate::cli::profile::layers;
use crate::cli::setup::Setup;

/// Looks at the profile and the settings; `setup` is what became of them.
pub(super) fn settings(
    common: &CommonArgs,
    setup: &anyhow::Result<Setup>,
    machine: &Machine,
) -> Vec<Finding> {
    let mut area = Area::new("program");
    let version = env!("CARGO_PKG_VERSION");
    let place = std::env::current_exe();
    let place = place.map_or_else(|_| String::new(), |path| format!(", {}", path.display()));
    area.ok("version", format!("{version}{place}"));
    match setup {
        Ok(setup) => area.ok("profile", setup.resolved.chosen()),
        Err(error) => area.say(
            "profile",
            "the settings cannot be used",
            Level::Problem,
            failure::message(error),
        ),
    }
    profile_files(common, machine, &mut area);
    let terminal = Settings::load(common);
    for note in terminal.notes {
        area.say("settings", "not all can be used", Level::Warning, note);
    }
    for note in setup.iter().flat_map(|setup| &setup.notes) {
        // Plugins and threads have lines of their own.
        if !note.starts_with("plugin ") && !note.contains(" threads asked, ") {
            area.say("settings", "said at every start", Level::Note, note.clone());
        }
    }
    area.findings
}

/// Checks all profile files that count here, whether they are used now or not.
fn profile_files(common: &CommonArgs, machine: &Machine, area: &mut Area) {
    let layers = layers(common, &[], machine);
    let mut files = Vec::new();
    if let Some(directory) = &layers.profiles_dir {
        match user_profiles(directory) {
            Ok(own) => files.extend(own.into_iter().map(|own| (FileKind::Named, own.path))),
            Err(error) => {
                area.say(
                    "profile files",
                    directory.display().to_string(),
                    Level::Warning,
                    error.to_string(),
                );
            }
        }
    }
    let single = [
        (FileKind::User, &layers.user_file),
        (FileKind::Project, &layers.project_file),
    ];
    for (kind, path) in single {
        files.extend(
            path.iter()
                .filter(|path| path.exists())
                .map(|path| (kind, path.clone())),
        );
    }
    let mut valid = 0;
    for (kind, path) in &files {
        match check(*kind, path, &layers) {
            Ok(()) => valid += 1,
            Err(error) => area.say(
                "profile files",
                path.display().to_string(),
                Level::Warning,
                format!("{error}; `tritone profile validate` shows all mistakes"),
            ),
        }
    }
    if valid > 0 {
        area.ok("profile files", format!("{valid} valid"));
    }
}

/// Looks at the kernels.
pub(super) fn kernels(registry: &Registry) -> Vec<Finding> {
    let mut area = Area::new("program");
    let usable: Vec<&str> = registry
        .kernels()
        .iter()
        .filter(|found| found.is_usable())
        .map(|found| found.facts.name.as_str())
        .collect();
    match (usable.is_empty(), registry.best()) {
        (false, Ok(best)) => area.ok(
            "kernels",
            format!(
                "{} usable: {}; best by score {}",
                usable.len(),
                usable.join(", "),
                best.facts().name
            ),
        ),
        (_, best) => area.say(
            "kernels",
            "none can be used",
            Level::Problem,
            best.err().map_or_else(
                || "nothing runs without one".to_owned(),
                |why| why.to_string(),
            ),
        ),
    }
    for found in registry.kernels() {
        let name = &found.facts.name;
        match &found.state {
            State::Usable | State::CannotRun(_) => {}
            State::Shadowed { by } => {
                area.ok(
                    "plugin",
                    format!("{name} at {} gives way to {by}", found.origin),
                );
            }
            State::Disabled => area.say(
                "plugin",
                name,
                Level::Note,
                "switched off by TRITONE_DISABLE_KERNELS",
            ),
        }
    }
    for refused in registry.refused() {
        area.say(
            "plugin",
            format!("{:?}", refused.path),
            Level::Warning,
            format!("refused: {}", refused.reason),
        );
    }
    area.findings
}

/// Looks at the model that would be used, and at those that are here.
pub(super) fn models(common: &CommonArgs, setup: Option<&Setup>) -> Vec<Finding> {
    let mut area = Area::new("program");
    if let Some(setup) = setup {
        model(common, setup, &mut area);
    }
    let all = places::places(&process_environment, std::env::current_dir().ok());
    let (entries, notes) = scan::scan(&all);
    let found = all.iter().filter(|place| place.path.is_dir()).count();
    area.ok(
        "models here",
        format!(
            "{} besides the built-in one, in {found} of {} places; `tritone models` lists them",
            entries.len(),
            all.len()
        ),
    );
    for note in notes {
        area.say("models here", "not all could be read", Level::Note, note);
    }
    area.findings
}

fn model(common: &CommonArgs, setup: &Setup, area: &mut Area) {
    let named = common
        .model
        .as_deref()
        .filter(|path| !path.as_os_str().is_empty());
    let name = named.map_or_else(
        || "built in".to_owned(),
        |path| visible(&path.display().to_string()).into_owned(),
    );
    // A directory would be converted, which takes long: that is left to the command that needs it.
    if named.is_some_and(|path| path.is_dir()) {
        area.ok(
            "model",
            format!("{name} (a directory; `tritone inspect` looks into it)"),
        );
        return;
    }
    let (model, _) = match setup.open(&mut |_| true) {
        Ok(opened) => opened,
        Err(error) => {
            area.say("model", name, Level::Problem, error.to_string());
            return;
        }
    };
    let capacity = tritone_engine::Capacity::new(setup.context(&model), 1, 64);
    let planned = setup.plan(&model, capacity);
    let shown = format!("{} ({name})", model.recipe().name);
    let human = tritone_engine::human_bytes;
    match planned.plan {
        Some(plan) if plan.fits() => area.ok(
            "model",
            format!(
                "{shown}: takes {} of a limit of {} with a context of {} tokens",
                human(plan.total()),
                human(planned.limit),
                setup.context(&model)
            ),
        ),
        Some(plan) => area.say(
            "model",
            shown,
            Level::Problem,
            format!(
                "it takes {} with a context of {} tokens, and the limit is {}: `tritone inspect` \
                 shows what for; --ctx, --kv q8 and --head q6 make it smaller",
                human(plan.total()),
                setup.context(&model),
                human(planned.limit)
            ),
        ),
        None => area.say(
            "model",
            shown,
            Level::Problem,
            "the kernel does not take this model; `tritone kernels` lists the others",
        ),
    }
}
