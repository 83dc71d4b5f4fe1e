//! The commands that the README and the help show are ones the program understands.

use clap::CommandFactory as _;

use super::args::Cli;

/// The commands of this program in a text, as words.
fn commands(text: &str) -> Vec<Vec<String>> {
    text.lines().filter_map(words).collect()
}

/// The words of the command in a line: from the program's name to a comment, a pipe, a redirection
/// or a wide gap, behind which an explanation stands.
fn words(line: &str) -> Option<Vec<String>> {
    let line = line.trim();
    let start = match line.find("| tritone ") {
        Some(pipe) => pipe + 2,
        None if line.starts_with("tritone ") => 0,
        None => return None,
    };
    let (mut words, mut word, mut quoted, mut blanks) = (Vec::new(), String::new(), false, 0);
    for c in line[start..].chars() {
        match c {
            '"' => quoted = !quoted,
            '#' | '|' | '<' | '>' | '&' if !quoted && word.is_empty() => break,
            ' ' if !quoted => {
                blanks += 1;
                if blanks > 1 {
                    break;
                }
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => {
                blanks = 0;
                word.push(c);
            }
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    Some(words)
}

#[track_caller]
fn understood(place: &str, text: &str) -> usize {
    let commands = commands(text);
    for command in &commands {
        let words: Vec<_> = command.iter().map(Into::into).collect();
        let parsed = Cli::read(&words);
        if let Err(error) = parsed {
            let shown = error.kind() == clap::error::ErrorKind::DisplayHelp
                || error.kind() == clap::error::ErrorKind::DisplayVersion;
            assert!(shown, "{place}: {}: {error}", command.join(" "));
        }
    }
    commands.len()
}

#[test]
fn the_readme_shows_commands_that_are_understood() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let text = std::fs::read_to_string(path).unwrap();
    // Only what stands in blocks of code.
    let code: Vec<&str> = text.split("```").skip(1).step_by(2).collect();
    let count: usize = code
        .iter()
        .map(|block| understood("README.md", block))
        .sum();
    assert!(count >= 8, "only {count}");
}

#[test]
fn the_help_shows_commands_that_are_understood() {
    let cli = Cli::command();
    let all = std::iter::once(&cli).chain(cli.get_subcommands());
    let mut count = 0;
    for command in all {
        if let Some(help) = command.get_after_help() {
            count += understood(command.get_name(), &help.to_string());
        }
    }
    assert!(count >= 10, "only {count}");
}

#[test]
fn a_command_ends_where_the_explanation_begins() {
    let expected = |words: &[&str]| Some(words.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(
        words("  tritone run \"What is 7 + 5?\"     one answer"),
        expected(&["tritone", "run", "What is 7 + 5?"])
    );
    assert_eq!(
        words("git diff | tritone run \"x\" < notes.txt"),
        expected(&["tritone", "run", "x"])
    );
    assert_eq!(
        words("tritone inspect m.gguf # why"),
        expected(&["tritone", "inspect", "m.gguf"])
    );
    assert_eq!(words("cargo run"), None);
}
