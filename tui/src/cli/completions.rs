//! `tritone completions`: scripts by which shells complete the command line.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{CommandFactory as _, ValueEnum, ValueHint};
use clap_complete::Shell as ClapShell;
use clap_complete_nushell::Nushell;
use tritone_profile::{
    Head, KvType, PRESETS, process_environment, profiles_dir_path, user_profiles,
};

use tritone_strategy::ORDER;

use super::args::{Cli, CommonArgs};
use super::config::Settings;
use super::setup::registry;
use super::strategies::AUTO;

const EXAMPLES: &str = "\
Examples:
  tritone completions bash > ~/.local/share/bash-completion/completions/tritone
  tritone completions zsh > ~/.zfunc/_tritone       with `fpath+=~/.zfunc` before compinit in .zshrc
  tritone completions fish > ~/.config/fish/completions/tritone.fish
  tritone completions elvish >> ~/.config/elvish/rc.elv
  tritone completions powershell >> $PROFILE
  tritone completions nushell > ~/.config/nushell/autoload/tritone.nu

Kernels, profiles and strategies of your own are completed as they are now: write the script again when there are
others.";

/// `tritone completions`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// A shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// GNU Bash.
    Bash,
    /// Z shell.
    Zsh,
    /// fish.
    Fish,
    /// PowerShell.
    #[value(name = "powershell")]
    Power,
    /// Elvish.
    Elvish,
    /// Nushell.
    Nushell,
}

/// Runs the command.
pub(crate) fn run(args: &CompletionsArgs, common: &CommonArgs) -> anyhow::Result<ExitCode> {
    let script = script(
        args.shell,
        command(&kernels(common), &profiles(), &strategies(common)),
    );
    io::stdout().lock().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Kernels that can be named here.
fn kernels(common: &CommonArgs) -> Vec<String> {
    let registry = registry(common);
    let usable = registry.kernels().iter().filter(|found| found.is_usable());
    let names = usable.map(|found| found.facts.name.clone());
    std::iter::once("auto".to_owned()).chain(names).collect()
}

/// Profiles that can be named here.
fn profiles() -> Vec<String> {
    let own = profiles_dir_path(&process_environment).and_then(|dir| user_profiles(&dir).ok());
    let presets = PRESETS.iter().map(|preset| preset.name.to_owned());
    presets
        .chain(own.into_iter().flatten().map(|own| own.name))
        .collect()
}

/// Strategies that can be named here.
fn strategies(common: &CommonArgs) -> Vec<String> {
    let settings = Settings::load(common);
    let servers = &settings.config.strategies().servers;
    let servers = servers.iter().map(|server| server.name.clone());
    let own = std::iter::once(AUTO).chain(ORDER).map(str::to_owned);
    own.chain(servers).collect()
}

/// The command line, with values where the program itself takes any text and says what is wrong with it.
fn command(kernels: &[String], profiles: &[String], strategies: &[String]) -> clap::Command {
    let values = |command: clap::Command, argument: &'static str, words: Vec<String>| {
        // clap wants words that live as long as the program, which ends when they are printed.
        let words: Vec<&'static str> = words.into_iter().map(|word| &*word.leak()).collect();
        command.mut_arg(argument, |argument| {
            argument.value_parser(PossibleValuesParser::new(words))
        })
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let command = values(Cli::command(), "kernel", kernels.to_vec());
    let command = values(command, "profile", profiles.to_vec());
    let command = values(command, "head", words(Head::WORDS));
    let command = values(command, "kv", words(KvType::WORDS));
    let level = ["error", "warn", "info", "debug", "trace"];
    let command = values(command, "log", words(&level));
    let with = |command: clap::Command, argument| values(command, argument, strategies.to_vec());
    command
        .mut_subcommand("chat", |chat| with(chat, "strategy"))
        .mut_subcommand("run", |run| with(run, "strategy"))
        .mut_subcommand("strategies", |command| {
            command
                .mut_subcommand("use", |prefer| with(prefer, "name"))
                .mut_subcommand("test", |test| with(test, "names"))
        })
        .mut_arg("model", |argument| argument.value_hint(ValueHint::FilePath))
        .mut_arg("plugin_dir", |argument| {
            argument.value_hint(ValueHint::DirPath)
        })
}

fn script(shell: Shell, mut command: clap::Command) -> Vec<u8> {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    let shell = match shell {
        Shell::Bash => ClapShell::Bash,
        Shell::Zsh => ClapShell::Zsh,
        Shell::Fish => ClapShell::Fish,
        Shell::Power => ClapShell::PowerShell,
        Shell::Elvish => ClapShell::Elvish,
        Shell::Nushell => {
            clap_complete::generate(Nushell, &mut command, name, &mut script);
            return script;
        }
    };
    clap_complete::generate(shell, &mut command, name, &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_knows_every_command_and_the_values_there_are() {
        let kernels = ["auto".to_owned(), "kernel-of-a-test".to_owned()];
        let profiles = ["edge".to_owned(), "profile-of-a-test".to_owned()];
        let strategies = ["native".to_owned(), "strategy-of-a-test".to_owned()];
        for shell in Shell::value_variants() {
            let script = script(*shell, command(&kernels, &profiles, &strategies));
            let script = String::from_utf8(script).unwrap();
            for command in Cli::command().get_subcommands() {
                let name = command.get_name();
                assert!(script.contains(name), "{shell:?}: no {name}");
            }
            for word in [
                "kernel-of-a-test",
                "profile-of-a-test",
                "strategy-of-a-test",
                "q4+exact",
                "--threads",
            ] {
                // Fish writes options without their dashes, elvish and PowerShell complete no values.
                let word = match shell {
                    Shell::Fish => word.trim_start_matches('-'),
                    Shell::Elvish | Shell::Power if !word.starts_with('-') => continue,
                    _ => word,
                };
                assert!(script.contains(word), "{shell:?}: no {word}");
            }
        }
    }

    #[test]
    fn what_is_completed_is_here() {
        let kernels = kernels(&CommonArgs::default());
        assert_eq!(kernels[0], "auto");
        assert!(kernels.contains(&"scalar".to_owned()), "{kernels:?}");
        let strategies = strategies(&CommonArgs::default());
        assert_eq!(strategies[..2], ["auto", "native"]);
        assert!(profiles().contains(&"cloud".to_owned()));
    }
}
