//! The commands of a conversation of lines: those rows of the one command table that need no screen.

use crate::app::commands::{Action, COMMANDS, Command};

/// What makes sense without a screen.
const PLAIN: &[Action] = &[
    Action::Help,
    Action::Regenerate,
    Action::Clear,
    Action::System,
    Action::Kernel,
    Action::Model,
    Action::Profile,
    Action::Strategy,
    Action::Race,
    Action::Temperature,
    Action::Seed,
    Action::Think,
    Action::Stats,
    Action::Quit,
];

/// The command of this name.
pub(super) fn find(name: &str) -> Option<Action> {
    all()
        .find(|command| command.names.contains(&name))
        .map(|command| command.action)
}

fn all() -> impl Iterator<Item = &'static Command> {
    COMMANDS
        .iter()
        .filter(|command| PLAIN.contains(&command.action) && !command.names.is_empty())
}

/// The command whose name was probably meant.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    tritone_profile::nearest(
        name,
        all().flat_map(|command| command.names.iter().copied()),
    )
}

/// What can be said besides messages, a line each.
pub(super) fn help() -> Vec<String> {
    let mut lines: Vec<String> = all()
        .map(|command| {
            let names: Vec<_> = command
                .names
                .iter()
                .map(|name| format!("/{name}"))
                .collect();
            let argument = match command.argument {
                "" => String::new(),
                argument => format!(" {argument}"),
            };
            format!("{}{argument}: {}", names.join(" or "), command.help)
        })
        .collect();
    lines.push("\"\"\" begins and ends a message of several lines".to_owned());
    lines.push(
        "Ctrl+C stops an answer; when nothing runs, it leaves, as the end of the input does"
            .to_owned(),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_here_has_a_name_and_help() {
        for action in PLAIN {
            let named = all().filter(|command| command.action == *action).count();
            assert_eq!(named, 1, "{action:?}");
        }
        assert_eq!(find("quit"), Some(Action::Quit));
        assert_eq!(find("monitor"), None);
        assert_eq!(nearest("sytem"), Some("system"));
        assert!(
            help().iter().any(|line| line.starts_with("/system TEXT")),
            "{:?}",
            help()
        );
    }
}
