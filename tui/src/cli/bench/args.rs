//! The arguments of `tritone bench`.

use std::path::PathBuf;

use super::kernels::KernelBenchArgs;

const EXAMPLES: &str = "\
Examples:
  tritone bench --model bitnet-2b4t.gguf --threads 1,2
  tritone synth --shape 2b4t --out synthetic.gguf && tritone bench --model synthetic.gguf
  tritone bench --context 0,2048 --batch 1,4,16 --json before.json
  tritone bench --context 0,2048 --batch 1,4,16 --compare before.json --plot now.svg
  tritone bench kernels --threads 1,2            the ternary product alone
  tritone bench --kernel all --head f16,q6 --pin

Decoding is compared with reading memory: bytes a token needs times tokens a second. Prefill is
compared with int8 multiplication on registers. Everything is measured in turn, repetition by
repetition, so that what comes and goes on the machine meets all alike. Close other programs: every
one of them shows.

A cache that is to be deep is filled with copies of its first page: attention then reads as much
memory as after a real prefill, which would take minutes.";

/// `tritone bench`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct BenchArgs {
    /// A part, measured alone.
    #[command(subcommand)]
    pub(super) part: Option<Part>,
    /// Thread counts [default: what the profile says].
    // Takes the place of the common `--threads`, hence the same name and type; so do the next two.
    #[arg(long, short = 't', value_name = "N,...", value_delimiter = ',')]
    pub(super) threads: Vec<usize>,
    /// Kernels by name, or `all` [default: the one the program would use].
    #[arg(long, short = 'k', value_name = "NAME,...", value_delimiter = ',')]
    pub(super) kernel: Vec<String>,
    /// Stored forms of the output head [default: what the profile says].
    #[arg(long, value_name = "TYPE,...", value_delimiter = ',')]
    pub(super) head: Vec<String>,
    /// Tokens of the prompt that is read; 0 leaves reading a prompt out.
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub(super) prompt: u32,
    /// Tokens that are generated.
    #[arg(long, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) generate: u32,
    /// Tokens in the cache when generation begins.
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "0")]
    pub(super) context: Vec<u32>,
    /// Numbers of sequences that are decoded together, at the first `--context`.
    #[arg(long, value_name = "N,...", value_delimiter = ',',
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) batch: Vec<u32>,
    /// Decode N sequences without and with a prompt being read in chunks, and compare the time
    /// between their tokens.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) mixed: Option<u32>,
    /// Prompt tokens of one step [default: what the profile says].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(super) chunk: Option<u32>,
    /// Repetitions.
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) repeat: u32,
    /// Keep every thread on a processor of its own.
    #[arg(long)]
    pub(super) pin: bool,
    /// MiB of memory to read for the read bandwidth [default: eight times the last-level caches,
    /// at least 512].
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(super) read_buffer: Option<u32>,
    /// Where the report goes, and what it is held against.
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// Where a report goes, and what it is held against.
#[derive(Debug, Default, clap::Args)]
pub(super) struct OutputArgs {
    /// Measure nothing: take the report FILE, which `--json` wrote, to print, compare or plot it.
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "threads", "kernel", "head", "prompt", "generate", "context", "batch", "mixed", "chunk",
        "repeat", "pin", "read_buffer",
    ])]
    pub(super) from: Option<PathBuf>,
    /// Hold the numbers against those of the report FILE, which `--json` wrote.
    #[arg(long, value_name = "FILE")]
    pub(super) compare: Option<PathBuf>,
    /// Draw speed by threads, by depth of the cache and by sequences into FILE (SVG).
    #[arg(long, value_name = "FILE")]
    pub(super) plot: Option<PathBuf>,
    /// Print JSON instead of the table, or write it to FILE as well.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub(super) json: Option<PathBuf>,
}

/// A part that is measured alone.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Part {
    /// The ternary product of every kernel: from memory, from cache, for one and for many tokens.
    Kernels(KernelBenchArgs),
}
