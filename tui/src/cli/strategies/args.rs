//! The arguments of `tritone strategies`.

use clap::{Args, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  tritone strategies list                 what can be used here, and what is missing
  tritone strategies test                 the same prompts to every one that can, compared
  tritone strategies test native studio   only these
  tritone strategies recommend mobile     which to take, by what was measured here
  tritone strategies use studio           the chat uses it from now on; `use auto` undoes that
  tritone chat --strategy studio          the chat with it, this time

Servers are configured in `config.toml` (`tritone config edit`), in [strategies.remote.NAME]. `test` sends
its prompts to servers on other machines only if they are named.";

/// `tritone strategies`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StrategiesArgs {
    #[command(subcommand)]
    pub(super) action: Action,
}

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// List the strategies: which can be used here, what is missing and how to get it.
    List {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Run the model with every strategy that can be used here, in turn, and ask each the same; exit code 1 if one
    /// fails that can run the model.
    Test {
        /// Only these.
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Let the chat use a strategy from now on; `auto` is what it does by itself.
    Use {
        /// Its name, or `auto`.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Say which strategy to take for what, by what `test` measured on this machine.
    Recommend {
        /// What it is for; all, if nothing is named.
        purpose: Option<Purpose>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// What a strategy is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    /// It has to work, give the same answer to the same request, and be fast.
    Production,
    /// The first token has to come soon.
    Development,
    /// It has to take little memory, on this device.
    Mobile,
    /// Its answers have to be those of the reference, and be repeatable.
    Research,
    /// It has to make the most of the memory there is, on this device.
    Edge,
    /// It has to be fast, wherever it runs.
    Cloud,
}

/// With which strategy a model is run.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct StrategyFlag {
    /// Run the model with this strategy, or with the first that runs it (`auto`); `tritone strategies` lists them.
    #[arg(long, value_name = "NAME")]
    pub(crate) strategy: Option<String>,
}
