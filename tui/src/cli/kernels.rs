//! `tritone kernels`: what there is, and whether it is right.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};
use tritone_abi::Kernel;
use tritone_conformance::{Effort, Options, Report, check};
use tritone_loader::{Found, Origin, Refused, Registry, State};

use super::args::{CommonArgs, KernelsArgs};
use super::console::{Console, visible};
use super::failure::FAILED;
use super::setup::registry;

/// Runs the command.
pub(crate) fn run(
    args: &KernelsArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let registry = registry(common);
    let Some(name) = &args.check else {
        let mut out = io::stdout().lock();
        if args.json {
            writeln!(out, "{:#}", listing(&registry))?;
        } else {
            out.write_all(table(&registry).as_bytes())?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    let kernels = if name.is_empty() {
        registry
            .kernels()
            .iter()
            .filter_map(Found::kernel)
            .cloned()
            .collect()
    } else {
        vec![registry.by_name(name)?]
    };
    let ok = check_all(args, common, &kernels, console)?;
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}

/// Runs the suite and prints the reports; whether all is right.
fn check_all(
    args: &KernelsArgs,
    common: &CommonArgs,
    kernels: &[Arc<dyn Kernel>],
    console: &Console,
) -> anyhow::Result<bool> {
    let effort = if args.full {
        Effort::Full
    } else {
        Effort::Quick
    };
    let options = Options {
        seed: common.seed.unwrap_or(0),
        effort,
    };
    let mut out = io::stdout().lock();
    let mut reports = Vec::new();
    let mut line = console.progress();
    for kernel in kernels {
        line.show(|| format!("checking {} ...", kernel.facts().name));
        let report = check(&**kernel, &options);
        line.clear();
        if !args.json {
            out.write_all(visible(&report.to_string()).as_bytes())?;
            out.flush()?;
        }
        reports.push(report);
    }
    if args.json {
        let reports: Vec<_> = reports.iter().map(report_json).collect();
        writeln!(out, "{:#}", json!({ "reports": reports }))?;
    }
    Ok(reports.iter().all(Report::is_ok))
}

fn report_json(report: &Report) -> Value {
    let op = |op: &tritone_conformance::OpReport| {
        json!({
            "op": op.op,
            "cases": op.cases,
            "unsupported": op.unsupported,
            "left_out": op.left_out,
            "skipped": op.skipped,
        })
    };
    let failure = |failure: &tritone_conformance::Failure| {
        json!({
            "op": failure.op,
            "case": failure.case,
            "shape": failure.shape,
            "what": failure.what,
        })
    };
    json!({
        "kernel": report.facts.name,
        "version": report.facts.version,
        "ok": report.is_ok(),
        "cannot_run": report.cannot_run(),
        "seed": report.seed,
        "cases": report.cases(),
        "ops": report.ops.iter().map(op).collect::<Vec<_>>(),
        "failures": report.failures.iter().map(failure).collect::<Vec<_>>(),
    })
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

fn listing(registry: &Registry) -> Value {
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
