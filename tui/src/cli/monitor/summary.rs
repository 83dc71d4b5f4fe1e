//! A log in a table.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use serde_json::{Map, Value, json};
use tritone_monitor::summary::{Line, Summary, of_samples};
use tritone_monitor::{Event, EventKind, LogContent, Record, Unit, utc};

use crate::cli::console::visible;
use crate::view::format::{age, quantity};

/// Events that are listed; of more, the last.
const EVENTS: usize = 20;

/// Prints it.
pub(super) fn print(
    log: &str,
    records: &VecDeque<Record>,
    content: &LogContent,
    as_json: bool,
) -> anyhow::Result<()> {
    let samples = records.iter().filter_map(|record| match record {
        Record::Sample(sample) => Some(sample),
        Record::Event(_) => None,
    });
    let events: Vec<&Event> = records
        .iter()
        .filter_map(|record| match record {
            Record::Event(event) => Some(event),
            Record::Sample(_) => None,
        })
        .collect();
    let summary = of_samples(samples);
    let mut out = io::stdout().lock();
    if as_json {
        let object = object(log, summary.as_ref(), &events, content);
        writeln!(out, "{object:#}")?;
    } else {
        let text = text(log, summary.as_ref(), &events);
        out.write_all(visible(&text).as_bytes())?;
    }
    out.flush()?;
    Ok(())
}

fn object(log: &str, summary: Option<&Summary>, events: &[&Event], content: &LogContent) -> Value {
    let line = |line: &Line| {
        let mut object = Map::new();
        let values = [
            ("mean", line.mean),
            ("min", line.min),
            ("p50", line.p50),
            ("p95", line.p95),
            ("p99", line.p99),
            ("max", line.max),
        ];
        for (name, value) in values {
            object.insert(name.to_owned(), json!(value));
        }
        if let Some(total) = line.total {
            object.insert("total".to_owned(), json!(total));
        }
        (line.metric.name().to_owned(), Value::Object(object))
    };
    let event = |event: &&Event| json!({"at": event.at, "time": utc(event.at), "event": event.kind.name(), "text": event.text()});
    let metrics: Map<String, Value> = summary
        .map(|summary| summary.lines.iter().map(line).collect())
        .unwrap_or_default();
    json!({
        "log": log,
        "from": summary.map(|summary| utc(summary.from)),
        "to": summary.map(|summary| utc(summary.to)),
        "covered_ms": summary.map_or(0, |summary| summary.covered),
        "samples": summary.map_or(0, |summary| summary.samples),
        "damaged_lines": content.damaged,
        "metrics": metrics,
        "events": events.iter().map(event).collect::<Vec<_>>(),
    })
}

fn text(log: &str, summary: Option<&Summary>, events: &[&Event]) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let mut line = |args: std::fmt::Arguments<'_>| {
        let _ = writeln!(text, "{args}");
    };
    let Some(summary) = summary else {
        line(format_args!("{}: no samples", log));
        return text;
    };
    line(format_args!(
        "{}: {} to {}, {} samples over {}",
        log,
        utc(summary.from),
        utc(summary.to),
        summary.samples,
        age(summary.covered),
    ));
    line(format_args!(""));
    line(format_args!(
        "{:24}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "", "mean", "min", "p50", "p95", "p99", "peak"
    ));
    for entry in summary.lines.iter().filter(|line| line.total.is_none()) {
        let unit = entry.metric.unit();
        let label = match unit {
            Unit::TokensPerSecond => format!("{} tok/s", entry.metric.label()),
            _ => entry.metric.label().to_owned(),
        };
        let cell = |value: f64| {
            let text = quantity(Some(value), unit);
            text.trim_end_matches(" tok/s").to_owned()
        };
        line(format_args!(
            "{label:24}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
            cell(entry.mean),
            cell(entry.min),
            cell(entry.p50),
            cell(entry.p95),
            cell(entry.p99),
            cell(entry.max),
        ));
    }
    line(format_args!(""));
    for entry in &summary.lines {
        if let Some(total) = entry.total {
            let label = entry.metric.label();
            line(format_args!("{label:24}{total:>10.0} in all"));
        }
    }
    let answers = |kind| events.iter().filter(|event| event.kind == kind).count();
    let told: Vec<&&Event> = events
        .iter()
        .filter(|event| !matches!(event.kind, EventKind::AnswerBegin | EventKind::AnswerEnd))
        .collect();
    line(format_args!(""));
    line(format_args!(
        "{:24}{:>10} in all",
        "answers begun",
        answers(EventKind::AnswerBegin)
    ));
    line(format_args!(""));
    match told.len() {
        0 => line(format_args!("no other events")),
        1..=EVENTS => line(format_args!("events:")),
        count => line(format_args!("events, the last {EVENTS} of {count}:")),
    }
    for event in told.iter().skip(told.len().saturating_sub(EVENTS)) {
        line(format_args!("{}", event_line(event)));
    }
    text
}

/// An event as a line.
pub(super) fn event_line(event: &Event) -> String {
    format!(
        "{}  {}: {}",
        utc(event.at),
        event.kind.name().replace('_', " "),
        event.text()
    )
}
