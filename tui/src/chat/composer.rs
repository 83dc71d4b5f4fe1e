//! The input field: several lines, edited by whole grapheme clusters, in which a long paste or a file
//! stands as one word.

pub(crate) mod chip;
pub(crate) mod draft;
mod past;

use std::ops::Range;
use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation as _;

use super::glyph::{Glyph, clusters};
use super::wrap::Wrapped;
use chip::{Chip, Placed};
use draft::Draft;
pub(crate) use past::MOST_SENT;
use past::{Edit, Edits, Moment, Sent};

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

/// What a piece of a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Text.
    Text,
    /// Label of a chip.
    Chip,
    /// Selected.
    Selected,
}

/// What a selection covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cover {
    /// From where it begins to the cursor.
    UpTo,
    /// The clusters at both ends and all between them.
    Clusters,
    /// The lines of both ends and all between them.
    Lines,
}

/// Where a selection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Anchor {
    at: usize,
    cover: Cover,
}

/// Text being written, the cursor in it, and what was sent before.
#[derive(Clone, Debug)]
pub(crate) struct Composer {
    text: String,
    /// In the order of the text, without overlap.
    chips: Vec<Placed>,
    /// Byte offset; always at the edge of a cluster, never within a chip.
    cursor: usize,
    /// Where the selection begins, if there is one.
    anchor: Option<Anchor>,
    wrapped: Wrapped,
    width: u16,
    edits: Edits,
    sent: Sent,
}

impl Composer {
    /// An empty field of `width` cells.
    pub(crate) fn new(width: u16) -> Self {
        Self {
            text: String::new(),
            chips: Vec::new(),
            cursor: 0,
            anchor: None,
            wrapped: Wrapped::new("", width),
            width,
            edits: Edits::default(),
            sent: Sent::default(),
        }
    }

    /// The text as it is shown, with the labels of chips.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Text and chips.
    pub(crate) fn draft(&self) -> Draft {
        Draft {
            text: self.text.clone(),
            chips: self.chips.clone(),
        }
    }

    /// The chips, in the order of the text.
    pub(crate) fn chips(&self) -> &[Placed] {
        &self.chips
    }

    /// Where a command may begin: the start, or behind chips with nothing else before them.
    pub(crate) fn lead(&self) -> usize {
        let mut at = 0;
        for placed in &self.chips {
            if !self.text[at..placed.start].trim().is_empty() {
                break;
            }
            at = placed.end;
        }
        if at > 0 {
            at = self.text.len() - self.text[at..].trim_start().len();
        }
        at
    }

    /// Byte offset of the cursor.
    pub(crate) fn cursor(&self) -> usize {
        self.cursor
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

    /// The rows from number `top` on, in pieces.
    pub(crate) fn rows(&self, top: usize) -> impl Iterator<Item = Vec<(&str, Part)>> {
        let rows = self.wrapped.rows().iter().skip(top);
        rows.map(|row| self.pieces(row.start..row.end))
    }

    fn pieces(&self, row: Range<usize>) -> Vec<(&str, Part)> {
        let selected = self.selection().unwrap_or(0..0);
        let chips = self.chips.iter().flat_map(|chip| [chip.start, chip.end]);
        let mut edges: Vec<usize> = chips
            .chain([selected.start, selected.end, row.start, row.end])
            .filter(|edge| (row.start..=row.end).contains(edge))
            .collect();
        edges.sort_unstable();
        edges.dedup();
        let part = |at: usize| match self.chip_at(at) {
            _ if selected.contains(&at) => Part::Selected,
            Some(_) => Part::Chip,
            None => Part::Text,
        };
        let pieces = edges.windows(2);
        pieces
            .map(|edge| (&self.text[edge[0]..edge[1]], part(edge[0])))
            .collect()
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

    /// Writes at the cursor, over what is selected. All kinds of line ends become `\n`.
    pub(crate) fn insert(&mut self, text: &str) {
        let text = unified(text);
        let letter = text.chars().count() == 1 && !text.contains(char::is_whitespace);
        let edit = match self.selection() {
            None if letter => Edit::Write,
            _ => Edit::Other,
        };
        let range = self.selection().unwrap_or(self.cursor..self.cursor);
        self.splice(range, &text, edit);
    }

    /// Writes a paste: a long one as a chip.
    pub(crate) fn paste(&mut self, text: &str) {
        let text = unified(text);
        match Chip::of_paste(&text) {
            Some(chip) => self.insert_chip(chip),
            None => self.insert(&text),
        }
        self.edits.pause();
    }

    /// Writes a chip at the cursor, over what is selected.
    pub(crate) fn insert_chip(&mut self, chip: Chip) {
        let range = self.selection().unwrap_or(self.cursor..self.cursor);
        self.replace_by_chip(range, chip);
    }

    /// Writes a chip in place of a part of the text.
    pub(crate) fn replace_by_chip(&mut self, range: Range<usize>, chip: Chip) {
        let label = chip.label(None);
        let start = self.splice(range, &label, Edit::Other);
        let placed = Placed {
            start,
            end: start + label.len(),
            chip: Arc::new(chip),
        };
        self.cursor = placed.end;
        let at = self.chips.partition_point(|other| other.start < start);
        self.chips.insert(at, placed);
        self.edits.pause();
    }

    /// Writes `text` in place of a part of the text.
    pub(crate) fn replace(&mut self, range: Range<usize>, text: &str) {
        self.splice(range, &unified(text), Edit::Other);
    }

    /// The engine counted the tokens of chips: their labels say so. `count` knows some of them.
    pub(crate) fn relabel(&mut self, count: impl Fn(&Chip) -> Option<usize>) {
        for index in 0..self.chips.len() {
            let placed = self.chips[index].clone();
            let tokens = count(&placed.chip);
            let label = placed.chip.label(tokens);
            if tokens.is_none() || self.text.get(placed.start..placed.end) == Some(&*label) {
                continue;
            }
            let old = placed.end - placed.start;
            let moved = |at: usize| {
                if at >= placed.end {
                    at - old + label.len()
                } else {
                    at
                }
            };
            self.text.replace_range(placed.start..placed.end, &label);
            self.cursor = moved(self.cursor);
            self.anchor = self.anchor.map(|anchor| Anchor {
                at: moved(anchor.at),
                ..anchor
            });
            for other in &mut self.chips[index + 1..] {
                other.start = moved(other.start);
                other.end = moved(other.end);
            }
            self.chips[index].end = placed.start + label.len();
            self.wrapped.text_changed(&self.text, placed.start);
        }
    }

    /// Writes the chip at the cursor, or the last before it, out; says whether there is one.
    pub(crate) fn expand(&mut self) -> bool {
        let before = self.chips.iter().rev();
        let mut found = before.filter(|placed| placed.start <= self.cursor);
        let Some(placed) = found.next().or(self.chips.first()).cloned() else {
            return false;
        };
        let text = unified(&placed.chip.written_out());
        self.splice(placed.start..placed.end, &text, Edit::Other);
        true
    }

    /// A part of the text, with its chips.
    pub(crate) fn piece(&self, range: Range<usize>) -> Draft {
        let start = self.snapped(range.start, false);
        let end = self.snapped(range.end, true).max(start);
        let chips = self.chips.iter();
        let chips = chips.filter(|chip| start <= chip.start && chip.end <= end);
        Draft {
            text: self.text[start..end].to_owned(),
            chips: chips
                .map(|chip| Placed {
                    start: chip.start - start,
                    end: chip.end - start,
                    chip: Arc::clone(&chip.chip),
                })
                .collect(),
        }
    }

    /// Writes text and chips in place of a part of the text; returns where they begin.
    pub(crate) fn put(&mut self, range: Range<usize>, draft: &Draft) -> usize {
        let start = self.splice(range, &draft.text, Edit::Other);
        let at = self.chips.partition_point(|other| other.start < start);
        let chips = draft.chips.iter().map(|chip| Placed {
            start: start + chip.start,
            end: start + chip.end,
            chip: Arc::clone(&chip.chip),
        });
        self.chips.splice(at..at, chips);
        start
    }

    /// What follows is taken back in one step, up to the next move of the cursor or [`end_step`].
    ///
    /// [`end_step`]: Self::end_step
    pub(crate) fn begin_step(&mut self) {
        self.edits.begin();
    }

    /// The next edit is taken back by itself.
    pub(crate) fn end_step(&mut self) {
        self.edits.end();
    }

    /// Deletes the cluster before the cursor, or what is selected.
    pub(crate) fn delete_back(&mut self) {
        self.erase(self.before()..self.cursor);
    }

    /// Deletes the cluster after the cursor, or what is selected.
    pub(crate) fn delete_on(&mut self) {
        self.erase(self.cursor..self.after(self.cursor));
    }

    fn erase(&mut self, cluster: Range<usize>) {
        match self.selection() {
            Some(selected) => self.splice(selected, "", Edit::Other),
            None => self.splice(cluster, "", Edit::Erase),
        };
    }

    /// Deletes from the cursor to where `to` would take it, or what is selected.
    pub(crate) fn delete_to(&mut self, to: Move) {
        let there = self.target(to);
        let range = self.cursor.min(there)..self.cursor.max(there);
        let range = self.selection().unwrap_or(range);
        self.splice(range, "", Edit::Other);
    }

    /// Puts the cursor one cluster back, but not into another line.
    pub(crate) fn step_back_in_line(&mut self) {
        if self.line_start(self.cursor) < self.cursor {
            self.cursor = self.before();
        }
    }

    /// Puts a cursor behind the last cluster of a line onto it.
    pub(crate) fn stand_in_line(&mut self) {
        if self.line_end(self.cursor) == self.cursor {
            self.step_back_in_line();
        }
    }

    /// Moves the cursor; says whether it moved. Nothing is selected any more.
    pub(crate) fn go(&mut self, to: Move) -> bool {
        self.anchor = None;
        self.step(to)
    }

    /// Moves the cursor and selects what it passes.
    pub(crate) fn select(&mut self, to: Move) {
        let anchor = Anchor {
            at: self.cursor,
            cover: Cover::UpTo,
        };
        self.anchor = self.anchor.or(Some(anchor));
        self.step(to);
    }

    /// Selects from byte `at` to the cursor.
    pub(crate) fn select_from(&mut self, at: usize, cover: Cover) {
        let at = self.snapped(at.min(self.text.len()), false);
        self.anchor = Some(Anchor { at, cover });
    }

    /// Where the selection begins and what it covers, if there is one, however small.
    pub(crate) fn selected_from(&self) -> Option<(usize, Cover)> {
        self.anchor.map(|anchor| (anchor.at, anchor.cover))
    }

    /// Nothing is selected any more.
    pub(crate) fn deselect(&mut self) {
        self.anchor = None;
    }

    /// Puts the cursor to byte `at`, an edge of a cluster; what is selected reaches there.
    pub(crate) fn place(&mut self, at: usize) {
        self.cursor = self.snapped(at.min(self.text.len()), false);
    }

    /// Bytes that are selected, if there are any.
    pub(crate) fn selection(&self) -> Option<Range<usize>> {
        let anchor = self.anchor?;
        let (first, last) = (anchor.at.min(self.cursor), anchor.at.max(self.cursor));
        let range = match anchor.cover {
            Cover::UpTo => first..last,
            Cover::Clusters => first..self.after(last),
            Cover::Lines => self.line_start(first)..self.line_end(last),
        };
        (!range.is_empty()).then_some(range)
    }

    fn step(&mut self, to: Move) -> bool {
        self.edits.pause();
        let there = self.target(to);
        let moved = there != self.cursor;
        self.cursor = there;
        moved
    }

    /// Takes the last edit back; says whether there is one.
    pub(crate) fn undo(&mut self) -> bool {
        let now = self.moment();
        match self.edits.undo(now) {
            Some(moment) => self.restore(moment),
            None => return false,
        }
        true
    }

    /// Makes the edit again that was taken back last; says whether there is one.
    pub(crate) fn redo(&mut self) -> bool {
        let now = self.moment();
        match self.edits.redo(now) {
            Some(moment) => self.restore(moment),
            None => return false,
        }
        true
    }

    fn moment(&self) -> Moment {
        Moment {
            draft: self.draft(),
            cursor: self.cursor,
        }
    }

    fn restore(&mut self, moment: Moment) {
        self.sent.forget_place();
        self.show(moment.draft);
        self.cursor = moment.cursor;
    }

    /// Empties the field, remembers what was in it, and returns it.
    pub(crate) fn take(&mut self) -> Draft {
        let draft = self.draft();
        self.sent.push(draft.clone());
        self.edits.clear();
        self.show(Draft::default());
        draft
    }

    /// Replaces the text and puts the cursor behind it; a long text becomes a chip.
    pub(crate) fn set(&mut self, text: String) {
        self.set_draft(Draft::of(text));
    }

    /// Replaces text and chips and puts the cursor behind them.
    pub(crate) fn set_draft(&mut self, draft: Draft) {
        self.record(Edit::Other);
        self.sent.forget_place();
        self.show(draft);
    }

    /// What was sent, oldest first.
    pub(crate) fn history(&self) -> &[Draft] {
        self.sent.entries()
    }

    /// Adds to what was sent, without touching the text.
    pub(crate) fn remember(&mut self, draft: Draft) {
        self.sent.push(draft);
    }

    /// Puts what was sent in earlier sessions before what was sent in this one.
    pub(crate) fn load_history(&mut self, earlier: Vec<Draft>) {
        self.sent.load(earlier);
    }

    /// Shows what was sent before what is shown now; says whether there is any.
    pub(crate) fn recall_older(&mut self) -> bool {
        let now = self.draft();
        let found = self.sent.older(|| now);
        self.recall(found)
    }

    /// Shows what was sent after what is shown now, at last the text that was being written.
    pub(crate) fn recall_newer(&mut self) -> bool {
        let found = self.sent.newer();
        self.recall(found)
    }

    fn recall(&mut self, found: Option<Draft>) -> bool {
        let Some(draft) = found else { return false };
        self.record(Edit::Other);
        self.show(draft);
        true
    }

    fn show(&mut self, draft: Draft) {
        self.text = draft.text;
        self.chips = draft.chips;
        self.cursor = self.text.len();
        self.anchor = None;
        self.wrapped = Wrapped::new(&self.text, self.width);
    }

    fn record(&mut self, edit: Edit) {
        let (text, chips, cursor) = (&self.text, &self.chips, self.cursor);
        let moment = || Moment {
            draft: Draft {
                text: text.clone(),
                chips: chips.clone(),
            },
            cursor,
        };
        self.edits.record(moment, edit);
    }

    /// Replaces a part of the text, with all chips it touches; returns where that begins.
    fn splice(&mut self, range: Range<usize>, text: &str, edit: Edit) -> usize {
        let start = self.snapped(range.start, false);
        let end = self.snapped(range.end, true).max(start);
        self.anchor = None;
        if start == end && text.is_empty() {
            return start;
        }
        self.record(edit);
        self.sent.forget_place();
        self.text.replace_range(start..end, text);
        self.chips
            .retain(|chip| chip.end <= start || chip.start >= end);
        for chip in &mut self.chips {
            if chip.start >= end {
                chip.start = chip.start - end + start + text.len();
                chip.end = chip.end - end + start + text.len();
            }
        }
        self.wrapped.text_changed(&self.text, start);
        // What was written may have joined its neighbours to one cluster.
        let wanted = start + text.len();
        let row = self.wrapped.rows()[self.wrapped.row_of(wanted).saturating_sub(1)].start;
        self.cursor = clusters(&self.text, row)
            .map(|(at, _)| at)
            .chain([self.text.len()])
            .find(|&at| at >= wanted)
            .unwrap_or(self.text.len());
        start
    }

    /// The chip around byte `at`, its first byte included.
    fn chip_at(&self, at: usize) -> Option<&Placed> {
        let index = self.chips.partition_point(|chip| chip.end <= at);
        self.chips.get(index).filter(|chip| chip.start <= at)
    }

    /// `at`, or an edge of the chip that it is within.
    fn snapped(&self, at: usize, forward: bool) -> usize {
        match self.chip_at(at) {
            Some(chip) if chip.start < at && forward => chip.end,
            Some(chip) => chip.start.min(at),
            None => at,
        }
    }

    fn before(&self) -> usize {
        let at = self.text[..self.cursor]
            .grapheme_indices(true)
            .next_back()
            .map_or(0, |(at, _)| at);
        self.snapped(at, false)
    }

    fn after(&self, at: usize) -> usize {
        let cluster = self.text[at..].graphemes(true).next();
        self.snapped(at + cluster.map_or(0, str::len), true)
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |at| at + 1)
    }

    fn line_end(&self, at: usize) -> usize {
        let end = self.text[at..].find('\n');
        end.map_or(self.text.len(), |end| at + end)
    }

    fn target(&self, to: Move) -> usize {
        let (before, behind) = self.text.split_at(self.cursor);
        let is_word = |word: &str| word.chars().any(char::is_alphanumeric);
        match to {
            Move::Left => self.before(),
            Move::Right => self.after(self.cursor),
            Move::WordLeft => {
                let at = before
                    .split_word_bound_indices()
                    .rfind(|(_, word)| is_word(word))
                    .map_or(0, |(at, _)| at);
                self.snapped(at, false)
            }
            Move::WordRight => {
                let at = behind
                    .split_word_bound_indices()
                    .find(|(_, word)| is_word(word))
                    .map_or(self.text.len(), |(at, word)| self.cursor + at + word.len());
                self.snapped(at, true)
            }
            Move::LineStart => self.line_start(self.cursor),
            Move::LineEnd => self.line_end(self.cursor),
            Move::Up => self.vertical(|row| row.checked_sub(1), false),
            Move::Down => self.vertical(|row| Some(row + 1), true),
        }
    }

    fn vertical(&self, step: impl Fn(usize) -> Option<usize>, forward: bool) -> usize {
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
        self.snapped(at, forward)
    }
}

/// `text` with one kind of line ends.
fn unified(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn cells(cluster: &str) -> u16 {
    match Glyph::of(cluster) {
        Glyph::Break => 0,
        Glyph::Cells { width, .. } => width,
    }
}

#[cfg(test)]
mod tests;
