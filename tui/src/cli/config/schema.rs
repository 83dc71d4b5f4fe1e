//! The settings there are.

use tritone_engine::sample::Sampling;

pub(crate) use tritone_strategy::Config as Strategies;

use crate::app::chord::Chord;
use crate::app::commands::Action;
use crate::app::keymap::{Keymap, Taken};
use crate::term::{Clipboard, Manners, Screen, Theme};

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One of these words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Truth,
    /// A whole number in this range.
    Whole(i64, i64),
}

impl Kind {
    /// For people.
    pub(crate) fn expected(self) -> String {
        match self {
            Self::Word(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                quoted.join(" or ")
            }
            Self::Truth => "true or false".to_owned(),
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
        }
    }
}

/// A setting of the table `[ui]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// As TOML has it.
    pub(crate) default: &'static str,
    /// What it is for.
    pub(crate) help: &'static str,
}

const fn row(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Row {
    Row {
        name,
        kind,
        default,
        help,
    }
}

/// The table `[ui]`.
pub(crate) const UI: [Row; 8] = [
    row(
        "theme",
        Kind::Word(&["auto", "dark", "light", "none"]),
        "\"auto\"",
        "colours for a dark or a light background; auto asks the terminal, none uses no colours",
    ),
    row(
        "ascii",
        Kind::Truth,
        "false",
        "draw lines, charts and marks with ASCII characters only",
    ),
    row(
        "mouse",
        Kind::Truth,
        "false",
        "take the mouse: clicks choose; selecting text then needs Shift",
    ),
    row(
        "fps",
        Kind::Whole(1, 60),
        "30",
        "most pictures a second; fewer while the model needs the processor",
    ),
    row(
        "screen",
        Kind::Word(&["full", "inline"]),
        "\"full\"",
        "the whole screen, or the lowest lines with the conversation in the terminal's history",
    ),
    row(
        "composer",
        Kind::Word(&["emacs", "vi"]),
        "\"emacs\"",
        "keys that edit the input: those of a shell, or the modes of vi (F1 lists their keys)",
    ),
    row(
        "animations",
        Kind::Truth,
        "true",
        "turn a wheel and fill bars while something goes on; without, progress is numbers and nothing moves",
    ),
    row(
        "clipboard",
        Kind::Word(&["auto", "terminal", "system", "off"]),
        "\"auto\"",
        "how text is copied: through the terminal (OSC 52), through the system, or either",
    ),
];

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody said anything.
    Default,
    /// This line of the file.
    Line(usize),
    /// A flag.
    Flag(&'static str),
    /// A variable of the environment.
    Variable(&'static str),
}

/// The numbers a table `[sampling.NAME]` may hold.
pub(crate) const SAMPLING: [&str; 7] = [
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "repetition_penalty",
    "frequency_penalty",
    "presence_penalty",
];

/// All settings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    /// In the order of [`UI`]: the value as TOML has it, and where it comes from.
    pub(super) ui: [(String, Origin); UI.len()],
    /// Keys of commands, and the line.
    pub(super) keys: Vec<(Action, Vec<Chord>, usize)>,
    /// Named ways to choose tokens.
    pub(super) sampling: Vec<(String, Sampling)>,
    /// What is said about strategies.
    pub(super) strategies: Strategies,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ui: UI.map(|row| (row.default.to_owned(), Origin::Default)),
            keys: Vec::new(),
            sampling: Vec::new(),
            strategies: Strategies::default(),
        }
    }
}

impl Config {
    /// Sets a setting of `[ui]` to a value that is one.
    pub(crate) fn set(&mut self, name: &str, value: String, origin: Origin) {
        if let Some(at) = UI.iter().position(|row| row.name == name)
            && let Some(place) = self.ui.get_mut(at)
        {
            *place = (value, origin);
        }
    }

    fn ui(&self, name: &str) -> &str {
        let at = UI.iter().position(|row| row.name == name);
        let value = at.and_then(|at| self.ui.get(at));
        value.map_or("", |(value, _)| value.trim_matches('"'))
    }

    /// How the program is to behave at the terminal.
    pub(crate) fn manners(&self) -> Manners {
        Manners {
            theme: match self.ui("theme") {
                "dark" => Theme::Dark,
                "light" => Theme::Light,
                "none" => Theme::None,
                _ => Theme::Auto,
            },
            ascii: self.ui("ascii") == "true",
            mouse: self.ui("mouse") == "true",
            fps: self.ui("fps").parse().unwrap_or(30),
            screen: match self.ui("screen") {
                "inline" => Screen::Inline,
                _ => Screen::Full,
            },
            vi: self.ui("composer") == "vi",
            animations: self.ui("animations") == "true",
            clipboard: match self.ui("clipboard") {
                "terminal" => Clipboard::Terminal,
                "system" => Clipboard::System,
                "off" => Clipboard::Off,
                _ => Clipboard::Auto,
            },
        }
    }

    /// The keys in force, and those that commands lost to others.
    pub(crate) fn keymap(&self) -> (Keymap, Vec<Taken>) {
        let changes: Vec<_> = self
            .keys
            .iter()
            .map(|(action, chords, _)| (*action, chords.clone()))
            .collect();
        Keymap::new(&changes)
    }

    /// What is said about strategies.
    pub(crate) fn strategies(&self) -> &Strategies {
        &self.strategies
    }

    /// Named ways to choose tokens, in the order of the file.
    pub(crate) fn sampling(&self) -> &[(String, Sampling)] {
        &self.sampling
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_what_the_program_does_anyway() {
        assert_eq!(Config::default().manners(), Manners::default());
        assert_eq!(Config::default().keymap(), (Keymap::default(), Vec::new()));
    }
}
