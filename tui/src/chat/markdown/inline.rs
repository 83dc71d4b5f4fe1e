//! A paragraph's text: what it says, how it looks and where it comes from.

use std::ops::Range;

use super::look::{Look, Span, extend};
use crate::chat::glyph;

/// Where a piece of the text comes from.
#[derive(Clone, Copy, Debug)]
struct Origin {
    at: usize,
    source: usize,
    /// Bytes that stand in the source as they stand here.
    same: usize,
}

/// Text of one paragraph, heading or cell, before it is broken into rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Inline {
    pub(super) text: String,
    spans: Vec<Span>,
    origins: Vec<Origin>,
}

impl Inline {
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Adds `text`, which stands in the source at `range`.
    pub(super) fn push(&mut self, text: &str, look: Look, range: Range<usize>) {
        self.origins.push(Origin {
            at: self.text.len(),
            source: range.start,
            same: if text.len() == range.len() {
                text.len()
            } else {
                0
            },
        });
        self.text.push_str(text);
        extend(&mut self.spans, 0, text.len(), look);
    }

    /// The byte of the source that byte `at` stands for.
    pub(super) fn source(&self, at: usize) -> usize {
        let origin = self
            .origins
            .partition_point(|origin| origin.at <= at)
            .checked_sub(1)
            .and_then(|origin| self.origins.get(origin));
        origin.map_or(0, |origin| {
            origin.source + (at - origin.at).min(origin.same)
        })
    }

    /// The pieces of `range` that look alike.
    pub(super) fn pieces(&self, range: Range<usize>) -> impl Iterator<Item = (&str, Look)> {
        let mut at = 0;
        self.spans.iter().filter_map(move |span| {
            let start = at;
            at += span.len;
            let (start, end) = (start.max(range.start), at.min(range.end));
            (start < end).then(|| (&self.text[start..end], span.look))
        })
    }

    /// Cells of the longest line.
    pub(super) fn width(&self) -> usize {
        self.text.lines().map(glyph::width).max().unwrap_or(0)
    }

    /// Cells of the longest word, up to `most`.
    pub(super) fn word(&self, most: usize) -> usize {
        self.text
            .split(char::is_whitespace)
            .map(glyph::width)
            .max()
            .unwrap_or(0)
            .min(most)
    }
}
