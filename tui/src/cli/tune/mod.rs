//! `tritone tune`: what is the best way to run this model here, by trying.

mod args;
mod bed;
mod html;
mod point;
mod report;
mod search;
mod session;
mod write;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tritone_engine::{Engine, Model};
use tritone_profile::{PRESETS, process_environment};

use args::Scenario;
pub(crate) use args::TuneArgs;

use super::args::CommonArgs;
use super::atomic;
use super::console::{Console, visible};
use super::date;
use super::failure::{CANCELLED, Usage};
use super::interrupt::Interrupt;
use super::kernels;
use super::paths;
use super::setup::Setup;
use bed::Bed;
use point::{Measured, Point};
use report::Report;
use search::Space;
use session::{Cut, Session};

/// Runs the command.
pub(crate) fn run(
    args: &TuneArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let mut common = common.clone();
    if let Some(scenario) = args.scenario {
        if common.profile.is_some() {
            let why = "--scenario has a profile of its own; leave --profile out";
            return Err(Usage(why.to_owned()).into());
        }
        common.profile = Some(scenario.preset().to_owned());
    }
    let target = match &args.write_profile {
        Some(name) => Some((name.clone(), write::place(name, args.force)?)),
        None => None,
    };
    let setup = Setup::new(&common)?;
    for note in &setup.notes {
        console.note(note);
    }
    let resolved = &setup.resolved;
    let base = resolved.lineage().last();
    let base = base.map_or(resolved.preset(), String::as_str).to_owned();
    let interrupt = Interrupt::listen()?;
    let mut line = console.progress();
    let loaded = setup.load(&mut |progress| {
        line.loading(&progress);
        !interrupt.is_pressed()
    });
    line.clear();
    let ready = match loaded {
        Err(_) if interrupt.is_pressed() => return Ok(ExitCode::from(CANCELLED)),
        loaded => loaded?,
    };
    for note in &ready.notes {
        console.note(note);
    }
    let engine = ready.engine;
    let together = matches!(args.scenario, Some(Scenario::Server | Scenario::Cloud));
    let file = book(&engine, &setup, args);
    let (prompt, generate) = (args.prompt_tokens as usize, args.generate as usize);
    let bed = Bed::new(engine, &common, &interrupt, prompt, generate);
    let budget = Duration::from_secs_f64(args.minutes * 60.0);
    let (mut session, note) = Session::new(bed, file, args.fresh, budget, console.progress());
    if let Some(note) = note {
        console.note(&note);
    }
    let mut report = tune(args, &setup, &base, together, &mut session)?;
    session.quiet();
    if let Some((name, path)) = &target {
        save(&mut report, &session, name, path, console)?;
    }
    output(args, &report)?;
    Ok(match report.cut {
        Some(Cut::Interrupted) => ExitCode::from(CANCELLED),
        _ => ExitCode::SUCCESS,
    })
}

/// Where measurements of this model, machine, program and workload are kept. What else they depend on is part of the name, too:
/// another build of a kernel, another quota or limit is measured anew.
fn book(engine: &Engine, setup: &Setup, args: &TuneArgs) -> Option<PathBuf> {
    let kernels = kernels::options(setup, engine.model());
    let builds: Vec<String> = kernels
        .iter()
        .map(|option| {
            let facts = option.kernel.facts();
            format!("{} {}", facts.name, facts.build_id)
        })
        .collect();
    let conditions = format!(
        "{} {} {:?} {} {} {builds:?}",
        setup.machine.cpu,
        setup.machine.usable_threads,
        setup.machine.memory.limit,
        args.prompt_tokens,
        args.generate
    );
    let digest = ring::digest::digest(&ring::digest::SHA256, conditions.as_bytes());
    let digest: String = digest.as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name = format!(
        "{}-{}-{digest}.json",
        engine.model().content_id(),
        env!("CARGO_PKG_VERSION")
    );
    Some(paths::cache(&process_environment)?.join("tune").join(name))
}

/// Levels, search, comparison.
fn tune(
    args: &TuneArgs,
    setup: &Setup,
    base: &str,
    together: bool,
    session: &mut Session<'_>,
) -> anyhow::Result<Report> {
    let profile = setup.profile();
    let batch = if together { profile.batch } else { 1 };
    let usable = setup.machine.usable_threads;
    let optimized = Point::of("optimized", base, batch);
    let baseline = Point {
        name: "baseline".to_owned(),
        reuse: false,
        ..optimized.with("threads", "1").with("batch", "1")
    };
    let aggressive = Point {
        name: "aggressive".to_owned(),
        ..optimized
            .with("threads", &usable.to_string())
            .with("head", "q4+exact")
            .with("kv_type", "q8")
    };
    let model: Arc<Model> = session.bed.engine().shared_model();
    let names = kernels::options(setup, &model);
    let names = names.into_iter().map(|option| option.name).collect();
    let space = Space::new(usable, names, &model, args.quality, together);
    let levels = [baseline, optimized.clone(), aggressive];
    session.measure("levels", &levels, 1, 1.0)?;
    let (best, steps) = search::search(session, &optimized, &space, together)?;
    let mut points = levels.to_vec();
    points.push(best);
    for preset in PRESETS {
        let own = match together {
            true => preset_batch(session, preset.name),
            false => 1,
        };
        points.push(Point::of(preset.name, preset.name, own));
    }
    if session.cut == Some(Cut::Time) {
        // The comparison is what the answer rests on.
        session.cut = None;
    }
    let compared = search::compare(session, &points, together)?;
    Ok(finish(
        args, setup, base, together, session, steps, compared,
    ))
}

/// Conversations that a preset has room for.
fn preset_batch(session: &Session<'_>, preset: &str) -> usize {
    let setup = session.bed.setup(&Point::of(preset, preset, 1));
    setup.map_or(1, |setup| setup.profile().batch.clamp(1, 32))
}

fn finish(
    args: &TuneArgs,
    setup: &Setup,
    base: &str,
    together: bool,
    session: &Session<'_>,
    steps: Vec<search::Step>,
    compared: Vec<Measured>,
) -> Report {
    // What changes answers more than was allowed is shown, and not advised.
    let allowed = |one: &&Measured| {
        let quality = one.point.name != "aggressive" || args.quality == args::Quality::Any;
        quality && one.point.name != "baseline" && one.skipped.is_none() && !one.rounds.is_empty()
    };
    let winner = compared.iter().find(allowed).cloned();
    let reasons = winner
        .as_ref()
        .map_or_else(Vec::new, |winner| reasons(winner, &compared, together));
    let contexts = winner
        .as_ref()
        .map_or_else(Vec::new, |winner| contexts(session, &winner.point));
    Report {
        version: env!("CARGO_PKG_VERSION"),
        date: date::date(date::now()),
        cpu: setup.machine.cpu.clone(),
        usable_threads: setup.machine.usable_threads,
        memory_bytes: setup.machine.memory.total_bytes,
        model: session.bed.engine().info().name.clone(),
        profile: base.to_owned(),
        scenario: args.scenario,
        quality: args.quality,
        together,
        prompt_tokens: args.prompt_tokens as usize,
        generate: args.generate as usize,
        seconds: session.elapsed().as_secs_f64(),
        known_rounds: session.known,
        cut: session.cut,
        steps,
        measured: session.all().to_vec(),
        batch: match together {
            true => winner.as_ref().map_or(1, |winner| winner.point.batch),
            false => setup.profile().batch,
        },
        tips: match args.scenario {
            Some(_) => setup.profile().tips.clone(),
            None => Vec::new(),
        },
        contexts,
        no_energy: session.bed.no_energy(),
        best: winner.map(|winner| winner.point.name),
        reasons,
        compared,
        written: None,
    }
}

/// What speaks for the best.
fn reasons(winner: &Measured, compared: &[Measured], together: bool) -> Vec<String> {
    let Some(speed) = winner.speed(together) else {
        return Vec::new();
    };
    let mut reasons = vec![format!(
        "best: {} ({}): {:.1} tok/s, {:.1} to {:.1}",
        winner.point.name, winner.runs, speed.median, speed.low, speed.high
    )];
    for other in compared {
        let Some(its) = other.speed(together) else {
            continue;
        };
        if other.point.name == winner.point.name {
            continue;
        }
        let text = if its.overlaps(&speed) {
            format!("as fast as {}, as far as can be told", other.point.name)
        } else {
            let times = speed.median / its.median.max(f64::MIN_POSITIVE);
            format!("{times:.2} times {}", other.point.name)
        };
        reasons.push(text);
    }
    reasons
}

/// What contexts take in memory.
fn contexts(session: &Session<'_>, point: &Point) -> Vec<(usize, u64)> {
    let engine = session.bed.engine();
    let Ok((mut options, _)) = session.bed.options(point) else {
        return Vec::new();
    };
    let most = options.context.unwrap_or(4096);
    let steps = (1..=8_usize).map(|eighth| most * eighth / 8);
    let plan = steps.filter(|context| *context > 0).filter_map(|context| {
        options.context = Some(context);
        Some((context, options.plan(engine.model())?.total()))
    });
    plan.collect()
}

/// Writes the profile.
fn save(
    report: &mut Report,
    session: &Session<'_>,
    name: &str,
    path: &Path,
    console: &Console,
) -> anyhow::Result<()> {
    let Some(winner) = report.winner().cloned() else {
        console.note("nothing was compared, so no profile is written");
        return Ok(());
    };
    let setup = session
        .bed
        .setup(&winner.point)
        .map_err(anyhow::Error::msg)?;
    let about = format!("Tuned on {} for {}.", report.date, report.model);
    let batch = report.together.then_some(winner.point.batch);
    write::write(path, name, &winner.point, &setup, batch, &about)?;
    report.written = Some(name.to_owned());
    Ok(())
}

fn output(args: &TuneArgs, report: &Report) -> anyhow::Result<()> {
    let json = || serde_json::to_string_pretty(report).map(|text| text + "\n");
    if let Some(path) = &args.html {
        file(path, &html::page(report))?;
    }
    if let Some(Some(path)) = &args.json {
        file(path, &json()?)?;
    }
    let text = match args.json {
        Some(None) => json()?,
        _ => visible(&report.text()).into_owned(),
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

fn file(path: &Path, text: &str) -> anyhow::Result<()> {
    atomic::write(path, text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}
