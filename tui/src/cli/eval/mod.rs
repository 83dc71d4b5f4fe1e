//! `tritone eval`: how well a model does on a text, or on a set of questions.

mod args;
mod base;
mod questions;
mod report;
mod score;
mod stats;
mod text;
mod windows;

use std::process::ExitCode;

pub(crate) use args::EvalArgs;

use super::args::CommonArgs;
use super::console::Console;

/// Runs the command.
pub(crate) fn run(
    args: &EvalArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    args.check()?;
    if args.is_questions() {
        questions::run(args, common, console)
    } else {
        text::run(args, common, console)
    }
}
