//! `tritone health`: whether a model does here what it should.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::args::CommonArgs;
use super::console::{Console, visible};
use super::failure::UNHEALTHY;
use super::interrupt::Interrupt;
use super::setup::Setup;
use crate::health::{Bounds, check};

const EXAMPLES: &str = "\
Loads the model, has it answer a short prompt, and looks at time, memory, and whether all kernels say the
same, bit for bit.

  tritone health
  tritone health --model bitnet-2b4t.gguf --profile server
  tritone health --max-latency 500 --min-speed 10       bounds that fail, instead of the alerts that warn
  tritone health --json                                 for a script

Exit code 0: healthy, perhaps with warnings. 5: a check failed. Others as for every command.";

/// `tritone health`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct HealthArgs {
    /// Longest time to the first token in milliseconds; more is a fault [default: the profile's
    /// `alerts.latency_ms`, and more is a warning].
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    max_latency: Option<u64>,
    /// Fewest tokens a second; fewer is a fault [default: the profile's
    /// `alerts.min_tokens_per_second`, and fewer is a warning].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    min_speed: Option<u32>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(
    args: &HealthArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let setup = Setup::new(common)?;
    for note in &setup.notes {
        console.note(note);
    }
    let interrupt = Interrupt::listen()?;
    let bounds = Bounds {
        latency: args.max_latency.map(Duration::from_millis),
        speed: args.min_speed.map(f64::from),
    };
    let mut line = console.progress();
    let report = check(&setup, &bounds, &mut |what| {
        line.show(|| what.to_owned());
        !interrupt.is_pressed()
    })?;
    line.clear();
    let mut out = io::stdout().lock();
    if args.json {
        let mut object = json!(report);
        object["healthy"] = json!(report.is_healthy());
        object["profile"] = json!(setup.profile().name);
        writeln!(out, "{object:#}")?;
    } else {
        out.write_all(visible(&report.text()).as_bytes())?;
    }
    Ok(match report.is_healthy() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(UNHEALTHY),
    })
}
