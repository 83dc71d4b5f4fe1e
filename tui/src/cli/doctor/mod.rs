//! `tritone doctor`: what this machine, this terminal and this installation are like, and what to do
//! about it.

mod finding;
mod machine;
mod places;
mod program;
mod report;
mod terminal;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::json;
use tritone_machine::{EnergyMeter, Machine, choose_threads};
use tritone_profile::process_environment;

use super::args::CommonArgs;
use super::console::Console;
use super::failure::FAILED;
use super::reach::{self, Reaches};
use super::setup::{self, Setup};
use finding::{Finding, Level};
use machine::Wanted;
use terminal::Terminal;

const EXAMPLES: &str = "\
Looks at the processor, memory and limits, terminal, directories, kernels, model and settings, and says
what costs speed or does not work, and what to do. Nothing is changed and nothing is sent anywhere.

  tritone doctor
  tritone doctor --threads 8 --model bitnet-2b4t.gguf   what these would come to
  tritone doctor --measure                              measure the memory, too
  tritone doctor --json                                 for a report of a fault

Exit code 1 says that there is a problem; notes and warnings leave it 0.";

/// `tritone doctor`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DoctorArgs {
    /// Measure how fast memory is read and bytes are multiplied, and keep the result for the speed that
    /// `tritone inspect` expects. Takes a second.
    #[arg(long)]
    measure: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(
    args: &DoctorArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let setup = Setup::new(common);
    let machine = match &setup {
        Ok(setup) => setup.machine.clone(),
        Err(_) => Machine::detect(),
    };
    let registry = setup::registry(common);
    let wanted = wanted(common, setup.as_ref().ok(), &machine);
    let mut findings = machine::findings(&machine, &wanted);
    findings.push(machine::energy(&EnergyMeter::open()));
    if let Ok(best) = registry.best() {
        findings.push(reached(args, &machine, wanted.threads, &*best));
    }
    findings.extend(terminal::findings(&Terminal {
        env: &process_environment,
        is_terminal: io::stdout().is_terminal(),
        size: crossterm::terminal::size()
            .ok()
            .filter(|_| io::stdout().is_terminal()),
    }));
    findings.extend(places::findings(&process_environment));
    findings.extend(program::settings(common, &setup, &machine));
    findings.extend(program::kernels(&registry));
    findings.extend(program::models(common, setup.as_ref().ok()));
    let worst = findings.iter().map(|finding| finding.level).max();
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", object(&machine, &findings, worst))?;
    } else {
        let width = crossterm::terminal::size().map_or(80, |(columns, _)| columns);
        let text = report::text(
            &findings,
            usize::from(width).clamp(60, 110),
            console.color(),
        );
        out.write_all(text.as_bytes())?;
    }
    Ok(match worst {
        Some(Level::Problem) => ExitCode::from(FAILED),
        _ => ExitCode::SUCCESS,
    })
}

/// What the program would do with these settings.
fn wanted(common: &CommonArgs, setup: Option<&Setup>, machine: &Machine) -> Wanted {
    let asked = common.threads.or_else(|| Some(setup?.profile().threads));
    let choice = choose_threads(asked, machine);
    match setup {
        Some(setup) => Wanted {
            threads: setup.threads,
            // Lowering what nobody asked for is no news.
            lowered: choice.note.filter(|note| setup.notes.contains(note)),
            memory: setup.profile().memory_bytes(),
            profile: setup.profile().name.clone(),
            locks: setup.profile().mlock,
        },
        None => Wanted {
            threads: choice.threads,
            lowered: choice.note,
            memory: 0,
            profile: String::new(),
            locks: false,
        },
    }
}

/// What is known of the memory's speed, or is measured now.
fn reached(
    args: &DoctorArgs,
    machine: &Machine,
    threads: usize,
    kernel: &dyn tritone_abi::Kernel,
) -> Finding {
    let path = reach::path(&process_environment);
    let name = &kernel.facts().name;
    let read = path
        .as_deref()
        .map_or_else(|| Ok(Reaches::default()), Reaches::read);
    let damaged = read
        .as_ref()
        .err()
        .map(|why| format!("the measurements in {path:?} cannot be used: {why}"));
    if !args.measure {
        let known = read.unwrap_or_default().find(machine, name, threads);
        return machine::reach(name, known.as_deref(), damaged);
    }
    match reach::measure(kernel, machine, threads) {
        Ok(now) => {
            let kept = match &path {
                Some(path) => reach::keep(path, machine, name, &now)
                    .map_err(|error| format!("not kept: {path:?}: {error}")),
                None => Err("not kept: there is no cache directory".to_owned()),
            };
            machine::reach(name, Some(&now), kept.err())
        }
        Err(why) => machine::reach(name, None, Some(format!("it could not be measured: {why}"))),
    }
}

fn object(machine: &Machine, findings: &[Finding], worst: Option<Level>) -> serde_json::Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "system": tritone_machine::operating_system(),
        "level": worst.unwrap_or(Level::Ok).word(),
        "findings": findings,
        "machine": machine,
    })
}
