//! The rows of an entry: of plain text or of Markdown.

use super::markdown::{Code, Rich, RowView};
use super::wrap::Wrapped;

/// The rows of a text at one width. The text itself is kept by the entry, which hands in the one
/// that was measured, or one that has grown since.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// As it is written.
    Plain {
        /// Where its rows begin and end.
        wrapped: Wrapped,
        /// Bytes that were measured.
        seen: usize,
    },
    /// As Markdown.
    Rich(Box<Rich>),
}

impl Body {
    /// The rows of `text`; of one that is `open` there is more to come.
    pub(crate) fn new(text: &str, width: u16, rich: bool, open: bool) -> Self {
        if rich {
            Self::Rich(Box::new(Rich::new(text, width, open)))
        } else {
            Self::Plain {
                wrapped: Wrapped::new(text, width),
                seen: text.len(),
            }
        }
    }

    /// Follows a text that has grown or is not `open` any more.
    pub(crate) fn update(&mut self, text: &str, open: bool) {
        match self {
            Self::Plain { wrapped, seen } => {
                wrapped.text_changed(text, *seen);
                *seen = text.len();
            }
            Self::Rich(rich) => rich.update(text, open),
        }
    }

    /// Rows, at least one.
    pub(crate) fn height(&self) -> usize {
        match self {
            Self::Plain { wrapped, .. } => wrapped.rows().len(),
            Self::Rich(rich) => rich.height(),
        }
    }

    /// Row `at`.
    pub(crate) fn row<'a>(&'a self, text: &'a str, at: usize) -> Option<RowView<'a>> {
        match self {
            Self::Plain { wrapped, .. } => {
                let row = wrapped.rows().get(at)?;
                Some(RowView {
                    text: text.get(row.start..row.end)?,
                    spans: &[],
                    code: None,
                })
            }
            Self::Rich(rich) => rich.row(text, at),
        }
    }

    /// The byte of the text that row `at` begins with.
    pub(crate) fn source(&self, at: usize) -> usize {
        match self {
            Self::Plain { wrapped, .. } => wrapped.rows().get(at).map_or(0, |row| row.start),
            Self::Rich(rich) => rich.source(at),
        }
    }

    /// The first row that shows byte `source` of the text.
    pub(crate) fn row_of(&self, source: usize) -> usize {
        match self {
            Self::Plain { wrapped, .. } => wrapped.row_of(source),
            Self::Rich(rich) => rich.row_of(source),
        }
    }

    /// The code blocks of the text.
    pub(crate) fn codes(&self) -> &[Code] {
        match self {
            Self::Plain { .. } => &[],
            Self::Rich(rich) => rich.codes(),
        }
    }
}
