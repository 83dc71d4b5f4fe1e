//! The arguments of `tritone eval`.

use std::path::PathBuf;

use tritone_engine::Head;

use super::questions::Match;
use crate::cli::failure::Usage;

const HELP: &str = "\
Text: the perplexity of a file, defined as llama.cpp's `perplexity` does. The tokens of the whole file
are cut into windows of --ctx tokens (512 if that is left out); the last part of a window is left out if
it is not full. Where the model wants a BOS token, it takes the place of a window's first token. In each
window the second half is scored, so that every scored token has at least half a window before it. With
--stride N windows begin every N tokens instead, and each scores what the one before did not reach
(all of its tokens, in the first one). A text shorter than a window is one window. The error is the
standard error of the mean; bits are counted a byte of the scored text, and a word (ASCII space between
them). The numbers are the same on every kernel, thread count and machine.

With --against, or --against-head or --against-kv, a second model or form reads the same text, and what
is reported is how far this one is from that one: Kullback-Leibler divergence, and how often both have
the same first choice. A safetensors file of `tritone logits` brings its own tokens.

Questions: a file that ends in .jsonl holds one JSON object a line:
  {\"prompt\": \"What is 7 + 5?\", \"answer\": \"12\", \"id\": \"sum-1\"}
  {\"messages\": [{\"role\": \"user\", \"content\": \"...\"}], \"answers\": [\"Lima\", \"Lima, Peru\"]}
  {\"prompt\": \"Water is\", \"choices\": [\" wet\", \" dry\"], \"answer\": 0}
Answers are written greedily and compared as --match says. Of choices the most likely one is taken: by
the sum of its log-probabilities, and by that sum for each byte of its text. The interval is Wilson's, of
95 %. With --out, results are kept line by line, and a second run does what is missing.

Examples:
  tritone eval wiki.test.raw --model bitnet-2b4t.gguf
  tritone eval wiki.test.raw --head q4 --against-head f16
  tritone eval sums.jsonl --match number --out results.jsonl";

/// `tritone eval`
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct EvalArgs {
    /// Text, or questions if it ends in `.jsonl`; `-` reads text from standard input.
    pub(super) file: Option<PathBuf>,
    /// Begin a window every N tokens, and score in each what the one before did not reach.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) stride: Option<u32>,
    /// Score the first N windows only.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) windows: Option<u32>,
    /// Model file, or safetensors file of `tritone logits`, to compare with.
    #[arg(long, value_name = "FILE")]
    pub(super) against: Option<PathBuf>,
    /// Form of the head to compare with: f16, q8, q6, q4 or q4+exact.
    #[arg(long, value_name = "TYPE")]
    pub(super) against_head: Option<Head>,
    /// Form of the cached keys and values to compare with: f16, q8 or f32.
    #[arg(long, value_name = "TYPE", value_parser = ["f16", "q8", "f32"])]
    pub(super) against_kv: Option<String>,
    /// How an answer is compared with the expected ones.
    #[arg(long = "match", value_name = "HOW", default_value = "normal")]
    pub(super) matching: Match,
    /// Continue prompts as they stand, without the model's chat template.
    #[arg(long)]
    pub(super) raw: bool,
    /// Most tokens of an answer.
    #[arg(
        long,
        short = 'n',
        value_name = "N",
        default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(super) max_tokens: u32,
    /// End an answer before this text; may be given more than once.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) stop: Vec<String>,
    /// Questions that are answered at a time; changes the speed, never an answer.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        value_parser = clap::value_parser!(u32).range(1..=64)
    )]
    pub(super) parallel: u32,
    /// File for the results of questions, a JSON object a line. If it is there, questions that have
    /// a result in it are not asked again.
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

impl EvalArgs {
    /// Whether the file holds questions.
    pub(super) fn is_questions(&self) -> bool {
        let ending = self.file.as_deref().and_then(|file| file.extension());
        ending.is_some_and(|ending| ending.eq_ignore_ascii_case("jsonl"))
    }

    /// Whether `--against` names logits of `tritone logits`.
    pub(super) fn against_logits(&self) -> bool {
        let ending = self.against.as_deref().and_then(|file| file.extension());
        ending.is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors"))
    }

    /// Whether something is to be compared with.
    pub(super) fn compares(&self) -> bool {
        self.against.is_some() || self.against_head.is_some() || self.against_kv.is_some()
    }

    /// Flags that contradict each other or the file.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let wrong = |why: &str| Err(Usage(why.to_owned()).into());
        if self.is_questions() {
            if self.compares() || self.stride.is_some() || self.windows.is_some() {
                return wrong("--against, --stride and --windows are for text, not for questions");
            }
            return Ok(());
        }
        if self.out.is_some() {
            return wrong("--out is for questions: a file that ends in .jsonl");
        }
        if self.against_logits() {
            if self.file.is_some() || self.stride.is_some() || self.windows.is_some() {
                return wrong(
                    "a file of logits brings its own tokens: no text, --stride or --windows",
                );
            }
            if self.against_head.is_some() || self.against_kv.is_some() {
                return wrong("a file of logits has no head and no cache to choose");
            }
        } else if self.file.is_none() {
            return wrong(
                "which file? Text (`tritone eval wiki.txt`) or questions (`tritone eval sums.jsonl`)",
            );
        }
        Ok(())
    }
}
