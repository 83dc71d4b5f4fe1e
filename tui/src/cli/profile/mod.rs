//! `tritone profile`: which profiles there are, what they say, and where each value came from.

mod cards;
mod edit;
mod explain;
mod layers;
mod list;
mod new;
mod report;
mod show;
mod validate;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tritone_machine::Machine;
use tritone_profile::{Layers, json_schema};

pub(crate) use cards::{cards, what_if};
pub(crate) use layers::layers;
pub(crate) use report::{ReportStyle, draw, report};
pub(crate) use tritone_profile::resolve;

use super::args::CommonArgs;
use super::console::Console;
use super::failure::Usage;

const EXAMPLES: &str = "\
Examples:
  tritone profile                            every profile, and which one is used here and why
  tritone profile show edge                  all its values, as TOML with comments
  tritone profile explain                    every value in use, its origin and what it replaced
  tritone profile explain threads --ctx 2000
  tritone profile new lab --base server      a profile of your own that stands on another one
  tritone profile edit lab                   opens $VISUAL or $EDITOR; only a valid file replaces the old
  tritone profile validate my.toml           all mistakes, with line and column
  tritone --profile lab

A profile of your own is tritone/profiles/NAME.toml in your configuration directory. Each layer
overrides the ones before: preset, profiles of your own, tritone/profile.toml in your configuration
directory, the [profile] table of tritone.toml in the current directory, environment, flags.";

/// `tritone profile`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ProfileArgs {
    /// What to do; the list if nothing is said.
    #[command(subcommand)]
    command: Option<ProfileCommand>,
}

#[derive(Debug, clap::Subcommand)]
enum ProfileCommand {
    /// List presets and profiles of your own, and which one is used here and why.
    List {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print all values of a profile as TOML, each with what it is for and where it came from.
    Show {
        /// Preset, profile of yours, or file; the one in use here if left out.
        name: Option<String>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Explain every value in use: its origin, and what it replaced.
    Explain {
        /// One setting, such as `threads` or `alerts.cpu_percent`.
        key: Option<String>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Edit a profile of yours in $VISUAL or $EDITOR; of a preset, a profile of yours is made first.
    Edit {
        /// Its name.
        name: String,
    },
    /// Check profile files and name all their mistakes; without a file, all that are used here.
    Validate {
        /// Files, or names of profiles of yours.
        files: Vec<PathBuf>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Make a profile of your own.
    New {
        /// Its name.
        name: String,
        /// Profile that settings left out come from; the one in use here if left out.
        #[arg(long, value_name = "PROFILE")]
        base: Option<String>,
    },
    /// Print the JSON Schema of profile files, for editors.
    Schema,
}

/// Runs the command.
pub(crate) fn run(
    args: &ProfileArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let list = ProfileCommand::List { json: false };
    let machine = Machine::detect();
    let place = Place {
        layers: layers(common, &[], &machine),
        asked: common.profile.clone(),
    };
    match args.command.as_ref().unwrap_or(&list) {
        ProfileCommand::List { json } => list::run(&place, *json)?,
        ProfileCommand::Show { name, json } => show::run(&place, name.as_deref(), *json)?,
        ProfileCommand::Explain { key, json } => explain::run(&place, key.as_deref(), *json)?,
        ProfileCommand::Edit { name } => return edit::run(&place, name, console),
        ProfileCommand::Validate { files, json } => {
            return validate::run(&place, files, *json, console);
        }
        ProfileCommand::New { name, base } => new::run(&place, name, base.as_deref())?,
        ProfileCommand::Schema => writeln!(io::stdout(), "{:#}", json_schema())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Where profiles are looked for, and which one was asked for.
struct Place {
    layers: Layers<'static>,
    asked: Option<String>,
}

impl Place {
    /// The user's directory of profiles.
    fn dir(&self) -> anyhow::Result<&Path> {
        self.layers.profiles_dir.as_deref().ok_or_else(|| {
            let why = "there is no place for profiles of your own: neither XDG_CONFIG_HOME nor HOME is \
                       an absolute path";
            Usage(why.to_owned()).into()
        })
    }
}
