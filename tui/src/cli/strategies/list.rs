//! `tritone strategies list`.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::ScopedJoinHandle;

use serde_json::{Value, json};
use tritone_strategy::{Entry, Environment, Finding, Manager};

use super::record::{Record, Tested};
use crate::cli::console::visible;
use crate::cli::date;
use crate::cli::models::wrapped;
use crate::view::format;

/// Runs the command.
pub(super) fn run(manager: &Manager, record: &Record, json: bool) -> anyhow::Result<ExitCode> {
    let entries = manager.entries();
    let environments = looked_at(&entries);
    let found = entries.iter().zip(&environments);
    let selection = manager.select(record.preferred.as_deref());
    let mut out = io::stdout().lock();
    if json {
        let strategies: Vec<Value> = found
            .map(|(entry, environment)| object(entry, environment, record))
            .collect();
        let object = json!({
            "strategies": strategies,
            "preferred": record.preferred,
            "auto": selection,
        });
        writeln!(out, "{object:#}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for (entry, environment) in found {
        text += &lines(entry, environment, record, selection.chosen.as_deref());
    }
    text += &match &selection.chosen {
        Some(name) => format!("\nby itself (auto): {name}; {}\n", selection.reason),
        None => "\nnone can be used here\n".to_owned(),
    };
    for name in manager.unknown() {
        text += &format!("the order of your settings names {name}, which there is not\n");
    }
    out.write_all(visible(&text).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// What each says of its environment. All at once: servers that are not there take seconds to say so.
fn looked_at(entries: &[&Entry]) -> Vec<Environment> {
    std::thread::scope(|scope| {
        let look = |entry: &&Entry| {
            let strategy = Arc::clone(&entry.strategy);
            scope.spawn(move || strategy.setup_environment())
        };
        let looks: Vec<_> = entries.iter().map(look).collect();
        let environment = |look: ScopedJoinHandle<'_, Environment>| look.join().unwrap_or_default();
        looks.into_iter().map(environment).collect()
    })
}

fn object(entry: &Entry, environment: &Environment, record: &Record) -> Value {
    let strategy = &entry.strategy;
    json!({
        "name": strategy.name(),
        "summary": strategy.summary(),
        "kind": entry.kind,
        "usable": environment.is_usable(),
        "findings": environment.findings,
        "capabilities": strategy.capabilities(),
        "last_test": record.last(strategy.name()),
    })
}

fn lines(
    entry: &Entry,
    environment: &Environment,
    record: &Record,
    chosen: Option<&str>,
) -> String {
    let strategy = &entry.strategy;
    let name = strategy.name();
    let mark = if chosen == Some(name) { '*' } else { ' ' };
    let usable = match environment.is_usable() {
        true => "usable",
        false => "not usable",
    };
    let preferred = match record.preferred.as_deref() == Some(name) {
        true => ", preferred",
        false => "",
    };
    let mut text = format!(
        "{mark} {name}: {usable}, {}{preferred}\n",
        entry.kind.name()
    );
    text += &wrapped(&strategy.summary());
    for finding in &environment.findings {
        text += &wrapped(&told(finding));
    }
    let can = strategy.capabilities().named();
    let can = can.iter().filter(|(_, can)| *can).map(|(name, _)| *name);
    let can = can.collect::<Vec<_>>().join(", ");
    if !can.is_empty() {
        text += &wrapped(&format!("can: {can}"));
    }
    if let Some(tested) = record.last(name) {
        text += &wrapped(&format!("last test: {}", measured(tested)));
    }
    text
}

/// What was looked for, and whether it is there.
pub(crate) fn told(finding: &Finding) -> String {
    match finding.ok {
        true => finding.to_string(),
        false => format!("missing: {finding}"),
    }
}

/// What a test measured, in a line.
pub(crate) fn measured(tested: &Tested) -> String {
    let mut parts = vec![date::date(tested.unix_time)];
    parts.push(match tested.works {
        true => "works".to_owned(),
        false => "failed".to_owned(),
    });
    let rate = tested.decode_rate;
    parts.extend(rate.map(|rate| format!("{} tok/s", format::rate(rate))));
    let first = tested.first_token_s;
    parts.extend(first.map(|first| format!("first token after {:.0} ms", first * 1e3)));
    parts.extend(tested.resident_bytes.map(format::bytes));
    parts.push(format!("with {}", tested.model));
    parts.join(", ")
}
