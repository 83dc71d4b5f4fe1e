//! `tritone bench kernels`: the ternary product alone.
//!
//! One token's product from memory is what decoding does, several tokens' what prefill does; one
//! token's product from cache shows what the arithmetic alone could do. Every kernel runs on weights of
//! its own layout, in the shapes of the model, with the tiles the engine gives it.

mod report;
mod smaller;
mod table;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use anyhow::Context as _;
use tritone_abi::{Kernel, KernelError};
use tritone_engine::PageBytes;
use tritone_loader::Found;
use tritone_machine::Machine;

use super::limits::{Int8Peak, ReadBuffer};
use super::pin::Pins;
use super::report::Facts;
use super::stats::Measured;
use super::{INT8_TIME, facts, kernels_named, print, read_buffer, rows, set_up, thread_counts};
use crate::cli::args::CommonArgs;
use crate::cli::console::{Console, Progress};
use crate::cli::date;
use crate::cli::failure::CANCELLED;
use crate::cli::interrupt::Interrupt;
use report::{KernelReport, Product, Results, Settings, ShapeResults};
use work::{Inputs, Shape, Team, packed, rows_within};

const EXAMPLES: &str = "\
Examples:
  tritone bench kernels --model bitnet-2b4t.gguf --threads 1,2
  tritone bench kernels --kernel scalar --tokens 64 --json kernels.json

GMAC/s are 10^9 multiply-adds of a weight and an activation a second; GB/s count packed weights.";

/// `tritone bench kernels`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct KernelBenchArgs {
    /// Thread counts [default: what the profile says].
    #[arg(long, short = 't', value_name = "N,...", value_delimiter = ',')]
    threads: Vec<usize>,
    /// Kernels by name [default: all].
    #[arg(long, short = 'k', value_name = "NAME,...", value_delimiter = ',')]
    kernel: Vec<String>,
    /// Numbers of tokens that are multiplied together, besides one.
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "4,16,64,256",
          value_parser = clap::value_parser!(u32).range(1..=4096))]
    tokens: Vec<u32>,
    /// Milliseconds of one measurement.
    #[arg(long, value_name = "MS", default_value_t = 100,
          value_parser = clap::value_parser!(u64).range(1..=60_000))]
    time: u64,
    /// Repetitions.
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// Keep every thread on a processor of its own.
    #[arg(long)]
    pin: bool,
    /// MiB of memory to read for the read bandwidth, and of weights [default: eight times the
    /// last-level caches, at least 512].
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=65536))]
    read_buffer: Option<u32>,
    /// Print JSON instead of the table, or write it to FILE as well.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    /// Hold the numbers against those of the report FILE, which `--json` wrote.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

/// Cache of a core where the machine does not tell.
const SMALL_CACHE: u64 = 256 << 10;

/// Runs the command.
pub(super) fn run(
    args: &KernelBenchArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let then = rows::earlier::<KernelReport>(args.compare.as_deref())?;
    let mut report = measure(args, common, console)?;
    report.comparison = then.map(|then| then.against(&report));
    print(&report, &table::text(&report), args.json.as_deref())?;
    Ok(if report.facts.interrupted {
        ExitCode::from(CANCELLED)
    } else {
        ExitCode::SUCCESS
    })
}

fn measure(
    args: &KernelBenchArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<KernelReport> {
    let unix_time = date::now();
    let mut setup = set_up(common)?;
    let threads = thread_counts(&args.threads, &mut setup);
    let all = vec!["all".to_owned()];
    let names = if args.kernel.is_empty() {
        &all
    } else {
        &args.kernel
    };
    for note in &setup.notes {
        console.note(note);
    }
    let interrupt = Interrupt::listen()?;
    let model = setup.open_and_say(console, &interrupt)?;
    let most = threads.iter().copied().max().unwrap_or(1);
    setup.threads = most;
    let kernels = kernels_named(names, &setup, &model, console)?;
    let pins = args.pin.then(|| Pins::new(most)).transpose()?;
    let mut line = console.progress();
    line.show(|| "filling the read buffer".to_owned());
    let buffer = read_buffer(args.read_buffer, &setup.machine, most)?;
    let stream = PageBytes::zeroed(buffer.bytes());
    let stream = stream.context("no memory for the weights; `--read-buffer` takes less")?;

    let mut tokens: Vec<usize> = args.tokens.iter().map(|n| *n as usize).collect();
    tokens.sort_unstable();
    tokens.dedup();
    let time = Duration::from_millis(args.time);
    let mut bench = KernelBench {
        shapes: shapes(model.recipe()),
        lanes: lanes(&kernels, &threads),
        tokens,
        time,
        repeat: args.repeat as usize,
        cache: cache(&setup.machine),
        buffer,
        stream,
        pins,
        interrupt,
        line,
    };
    bench.measure()?;

    let results: Vec<Results> = bench.lanes.iter().map(|lane| bench.results(lane)).collect();
    let mut notes = Vec::new();
    let left_out = setup
        .registry
        .kernels()
        .iter()
        .filter(|found| !found.is_usable());
    if args.kernel.is_empty() {
        let name = |found: &Found| format!("{} ({})", found.facts.name, found.state);
        let names: Vec<_> = left_out.map(name).collect();
        if !names.is_empty() {
            notes.push(format!("not measured: {}", names.join("; ")));
        }
    }
    let smaller = smaller::pairs(&results);
    if smaller.is_empty() && kernels.len() > 1 {
        notes.push(
            "all kernels measured here take the same bits a weight: none has less to read"
                .to_owned(),
        );
    }
    Ok(KernelReport {
        schema: <KernelReport as rows::Document>::SCHEMA.to_owned(),
        facts: Facts {
            pinned: bench
                .pins
                .as_ref()
                .map_or_else(Vec::new, |pins| pins.cpus(most).to_vec()),
            interrupted: bench.interrupt.is_pressed(),
            ..facts(unix_time, &setup.machine, &kernels, &model, notes)
        },
        settings: Settings {
            threads,
            tokens: bench.tokens.clone(),
            repeat: bench.repeat,
            milliseconds: args.time,
            stream_bytes: bench.stream.as_slice().len(),
            cached_bytes: bench.cache,
        },
        results,
        smaller,
        comparison: None,
    })
}

/// The shapes of the layers, each once, with the names of the matrices that have it.
fn shapes(recipe: &tritone_engine::Recipe) -> Vec<(Shape, String)> {
    let mut shapes: Vec<(Shape, String)> = Vec::new();
    for (name, rows, cols) in recipe.all_matrices() {
        let shape = Shape { rows, cols };
        match shapes.iter_mut().find(|(known, _)| *known == shape) {
            Some((_, names)) if names.split(", ").any(|known| known == name) => {}
            Some((_, names)) => {
                names.push_str(", ");
                names.push_str(name);
            }
            None => shapes.push((shape, name.to_owned())),
        }
    }
    shapes
}

/// Half of the second-level cache of a core: weights that stay there beside activations and stack.
fn cache(machine: &Machine) -> u64 {
    let level = machine.caches.iter().find(|cache| cache.level == 2);
    level.map_or(SMALL_CACHE, |cache| cache.bytes) / 2
}

/// One kernel with so many threads, and the samples taken of it.
struct Lane {
    kernel: Arc<dyn Kernel>,
    threads: usize,
    int8: Result<Int8Peak, String>,
    limits: [Samples; 2],
    /// By shape: from memory, from cache, then by tokens.
    products: Vec<Vec<Samples>>,
}

/// Samples, and why there will be no more.
#[derive(Clone, Default)]
struct Samples(Vec<f64>, Option<String>);

impl Samples {
    /// Measures once more, unless it has failed.
    fn take(&mut self, measure: impl FnOnce() -> Result<f64, KernelError>) {
        if self.1.is_none() {
            match measure() {
                Ok(rate) => self.0.push(rate / 1e9),
                Err(error) => self.1 = Some(error.to_string()),
            }
        }
    }

    fn measured(&self) -> Measured {
        match &self.1 {
            Some(why) => Measured::missing(why.clone()),
            None => Measured::new(self.0.clone()),
        }
    }
}

/// Kernels of one layout stand beside each other: they share the packed weights.
fn lanes(kernels: &[Arc<dyn Kernel>], threads: &[usize]) -> Vec<Lane> {
    let mut ordered = kernels.to_vec();
    ordered.sort_by_key(|kernel| kernel.facts().layout);
    let pairs = ordered.into_iter().flat_map(|kernel| {
        let lane = move |&threads: &usize| Lane {
            kernel: Arc::clone(&kernel),
            threads,
            int8: Int8Peak::calibrate(&*kernel, INT8_TIME).map_err(|error| error.to_string()),
            limits: Default::default(),
            products: Vec::new(),
        };
        threads.iter().map(lane).collect::<Vec<_>>()
    });
    pairs.collect()
}

struct KernelBench {
    shapes: Vec<(Shape, String)>,
    lanes: Vec<Lane>,
    tokens: Vec<usize>,
    time: Duration,
    repeat: usize,
    /// Bytes of weights a thread keeps in its cache.
    cache: u64,
    buffer: ReadBuffer,
    stream: PageBytes,
    pins: Option<Pins>,
    interrupt: Interrupt,
    line: Progress,
}

impl KernelBench {
    /// Measures everything once a repetition, in turn.
    fn measure(&mut self) -> anyhow::Result<()> {
        let mut lanes = std::mem::take(&mut self.lanes);
        for lane in &mut lanes {
            lane.products =
                vec![vec![Samples::default(); 2 + self.tokens.len()]; self.shapes.len()];
        }
        for repetition in 1..=self.repeat {
            for lane in &mut lanes {
                self.limits(lane, repetition);
            }
            for at in 0..self.shapes.len() {
                let mut packed_for = None;
                for lane in &mut lanes {
                    if self.interrupt.is_pressed() {
                        self.lanes = lanes;
                        return Ok(());
                    }
                    let layout = lane.kernel.facts().layout;
                    if packed_for.replace(layout) != Some(layout) {
                        self.fill(&*lane.kernel, self.shapes[at].0);
                    }
                    self.products(lane, at, repetition);
                }
            }
        }
        self.line.clear();
        self.lanes = lanes;
        Ok(())
    }

    fn show(&mut self, lane: &Lane, what: &str, repetition: usize) {
        let (name, threads) = (&lane.kernel.facts().name, lane.threads);
        let s = if threads == 1 { "" } else { "s" };
        let of = self.repeat;
        self.line
            .show(|| format!("{name}, {threads} thread{s}, {repetition} of {of}: {what}"));
    }

    fn limits(&mut self, lane: &mut Lane, repetition: usize) {
        if self.interrupt.is_pressed() {
            return;
        }
        self.show(lane, "limits", repetition);
        let (kernel, threads, pins) = (&*lane.kernel, lane.threads, self.pins.as_ref());
        let [read, int8] = &mut lane.limits;
        match &lane.int8 {
            Ok(peak) => int8.take(|| peak.measure(kernel, threads, pins)),
            Err(why) => int8.1 = Some(why.clone()),
        }
        read.take(|| {
            let best = self.buffer.best(kernel, threads, pins, |_| true)?;
            Ok(best.map_or(0.0, |(rate, _)| rate))
        });
    }

    /// Fills the stream with copies of a matrix in the kernel's layout. What the kernel does not take
    /// is found out again, and said, when it is to multiply.
    fn fill(&mut self, kernel: &dyn Kernel, shape: Shape) {
        if let Ok(one) = packed(kernel, shape) {
            let bytes = one.as_slice().len().max(1);
            for copy in self.stream.as_mut_slice().chunks_exact_mut(bytes) {
                copy.copy_from_slice(one.as_slice());
            }
        }
    }

    fn products(&mut self, lane: &mut Lane, at: usize, repetition: usize) {
        let shape = self.shapes[at].0;
        self.show(lane, &format!("{}x{}", shape.rows, shape.cols), repetition);
        let (kernel, threads, pins) = (&*lane.kernel, lane.threads, self.pins.as_ref());
        let samples = &mut lane.products[at];
        let (stream, time) = (self.stream.as_slice(), self.time);
        let next = AtomicUsize::new(0);
        let one = Inputs::new(1, shape.cols);
        samples[0]
            .take(|| Team::new(kernel, shape, &one, threads, pins)?.streaming(stream, &next, time));
        samples[1].take(|| {
            let rows = rows_within(kernel, shape.cols, shape.rows, self.cache);
            let small = Shape { rows, ..shape };
            let own = (0..threads).map(|_| packed(kernel, small));
            let own = own.collect::<Result<Vec<_>, _>>()?;
            Team::new(kernel, small, &one, threads, pins)?.cached(&own, rows, time)
        });
        for (&tokens, samples) in self.tokens.iter().zip(&mut samples[2..]) {
            if self.interrupt.is_pressed() {
                return;
            }
            let inputs = Inputs::new(tokens, shape.cols);
            samples.take(|| {
                Team::new(kernel, shape, &inputs, threads, pins)?.streaming(stream, &next, time)
            });
        }
    }

    fn results(&self, lane: &Lane) -> Results {
        let [read, int8] = [lane.limits[0].measured(), lane.limits[1].measured()];
        let shapes = self
            .shapes
            .iter()
            .zip(&lane.products)
            .map(|((shape, names), samples)| {
                let weights = (shape.rows * shape.cols) as f64;
                let bytes = lane
                    .kernel
                    .packed_bytes(shape.rows, shape.cols)
                    .unwrap_or(0);
                let bits = bytes as f64 * 8.0 / weights;
                let product = |tokens, samples: &Samples| {
                    Product::new(tokens, samples.measured(), bits, [&read, &int8])
                };
                let together = self.tokens.iter().zip(&samples[2..]);
                ShapeResults {
                    names: names.clone(),
                    rows: shape.rows,
                    cols: shape.cols,
                    bits_per_weight: bits,
                    memory: product(1, &samples[0]),
                    cache: product(1, &samples[1]),
                    together: together
                        .map(|(tokens, samples)| product(*tokens, samples))
                        .collect(),
                }
            });
        Results {
            kernel: lane.kernel.facts().name.clone(),
            threads: lane.threads,
            shapes: shapes.collect(),
            read_gb_per_s: read,
            int8_gmac_per_s: int8,
        }
    }
}
