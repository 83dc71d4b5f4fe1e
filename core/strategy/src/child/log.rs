//! The last lines that a program wrote.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::sync::{Mutex, PoisonError};

/// Lines that are kept.
const LINES: usize = 200;

/// Longest line that is kept, in bytes; what is beyond is left out.
const WIDTH: usize = 2000;

/// Lines that an error shows.
const SHOWN: usize = 5;

/// Longest line that an error shows, in characters.
const SHOWN_WIDTH: usize = 200;

/// The last lines that a program wrote to its standard output and error: 200, of 2000 bytes each.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<VecDeque<String>>);

impl Log {
    fn push(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let clean: String = text.chars().filter(|c| !c.is_control()).collect();
        if clean.trim().is_empty() {
            return;
        }
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(clean);
    }

    /// Reads until the end. Reading goes on whatever comes: a program whose pipe is full stands still.
    pub(super) fn read(&self, mut from: impl Read) {
        let mut line = Vec::new();
        // A line that is written again from its beginning, as progress bars are, is kept as it was last.
        let mut again = false;
        let mut bytes = [0; 4096];
        loop {
            let read = match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            for &byte in &bytes[..read] {
                if byte == b'\n' {
                    self.push(&line);
                    line.clear();
                    again = false;
                } else if byte == b'\r' {
                    again = true;
                } else {
                    if std::mem::take(&mut again) {
                        line.clear();
                    }
                    if line.len() < WIDTH {
                        line.push(byte);
                    }
                }
            }
        }
        self.push(&line);
    }

    /// All lines, the oldest first.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect()
    }

    /// The first line that has one of `words`, which are in small letters; the line's case does not matter.
    pub(crate) fn find(&self, words: &[&str]) -> Option<String> {
        self.lines().into_iter().find(|line| {
            let line = line.to_ascii_lowercase();
            words.iter().any(|word| line.contains(word))
        })
    }

    /// The last lines, for an error: `its last lines: ...`; empty if it wrote nothing.
    pub(crate) fn told(&self) -> String {
        let lines = self.lines();
        let last = &lines[lines.len().saturating_sub(SHOWN)..];
        if last.is_empty() {
            return "it wrote nothing".to_owned();
        }
        let cut = |line: &String| line.chars().take(SHOWN_WIDTH).collect::<String>();
        let last: Vec<String> = last.iter().map(cut).collect();
        format!("its last lines: {}", last.join(" | "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_cleaned() {
        let log = Log::default();
        let mut text: String = (0..500).map(|i| format!("line {i}\n")).collect();
        text += "\u{1b}[31mred\u{7}\n  \n10%\r55%\r100%\n";
        text += &"x".repeat(10_000);
        log.read(text.as_bytes());
        let lines = log.lines();
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[LINES - 3], "[31mred");
        assert_eq!(lines[LINES - 2], "100%");
        assert_eq!(lines[LINES - 1].len(), WIDTH);
        assert!(log.told().contains("line 499 | [31mred | 100% | xxx"));
        assert_eq!(log.find(&["absent", "31mred"]).as_deref(), Some("[31mred"));
        assert_eq!(Log::default().told(), "it wrote nothing");
    }

    #[test]
    fn a_line_with_windows_ends_is_kept() {
        let log = Log::default();
        log.read(&b"one\r\ntwo\r\n"[..]);
        assert_eq!(log.lines(), ["one", "two"]);
    }
}
