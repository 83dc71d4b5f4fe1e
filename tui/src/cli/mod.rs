//! The command line: one module a command, and what they share.
//!
//! Results go to standard output and nothing else does; notes, progress and errors go to standard
//! error. Escape codes are written to terminals only.

mod args;
pub(crate) mod atomic;
mod attach;
mod batch;
mod bench;
pub(crate) mod cache_file;
mod ceiling;
mod chat;
mod completions;
mod config;
mod console;
mod convert;
pub(crate) mod date;
mod directory;
mod doctor;
mod editor;
mod embed;
mod eval;
#[cfg(test)]
mod examples;
mod failure;
mod guard;
mod health;
mod hint;
mod host;
mod inspect;
mod interrupt;
mod kernels;
mod load;
mod logging;
mod logits;
mod man;
pub(crate) mod models;
mod monitor;
mod output;
pub(crate) mod paths;
mod plain;
pub(crate) mod profile;
mod pull;
pub(crate) mod reach;
mod run;
mod serve;
mod sessions;
pub(crate) mod setup;
pub(crate) mod strategies;
mod synth;
mod tune;
mod types;

use std::process::ExitCode;

use args::{Cli, Command};
use console::Console;

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let cli = Cli::of_process();
    let console = Console::new(&cli.common);
    match dispatch(&cli, &console) {
        Ok(code) => code,
        Err(error) => failure::report(&error, &console),
    }
}

fn dispatch(cli: &Cli, console: &Console) -> anyhow::Result<ExitCode> {
    let common = &cli.common;
    let chat = matches!(cli.command, None | Some(Command::Chat(_)));
    let draws = chat && !chat::is_in_lines(common);
    logging::start(common, console, draws)?;
    match &cli.command {
        None => chat::run(&args::ChatArgs::default(), common, console),
        Some(Command::Chat(args)) => chat::run(args, common, console),
        Some(Command::Run(args)) => run::run(args, common, console),
        Some(Command::Inspect(args)) => inspect::run(args, common, console),
        Some(Command::Embed(args)) => embed::run(args, common, console),
        Some(Command::Logits(args)) => logits::run(args, common, console),
        Some(Command::Eval(args)) => eval::run(args, common, console),
        Some(Command::Kernels(args)) => kernels::run(args, common, console),
        Some(Command::Batch(args)) => batch::run(args, common, console),
        Some(Command::Load(args)) => load::run(args, console),
        Some(Command::Bench(args)) => bench::run(args, common, console),
        Some(Command::Tune(args)) => tune::run(args, common, console),
        Some(Command::Synth(args)) => synth::run(args, common, console),
        Some(Command::Convert(args)) => convert::run(args, common, console),
        Some(Command::Monitor(args)) => monitor::run(args, console),
        Some(Command::Models(args)) => models::run(args, console),
        Some(Command::Config(args)) => config::run(args, common, console),
        Some(Command::Doctor(args)) => doctor::run(args, common, console),
        Some(Command::Health(args)) => health::run(args, common, console),
        Some(Command::Sessions(args)) => sessions::run(args, console),
        Some(Command::Completions(args)) => completions::run(args, common),
        Some(Command::Man(args)) => man::run(args),
        Some(Command::Pull(args)) => pull::run(args, console),
        Some(Command::Strategies(args)) => strategies::run(args, common, console),
        Some(Command::Profile(args)) => profile::run(args, common, console),
        Some(Command::Serve(args)) => serve::run(args, common, console),
        Some(Command::GuardChild(args)) => guard::run(args),
    }
}
