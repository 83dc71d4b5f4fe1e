//! `tritone bench`: how fast the model runs, and how fast it could.
//!
//! Decoding one sequence is limited by reading the weights, prefill by multiplying them; so both
//! limits are measured in the same repetition, on the same threads, and the rates are given as
//! shares of them. Everything that is compared is measured in turn.

mod args;
mod compare;
#[cfg(test)]
mod fixture;
mod kernels;
mod limits;
mod measure;
mod pin;
pub(in crate::cli) mod plot;
mod pool;
mod report;
mod rows;
pub(in crate::cli) mod stats;
mod subject;
mod table;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde::de::IntoDeserializer as _;
use serde::{Deserialize as _, Serialize};
use tritone_abi::Kernel;
use tritone_engine::{Forms, Model};
use tritone_loader::Found;
use tritone_machine::{Machine, choose_threads};
use tritone_profile::Head;

use super::args::CommonArgs;
use super::atomic;
use super::console::Console;
use super::failure::{BadRequest, CANCELLED, Usage};
use super::interrupt::Interrupt;
use super::setup::Setup;
use crate::cli::date;
pub(crate) use args::BenchArgs;
use args::Part;
use limits::PREFETCH;
pub(crate) use limits::{Int8Peak, ReadBuffer};
use measure::{Bench, Wanted};
use pin::Pins;
use pool::{Case, Pool};
use report::{Facts, KernelFacts, MachineFacts, ModelFacts, Report, Results, Settings};
use rows::Document as _;
use subject::Extent;

/// Time of one measurement of the int8 peak.
const INT8_TIME: Duration = Duration::from_millis(150);

/// Runs the command.
pub(crate) fn run(
    args: &BenchArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    if let Some(Part::Kernels(args)) = &args.part {
        return kernels::run(args, common, console);
    }
    // What is compared with is read before minutes are spent on measuring.
    let output = &args.output;
    let then = rows::earlier::<Report>(output.compare.as_deref())?;
    let mut report = match &output.from {
        Some(path) => rows::read(path)?,
        None => measure(args, common, console)?,
    };
    report.comparison = then.map(|then| then.against(&report));
    print(&report, &table::text(&report), output.json.as_deref())?;
    if let Some(path) = &output.plot {
        write(path, plot::picture(&report).as_bytes())?;
    }
    Ok(if report.facts.interrupted && output.from.is_none() {
        ExitCode::from(CANCELLED)
    } else {
        ExitCode::SUCCESS
    })
}

/// Measures the model.
fn measure(args: &BenchArgs, common: &CommonArgs, console: &Console) -> anyhow::Result<Report> {
    let unix_time = date::now();
    let mut setup = set_up(common)?;
    let threads = thread_counts(&args.threads, &mut setup);
    let heads = heads_named(&args.head, &setup)?;
    for note in &setup.notes {
        console.note(note);
    }
    let interrupt = Interrupt::listen()?;
    let model = Arc::new(setup.open_and_say(console, &interrupt)?);
    let heads = forms_of(&heads, &setup, &model)?;
    for notice in model.notices() {
        console.note(notice);
    }
    let most = threads.iter().copied().max().unwrap_or(1);
    setup.threads = most;
    let kernels = kernels_named(&args.kernel, &setup, &model, console)?;
    let pins = args.pin.then(|| Pins::new(most)).transpose()?;
    let wanted = wanted(args, &setup);
    let extent = extent(&wanted, common)?;

    let mut cases = Vec::new();
    let mut notes: Vec<String> = Vec::new();
    for kernel in &kernels {
        for head in &heads {
            let planned = setup.plan_for(&model, &**kernel, head.1, extent.capacity());
            // The last one is the largest limit so far, or says what the others say.
            if let Some(note) = planned.note.filter(|note| !notes.contains(note)) {
                notes.push(note);
            }
            for &threads in &threads {
                let int8 = Int8Peak::calibrate(&**kernel, INT8_TIME);
                let case = Case {
                    kernel: Arc::clone(kernel),
                    head: *head,
                    threads,
                    limit: planned.limit,
                };
                cases.push((case, int8.map_err(|error| error.to_string())));
            }
        }
    }
    for note in notes {
        console.note(&note);
    }

    let mut line = console.progress();
    line.show(|| "filling the read buffer".to_owned());
    let buffer = read_buffer(args.read_buffer, &setup.machine, most)?;
    let usable = setup.machine.memory.usable_bytes().unwrap_or(0);
    let budget = (usable / 5 * 4).saturating_sub(buffer.bytes() as u64);
    let mut bench = Bench {
        model: &model,
        wanted,
        cases,
        pool: Pool::new(&model, extent, budget),
        buffer: &buffer,
        pins: pins.as_ref(),
        interrupt: &interrupt,
        line,
    };
    let results = bench.measure()?;
    bench.line.clear();

    let wanted = &bench.wanted;
    let settings = Settings {
        kernels: kernels.iter().map(|k| k.facts().name.clone()).collect(),
        heads: heads.iter().map(|head| head.0.to_owned()).collect(),
        threads,
        prompt: wanted.prompt,
        generate: wanted.generate,
        contexts: wanted.contexts.clone(),
        batches: wanted.batches.clone(),
        mixed: wanted.mixed,
        repeat: wanted.repeat,
        prefill_chunk: wanted.chunk,
        read_buffer_bytes: buffer.bytes(),
        prefetch_bytes: PREFETCH.to_vec(),
    };
    let mut notes = notes_on(&setup.machine, &results, &buffer);
    if bench.pool.given_up > 0 {
        notes.push(format!(
            "memory holds not all models of this comparison at a time: {} were given up and loaded \
             again in between",
            bench.pool.given_up
        ));
    }
    let mut facts = Facts {
        pinned: pins.map_or_else(Vec::new, |pins| pins.cpus(most).to_vec()),
        interrupted: interrupt.is_pressed(),
        ..facts(unix_time, &setup.machine, &kernels, &model, notes)
    };
    if let Some(first) = results.first() {
        facts.model.weights_bytes = first.weights_bytes;
        facts.model.head_bytes = first.head_bytes;
        facts.model.head_format = first.head.clone();
    }
    Ok(Report {
        schema: Report::SCHEMA.to_owned(),
        facts,
        settings,
        results,
        comparison: None,
    })
}

/// The set-up without the flags that are lists here: those are looked at one by one.
fn set_up(common: &CommonArgs) -> anyhow::Result<Setup> {
    Setup::new(&CommonArgs {
        threads: None,
        kernel: None,
        head: None,
        ..common.clone()
    })
}

/// The thread counts to measure, each once and in the order given.
fn thread_counts(asked: &[usize], setup: &mut Setup) -> Vec<usize> {
    let mut counts = Vec::new();
    for asked in asked {
        let choice = choose_threads(Some(*asked), &setup.machine);
        if let Some(note) = choice.note
            && !setup.notes.contains(&note)
        {
            setup.notes.push(note);
        }
        if !counts.contains(&choice.threads) {
            counts.push(choice.threads);
        }
    }
    if counts.is_empty() {
        counts.push(setup.threads);
    }
    counts
}

/// The kernels of these names, each once; without names the one that the program would use.
fn kernels_named(
    names: &[String],
    setup: &Setup,
    model: &Model,
    console: &Console,
) -> anyhow::Result<Vec<Arc<dyn Kernel>>> {
    let registry = &setup.registry;
    let automatic = || {
        let choice = setup.choose(model);
        if let Some(note) = setup.choice_note(&choice) {
            console.note(&note);
        }
        choice.kernel
    };
    let mut kernels: Vec<Arc<dyn Kernel>> = Vec::new();
    let mut add = |kernel: Arc<dyn Kernel>| {
        if !kernels.iter().any(|known| Arc::ptr_eq(known, &kernel)) {
            kernels.push(kernel);
        }
    };
    for name in names {
        match name.as_str() {
            "all" => {
                let all = registry.kernels().iter().filter_map(Found::kernel);
                all.cloned().for_each(&mut add);
            }
            "auto" => add(automatic()),
            name => add(registry.by_name(name)?),
        }
    }
    if names.is_empty() {
        add(automatic());
    }
    Ok(kernels)
}

/// The heads that these words name, each once; the profile's without words.
fn heads_named(words: &[String], setup: &Setup) -> anyhow::Result<Vec<Head>> {
    let mut heads = Vec::new();
    for word in words {
        let parsed: Result<Head, serde::de::value::Error> =
            Head::deserialize(word.as_str().into_deserializer());
        let known = Head::WORDS.join(", ");
        let head = parsed.map_err(|_| {
            Usage(format!(
                "--head {word} is no form of the head; there are {known}"
            ))
        })?;
        if !heads.contains(&head) {
            heads.push(head);
        }
    }
    if heads.is_empty() {
        heads.push(setup.profile().head);
    }
    Ok(heads)
}

/// What `heads` are for `model`, each once, with their names.
///
/// # Errors
/// A head that the model cannot have.
fn forms_of(
    heads: &[Head],
    setup: &Setup,
    model: &Model,
) -> anyhow::Result<Vec<(&'static str, Forms)>> {
    let mut all: Vec<(&'static str, Forms)> = Vec::new();
    for head in heads {
        let forms = setup.forms_with(*head, model);
        model.check_head(forms.head)?;
        if all.iter().all(|(_, other)| other.head != forms.head) {
            all.push((forms.head.name(), forms));
        }
    }
    Ok(all)
}

fn wanted(args: &BenchArgs, setup: &Setup) -> Wanted {
    let sizes = |sizes: &[u32]| {
        let mut known: Vec<usize> = Vec::new();
        for size in sizes.iter().map(|size| *size as usize) {
            if !known.contains(&size) {
                known.push(size);
            }
        }
        known
    };
    let mut batches = sizes(&args.batch);
    // What the others are compared with.
    if !batches.is_empty() && !batches.contains(&1) {
        batches.insert(0, 1);
    }
    let chunk = args
        .chunk
        .map_or(setup.profile().prefill_chunk, |n| n as usize);
    Wanted {
        prompt: args.prompt as usize,
        chunk,
        generate: args.generate as usize,
        contexts: sizes(&args.context),
        batches,
        mixed: args.mixed.map(|n| n as usize),
        repeat: args.repeat as usize,
    }
}

/// Positions and sequences that all measurements together touch; `--ctx` makes room for more.
fn extent(wanted: &Wanted, common: &CommonArgs) -> anyhow::Result<Extent> {
    if wanted.mixed.is_some() && wanted.prompt == 0 {
        let why = "--mixed reads a prompt, and --prompt 0 leaves none";
        return Err(Usage(why.to_owned()).into());
    }
    let shallow = wanted.contexts.first().copied().unwrap_or(0);
    let deepest = wanted.contexts.iter().copied().max().unwrap_or(0);
    let chunks = wanted.prompt.div_ceil(wanted.chunk);
    let together = shallow + wanted.generate;
    let mixed = wanted.mixed.map_or(0, |_| together + chunks);
    let first = (deepest + wanted.generate).max(wanted.prompt).max(mixed);
    let batch = wanted.batches.iter().copied().max().unwrap_or(1);
    let sequences = batch.max(wanted.mixed.unwrap_or(0) + 1);
    let asked = common
        .ctx
        .map(|ctx| usize::try_from(ctx).unwrap_or(usize::MAX));
    if let Some(asked) = asked.filter(|asked| *asked < first) {
        let why = format!(
            "--ctx {asked} has no room for what is to be measured, which takes {first} tokens"
        );
        return Err(BadRequest(why).into());
    }
    Ok(Extent {
        context: asked.unwrap_or(first),
        sequences,
        further: together.max(mixed),
        chunk: wanted.chunk,
    })
}

fn read_buffer(mib: Option<u32>, machine: &Machine, threads: usize) -> anyhow::Result<ReadBuffer> {
    let size = match mib {
        Some(mib) => mib as usize * (1 << 20),
        None => ReadBuffer::size(machine),
    };
    ReadBuffer::new(size, threads)
        .context("not enough memory for the read buffer; `--read-buffer` makes it smaller")
}

/// What a report is about, when nothing was pinned or interrupted.
fn facts(
    unix_time: u64,
    machine: &Machine,
    kernels: &[Arc<dyn Kernel>],
    model: &Model,
    notes: Vec<String>,
) -> Facts {
    let kernels: Vec<_> = kernels
        .iter()
        .map(|kernel| KernelFacts::new(&**kernel))
        .collect();
    let first = kernels.first().cloned();
    Facts {
        tritone: env!("CARGO_PKG_VERSION").to_owned(),
        unix_time,
        date: date::date(unix_time),
        machine: MachineFacts::new(machine),
        kernel: first.unwrap_or_default(),
        kernels,
        model: ModelFacts::new(model),
        pinned: Vec::new(),
        interrupted: false,
        notes,
    }
}

/// What makes the numbers say less than they seem to.
fn notes_on(machine: &Machine, results: &[Results], buffer: &ReadBuffer) -> Vec<String> {
    let mut notes = Vec::new();
    let caches = limits::last_level_bytes(machine);
    let streamed = |results: &Results| results.weights_bytes + results.head_bytes;
    let streamed = results.iter().map(streamed).min().unwrap_or(0);
    let human = tritone_engine::human_bytes;
    if streamed < 2 * caches {
        notes.push(format!(
            "the model reads {} a token and the last-level caches hold {}: memory hardly limits it, \
             so its shares say little; measure a larger model (`tritone synth` makes one)",
            human(streamed),
            human(caches),
        ));
    }
    if (buffer.bytes() as u64) < 4 * caches {
        notes.push(format!(
            "the read buffer of {} is less than four times the last-level caches of {}: the read \
             bandwidth is partly theirs",
            human(buffer.bytes() as u64),
            human(caches),
        ));
    }
    notes
}

/// Prints a report as JSON or as a table, and writes the JSON to `json` if that is a file.
fn print(report: &impl Serialize, table: &str, json: Option<&Path>) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    let mut out = io::stdout().lock();
    match json {
        Some(path) if path.as_os_str() == "-" => out.write_all(text.as_bytes())?,
        // Whatever happens to the file, the numbers are on the screen.
        Some(path) => {
            out.write_all(table.as_bytes())?;
            write(path, text.as_bytes())?;
        }
        None => out.write_all(table.as_bytes())?,
    }
    Ok(())
}

/// Writes a file that is there completely or not at all.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    atomic::write(path, bytes).with_context(|| format!("cannot write '{}'", path.display()))
}
