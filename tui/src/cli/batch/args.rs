//! The arguments of `tritone batch`.

use std::path::PathBuf;

use clap::Args;

const EXAMPLES: &str = "\
Examples:
  tritone batch requests.jsonl -o answers.jsonl
  tritone batch requests.jsonl -o answers.jsonl --ordered -m bonsai-1.7b.gguf
  cat requests.jsonl | tritone batch - -o -

A line of the input is an object with custom_id, method (POST), url (/v1/chat/completions, /v1/completions or
/v1/embeddings) and body, as OpenAI's batches have it. A line of the output has its custom_id and the response,
or an error. What is in the output already is not done again: a batch that was interrupted goes on. The
same seeded request gets the same answer here, from `tritone serve` and from `tritone run`.";

/// `tritone batch`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BatchArgs {
    /// Requests, one JSON object a line; `-` for standard input.
    #[arg(value_name = "IN.jsonl")]
    pub(crate) input: PathBuf,
    /// Where answers go, one a line; `-` for standard output.
    #[arg(long, short = 'o', value_name = "OUT.jsonl")]
    pub(crate) output: PathBuf,
    /// Write answers in the order of the requests; left out, as they are ready.
    #[arg(long)]
    pub(crate) ordered: bool,
    /// Requests that are answered at once [default: the batch of the profile]
    #[arg(long, value_name = "N")]
    pub(crate) parallel: Option<usize>,
    /// Make sure that answers are on disk after so many lines.
    #[arg(long, value_name = "LINES", default_value_t = 16)]
    pub(crate) sync: usize,
    /// Begin anew, and replace the output.
    #[arg(long)]
    pub(crate) force: bool,
}
