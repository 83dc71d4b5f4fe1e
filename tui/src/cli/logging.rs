//! The log, which is off unless it was asked for.

use std::fs::File;
use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use super::args::CommonArgs;
use super::console::Console;
use super::failure::Usage;

/// Turns the log on if `--log` was given. `draws` says that the command draws on the terminal.
///
/// # Errors
/// A level that there is not, a file that cannot be opened, or a log on a terminal that is drawn
/// on.
pub(crate) fn start(common: &CommonArgs, console: &Console, draws: bool) -> anyhow::Result<()> {
    let Some(level) = &common.log else {
        return Ok(());
    };
    let filter = EnvFilter::builder()
        .parse(level)
        .map_err(|error| Usage(format!("--log {level}: {error}; try --log info")))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    match &common.log_file {
        Some(path) => {
            let file = File::options()
                .create(true)
                .append(true)
                .open(path)
                .with_context(|| format!("cannot open the log file {}", path.display()))?;
            log.with_ansi(false).with_writer(file).init();
        }
        None if draws && std::io::stderr().is_terminal() => {
            let why =
                "the chat draws on the terminal that the log would go to: add --log-file FILE";
            return Err(Usage(why.to_owned()).into());
        }
        None => log
            .with_ansi(console.color_err())
            .with_writer(std::io::stderr)
            .init(),
    }
    Ok(())
}
