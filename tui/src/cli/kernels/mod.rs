//! `tritone kernels`: what there is, whether it is right, and which is the fastest here.

mod cards;
mod check;
mod race;

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};
use tritone_loader::{Found, Origin, Refused, Registry, State};

pub(crate) use cards::{options, unusable};

use super::args::{CommonArgs, KernelsArgs};
use super::console::{Console, visible};
use super::setup::{Setup, registry};

/// Runs the command.
pub(crate) fn run(
    args: &KernelsArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    if args.forget {
        return race::forget(args);
    }
    if args.race {
        return race::run(args, common, console);
    }
    let registry = registry(common);
    if let Some(name) = &args.check {
        return check::run(name, &registry, args, common, console);
    }
    let chosen = chosen(common);
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", listing(&registry, &chosen))?;
    } else {
        out.write_all(table(&registry).as_bytes())?;
        writeln!(out, "\n{}", visible(&chosen))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Which kernel would be used with the model, and why, in a line.
fn chosen(common: &CommonArgs) -> String {
    let setup = match Setup::new(common) {
        Ok(setup) => setup,
        Err(error) => return format!("no kernel is chosen: {error}"),
    };
    match setup.open(&mut |_| true) {
        Ok((model, _)) => {
            let why = setup.choose(&model).explanation();
            format!("with {}: {why}", model.recipe().name)
        }
        Err(error) => format!("which kernel is used depends on the model: {error}"),
    }
}

/// The state in one word, and the rest of what there is to say.
fn state(found: &Found) -> (&'static str, String) {
    match &found.state {
        State::Usable => ("usable", found.score.reason.clone()),
        State::CannotRun(reason) => ("cannot run", reason.clone()),
        State::Shadowed { by } => ("shadowed", format!("another of this name: {by}")),
        State::Disabled => (
            "disabled",
            "switched off by TRITONE_DISABLE_KERNELS".to_owned(),
        ),
    }
}

fn place(refused: &Refused) -> String {
    if refused.path.as_os_str().is_empty() {
        Origin::BuiltIn.to_string()
    } else {
        format!("{:?}", refused.path)
    }
}

fn listing(registry: &Registry, chosen: &str) -> Value {
    let best = registry
        .best()
        .ok()
        .map(|kernel| kernel.facts().name.clone());
    let kernel = |found: &Found| {
        let facts = &found.facts;
        let (state, reason) = state(found);
        let file = match &found.origin {
            Origin::BuiltIn => None,
            Origin::File(path) => Some(path.display().to_string()),
        };
        json!({
            "name": facts.name,
            "state": state,
            "score": found.score.rank,
            "reason": reason,
            "isa": facts.isa,
            "layout": facts.layout.name(),
            "version": facts.version,
            "build": facts.build_id,
            "origin": if file.is_some() { "file" } else { "built in" },
            "file": file,
            "base": found.base,
        })
    };
    let refused = |refused: &Refused| {
        json!({
            "file": refused.path.display().to_string(),
            "name": refused.name,
            "reason": refused.reason.to_string(),
        })
    };
    json!({
        "best": best,
        "chosen": chosen,
        "kernels": registry.kernels().iter().map(kernel).collect::<Vec<_>>(),
        "refused": registry.refused().iter().map(refused).collect::<Vec<_>>(),
    })
}

/// The listing for people: a table, the best kernel first, then what was refused.
fn table(registry: &Registry) -> String {
    let heading = [
        "KERNEL", "STATE", "SCORE", "ISA", "LAYOUT", "ORIGIN", "REASON",
    ];
    let mut rows = vec![heading.map(str::to_owned)];
    rows.extend(registry.kernels().iter().map(|found| {
        let facts = &found.facts;
        let (state, reason) = state(found);
        let cells = [
            facts.name.clone(),
            state.to_owned(),
            found.score.rank.to_string(),
            facts.isa.clone(),
            facts.layout.name().to_owned(),
            found.origin.to_string(),
            match &found.base {
                Some(base) => format!("{reason}; over {base}"),
                None => reason,
            },
        ];
        cells.map(|cell| visible(&cell).replace(['\n', '\t'], " "))
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..heading.len() - 1).filter_map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            text.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(row.last().map_or("", String::as_str));
        text.push('\n');
    }
    if !registry.refused().is_empty() {
        text.push_str("\nRefused:\n");
    }
    for refused in registry.refused() {
        let reason = refused.reason.to_string();
        text.push_str(&format!("  {}: {}\n", place(refused), visible(&reason)));
    }
    text
}
