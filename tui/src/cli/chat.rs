//! `tritone` and `tritone chat`: the conversation in the terminal.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::sync::Arc;

use tritone_profile::process_environment;

use super::args::{ChatArgs, CommonArgs};
use super::config::Settings;
use super::console::Console;
use super::failure::Usage;
use super::hint;
use super::host::Program;
use super::plain;
use super::sessions;
use super::setup::Setup;
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
    let setup = Setup::new(common)?;
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
        notes.extend(setup.notes.iter().cloned());
        let profile = setup.profile().name.clone();
        let conversation = plain::Setup {
            profile,
            sampling,
            system: args.system.clone(),
            max_tokens: args.max_tokens,
            notes,
            keep,
            monitor: args.monitor.watch(),
            host: Arc::new(Program::new(common, setup, false)),
        };
        return plain::run(conversation, console);
    }
    let keymap = settings.config.keymap().0;
    notes.extend(settings.notes.iter().cloned());
    notes.extend(setup.notes.iter().cloned());
    // The last one is seen on the smallest screen, too.
    notes.extend(hint::first_run(&process_environment, &keymap));
    let terminal = term::Setup {
        profile: setup.profile().name.clone(),
        machine: setup.machine.clone(),
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
        host: Arc::new(Program::new(common, setup, true)),
    };
    Ok(ExitCode::from(term::run(terminal)?.exit_status()))
}

/// Whether the conversation is one of lines, and nothing is drawn.
pub(super) fn is_in_lines(common: &CommonArgs) -> bool {
    common.plain || plain::is_needed(|name| std::env::var(name).ok())
}
