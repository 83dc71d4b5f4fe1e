//! A log as lines, while it is written.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use tritone_monitor::{LogTail, Metric, Record, Sample, read_log, utc};

use super::damage;
use super::summary::event_line;
use crate::attach::Feed;
use crate::cli::console::{Console, visible};
use crate::view::format::quantity;

/// Time between two looks at the file.
const LOOK: Duration = Duration::from_millis(250);

/// Time between two questions to a server.
const ASK: Duration = Duration::from_secs(1);

/// Prints the last lines and then, unless it is only `once`, every new one.
pub(super) fn run(log: &Path, last: usize, once: bool, console: &Console) -> anyhow::Result<()> {
    // From here on nothing is missed while the beginning is read.
    let mut tail = LogTail::at_end(log)?;
    let mut records: VecDeque<Record> = VecDeque::new();
    let content = read_log(log, |record| {
        if last == 0 {
            return;
        }
        if records.len() >= last {
            records.pop_front();
        }
        records.push_back(record);
    })?;
    damage(&content, console);
    let newest = records.back().map(Record::at);
    print(records.iter())?;
    if once {
        return Ok(());
    }
    let mut first = true;
    loop {
        let mut records = tail.more()?;
        if std::mem::take(&mut first) {
            // What came while the beginning was read is in both.
            records.retain(|record| newest.is_none_or(|newest| record.at() > newest));
        }
        print(records.iter())?;
        thread::sleep(LOOK);
    }
}

/// Prints the last lines that a server keeps and then, unless it is only `once`, every new one. A server that does not
/// answer any more is waited for.
pub(super) fn server(
    mut feed: Feed,
    last: usize,
    once: bool,
    console: &Console,
) -> anyhow::Result<()> {
    let records = feed.more()?;
    print(records[records.len().saturating_sub(last)..].iter())?;
    if once {
        return Ok(());
    }
    let mut gone = false;
    loop {
        thread::sleep(ASK);
        match feed.more() {
            Ok(records) => {
                gone = false;
                print(records.iter())?;
            }
            Err(error) if !gone => {
                gone = true;
                console.note(&format!("{error}; waiting for it"));
            }
            Err(_) => {}
        }
    }
}

fn print<'r>(records: impl Iterator<Item = &'r Record>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for record in records {
        writeln!(out, "{}", visible(&line(record)))?;
    }
    out.flush()
}

/// A record as a line for people: the time, and what is known.
fn line(record: &Record) -> String {
    match record {
        Record::Event(event) => event_line(event),
        Record::Sample(sample) => format!("{}  {}", utc(sample.at), values(sample)),
    }
}

fn values(sample: &Sample) -> String {
    let shown = |metric: Metric| sample.get(metric).map(|v| quantity(Some(v), metric.unit()));
    let named = |name: &str, metric| shown(metric).map(|value| format!("{name} {value}"));
    let memory = match (shown(Metric::Resident), shown(Metric::ResidentLimit)) {
        (Some(used), Some(limit)) => Some(format!("memory {used} of {limit}")),
        (used, _) => used.map(|used| format!("memory {used}")),
    };
    let counted = |name: &str, metric| {
        let count = sample.get(metric).filter(|count| *count > 0.0)?;
        Some(format!("{count:.0} {name}"))
    };
    let parts = [
        named("decode", Metric::DecodeRate),
        named("prefill", Metric::PrefillRate),
        memory,
        named("CPU", Metric::Cpu),
        counted("active", Metric::Active),
        counted("queued", Metric::Queued),
        named("first token", Metric::FirstToken),
        counted("failed", Metric::Failed),
        named("power", Metric::Power),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_a_sentence() {
        let mut sample = Sample::new(1_764_142_231_250, 1000);
        sample.set(Metric::DecodeRate, 31.25);
        sample.set(Metric::Resident, 212.0 * 1_048_576.0);
        sample.set(Metric::ResidentLimit, 1_073_741_824.0);
        sample.set(Metric::Active, 1.0);
        sample.set(Metric::Failed, 0.0);
        assert_eq!(
            line(&Record::Sample(sample)),
            "2025-11-26T07:30:31.250Z  decode 31.2 tok/s, memory 212 MiB of 1.0 GiB, 1 active"
        );
    }
}
