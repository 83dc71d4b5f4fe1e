//! `tritone guard-child`: what Tritone is while another program runs for it.

use std::ffi::OsString;
use std::process::ExitCode;

use tritone_strategy::guard_child;

/// `tritone guard-child`
#[derive(Debug, clap::Args)]
pub(crate) struct GuardArgs {
    /// The program to run and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs the command.
pub(crate) fn run(args: &GuardArgs) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::from(guard_child(&args.command)?))
}
