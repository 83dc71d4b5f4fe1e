//! The terminal: what it is and what it can show.

use super::finding::{Area, Finding, Level};
use crate::view::layout::{MIN_COLUMNS, MIN_ROWS};

/// What is known of it.
pub(super) struct Terminal<'a> {
    /// The environment, by name.
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    /// Whether standard output is one.
    pub(super) is_terminal: bool,
    /// Columns and rows.
    pub(super) size: Option<(u16, u16)>,
}

/// Looks at it.
pub(super) fn findings(terminal: &Terminal<'_>) -> Vec<Finding> {
    let mut area = Area::new("terminal");
    let variable = |name: &str| (terminal.env)(name).filter(|value| !value.is_empty());
    let term = variable("TERM");
    let dumb = term.as_deref().is_none_or(|term| term == "dumb");
    let name = match (&term, variable("TERM_PROGRAM")) {
        (Some(term), Some(program)) => format!("{term} in {program}"),
        (Some(term), None) => term.clone(),
        (None, _) => "TERM is not set".to_owned(),
    };
    let said = if !terminal.is_terminal {
        Some((
            Level::Note,
            "standard output is no terminal here: the chat needs one, `tritone run` does not",
        ))
    } else if dumb {
        Some((
            Level::Warning,
            "a terminal that cannot move its cursor: the chat needs TERM to say what it is, for \
             example xterm-256color",
        ))
    } else {
        None
    };
    let owned = |said: Option<(Level, &str)>| said.map(|(level, text)| (level, text.to_owned()));
    area.judge("terminal", name, owned(said));
    if let Some((columns, rows)) = terminal.size {
        let small = columns < MIN_COLUMNS || rows < MIN_ROWS;
        let said = small.then(|| {
            let advice = format!("the chat needs {MIN_COLUMNS} columns and {MIN_ROWS} rows");
            (Level::Warning, advice)
        });
        area.judge("size", format!("{columns} columns, {rows} rows"), said);
    }
    colours(&variable, &mut area);
    if let Some(multiplexer) = multiplexer(&variable) {
        let advice = match multiplexer {
            "tmux" => Some("copying text goes through it: `set -g set-clipboard on` in tmux.conf"),
            "screen" => Some("copying to the clipboard does not get through screen"),
            _ => None,
        };
        let said = advice.map(|advice| (Level::Note, advice));
        area.judge("multiplexer", multiplexer, owned(said));
    }
    if variable("SSH_CONNECTION").is_some() || variable("SSH_TTY").is_some() {
        area.ok(
            "connection",
            "ssh: text is copied through the terminal (OSC 52)",
        );
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| {
        let value = variable(name)?;
        Some(format!("{value} ({name})"))
    });
    let unicode = locale.as_ref().is_some_and(|value| {
        let value = value.to_ascii_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    });
    let said = (!unicode && cfg!(unix)).then_some((
        Level::Note,
        "not a UTF-8 locale: letters beyond ASCII may look wrong; set LANG to C.UTF-8 or your own",
    ));
    area.judge(
        "locale",
        locale.unwrap_or_else(|| "none set".to_owned()),
        owned(said),
    );
    area.findings
}

fn colours(variable: &dyn Fn(&str) -> Option<String>, area: &mut Area) {
    let term = variable("TERM").unwrap_or_default();
    let color = variable("COLORTERM").unwrap_or_default();
    let value = if variable("NO_COLOR").is_some() {
        "off: NO_COLOR is set"
    } else if matches!(color.as_str(), "truecolor" | "24bit") {
        "16 million; the program uses the 16 of your palette"
    } else if term.contains("256color") || term.contains("direct") {
        "256; the program uses the 16 of your palette"
    } else if term.is_empty() || term == "dumb" || term == "vt100" {
        "none"
    } else {
        "16"
    };
    area.ok("colours", value);
}

fn multiplexer(variable: &dyn Fn(&str) -> Option<String>) -> Option<&'static str> {
    if variable("TMUX").is_some() {
        Some("tmux")
    } else if variable("ZELLIJ").is_some() {
        Some("zellij")
    } else if variable("STY").is_some() {
        Some("screen")
    } else {
        None
    }
}
