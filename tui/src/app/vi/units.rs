//! The text of the input as vi sees it: clusters and chips, counted, and the lines they are in.

use crate::chat::composer::Composer;
use crate::chat::glyph::{self, clusters};

/// What a unit is to the motions by words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The end of a line.
    Break,
    /// A blank.
    Blank,
    /// Letters, digits, `_`.
    Word,
    /// Any other character.
    Other,
    /// A paste or a file: a word of its own.
    Chip,
}

/// The units of a text. A place is a number from 0 to their count, which is behind the last one.
#[derive(Clone, Debug)]
pub(super) struct Units<'a> {
    text: &'a str,
    /// Where each begins, and where the text ends.
    starts: Vec<usize>,
    classes: Vec<Class>,
}

impl<'a> Units<'a> {
    pub(super) fn of(composer: &'a Composer) -> Self {
        let text = composer.text();
        let mut units = Self {
            text,
            starts: Vec::new(),
            classes: Vec::new(),
        };
        let mut at = 0;
        for chip in composer.chips() {
            units.add(at, chip.start);
            units.starts.push(chip.start);
            units.classes.push(Class::Chip);
            at = chip.end;
        }
        units.add(at, text.len());
        units.starts.push(text.len());
        units
    }

    /// Adds the clusters of a part of the text.
    fn add(&mut self, from: usize, to: usize) {
        for (start, cluster) in clusters(self.text.get(..to).unwrap_or(""), from) {
            self.starts.push(start);
            self.classes.push(class(cluster));
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.classes.len()
    }

    /// The byte where a place is.
    pub(super) fn byte(&self, at: usize) -> usize {
        let last = self.text.len();
        self.starts.get(at).copied().unwrap_or(last)
    }

    /// The place at a byte, or the next one.
    pub(super) fn place(&self, byte: usize) -> usize {
        let at = self.starts.partition_point(|&start| start < byte);
        at.min(self.count())
    }

    /// What is at a place; a break behind the last unit.
    pub(super) fn class(&self, at: usize) -> Class {
        self.classes.get(at).copied().unwrap_or(Class::Break)
    }

    pub(super) fn text(&self, at: usize) -> &'a str {
        self.text
            .get(self.byte(at)..self.byte(at + 1))
            .unwrap_or("")
    }

    /// Whether the unit is this character, marks on it apart.
    pub(super) fn is(&self, at: usize, c: char) -> bool {
        self.class(at) != Class::Chip && self.text(at).starts_with(c)
    }

    /// Whether it is a blank or the end of a line.
    pub(super) fn is_space(&self, at: usize) -> bool {
        matches!(self.class(at), Class::Blank | Class::Break)
    }

    /// Whether a line without anything begins there.
    pub(super) fn is_empty_line(&self, at: usize) -> bool {
        self.class(at) == Class::Break && self.line_start(at) == at
    }

    /// Where the line of a place begins.
    pub(super) fn line_start(&self, at: usize) -> usize {
        let before = (0..at).rev();
        before
            .into_iter()
            .find(|&at| self.class(at) == Class::Break)
            .map_or(0, |at| at + 1)
    }

    /// Where the line of a place ends: its break, or the end of the text.
    pub(super) fn line_end(&self, at: usize) -> usize {
        (at..self.count())
            .find(|&at| self.class(at) == Class::Break)
            .unwrap_or(self.count())
    }

    /// The last place of a line where the cursor stands on something.
    pub(super) fn line_last(&self, at: usize) -> usize {
        let end = self.line_end(at);
        end.saturating_sub(1).max(self.line_start(at))
    }

    /// The first place of a line that is no blank, or its last one.
    pub(super) fn line_ink(&self, at: usize) -> usize {
        let start = self.line_start(at);
        (start..self.line_end(at))
            .find(|&at| !self.is_space(at))
            .unwrap_or(self.line_last(at))
    }

    /// The line `by` lines further on, or before: where it begins. At the first and the last line it
    /// ends; `None` if that is the line of `at`.
    pub(super) fn line_off(&self, at: usize, by: isize) -> Option<usize> {
        let begin = self.line_start(at);
        let mut line = begin;
        for _ in 0..by.unsigned_abs() {
            line = match by > 0 {
                true if self.line_end(line) < self.count() => self.line_end(line) + 1,
                false if line > 0 => self.line_start(line - 1),
                _ => break,
            };
        }
        (line != begin).then_some(line)
    }

    /// Cells from the start of the line to a place.
    pub(super) fn cells(&self, at: usize) -> usize {
        let line = self.line_start(at)..at;
        line.map(|at| glyph::width(self.text(at))).sum()
    }

    /// The place so many cells into the line that begins at `line`, or its last one.
    pub(super) fn at_cells(&self, line: usize, cells: usize) -> usize {
        let mut left = cells;
        for at in line..self.line_end(line) {
            match left.checked_sub(glyph::width(self.text(at)).max(1)) {
                Some(rest) => left = rest,
                None => return at,
            }
        }
        self.line_last(line)
    }

    /// Whether two neighbours belong to one word; to one WORD if `big`.
    pub(super) fn is_one_word(&self, a: usize, b: usize, big: bool) -> bool {
        match (self.class(a), self.class(b)) {
            _ if self.is_space(a) || self.is_space(b) => false,
            _ if big => true,
            (Class::Chip, _) | (_, Class::Chip) => false,
            (a, b) => a == b,
        }
    }
}

fn class(cluster: &str) -> Class {
    match cluster.chars().next() {
        Some('\n') | None => Class::Break,
        Some(c) if c.is_whitespace() => Class::Blank,
        Some(c) if c.is_alphanumeric() || c == '_' => Class::Word,
        Some(_) => Class::Other,
    }
}
