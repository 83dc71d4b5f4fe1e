//! Finished rows, in a few long buffers.

use super::look::{Look, Span, extend};

/// Which part of which line of code a row shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CodeRow {
    /// Key of the line's colours.
    pub(crate) key: u64,
    /// Number of the code block in the text, from 0.
    pub(crate) block: usize,
    /// First byte of the line that the row shows.
    pub(crate) offset: usize,
    /// Bytes of the row before the code.
    pub(crate) skip: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Meta {
    text: usize,
    span: usize,
    source: usize,
    code: Option<CodeRow>,
}

/// A row to be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowView<'a> {
    pub(crate) text: &'a str,
    /// How the text looks, from its start on; what they do not cover is plain.
    pub(crate) spans: &'a [Span],
    pub(crate) code: Option<CodeRow>,
}

/// Rows, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    text: String,
    spans: Vec<Span>,
    rows: Vec<Meta>,
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Row `at`.
    pub(crate) fn get(&self, at: usize) -> Option<RowView<'_>> {
        let row = self.rows.get(at)?;
        let next = self.rows.get(at + 1);
        let text = next.map_or(self.text.len(), |next| next.text);
        let span = next.map_or(self.spans.len(), |next| next.span);
        Some(RowView {
            text: &self.text[row.text..text],
            spans: &self.spans[row.span..span],
            code: row.code,
        })
    }

    /// The byte of the source that row `at` begins with.
    pub(crate) fn source(&self, at: usize) -> usize {
        self.rows.get(at).map_or(0, |row| row.source)
    }

    /// The first of the rows that begin where the row with byte `source` does.
    pub(crate) fn row_of(&self, source: usize) -> usize {
        let last = self
            .rows
            .partition_point(|row| row.source <= source)
            .saturating_sub(1);
        let begin = self.source(last);
        self.rows.partition_point(|row| row.source < begin)
    }

    /// Begins a row that shows the source from byte `source` on.
    pub(super) fn begin(&mut self, source: usize) {
        // Rows stay in the order of the source, whatever is said about them.
        let least = self.rows.last().map_or(0, |row| row.source);
        self.rows.push(Meta {
            text: self.text.len(),
            span: self.spans.len(),
            source: source.max(least),
            code: None,
        });
    }

    /// Adds to the last row.
    pub(super) fn push(&mut self, text: &str, look: Look) {
        let from = self.rows.last().map_or(0, |row| row.span);
        self.text.push_str(text);
        extend(&mut self.spans, from, text.len(), look);
    }

    /// Says what code follows in the last row.
    pub(super) fn mark_code(&mut self, key: u64, block: usize, offset: usize) {
        let end = self.text.len();
        if let Some(row) = self.rows.last_mut() {
            row.code = Some(CodeRow {
                key,
                block,
                offset,
                skip: end - row.text,
            });
        }
    }

    /// Keeps the first `rows` rows.
    pub(super) fn truncate(&mut self, rows: usize) {
        if let Some(row) = self.rows.get(rows) {
            self.text.truncate(row.text);
            self.spans.truncate(row.span);
            self.rows.truncate(rows);
        }
    }
}
