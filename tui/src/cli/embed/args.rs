//! The arguments of `tritone embed`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tritone_engine::Pooling;

const EXAMPLES: &str = "\
Examples:
  tritone embed -m bitnet-embedding-0.6b.gguf \"The cat sat.\" \"A dog ran.\"
  tritone embed -m MODEL --query \"how tall is Mont Blanc\"
  tritone embed -m MODEL --npy vectors.npy < lines.txt
  tritone embed -m MODEL --input jsonl --jsonl < documents.jsonl
  tritone embed -m MODEL --compare \"a cat\" \"a kitten\"

A text has the same vector, bit for bit, whatever runs beside it, on every kernel, thread count and
machine.";

/// What standard input holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputForm {
    /// One text a line; empty lines are left out.
    Lines,
    /// One JSON value a line: a string, or an object with `text`.
    Jsonl,
    /// One text.
    Text,
}

/// `tritone embed`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EmbedArgs {
    /// The texts; standard input is read if there are none.
    pub(crate) texts: Vec<String>,
    /// What standard input holds.
    #[arg(
        long,
        value_name = "FORM",
        default_value = "lines",
        conflicts_with = "texts"
    )]
    pub(crate) input: InputForm,
    /// Print how alike two texts are: the cosine of the angle between their vectors, from -1 to 1.
    #[arg(long, num_args = 2, value_names = ["A", "B"],
          conflicts_with_all = ["texts", "input", "jsonl", "npy", "safetensors", "no_normalize"])]
    pub(crate) compare: Option<Vec<String>>,
    /// The texts are questions to a search: an instruction comes before each. Documents have none.
    /// With `--compare`, the first text is one.
    #[arg(long)]
    pub(crate) query: bool,
    /// The instruction before questions; implies `--query`.
    #[arg(long, value_name = "TEXT")]
    pub(crate) instruction: Option<String>,
    /// Text to put before every text as it stands.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["query", "instruction"])]
    pub(crate) prefix: Option<String>,
    /// How tokens become a vector: last, mean or cls; left out, as the model was trained for.
    #[arg(long, value_name = "HOW")]
    pub(crate) pooling: Option<Pooling>,
    /// Leave the vectors as long as they come, instead of scaling them to 1.
    #[arg(long)]
    pub(crate) no_normalize: bool,
    /// Refuse texts that do not fit the context, instead of cutting them.
    #[arg(long)]
    pub(crate) no_truncate: bool,
    /// Texts that are read together, at most; fewer where memory is short.
    #[arg(long, value_name = "N", default_value_t = 16,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) parallel: u16,
    /// Print one JSON object.
    #[arg(long, conflicts_with = "jsonl")]
    pub(crate) json: bool,
    /// Print one JSON object a text, as they come.
    #[arg(long)]
    pub(crate) jsonl: bool,
    /// Write a NumPy array of one row a text.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "jsonl"])]
    pub(crate) npy: Option<PathBuf>,
    /// Write a safetensors file with the tensor `embeddings`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "jsonl", "npy"])]
    pub(crate) safetensors: Option<PathBuf>,
}
