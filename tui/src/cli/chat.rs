//! `tritone` and `tritone chat`: the conversation in the terminal.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::sync::Arc;

use tritone_machine::Machine;
use tritone_profile::process_environment;

use super::args::{ChatArgs, CommonArgs};
use super::config::Settings;
use super::console::Console;
use super::failure::Usage;
use super::hint;
use super::host::{First, Program};
use super::plain;
use super::sessions;
use super::setup::Setup;
use super::strategies;
use crate::app::host::Host;
use crate::keep::Named;
use crate::term;

/// Holds a conversation.
pub(crate) fn run(
    args: &ChatArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let in_lines = is_in_lines(common);
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
    let place = Place::new(args, common, &settings, !in_lines)?;
    let mut notes = Vec::new();
    let keep = match args.no_save {
        true => Err("nothing of this chat is kept (--no-save)"),
        false => {
            let named = Named {
                sampling: args.sampling.is_given() || common.seed.is_some(),
                max_tokens: args.max_tokens.is_some(),
                system: args.system.clone(),
            };
            sessions::start(args.resume.as_deref(), args.go_on, named)?
        }
    };
    let keep = keep.map_err(|why| notes.push(why.to_owned())).ok();
    if in_lines {
        if args.resume.as_deref() == Some("") {
            let why = "--resume needs a number or a title here; `tritone sessions` lists them";
            return Err(Usage(why.to_owned()).into());
        }
        notes.extend(place.notes);
        let conversation = plain::Setup {
            sampling,
            system: args.system.clone(),
            max_tokens: args.max_tokens,
            notes,
            keep,
            monitor: args.monitor.watch(),
            host: place.host,
        };
        return plain::run(conversation, console);
    }
    let keymap = settings.config.keymap().0;
    notes.extend(settings.notes.iter().cloned());
    notes.extend(place.notes);
    // The last one is seen on the smallest screen, too.
    notes.extend(hint::first_run(&process_environment, &keymap));
    let terminal = term::Setup {
        profile: place.profile,
        machine: place.machine,
        sampling,
        system: args.system.clone(),
        max_tokens: args.max_tokens,
        color: settings.color(console),
        manners: settings.config.manners(),
        keymap,
        presets: settings.config.sampling().to_vec(),
        notes,
        monitor: args.monitor.watch(),
        browse: keep.is_some() && args.resume.as_deref() == Some(""),
        keep,
        host: place.host,
    };
    Ok(ExitCode::from(term::run(terminal)?.exit_status()))
}

/// Where the model runs.
struct Place {
    machine: Machine,
    profile: String,
    notes: Vec<String>,
    host: Arc<dyn Host>,
}

impl Place {
    /// In this process, or at the server to attach to; `screen` is whether there is one.
    fn new(
        args: &ChatArgs,
        common: &CommonArgs,
        settings: &Settings,
        screen: bool,
    ) -> anyhow::Result<Self> {
        if let Some(attached) = args.attach.attached(common)? {
            if args.strategy.strategy.is_some() {
                let why = "--strategy cannot be given with --attach: the server runs the model";
                return Err(Usage(why.to_owned()).into());
            }
            return Ok(Self {
                machine: Machine::detect(),
                profile: "-".to_owned(),
                notes: Vec::new(),
                host: Arc::new(attached),
            });
        }
        let setup = Setup::new(common)?;
        let mut notes = setup.notes.clone();
        let manager = strategies::manager(common, settings)?;
        let flag = args.strategy.strategy.as_deref();
        if let Some(name) = flag.filter(|name| *name != strategies::AUTO) {
            manager
                .get(name)
                .map_err(|error| Usage(error.to_string()))?;
        }
        let record = strategies::Record::load(|note| notes.push(note));
        let has_order = settings.config.strategies().order.is_some();
        let begin = First::new(flag, record.preferred.as_deref(), has_order);
        Ok(Self {
            machine: setup.machine.clone(),
            profile: setup.profile().name.clone(),
            notes,
            host: Arc::new(Program::new(common, setup, screen).with_strategies(manager, begin)),
        })
    }
}

/// Whether the conversation is one of lines, and nothing is drawn.
pub(super) fn is_in_lines(common: &CommonArgs) -> bool {
    common.plain || plain::is_needed(|name| std::env::var(name).ok())
}
