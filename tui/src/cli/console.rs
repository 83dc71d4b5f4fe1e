//! What goes to standard error, and how text of unknown origin goes to a terminal.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use super::args::Color;

/// Standard error, and what may be written where.
pub(crate) struct Console {
    color_err: bool,
    color_out: bool,
    /// Whether a line on standard error can be drawn over.
    live: bool,
}

impl Console {
    /// Looks at the streams of this process and at the environment.
    pub(crate) fn new(color: Color) -> Self {
        let err = io::stderr().is_terminal();
        let allowed = |terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && crate::term::color_wanted(),
        };
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self {
            color_err: allowed(err),
            color_out: allowed(io::stdout().is_terminal()),
            live: err && !dumb,
        }
    }

    /// Whether standard output gets colours.
    pub(crate) fn color(&self) -> bool {
        self.color_out
    }

    /// Whether standard error gets colours.
    pub(crate) fn color_err(&self) -> bool {
        self.color_err
    }

    /// Says what went wrong.
    pub(crate) fn error(&self, text: &str) {
        self.say("error", "31", text);
    }

    /// Says what was replaced, lowered or refused.
    pub(crate) fn note(&self, text: &str) {
        self.say("note", "33", text);
    }

    fn say(&self, word: &str, color: &str, text: &str) {
        let text = visible(text);
        let mut err = io::stderr().lock();
        // There is nobody to tell when standard error is closed.
        let _ = if self.color_err {
            writeln!(err, "\x1b[1;{color}m{word}:\x1b[0m {text}")
        } else {
            writeln!(err, "{word}: {text}")
        };
    }

    /// A line that says how far something has come.
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            on: self.live,
            dim: self.color_err,
            shown: None,
        }
    }
}

/// A line on a terminal that is drawn over and goes away; nothing elsewhere.
pub(crate) struct Progress {
    on: bool,
    dim: bool,
    shown: Option<Instant>,
}

impl Progress {
    /// Time between two changes of the line.
    const PAUSE: Duration = Duration::from_millis(100);

    /// Shows `text`, unless it would flicker.
    pub(crate) fn show(&mut self, text: impl FnOnce() -> String) {
        let fresh = self
            .shown
            .is_some_and(|shown| shown.elapsed() < Self::PAUSE);
        if !self.on || fresh {
            return;
        }
        self.shown = Some(Instant::now());
        let text = text();
        let line: String = visible(&text).chars().take(72).collect();
        let (dim, plain) = if self.dim {
            ("\x1b[2m", "\x1b[0m")
        } else {
            ("", "")
        };
        let mut err = io::stderr().lock();
        let _ = write!(err, "\r\x1b[K{dim}{line}{plain}");
        let _ = err.flush();
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) {
        if self.shown.take().is_some() {
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r\x1b[K");
            let _ = err.flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `text` as it may go to a terminal: control characters (but line breaks and tabs) and the
/// characters that turn the direction of text are escaped, so that a file or a model can neither
/// steer the terminal nor show one thing and mean another.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmful(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steering_characters_are_escaped_and_nothing_else() {
        assert_eq!(
            visible("a\x1b[2Jb\u{9b}c\r\u{202e}d"),
            "a\\u{1b}[2Jb\\u{9b}c\\u{d}\\u{202e}d"
        );
        let harmless = "ä 汉字\tx\n👩‍👩‍👧";
        assert!(matches!(visible(harmless), Cow::Borrowed(text) if text == harmless));
    }
}
