//! The arguments.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use tritone_engine::sample::Sampling;
use tritone_formats::I2sLayout;

use super::attach::AttachArgs;
use super::batch::BatchArgs;
use super::bench::BenchArgs;
use super::completions::CompletionsArgs;
use super::config::ConfigArgs;
use super::convert::ConvertArgs;
use super::doctor::DoctorArgs;
use super::embed::EmbedArgs;
use super::eval::EvalArgs;
use super::failure::Usage;
use super::guard::GuardArgs;
use super::health::HealthArgs;
use super::load::LoadArgs;
use super::logging::LogFormat;
use super::man::ManArgs;
use super::models::ModelsArgs;
use super::monitor::MonitorArgs;
use super::profile::ProfileArgs;
use super::pull::PullArgs;
use super::serve::ServeArgs;
use super::sessions::SessionsArgs;
use super::strategies::{StrategiesArgs, StrategyFlag};
use super::synth::SynthArgs;
use super::tune::TuneArgs;
use super::types;
use crate::term::Watch;

const AFTER_HELP: &str = "\
Examples:
  tritone                                        chat with the built-in model
  tritone pull microsoft/bitnet-b1.58-2B-4T-gguf  fetch a model from Hugging Face
  tritone models                                 models that are here, and which of them run
  tritone --model bitnet-b1.58                   chat with one, by file or by (a part of) its name
  tritone chat --continue                        go on with the last chat
  tritone run \"What is the capital of Peru?\"     one answer
  tritone --attach http://127.0.0.1:8080          chat with a running `tritone serve`, and watch it
  git diff | tritone run \"Review this change.\"   a file or a pipe after the prompt
  tritone inspect bitnet-2b4t.gguf               what is in a file, and what it takes to run it

Exit codes:
  0    done; also when the reader of a pipe went away
  1    failed, or a check found a fault
  2    wrong arguments or settings
  3    the model cannot be loaded, for example because it does not fit the memory limit
  4    the request is not possible, for example because the prompt does not fit the context
  5    `health`: a check failed
  69   `serve`: the address cannot be listened at; a strategy is not to be had
  78   `serve`: keys or addresses are not set up as they have to be
  130  cancelled with Ctrl+C

Environment:
  TRITONE_MODEL, TRITONE_PROFILE and TRITONE_DISABLE_KERNELS (names to leave out) work like flags;
  NO_COLOR turns colours off, TRITONE_PLAIN=1 makes the chat a conversation of lines.";

/// Chat with 1.58-bit language models in the terminal.
///
/// Without a command, opens the chat. Without a model, uses the small one that is built in.
#[derive(Debug, Parser)]
#[command(name = "tritone", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// For all commands.
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

impl Cli {
    /// Reads the arguments of this process; shows what is wrong with them, or the help, and ends it.
    pub(crate) fn of_process() -> Self {
        let args: Vec<OsString> = std::env::args_os().collect();
        Self::read(&args).unwrap_or_else(|error| error.exit())
    }

    /// Reads arguments, the program's name first. Without a command, the flags of `chat` are understood: the chat
    /// is what no command stands for.
    ///
    /// # Errors
    /// What is wrong, or that help is wanted.
    pub(super) fn read(args: &[OsString]) -> Result<Self, clap::Error> {
        Self::try_parse_from(args).or_else(|error| {
            if error.kind() != ErrorKind::UnknownArgument {
                return Err(error);
            }
            let mut chat = args.to_vec();
            chat.insert(args.len().min(1), "chat".into());
            Self::try_parse_from(chat).map_err(|_| error)
        })
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Chat in the terminal; the same as no command, with more options.
    Chat(ChatArgs),
    /// Print one answer.
    Run(RunArgs),
    /// Show what is in a model file, and what it takes to run it.
    Inspect(InspectArgs),
    /// Print the vectors of texts, for search and comparison.
    Embed(EmbedArgs),
    /// Serve the model to other programs, as OpenAI's servers do.
    Serve(Box<ServeArgs>),
    /// Write the logits of every position to a file, to compare engines.
    Logits(LogitsArgs),
    /// Measure how well a model does: perplexity of a text, or questions with known answers.
    Eval(Box<EvalArgs>),
    /// List kernels: found, refused, why, and how well they suit this processor.
    Kernels(KernelsArgs),
    /// Measure speed, and how much of what this machine can reach it is.
    Bench(Box<BenchArgs>),
    /// Try what runs a model best here, and write it into a profile.
    Tune(TuneArgs),
    /// Answer a file of requests, as OpenAI's batches do.
    Batch(BatchArgs),
    /// Ask a server much at once, and measure how it does.
    Load(LoadArgs),
    /// Write a model of a published shape with random weights, for measurements.
    Synth(SynthArgs),
    /// Write the ternary weights of a model file in another stored form.
    Convert(ConvertArgs),
    /// List the model files on this machine, and which of them run.
    Models(ModelsArgs),
    /// Summarise, export or follow what a chat measured (`tritone chat --monitor-log FILE`).
    Monitor(MonitorArgs),
    /// Show, check and edit the settings of the terminal: colours, keys, mouse, clipboard.
    Config(ConfigArgs),
    /// Look at this machine, terminal and installation, and say what costs speed or does not work.
    Doctor(DoctorArgs),
    /// Check that a model loads, answers in time, keeps to its memory, and that all kernels agree.
    Health(HealthArgs),
    /// Earlier chats: list, search, export, import.
    Sessions(SessionsArgs),
    /// Print the script by which a shell completes the command line.
    Completions(CompletionsArgs),
    /// Print the manual page, or write a page for every command.
    Man(ManArgs),
    /// Fetch a model from Hugging Face; the only command that uses the network.
    Pull(PullArgs),
    /// List, show, explain, check and edit profiles.
    Profile(ProfileArgs),
    /// Other ways to run a model: which can be used here, how they do, and which to take.
    Strategies(StrategiesArgs),
    /// Run a program that ends when standard input does; for Tritone itself.
    #[command(hide = true)]
    GuardChild(GuardArgs),
}

/// For all commands.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct CommonArgs {
    /// Model: a GGUF file (any part of one that is cut), a directory of the transformers library, or a
    /// name of `tritone models`; the built-in model if there is none.
    #[arg(
        long,
        short = 'm',
        global = true,
        value_name = "FILE",
        env = "TRITONE_MODEL"
    )]
    pub(crate) model: Option<PathBuf>,
    /// Kernel by name, or `auto` for the best one here; `tritone kernels` lists them.
    #[arg(long, short = 'k', global = true, value_name = "NAME")]
    pub(crate) kernel: Option<String>,
    /// Threads; lowered to what this process may use, and that is said.
    #[arg(long, short = 't', global = true, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Profile: mobile, edge, server, cloud, one of your own, the path of a profile file, or `auto` for
    /// the preset that suits this machine, which is used if nobody names one; `tritone profile` lists
    /// them.
    #[arg(long, short = 'p', global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Context in tokens: prompt and answer together.
    #[arg(long, short = 'c', global = true, value_name = "TOKENS")]
    pub(crate) ctx: Option<u64>,
    /// Seed of the choice between likely tokens [default: 0]. The same seed gives the same answer
    /// on every kernel, thread count and machine.
    #[arg(long, global = true, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Directory with kernel plugins, searched first; may be given more than once.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) plugin_dir: Vec<PathBuf>,
    /// Stored form of the output head: f16, q8, q6, q4, q4+exact, ternary for models that store it so,
    /// or auto, which is ternary for those and f16 for all others.
    #[arg(long, global = true, value_name = "TYPE")]
    pub(crate) head: Option<String>,
    /// Stored form of cached keys and values: f16, q8 for half the memory, or f32 to compare with
    /// programs that round nothing [default: the profile's; of `logits`: f32].
    #[arg(long, global = true, value_name = "TYPE")]
    pub(crate) kv: Option<String>,
    /// Memory limit in MiB. What does not fit is refused before loading, with a breakdown.
    #[arg(long, global = true, value_name = "MIB")]
    pub(crate) memory: Option<u64>,
    /// Where packed weights are kept, so that the next start is faster: `auto` (beside the model if
    /// its directory is yours alone, else in your cache directory), `off`, or a directory.
    #[arg(long, global = true, value_name = "WHERE")]
    pub(crate) pack_cache: Option<String>,
    /// Compare all packed weights with the model file, even if it has not changed since they were
    /// packed.
    #[arg(long, global = true)]
    pub(crate) verify_cache: bool,
    /// Layout of I2_S tensors: `canonical` (every published file), `arm` (quantised by a build of
    /// bitnet.cpp for ARM since November 2025) or `rows4` (by one without ACT_PARALLEL). Nothing in a
    /// file tells; a wrong one gives word salad.
    #[arg(long, global = true, value_name = "LAYOUT", value_parser = types::i2s_layout)]
    pub(crate) i2s_layout: Option<I2sLayout>,
    /// Lock weights, head and KV cache into memory, so that they are never swapped out.
    #[arg(long, global = true)]
    pub(crate) mlock: bool,
    /// Log what happens inside: error, warn, info, debug or trace, also by module
    /// (`info,tritone_loader=debug`).
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    /// File for the log, which is appended to; standard error if there is none, and in the chat the
    /// view of the log (F8) alone.
    #[arg(long, global = true, value_name = "FILE", requires = "log")]
    pub(crate) log_file: Option<PathBuf>,
    /// Form of the log: lines of text, or of JSON for programs.
    #[arg(
        long,
        global = true,
        value_name = "FORM",
        default_value = "text",
        hide_default_value = true
    )]
    pub(crate) log_format: LogFormat,
    /// Lines instead of a screen, for screen readers, simple terminals and pipes: nothing is drawn
    /// over, nothing moves. On by itself where TERM is `dumb`; TRITONE_PLAIN=1 turns it on, too.
    #[arg(long, global = true, env = "TRITONE_PLAIN", hide_env = true,
          value_parser = clap::builder::FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub(crate) plain: bool,
    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// For the screen of the chat.
    #[command(flatten)]
    pub(crate) screen: ScreenArgs,
}

/// For the screen of the chat; the settings of `tritone config` in a word.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Screen of the chat")]
pub(crate) struct ScreenArgs {
    /// Colours for a dark or a light background; `auto` asks the terminal, `none` uses no colours
    /// [default: auto].
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) theme: Option<ThemeArg>,
    /// Draw lines, charts and marks with ASCII characters only.
    #[arg(long, global = true)]
    pub(crate) ascii: bool,
    /// Use the lowest lines of the terminal only; what is finished stays in its history.
    #[arg(long, global = true)]
    pub(crate) inline: bool,
}

/// Colours of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ThemeArg {
    /// As the terminal's background is.
    Auto,
    /// For light text on dark.
    Dark,
    /// For dark text on light.
    Light,
    /// None.
    None,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How tokens are chosen.
#[derive(Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingArgs {
    /// Always take the most likely token.
    #[arg(long, conflicts_with_all = ["temperature", "top_k", "top_p", "min_p"])]
    greedy: bool,
    /// Spread of the choice [default: 0.6]; 0 always takes the most likely token.
    #[arg(
        long,
        visible_alias = "temp",
        value_name = "X",
        allow_negative_numbers = true
    )]
    temperature: Option<f32>,
    /// Choose among the N most likely tokens; 0 is all [default: 0].
    #[arg(long, value_name = "N")]
    top_k: Option<u32>,
    /// Choose among the most likely tokens whose probabilities add up to this [default: 0.9].
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    top_p: Option<f32>,
    /// Leave out tokens less likely than this times the most likely one [default: 0].
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    min_p: Option<f32>,
    /// Make tokens that came up less likely; 1 does nothing [default: 1].
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    repetition_penalty: Option<f32>,
    /// Take this off a token's logit every time it came up [default: 0].
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    frequency_penalty: Option<f32>,
    /// Take this off a token's logit once if it came up [default: 0].
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    presence_penalty: Option<f32>,
    /// Add VALUE to the logit of token ID (`--logit-bias 220=-inf` bans it); may be given more
    /// than once.
    #[arg(long, value_name = "ID=VALUE", value_parser = logit_bias)]
    logit_bias: Vec<(u32, f32)>,
}

fn logit_bias(text: &str) -> Result<(u32, f32), String> {
    let (id, value) = text
        .split_once('=')
        .ok_or("expected ID=VALUE, such as 220=-5")?;
    let id = id
        .trim()
        .parse()
        .map_err(|_| format!("'{id}' is no token id"))?;
    let value = value
        .trim()
        .parse()
        .map_err(|_| format!("'{value}' is no number"))?;
    Ok((id, value))
}

impl SamplingArgs {
    /// Whether one of them is on the command line.
    pub(crate) fn is_given(&self) -> bool {
        *self != Self::default()
    }

    /// The settings these flags make.
    ///
    /// # Errors
    /// When one is outside its range.
    pub(crate) fn sampling(&self, common: &CommonArgs) -> anyhow::Result<Sampling> {
        let base = if self.greedy {
            Sampling::greedy()
        } else {
            Sampling::default()
        };
        let sampling = Sampling {
            temperature: self.temperature.unwrap_or(base.temperature),
            top_k: self.top_k.unwrap_or(base.top_k),
            top_p: self.top_p.unwrap_or(base.top_p),
            min_p: self.min_p.unwrap_or(base.min_p),
            repetition_penalty: self.repetition_penalty.unwrap_or(base.repetition_penalty),
            frequency_penalty: self.frequency_penalty.unwrap_or(base.frequency_penalty),
            presence_penalty: self.presence_penalty.unwrap_or(base.presence_penalty),
            seed: common.seed.unwrap_or(base.seed),
            logit_bias: self.logit_bias.clone(),
            ..base
        };
        sampling
            .validate()
            .map_err(|error| Usage(error.to_string()))?;
        Ok(sampling)
    }
}

/// `tritone chat`
#[derive(Debug, Default, Args)]
pub(crate) struct ChatArgs {
    /// System prompt to begin with.
    #[arg(long, short = 's', value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// Most tokens of an answer; left out, what fits the context.
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) max_tokens: Option<usize>,
    /// Go on with an earlier chat, by its number or (a part of) its title; without a name, choose one
    /// from the list.
    #[arg(long, short = 'r', value_name = "NUMBER|TITLE", num_args = 0..=1,
          default_missing_value = "")]
    pub(crate) resume: Option<String>,
    /// Go on with the chat that was used last.
    #[arg(long = "continue", conflicts_with = "resume")]
    pub(crate) go_on: bool,
    /// Keep nothing of this chat on disk.
    #[arg(long, conflicts_with_all = ["resume", "go_on"])]
    pub(crate) no_save: bool,
    /// The server to chat with, instead of a model here.
    #[command(flatten)]
    pub(crate) attach: AttachArgs,
    /// With which strategy the model is run.
    #[command(flatten)]
    pub(crate) strategy: StrategyFlag,
    /// How tokens are chosen.
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
    /// What is measured meanwhile.
    #[command(flatten)]
    pub(crate) monitor: MonitorFlags,
}

/// What is measured while a chat or a server runs.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Monitor")]
pub(crate) struct MonitorFlags {
    /// Time between two samples of the monitor in milliseconds, 100 to 60000 [default:
    /// the profile's, which is 1000].
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(100..=60_000))]
    monitor_interval: Option<u64>,
    /// File that samples and events are appended to, one JSON object a line; `tritone monitor` reads it. At
    /// 64 MiB it is renamed to FILE.1 and begun anew.
    #[arg(long, value_name = "FILE")]
    monitor_log: Option<PathBuf>,
}

impl MonitorFlags {
    /// What they ask for.
    pub(crate) fn watch(&self) -> Watch {
        Watch {
            interval: self.monitor_interval.map(Duration::from_millis),
            log: self.monitor_log.clone(),
        }
    }
}

const RUN_EXAMPLES: &str = "\
Examples:
  tritone run \"What is the capital of Peru?\"
  echo \"What is 7 + 5?\" | tritone run
  tritone run \"Summarise this file.\" < notes.txt
  tritone run --json --max-tokens 100 \"Tell me a story.\" | jq -r .text
  tritone run --raw \"Once upon a time\"

With the seed left alone the answer is the same every time; `--seed` asks for another one.";

/// `tritone run`
#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub(crate) struct RunArgs {
    /// What to ask; `-` or nothing reads standard input. When both are there, the input follows
    /// the prompt after an empty line.
    pub(crate) prompt: Option<String>,
    /// System prompt.
    #[arg(long, short = 's', value_name = "TEXT", conflicts_with = "raw")]
    pub(crate) system: Option<String>,
    /// Continue the text as it stands, without the model's chat template.
    #[arg(long)]
    pub(crate) raw: bool,
    /// Let the model think before it answers, if its chat template asks; left out, as the makers of
    /// the model advise.
    #[arg(long, conflicts_with_all = ["raw", "no_think"])]
    pub(crate) think: bool,
    /// Let the model answer at once.
    #[arg(long, conflicts_with = "raw")]
    pub(crate) no_think: bool,
    /// Beginning of the answer, which the model goes on with; what it adds is printed.
    #[arg(
        long,
        value_name = "TEXT",
        conflicts_with = "raw",
        allow_hyphen_values = true
    )]
    pub(crate) prefill: Option<String>,
    /// Most tokens of the answer; left out, what fits the context.
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) max_tokens: Option<usize>,
    /// End the answer before this text; may be given more than once.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) stop: Vec<String>,
    /// Go on after the model has ended its turn (for measurements).
    #[arg(long)]
    pub(crate) ignore_eos: bool,
    /// Print one JSON object: text, why it ended, usage, timings, model, kernel, notices.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print counts and speeds to standard error afterwards.
    #[arg(long)]
    pub(crate) stats: bool,
    /// With which strategy the model is run.
    #[command(flatten)]
    pub(crate) strategy: StrategyFlag,
    /// How tokens are chosen.
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
}

/// `tritone inspect`
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Model file, directory or name; left out, the one of `--model`, or the built-in one.
    pub(crate) file: Option<PathBuf>,
    /// List the tensors, too.
    #[arg(long)]
    pub(crate) tensors: bool,
    /// Read all weights: the share of zeros, and scales that are zero or no numbers.
    #[arg(long)]
    pub(crate) deep: bool,
    /// Leave out the speed to expect. The first time it needs half a second to measure this machine;
    /// `tritone doctor --measure` measures it again.
    #[arg(long)]
    pub(crate) no_speed: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

const LOGITS_HELP: &str = "\
The file holds two tensors: \"logits\", f32 [positions, vocabulary], row i being what the model
says after token i, and \"tokens\", u32 [positions].

Example:
  tritone logits --model m.gguf --prompt \"Hello\" --out hello.safetensors";

/// `tritone logits`
#[derive(Debug, Args)]
#[command(after_help = LOGITS_HELP)]
#[command(group = clap::ArgGroup::new("input").required(true).args(["tokens", "prompt"]))]
pub(crate) struct LogitsArgs {
    /// JSON file with an array of token ids.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokens: Option<PathBuf>,
    /// Text; read as the beginning of a document unless `--chat` is given.
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
    /// Put the prompt into the model's chat template.
    #[arg(long, requires = "prompt", action = ArgAction::SetTrue)]
    pub(crate) chat: bool,
    /// File to write (safetensors); an older one is replaced when all is done.
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Tokens of one step; changes the speed, never the result.
    #[arg(long, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) chunk: u32,
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.01..=10_000.0).contains(&minutes) => Ok(minutes),
        _ => Err("expected a number from 0.01 to 10000".to_owned()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected a number from 0.1 to 3600".to_owned()),
    }
}

/// `tritone kernels`
#[derive(Debug, Args)]
pub(crate) struct KernelsArgs {
    /// Run the conformance suite over the usable kernels, or over the one named: every operation
    /// has to give the bits of the scalar kernel.
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    pub(crate) check: Option<String>,
    /// Check more cases and full-size shapes: minutes.
    #[arg(long, requires = "check")]
    pub(crate) full: bool,
    /// Check for N minutes, shapes and values drawn by one seed after another, from `--seed` on;
    /// Ctrl+C ends it earlier.
    #[arg(long, value_name = "N", requires = "check", conflicts_with = "full",
          value_parser = minutes)]
    pub(crate) minutes: Option<f64>,
    /// Let the usable kernels answer in turn with the model, and keep the result: from then on the
    /// fastest one is used with this model on this machine, unless a kernel is named.
    #[arg(long, conflicts_with = "check")]
    pub(crate) race: bool,
    /// How long a race takes, about; loading and packing come on top.
    #[arg(long, value_name = "N", default_value_t = 4.0, requires = "race",
          value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Forget all races of this user.
    #[arg(long, conflicts_with_all = ["check", "race"])]
    pub(crate) forget: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Cli, clap::Error> {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        Cli::read(&args)
    }

    #[test]
    fn without_a_command_the_flags_of_the_chat_are_understood() {
        for line in ["tritone --temp 0", "tritone --threads 1 --temp 0 --no-save"] {
            let Ok(Cli {
                command: Some(Command::Chat(args)),
                ..
            }) = read(line)
            else {
                panic!("{line}");
            };
            assert_eq!(args.sampling.temperature, Some(0.0), "{line}");
        }
        assert!(matches!(read("tritone"), Ok(Cli { command: None, .. })));
    }

    #[test]
    fn what_no_command_has_is_refused_as_it_was_written() {
        for line in ["tritone --nonsense", "tritone --temp 0 run hello"] {
            let text = read(line).unwrap_err().to_string();
            assert!(text.contains("unexpected argument '--"), "{text}");
            assert!(!text.contains("tritone chat"), "{text}");
        }
    }
}
