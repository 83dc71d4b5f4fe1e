//! The log: to a file or standard error if it was asked for, and always to the screen of the chat.

use std::fs::File;
use std::io::IsTerminal as _;

use anyhow::Context as _;
use clap::ValueEnum;
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use super::args::CommonArgs;
use super::console::Console;
use super::failure::Usage;
use crate::logs::Keeper;

/// What the screen keeps when nobody asked for a log: everything of this program that is not written
/// for every token, and warnings of others.
const KEPT: &str = "warn,tritone=debug";

/// Form of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object a line: time (RFC 3339, UTC), level, target and what is said.
    Json,
}

/// The log as it is written somewhere.
fn written<S, W>(format: LogFormat, color: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer).with_ansi(color);
    match format {
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
        // The journal of systemd has times of its own.
        LogFormat::Text if std::env::var_os("JOURNAL_STREAM").is_some() => {
            layer.without_time().boxed()
        }
        LogFormat::Text => layer.boxed(),
    }
}

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
            let written = written(common.log_format, false, file).with_filter(filter(level)?);
            registry.with(written).init();
        }
        // The chat draws on the terminal that the log would go to; its own view shows it.
        None if draws && std::io::stderr().is_terminal() => registry.init(),
        None => {
            let color = console.color_err() && common.log_format == LogFormat::Text;
            let written = written(common.log_format, color, std::io::stderr);
            registry.with(written.with_filter(filter(level)?)).init();
        }
    }
    Ok(())
}
