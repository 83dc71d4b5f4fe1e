//! `tritone bench`: how fast the model runs, and how fast it could.
//!
//! Decoding one sequence is limited by reading the weights, prefill by multiplying them; so both
//! limits are measured in the same repetition, on the same threads, and the rates are given as
//! shares of them.

mod limits;
mod measure;
mod report;
mod subject;
mod table;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use tritone_engine::{Capacity, MemoryPlan, Model, RunnerOptions};
use tritone_machine::choose_threads;

use super::args::CommonArgs;
use super::atomic::AtomicFile;
use super::console::Console;
use super::failure::{BadRequest, CANCELLED};
use super::interrupt::Interrupt;
use super::setup::Setup;
use limits::{Int8Peak, PREFETCH, ReadBuffer};
use measure::Bench;
use report::{KernelFacts, ModelFacts, Report, Settings};

const EXAMPLES: &str = "\
Examples:
  tritone bench --model bitnet-2b4t.gguf --threads 1,2
  tritone synth --shape 2b4t --out synthetic.gguf && tritone bench --model synthetic.gguf
  tritone bench --model bitnet-2b4t.gguf --context 0,2048 --json result.json

Decoding is compared with reading memory: bytes a token needs times tokens a second. Prefill is
compared with int8 multiplication on registers. Close other programs: every one of them shows.";

/// `tritone bench`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    /// Thread counts, each measured for itself [default: what the profile says].
    // Takes the place of the common `--threads`, hence the same name and type.
    #[arg(long, short = 't', value_name = "N,...", value_delimiter = ',')]
    threads: Vec<usize>,
    /// Tokens of the prompt that is read.
    #[arg(long, value_name = "N", default_value_t = 512,
          value_parser = clap::value_parser!(u32).range(1..))]
    prompt: u32,
    /// Tokens that are generated.
    #[arg(long, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(1..))]
    generate: u32,
    /// Tokens in the cache when generation begins; every number is measured for itself.
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "0")]
    context: Vec<u32>,
    /// Repetitions.
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// MiB of memory to read for the read bandwidth [default: eight times the last-level caches,
    /// at least 512].
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=65536))]
    read_buffer: Option<u32>,
    /// Print JSON instead of the table, or write it to FILE as well.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

/// Time of one measurement of the int8 peak.
const INT8_TIME: Duration = Duration::from_millis(150);

/// Runs the command.
pub(crate) fn run(
    args: &BenchArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let started = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut setup = Setup::new(common)?;
    let threads = thread_counts(args, &mut setup);
    for note in &setup.notes {
        console.note(note);
    }
    let interrupt = Interrupt::listen()?;
    let model = Arc::new(setup.open()?);
    for notice in model.notices() {
        console.note(notice);
    }

    let most = threads.iter().copied().max().unwrap_or(1);
    setup.threads = most;
    let contexts: Vec<usize> = args
        .context
        .iter()
        .map(|context| *context as usize)
        .collect();
    let context = positions(args, &contexts, common)?;
    let chunk = setup.profile().prefill_chunk;
    let capacity = Capacity::new(context, 1, chunk);
    let planned = setup.plan(&model, capacity);
    if let Some(note) = &planned.note {
        console.note(note);
    }
    let options = |threads| RunnerOptions {
        kernel: Arc::clone(&setup.kernel),
        threads,
        capacity,
        head: setup.head(),
        memory_limit: Some(planned.limit),
    };

    let mut line = console.progress();
    line.show(|| "filling the read buffer".to_owned());
    let size = match args.read_buffer {
        Some(mib) => mib as usize * (1 << 20),
        None => ReadBuffer::size(&setup.machine),
    };
    let buffer = ReadBuffer::new(size, most)
        .context("not enough memory for the read buffer; `--read-buffer` makes it smaller")?;

    let mut bench = Bench {
        kernel: &*setup.kernel,
        model: &model,
        args,
        contexts: &contexts,
        buffer: &buffer,
        int8: Int8Peak::calibrate(&*setup.kernel, INT8_TIME).map_err(|error| error.to_string()),
        interrupt: &interrupt,
        line,
    };
    let mut results = Vec::new();
    for &threads in &threads {
        if interrupt.is_pressed() {
            break;
        }
        match bench.measure(options(threads), chunk) {
            Ok(found) => results.push(found),
            Err(error) if subject::is_cancelled(&error) => break,
            Err(error) => return Err(error),
        }
    }
    bench.line.clear();

    let settings = Settings {
        threads,
        prompt: args.prompt as usize,
        generate: args.generate as usize,
        contexts: contexts.clone(),
        repeat: args.repeat as usize,
        prefill_chunk: chunk,
        read_buffer_bytes: buffer.bytes(),
        prefetch_bytes: PREFETCH.to_vec(),
    };
    let facts = model_facts(&model, &setup, planned.plan.as_ref());
    let report = Report {
        tritone: env!("CARGO_PKG_VERSION"),
        unix_time: started.as_secs(),
        notes: notes(&setup, &facts, &buffer),
        machine: setup.machine.clone(),
        kernel: kernel_facts(&setup),
        model: facts,
        settings,
        results,
        interrupted: interrupt.is_pressed(),
    };
    print(&report, args)?;
    Ok(if report.interrupted {
        ExitCode::from(CANCELLED)
    } else {
        ExitCode::SUCCESS
    })
}

/// The thread counts to measure, each once and in the order given.
fn thread_counts(args: &BenchArgs, setup: &mut Setup) -> Vec<usize> {
    let mut counts = Vec::new();
    for asked in &args.threads {
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

/// Positions that all measurements together touch; `--ctx` makes room for more.
fn positions(args: &BenchArgs, contexts: &[usize], common: &CommonArgs) -> anyhow::Result<usize> {
    let deepest = contexts.iter().copied().max().unwrap_or(0);
    let needed = (deepest + args.generate as usize).max(args.prompt as usize);
    let asked = common
        .ctx
        .map(|ctx| usize::try_from(ctx).unwrap_or(usize::MAX));
    if let Some(asked) = asked.filter(|asked| *asked < needed) {
        let why = format!(
            "--ctx {asked} has no room for what is to be measured, which takes {needed} tokens"
        );
        return Err(BadRequest(why).into());
    }
    Ok(asked.unwrap_or(needed))
}

fn kernel_facts(setup: &Setup) -> KernelFacts {
    let facts = setup.kernel.facts();
    KernelFacts {
        name: facts.name.clone(),
        version: facts.version.clone(),
        build_id: facts.build_id.clone(),
        isa: facts.isa.clone(),
        layout: facts.layout.name(),
    }
}

fn model_facts(model: &Model, setup: &Setup, plan: Option<&MemoryPlan>) -> ModelFacts {
    let recipe = model.recipe();
    ModelFacts {
        source: model.source().to_owned(),
        name: recipe.name.clone(),
        architecture: recipe.architecture.clone(),
        file_bytes: model.file_bytes(),
        parameters: recipe.parameters(),
        layers: recipe.layers,
        hidden: recipe.hidden,
        ffn: recipe.ffn,
        heads: recipe.heads,
        kv_heads: recipe.kv_heads,
        head_dim: recipe.head_dim,
        vocab: recipe.vocab,
        weights_bytes: plan.map_or(0, |plan| plan.weights),
        head_format: format!("{:?}", setup.head()).to_lowercase(),
        head_bytes: plan.map_or(0, |plan| plan.head),
        ternary_macs_per_token: subject::ternary_macs(recipe),
    }
}

/// What makes the numbers say less than they seem to.
fn notes(setup: &Setup, model: &ModelFacts, buffer: &ReadBuffer) -> Vec<String> {
    let mut notes = Vec::new();
    let caches = limits::last_level_bytes(&setup.machine);
    let streamed = model.weights_bytes + model.head_bytes;
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

fn print(report: &Report, args: &BenchArgs) -> anyhow::Result<()> {
    let mut json = serde_json::to_string_pretty(report)?;
    json.push('\n');
    let mut out = io::stdout().lock();
    match &args.json {
        Some(path) if path.as_os_str() == "-" => return Ok(out.write_all(json.as_bytes())?),
        // Whatever happens to the file, the numbers are on the screen.
        Some(_) | None => out.write_all(table::text(report).as_bytes())?,
    }
    if let Some(path) = &args.json {
        let write = || -> io::Result<()> {
            let mut file = AtomicFile::create(path)?;
            file.write_all(json.as_bytes())?;
            file.finish()
        };
        write().with_context(|| format!("cannot write '{}'", path.display()))?;
    }
    Ok(())
}
