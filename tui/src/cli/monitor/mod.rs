//! `tritone monitor`: what a chat measured, out of its log.

mod summary;
mod watch;

use std::collections::VecDeque;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use tritone_monitor::{LogContent, Record, export, read_log};

use super::console::Console;

const HOUR_MS: f64 = 3_600_000.0;

const EXAMPLES: &str = "\
A log is written by a chat that is told to; what was moved to LOG.1 is read with it:

  tritone chat --monitor-log monitor.jsonl --monitor-interval 500
  tritone monitor summary monitor.jsonl --hours 2
  tritone monitor watch monitor.jsonl
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
        /// The log.
        #[arg(value_name = "LOG")]
        samples: PathBuf,
        /// Only the last so many hours before its end.
        #[arg(long, value_name = "N", value_parser = hours)]
        hours: Option<f64>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print samples and events as CSV, or as a JSON array.
    Export {
        /// The log.
        #[arg(value_name = "LOG")]
        samples: PathBuf,
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
        /// The log.
        #[arg(value_name = "LOG")]
        samples: PathBuf,
        /// Begin with the last so many lines that are there.
        #[arg(long, value_name = "N", default_value_t = 10)]
        last: usize,
        /// Print those and end.
        #[arg(long)]
        once: bool,
    },
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
            samples,
            hours,
            json,
        } => {
            let (records, content) = last_hours(samples, *hours)?;
            damage(&content, console);
            summary::print(samples, &records, &content, *json)?;
        }
        What::Export {
            samples,
            json,
            hours,
            ..
        } => {
            let (records, content) = last_hours(samples, *hours)?;
            damage(&content, console);
            let mut out = BufWriter::new(io::stdout().lock());
            if *json {
                export::json(&records, &mut out)?;
            } else {
                export::csv(&records, &mut out)?;
            }
            out.flush()?;
        }
        What::Watch {
            samples,
            last,
            once,
        } => watch::run(samples, *last, *once, console)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What the log says of the last hours before its newest record; of all of them if nobody says how many.
fn last_hours(log: &Path, hours: Option<f64>) -> anyhow::Result<(VecDeque<Record>, LogContent)> {
    // `as` saturates.
    let window = hours.map(|hours| (hours * HOUR_MS) as u64);
    let mut records = VecDeque::new();
    let mut newest = 0;
    let content = read_log(log, |record: Record| {
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
