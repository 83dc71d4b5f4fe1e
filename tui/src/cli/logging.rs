//! The log: to a file or standard error if it was asked for, and always to the screen of the chat.

use std::fs::File;
use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use super::args::CommonArgs;
use super::console::Console;
use super::failure::Usage;
use crate::logs::Keeper;

/// What the screen keeps when nobody asked for a log: everything of this program that is not written
/// for every token, and warnings of others.
const KEPT: &str = "warn,tritone=debug";

/// Turns the log on: `--log` to a file or standard error, and the log of the screen. `draws` says that
/// the command draws on the terminal.
///
/// # Errors
/// A level that there is not, or a file that cannot be opened.
pub(crate) fn start(common: &CommonArgs, console: &Console, draws: bool) -> anyhow::Result<()> {
    let named = common.log.as_deref();
    if named.is_none() && !draws {
        return Ok(());
    }
    let filter = |level: &str| {
        EnvFilter::builder()
            .parse(level)
            .map_err(|error| Usage(format!("--log {level}: {error}; try --log info")))
    };
    let kept = match draws {
        true => Some(Keeper.with_filter(filter(named.unwrap_or(KEPT))?)),
        false => None,
    };
    let registry = tracing_subscriber::registry().with(kept);
    let Some(level) = named else {
        registry.init();
        return Ok(());
    };
    match &common.log_file {
        Some(path) => {
            let file = File::options()
                .create(true)
                .append(true)
                .open(path)
                .with_context(|| format!("cannot open the log file {}", path.display()))?;
            let written = tracing_subscriber::fmt::layer()
                .with_ansi(false)
                .with_writer(file)
                .with_filter(filter(level)?);
            registry.with(written).init();
        }
        // The chat draws on the terminal that the log would go to; its own view shows it.
        None if draws && std::io::stderr().is_terminal() => registry.init(),
        None => {
            let written = tracing_subscriber::fmt::layer()
                .with_ansi(console.color_err())
                .with_writer(std::io::stderr)
                .with_filter(filter(level)?);
            registry.with(written).init();
        }
    }
    Ok(())
}
