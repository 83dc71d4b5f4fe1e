//! Whether kernels are right: the conformance suite.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tritone_abi::Kernel;
use tritone_conformance::{Effort, Options, Report, check};
use tritone_loader::{Found, Registry};

use crate::cli::args::{CommonArgs, KernelsArgs};
use crate::cli::console::{Console, visible};
use crate::cli::failure::FAILED;
use crate::cli::interrupt::Interrupt;

/// Checks the kernel called `name`, or all usable ones without a name.
pub(super) fn run(
    name: &str,
    registry: &Registry,
    args: &KernelsArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
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
    let ok = match args.minutes {
        Some(minutes) => check_long(minutes, args, common, &kernels, console)?,
        None => check_all(args, common, &kernels, console)?,
    };
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}

/// Runs the suite with one seed after another, the kernels in turn, until the time is over or a kernel
/// fails; whether all was right.
fn check_long(
    minutes: f64,
    args: &KernelsArgs,
    common: &CommonArgs,
    kernels: &[Arc<dyn Kernel>],
    console: &Console,
) -> anyhow::Result<bool> {
    let interrupt = Interrupt::listen()?;
    let start = Instant::now();
    let time = Duration::from_secs_f64(minutes * 60.0);
    let first = common.seed.unwrap_or(0);
    let mut sums: Vec<Report> = Vec::new();
    let mut line = console.progress();
    let mut seeds = 0;
    let mut ok = true;
    while ok && (seeds == 0 || (start.elapsed() < time && !interrupt.is_pressed())) {
        for (at, kernel) in kernels.iter().enumerate() {
            line.show(|| {
                let cases: usize = sums.iter().map(Report::cases).sum();
                let left = time.saturating_sub(start.elapsed()).as_secs();
                let name = &kernel.facts().name;
                format!("{cases} cases, checking {name}, seed {seeds}, {left} s left")
            });
            let options = Options {
                seed: first.wrapping_add(seeds),
                effort: Effort::Random,
            };
            let report = check(&**kernel, &options);
            ok &= report.is_ok();
            match sums.get_mut(at) {
                Some(sum) => {
                    if !report.is_ok() {
                        sum.seed = report.seed;
                    }
                    sum.add(report);
                }
                None => sums.push(report),
            }
        }
        seeds += 1;
    }
    line.clear();
    let mut out = io::stdout().lock();
    if args.json {
        let reports: Vec<_> = sums.iter().map(report_json).collect();
        let object = json!({ "first_seed": first, "seeds": seeds, "reports": reports });
        writeln!(out, "{object:#}")?;
    } else {
        for report in &sums {
            out.write_all(visible(&report.to_string()).as_bytes())?;
        }
        let last = first.wrapping_add(seeds - 1);
        let spent = start.elapsed().as_secs();
        writeln!(
            out,
            "random shapes and values of seeds {first} to {last} in {spent} s"
        )?;
    }
    Ok(ok)
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
