//! `tritone monitor`: what a chat or a server measured, out of its log, or from the server itself.

mod summary;
mod watch;

use std::collections::VecDeque;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use tritone_monitor::{LogContent, Record, export, read_log};

use super::attach::AttachArgs;
use super::console::Console;

const HOUR_MS: f64 = 3_600_000.0;

const EXAMPLES: &str = "\
A log is written by a chat that is told to; what was moved to LOG.1 is read with it:

  tritone chat --monitor-log monitor.jsonl --monitor-interval 500
  tritone monitor summary monitor.jsonl --hours 2
  tritone monitor watch monitor.jsonl
  tritone monitor watch --attach http://127.0.0.1:8080
  tritone monitor export monitor.jsonl --csv > monitor.csv

In CSV and JSON, times are UTC, `at` is in milliseconds since 1970, and every sample says what was
true of the `span_ms` before it; `decode_tokens` and the other counts are those of that interval.";

/// `tritone monitor`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MonitorArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Mean, least, greatest value and percentiles, and what happened.
    Summary {
        #[command(flatten)]
        source: Source,
        /// Only the last so many hours before its end.
        #[arg(long, value_name = "N", value_parser = hours)]
        hours: Option<f64>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print samples and events as CSV, or as a JSON array.
    Export {
        #[command(flatten)]
        source: Source,
        /// As CSV with a line of names.
        #[arg(long, required_unless_present = "json")]
        csv: bool,
        /// As a JSON array.
        #[arg(long, conflicts_with = "csv")]
        json: bool,
        /// Only the last so many hours before its end.
        #[arg(long, value_name = "N", value_parser = hours)]
        hours: Option<f64>,
    },
    /// Print a line for every sample and event as it is written, until Ctrl+C.
    Watch {
        #[command(flatten)]
        source: Source,
        /// Begin with the last so many lines that are there.
        #[arg(long, value_name = "N", default_value_t = 10)]
        last: usize,
        /// Print those and end.
        #[arg(long)]
        once: bool,
    },
}

/// Where samples come from.
#[derive(Debug, clap::Args)]
struct Source {
    /// The log.
    #[arg(
        value_name = "LOG",
        required_unless_present = "attach",
        conflicts_with = "attach"
    )]
    samples: Option<PathBuf>,
    #[command(flatten)]
    server: AttachArgs,
}

impl Source {
    /// What it is called.
    fn name(&self) -> String {
        let log = self.samples.as_ref().map(|log| log.display().to_string());
        log.or_else(|| self.server.address()).unwrap_or_default()
    }

    /// Hands on every record that is there, the oldest first.
    fn read(&self, mut take: impl FnMut(Record)) -> anyhow::Result<LogContent> {
        if let Some(log) = &self.samples {
            return Ok(read_log(log, take)?);
        }
        let mut content = LogContent::default();
        if let Some(mut feed) = self.server.feed()? {
            for record in feed.more()? {
                content.records += 1;
                take(record);
            }
        }
        Ok(content)
    }
}

fn hours(text: &str) -> Result<f64, String> {
    let hours: f64 = text
        .parse()
        .map_err(|_| "expected a number of hours, such as 2 or 0.5")?;
    if hours.is_finite() && hours > 0.0 {
        Ok(hours)
    } else {
        Err("expected more than 0 hours".to_owned())
    }
}

/// Runs the command.
pub(crate) fn run(args: &MonitorArgs, console: &Console) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Summary {
            source,
            hours,
            json,
        } => {
            let (records, content) = last_hours(source, *hours)?;
            damage(&content, console);
            summary::print(&source.name(), &records, &content, *json)?;
        }
        What::Export {
            source,
            json,
            hours,
            ..
        } => {
            let (records, content) = last_hours(source, *hours)?;
            damage(&content, console);
            let mut out = BufWriter::new(io::stdout().lock());
            if *json {
                export::json(&records, &mut out)?;
            } else {
                export::csv(&records, &mut out)?;
            }
            out.flush()?;
        }
        What::Watch { source, last, once } => match &source.samples {
            Some(log) => watch::run(log, *last, *once, console)?,
            None => {
                if let Some(feed) = source.server.feed()? {
                    watch::server(feed, *last, *once, console)?;
                }
            }
        },
    }
    Ok(ExitCode::SUCCESS)
}

/// What the log says of the last hours before its newest record; of all of them if nobody says how many.
fn last_hours(
    source: &Source,
    hours: Option<f64>,
) -> anyhow::Result<(VecDeque<Record>, LogContent)> {
    // `as` saturates.
    let window = hours.map(|hours| (hours * HOUR_MS) as u64);
    let mut records = VecDeque::new();
    let mut newest = 0;
    let content = source.read(|record: Record| {
        newest = record.at().max(newest);
        records.push_back(record);
        if let Some(window) = window {
            let from = newest.saturating_sub(window);
            while records
                .front()
                .is_some_and(|record: &Record| record.at() < from)
            {
                records.pop_front();
            }
        }
    })?;
    Ok((records, content))
}

/// Says what could not be read.
fn damage(content: &LogContent, console: &Console) {
    if let Some(first) = &content.first_damage {
        let count = content.damaged;
        let lines = if count == 1 { "line is" } else { "lines are" };
        console.note(&format!(
            "{count} {lines} no records and left out; the first: {first}"
        ));
    }
}
