//! The arguments of `tritone load`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::attach;

const EXAMPLES: &str = "\
Examples:
  tritone load --rate 2 --duration 60
  tritone load --users 8 --requests 64 --prompt-tokens 128 --generate 64
  tritone load --url http://server:8080 --rate 5 --arrivals constant --json load.json --plot load.svg
  tritone load --users 16 --duration 600 --disconnect 0.2

With --rate, requests are sent when their time has come, whether or not earlier ones are answered, and times
are counted from then: a server that cannot keep up is seen to be slow. With --users, each user waits for
an answer before asking again. Exit code 1 means that some request failed other than by 429 or 503.";

/// How arrivals are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arrivals {
    /// As they come from many people who know nothing of each other.
    Poisson,
    /// At equal distances.
    Constant,
}

/// `tritone load`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LoadArgs {
    /// The server.
    #[arg(
        long,
        value_name = "URL",
        env = "TRITONE_URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub(crate) url: String,
    /// File with the API key; otherwise TRITONE_API_KEY is used, if it is set.
    #[arg(long, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Requests a second.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1.0,
        conflicts_with = "users"
    )]
    pub(crate) rate: f64,
    /// How arrivals are spread.
    #[arg(
        long,
        value_name = "HOW",
        default_value = "poisson",
        conflicts_with = "users"
    )]
    pub(crate) arrivals: Arrivals,
    /// Users who wait for an answer before they ask again, instead of a rate.
    #[arg(long, value_name = "N")]
    pub(crate) users: Option<usize>,
    /// Seconds in which requests are sent.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) duration: f64,
    /// Most requests.
    #[arg(long, value_name = "N")]
    pub(crate) requests: Option<usize>,
    /// Tokens of a prompt, about.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) prompt_tokens: usize,
    /// Tokens of an answer.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) generate: u32,
    /// Every prompt begins in its own way, so that the server has read none of it before.
    #[arg(long)]
    pub(crate) cold: bool,
    /// Share of the clients that leave in the middle of their answer, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub(crate) disconnect: f64,
    /// A good answer has its first token within so many milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 5000.0)]
    pub(crate) slo_first_token: f64,
    /// A good answer has, at the 95th percentile, so many milliseconds between tokens.
    #[arg(long, value_name = "MS", default_value_t = 250.0)]
    pub(crate) slo_inter_token: f64,
    /// Seed of arrivals and departures.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Print JSON instead of the table, or write it to FILE as well.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub(crate) json: Option<Option<PathBuf>>,
    /// Draw the percentiles into FILE (SVG).
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
}

impl LoadArgs {
    /// The key to send. It is never an argument: those are seen by everybody on the machine.
    pub(super) fn key(&self) -> anyhow::Result<Option<String>> {
        attach::key(self.api_key_file.as_deref(), "TRITONE_API_KEY")
    }
}
