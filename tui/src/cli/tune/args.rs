//! The arguments of `tritone tune`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

const EXAMPLES: &str = "\
Examples:
  tritone tune                                  try for three minutes, and say what is best here
  tritone tune --model bitnet --write-profile mine && tritone --profile mine --model bitnet
  tritone tune --scenario server --minutes 10 --html tune.html --json tune.json
  tritone tune --quality any                    smaller forms of head and KV cache, too

Every setting is tried in turn beside the best one so far, several times each, one after the other, so that what
else the machine does hits all of them. Measurements are kept: the same command goes on where it was interrupted
(--fresh begins anew). Exit code 130 after Ctrl+C, with the report of what was measured.";

/// What the settings are for: a preset's bounds, and what counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// Phones and small boards: one conversation, little memory.
    Mobile,
    /// Laptops and mini PCs: a few conversations.
    Edge,
    /// A machine for many: all answers together count.
    Server,
    /// A large machine for many.
    Cloud,
}

impl Scenario {
    /// The preset with its bounds.
    pub(super) fn preset(self) -> &'static str {
        match self {
            Self::Mobile => "mobile",
            Self::Edge => "edge",
            Self::Server => "server",
            Self::Cloud => "cloud",
        }
    }
}

/// What may change about answers for the sake of speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Quality {
    /// Nothing: the head in f16 and the KV cache in f16.
    Exact,
    /// Nothing about the likeliest tokens: the head may be q4+exact, too.
    Greedy,
    /// A little: smaller heads and a KV cache in q8, too.
    Any,
}

/// `tritone tune`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TuneArgs {
    /// What the settings are for [default: one conversation, within the profile in force].
    #[arg(long, value_name = "WHAT")]
    pub(super) scenario: Option<Scenario>,
    /// What may change about answers for the sake of speed.
    #[arg(long, value_name = "HOW", default_value = "greedy")]
    pub(super) quality: Quality,
    /// Minutes that it may take, about; loading the model comes on top.
    #[arg(long, value_name = "N", default_value_t = 3.0, value_parser = minutes)]
    pub(super) minutes: f64,
    /// Tokens of a prompt.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(super) prompt_tokens: u32,
    /// Tokens of an answer.
    #[arg(long, value_name = "N", default_value_t = 48, value_parser = clap::value_parser!(u32).range(2..=65_536))]
    pub(super) generate: u32,
    /// Write the best settings into a profile of your own.
    #[arg(long, value_name = "NAME")]
    pub(super) write_profile: Option<String>,
    /// Replace a profile of this name.
    #[arg(long, requires = "write_profile")]
    pub(super) force: bool,
    /// Print JSON instead of the tables, or write it to FILE as well.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub(super) json: Option<Option<PathBuf>>,
    /// Write the report with its pictures into FILE (HTML, without scripts).
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Forget what was measured before.
    #[arg(long)]
    pub(super) fresh: bool,
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.02..=1440.0).contains(&minutes) => Ok(minutes),
        _ => Err("expected a number from 0.02 to 1440".to_owned()),
    }
}
