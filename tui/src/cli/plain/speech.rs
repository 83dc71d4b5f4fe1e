//! The text of an answer on its way out, word by word.

use std::io::{self, Write};

use crate::cli::console::visible;

/// Writes text as it comes, but whole words: a reader that speaks would spell out the pieces.
pub(super) struct Speech<W: Write> {
    out: W,
    /// Whether a person sees it, so that nothing in it may steer the terminal.
    terminal: bool,
    pending: String,
    ends_line: bool,
}

impl<W: Write> Speech<W> {
    pub(super) fn new(out: W, terminal: bool) -> Self {
        Self {
            out,
            terminal,
            pending: String::new(),
            ends_line: false,
        }
    }

    /// Takes the next piece.
    pub(super) fn push(&mut self, text: &str) -> io::Result<()> {
        self.pending.push_str(text);
        let whole = self.pending.rfind(char::is_whitespace).map_or(0, |at| {
            self.pending[at..]
                .chars()
                .next()
                .map_or(at, |c| at + c.len_utf8())
        });
        let rest = self.pending.split_off(whole);
        let words = std::mem::replace(&mut self.pending, rest);
        self.write(&words)
    }

    /// Writes what is left and ends the line.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.pending);
        self.write(&rest)?;
        if !self.ends_line {
            writeln!(self.out)?;
        }
        self.out.flush()
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.ends_line = text.ends_with('\n');
        match self.terminal {
            true => self.out.write_all(visible(text).as_bytes())?,
            false => self.out.write_all(text.as_bytes())?,
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written at each push, and in the end.
    fn written(pieces: &[&str], terminal: bool) -> Vec<String> {
        let mut out = Vec::new();
        let mut speech = Speech::new(&mut out, terminal);
        let mut seen = vec![0];
        for piece in pieces {
            speech.push(piece).unwrap();
            seen.push(speech.out.len());
        }
        speech.finish().unwrap();
        seen.push(out.len());
        let text = String::from_utf8(out).unwrap();
        seen.windows(2)
            .map(|pair| text[pair[0]..pair[1]].to_owned())
            .collect()
    }

    #[test]
    fn words_come_whole() {
        assert_eq!(
            written(&["The cap", "ital is L", "ima", "."], true),
            ["The ", "capital is ", "", "", "Lima.\n"]
        );
        assert_eq!(written(&["a\n"], true), ["a\n", ""]);
        assert_eq!(written(&[], true), ["\n"]);
        assert_eq!(written(&["a\u{3000}b"], false), ["a\u{3000}", "b\n"]);
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(written(&["a\x1b[2J "], true), ["a\\u{1b}[2J ", "\n"]);
        assert_eq!(written(&["a\x1b[2J "], false), ["a\x1b[2J ", "\n"]);
    }
}
