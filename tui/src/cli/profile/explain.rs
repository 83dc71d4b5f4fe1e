//! `tritone profile explain`

use std::io::{self, Write as _};

use serde_json::{Value, json};
use tritone_profile::{Entry, KEYS, Key, Resolved, Selection, nearest, resolve};

use super::Place;
use crate::cli::console::visible;
use crate::cli::failure::Usage;

pub(super) fn run(place: &Place, key: Option<&str>, json: bool) -> anyhow::Result<()> {
    let keys: Vec<&Key> = match key {
        None => KEYS.iter().collect(),
        Some(name) => vec![find(name)?],
    };
    let resolved = resolve(place.asked.as_deref(), &place.layers)?;
    // What was found out about the machine counts only where it decided.
    let selection = (place.layers.auto.as_ref()).filter(|_| is_chosen_here(&resolved));
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{:#}", object(&resolved, &keys, selection))?;
        return Ok(());
    }
    let text = match key {
        None => all(&resolved, selection),
        Some(_) => keys
            .iter()
            .filter_map(|key| Some(one(key, resolved.origin_of(key.name)?)))
            .collect(),
    };
    write!(out, "{}", visible(&text))?;
    Ok(())
}

/// Whether the preset at the bottom was chosen for the machine.
fn is_chosen_here(resolved: &Resolved) -> bool {
    resolved.is_automatic() || resolved.chosen().contains("chosen for this machine")
}

fn find(name: &str) -> anyhow::Result<&'static Key> {
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        return Ok(key);
    }
    let meant = match nearest(name, KEYS.iter().map(|key| key.name)) {
        Some(key) => format!("did you mean {key}?"),
        None => {
            let names: Vec<_> = KEYS.iter().map(|key| key.name).collect();
            format!("there are: {}", names.join(", "))
        }
    };
    Err(Usage(format!("there is no setting '{name}'; {meant}")).into())
}

/// The choice of the profile, and one line for every value.
fn all(resolved: &Resolved, selection: Option<&Selection>) -> String {
    let lineage = resolved.lineage().join(" < ");
    let mut text = format!("Profile {lineage}: {}.\n", resolved.chosen());
    if let Some(selection) = selection {
        text.push('\n');
        for line in words(selection) {
            text.push_str(&format!("  {line}\n"));
        }
    }
    text.push('\n');
    let entries = resolved.origins();
    let width = |of: fn(&Entry) -> &str, most: usize| {
        let longest = entries.iter().map(|entry| of(entry).chars().count()).max();
        longest.unwrap_or(0).min(most)
    };
    let names = width(|entry| entry.key, 40);
    let values = width(|entry| &entry.value, 12);
    for entry in entries {
        // Words about the profile are too long for a column.
        let value = match entry.value.chars().count() {
            n if n > 40 => entry.value.chars().take(37).chain("...".chars()).collect(),
            _ => entry.value.clone(),
        };
        let line = format!("{:names$}  {value:values$}  {}", entry.key, entry.origin);
        text.push_str(line.trim_end());
        text.push('\n');
        for (value, origin) in entry.replaced.iter().rev() {
            if value.chars().count() <= 40 {
                text.push_str(&format!(
                    "{:names$}  instead of {value} from {origin}\n",
                    ""
                ));
            }
        }
    }
    text
}

/// What was found out about the machine, a line each.
fn words(selection: &Selection) -> Vec<String> {
    let mut lines: Vec<_> = selection
        .facts
        .iter()
        .map(|fact| {
            let mark = if fact.decides { " (decides)" } else { "" };
            format!("{:12}  {}: {}{mark}", fact.about, fact.found, fact.so)
        })
        .collect();
    if let Some(why) = &selection.fewer_because {
        lines.push(format!(
            "{:12}  {} because {why}",
            "threads", selection.threads
        ));
    }
    lines.extend(
        selection
            .next
            .iter()
            .map(|next| format!("{:12}  {next}", "next")),
    );
    lines
}

/// Everything about one setting.
fn one(key: &Key, entry: &Entry) -> String {
    let mut text = format!("{} = {}\n\n  {}\n", entry.key, entry.value, key.help);
    let mut line = |label: &str, said: &str| {
        text.push_str(&format!("  {label:12}  {said}\n"));
    };
    line("from", &entry.origin.to_string());
    for (value, origin) in entry.replaced.iter().rev() {
        line("instead of", &format!("{value} from {origin}"));
    }
    line("possible", &key.kind.expected());
    if let Some(variable) = key.env {
        line("environment", variable);
    }
    line("changes", key.applies.words());
    text
}

fn object(resolved: &Resolved, keys: &[&Key], selection: Option<&Selection>) -> Value {
    let value = |key: &&Key| {
        let entry = resolved.origin_of(key.name)?;
        Some(json!({
            "key": entry.key,
            "value": entry.value,
            "origin": entry.origin,
            "replaced": entry.replaced.iter().map(|(value, origin)| {
                json!({"value": value, "origin": origin})
            }).collect::<Vec<_>>(),
            "help": key.help,
            "environment": key.env,
            "applies": key.applies,
        }))
    };
    json!({
        "lineage": resolved.lineage(),
        "because": resolved.chosen(),
        "automatic": selection,
        "values": keys.iter().filter_map(value).collect::<Vec<_>>(),
    })
}
