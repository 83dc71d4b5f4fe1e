//! The input field: several lines, edited by whole grapheme clusters.

use super::glyph::{Glyph, clusters};
use super::wrap::Wrapped;
use unicode_segmentation::UnicodeSegmentation as _;

/// Where the cursor goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// One cluster back.
    Left,
    /// One cluster on.
    Right,
    /// To the start of the word before.
    WordLeft,
    /// Past the end of the word after.
    WordRight,
    /// To the start of the line.
    LineStart,
    /// To the end of the line.
    LineEnd,
    /// One row up.
    Up,
    /// One row down.
    Down,
}

/// Text being written, the cursor in it, and what was sent before.
#[derive(Clone, Debug)]
pub(crate) struct Composer {
    text: String,
    /// Byte offset; always at the edge of a cluster.
    cursor: usize,
    wrapped: Wrapped,
    width: u16,
    history: Vec<String>,
    /// Which entry of the history is shown, and what was written before it was.
    recalled: Option<(usize, String)>,
}

impl Composer {
    /// An empty field of `width` cells.
    pub(crate) fn new(width: u16) -> Self {
        Self {
            text: String::new(),
            cursor: 0,
            wrapped: Wrapped::new("", width),
            width,
            history: Vec::new(),
            recalled: None,
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.text.chars().all(char::is_whitespace)
    }

    /// Takes over the width of the field.
    pub(crate) fn set_width(&mut self, width: u16) {
        self.width = width;
        self.wrapped.set_width(&self.text, width);
    }

    /// Rows on the screen; the cursor may need one of its own behind a full row.
    pub(crate) fn height(&self) -> usize {
        self.wrapped.rows().len().max(self.cursor_cell().0 + 1)
    }

    /// The rows as text.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &str> {
        self.wrapped
            .rows()
            .iter()
            .map(|row| &self.text[row.start..row.end])
    }

    /// Row and column of the cursor.
    pub(crate) fn cursor_cell(&self) -> (usize, u16) {
        let row = self.wrapped.row_of(self.cursor);
        let column = self.column_of(row, self.cursor);
        if column < self.width.max(1) {
            (row, column)
        } else {
            (row + 1, 0)
        }
    }

    fn column_of(&self, row: usize, at: usize) -> u16 {
        let start = self.wrapped.rows()[row].start;
        clusters(&self.text[..at], start)
            .map(|(_, cluster)| cells(cluster))
            .fold(0, u16::saturating_add)
    }

    /// Writes at the cursor. All kinds of line ends become `\n`.
    pub(crate) fn insert(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        self.splice(self.cursor, self.cursor, &text);
    }

    /// Deletes the cluster before the cursor.
    pub(crate) fn delete_back(&mut self) {
        self.splice(self.before(), self.cursor, "");
    }

    /// Deletes the cluster after the cursor.
    pub(crate) fn delete_on(&mut self) {
        self.splice(self.cursor, self.after(), "");
    }

    /// Deletes from the cursor to where `to` would take it.
    pub(crate) fn delete_to(&mut self, to: Move) {
        let there = self.target(to);
        self.splice(self.cursor.min(there), self.cursor.max(there), "");
    }

    /// Moves the cursor; says whether it moved.
    pub(crate) fn go(&mut self, to: Move) -> bool {
        let there = self.target(to);
        let moved = there != self.cursor;
        self.cursor = there;
        moved
    }

    /// Empties the field, remembers what was in it, and returns it.
    pub(crate) fn take(&mut self) -> String {
        let text = std::mem::take(&mut self.text);
        if self.history.last() != Some(&text) {
            self.history.push(text.clone());
        }
        self.recalled = None;
        self.show(String::new());
        text
    }

    /// Replaces the text and puts the cursor behind it.
    pub(crate) fn set(&mut self, text: String) {
        self.recalled = None;
        self.show(text);
    }

    /// Shows what was sent before what is shown now; says whether there is any.
    pub(crate) fn recall_older(&mut self) -> bool {
        let newest = self
            .recalled
            .as_ref()
            .map_or(self.history.len(), |(at, _)| *at);
        let Some(at) = newest.checked_sub(1) else {
            return false;
        };
        let draft = match self.recalled.take() {
            Some((_, draft)) => draft,
            None => self.text.clone(),
        };
        self.show(self.history[at].clone());
        self.recalled = Some((at, draft));
        true
    }

    /// Shows what was sent after what is shown now, at last the text that was being written.
    pub(crate) fn recall_newer(&mut self) -> bool {
        let Some((at, draft)) = self.recalled.take() else {
            return false;
        };
        match self.history.get(at + 1).cloned() {
            Some(text) => {
                self.show(text);
                self.recalled = Some((at + 1, draft));
            }
            None => self.show(draft),
        }
        true
    }

    fn show(&mut self, text: String) {
        self.text = text;
        self.cursor = self.text.len();
        self.wrapped = Wrapped::new(&self.text, self.width);
    }

    fn splice(&mut self, start: usize, end: usize, text: &str) {
        if start == end && text.is_empty() {
            return;
        }
        self.text.replace_range(start..end, text);
        self.wrapped.text_changed(&self.text, start);
        // What was written may have joined its neighbours to one cluster.
        let wanted = start + text.len();
        let row = self.wrapped.rows()[self.wrapped.row_of(wanted).saturating_sub(1)].start;
        self.cursor = clusters(&self.text, row)
            .map(|(at, _)| at)
            .chain([self.text.len()])
            .find(|&at| at >= wanted)
            .unwrap_or(self.text.len());
    }

    fn before(&self) -> usize {
        self.text[..self.cursor]
            .grapheme_indices(true)
            .next_back()
            .map_or(0, |(at, _)| at)
    }

    fn after(&self) -> usize {
        let cluster = self.text[self.cursor..].graphemes(true).next();
        self.cursor + cluster.map_or(0, str::len)
    }

    fn target(&self, to: Move) -> usize {
        let (before, behind) = self.text.split_at(self.cursor);
        let is_word = |word: &str| word.chars().any(char::is_alphanumeric);
        match to {
            Move::Left => self.before(),
            Move::Right => self.after(),
            Move::WordLeft => before
                .split_word_bound_indices()
                .rfind(|(_, word)| is_word(word))
                .map_or(0, |(at, _)| at),
            Move::WordRight => behind
                .split_word_bound_indices()
                .find(|(_, word)| is_word(word))
                .map_or(self.text.len(), |(at, word)| self.cursor + at + word.len()),
            Move::LineStart => before.rfind('\n').map_or(0, |at| at + 1),
            Move::LineEnd => behind
                .find('\n')
                .map_or(self.text.len(), |at| self.cursor + at),
            Move::Up => self.vertical(|row| row.checked_sub(1)),
            Move::Down => self.vertical(|row| Some(row + 1)),
        }
    }

    fn vertical(&self, step: impl Fn(usize) -> Option<usize>) -> usize {
        let row = self.wrapped.row_of(self.cursor);
        let column = self.column_of(row, self.cursor);
        let Some(target) = step(row).and_then(|row| self.wrapped.rows().get(row)) else {
            return self.cursor;
        };
        let mut at = target.start;
        let mut left = column;
        for (_, cluster) in clusters(&self.text[..target.end], target.start) {
            let Some(rest) = left.checked_sub(cells(cluster)) else {
                break;
            };
            left = rest;
            at += cluster.len();
        }
        at
    }
}

fn cells(cluster: &str) -> u16 {
    match Glyph::of(cluster) {
        Glyph::Break => 0,
        Glyph::Cells { width, .. } => width,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Composer {
        let mut composer = Composer::new(10);
        composer.insert(text);
        composer
    }

    #[test]
    fn deleting_takes_whole_clusters() {
        let mut composer = with("a👩\u{200d}🚀e\u{301}");
        composer.delete_back();
        assert_eq!(composer.text(), "a👩\u{200d}🚀");
        composer.go(Move::Left);
        assert_eq!(composer.cursor_cell(), (0, 1));
        composer.delete_on();
        assert_eq!(composer.text(), "a");
        composer.delete_back();
        composer.delete_back();
        assert_eq!(composer.text(), "");
    }

    #[test]
    fn the_cursor_counts_cells() {
        let mut composer = with("漢字👩\u{200d}🚀");
        assert_eq!(composer.cursor_cell(), (0, 6));
        composer.go(Move::Left);
        assert_eq!(composer.cursor_cell(), (0, 4));
        composer.insert("\t");
        assert_eq!(composer.cursor_cell(), (0, 8));
    }

    #[test]
    fn a_full_row_gives_the_cursor_a_row_of_its_own() {
        let composer = with("0123456789");
        assert_eq!((composer.cursor_cell(), composer.height()), ((1, 0), 2));
    }

    #[test]
    fn up_and_down_follow_the_rows_on_the_screen() {
        let mut composer = with("first row of text\nlast");
        // Rows: "first row", "of text", "last"; the cursor stands behind "last".
        assert!(composer.go(Move::Up));
        assert_eq!(composer.cursor_cell(), (1, 4));
        assert!(composer.go(Move::Up));
        assert_eq!(composer.cursor_cell(), (0, 4));
        assert!(!composer.go(Move::Up), "there is nothing above");
        composer.go(Move::Down);
        composer.go(Move::Down);
        assert!(!composer.go(Move::Down), "there is nothing below");
    }

    #[test]
    fn words_and_lines() {
        let mut composer = with("say hello, world\nnext");
        composer.go(Move::Up);
        composer.go(Move::LineEnd);
        composer.go(Move::WordLeft);
        composer.delete_to(Move::WordLeft);
        assert_eq!(composer.text(), "say world\nnext");
        composer.delete_to(Move::LineEnd);
        assert_eq!(composer.text(), "say \nnext");
        composer.delete_to(Move::LineStart);
        assert_eq!(composer.text(), "\nnext");
        composer.go(Move::WordRight);
        assert_eq!(composer.cursor_cell(), (1, 4));
    }

    #[test]
    fn writing_inside_a_cluster_that_joins_keeps_the_cursor_at_an_edge() {
        let mut composer = with("👩🚀");
        composer.go(Move::Left);
        composer.insert("\u{200d}");
        composer.delete_back();
        assert_eq!(
            composer.text(),
            "",
            "the three characters became one cluster"
        );
    }

    #[test]
    fn the_history_gives_the_draft_back() {
        let mut composer = with("one");
        composer.take();
        composer.insert("two");
        composer.take();
        composer.insert("dra");
        assert!(composer.recall_older() && composer.text() == "two");
        assert!(composer.recall_older() && composer.text() == "one");
        assert!(!composer.recall_older());
        assert!(composer.recall_newer() && composer.text() == "two");
        assert!(composer.recall_newer() && composer.text() == "dra");
        assert!(!composer.recall_newer());
    }

    #[test]
    fn pasted_line_ends_are_line_ends() {
        assert_eq!(with("a\r\nb\rc\nd").text(), "a\nb\nc\nd");
    }
}
