//! A mistake in a profile file, and the place where it is.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use crate::origin::{FileKind, Origin};

/// A file whose settings are read: what it is, where it is, and its text for reports.
#[derive(Debug, Clone)]
pub(crate) struct FileText {
    pub(crate) kind: FileKind,
    pub(crate) path: PathBuf,
    /// The text with every control character replaced by a harmless one of the same length, so that
    /// it can be shown and offsets stay true.
    source: NamedSource<Arc<str>>,
}

impl FileText {
    pub(crate) fn new(kind: FileKind, path: &Path, text: &str) -> Self {
        let shown: Arc<str> = harmless(text).into();
        let name = harmless(&path.display().to_string());
        Self {
            kind,
            path: path.to_owned(),
            source: NamedSource::new(name, shown).with_language("TOML"),
        }
    }

    fn text(&self) -> &str {
        self.source.inner()
    }

    /// Where the value at byte `at` came from.
    pub(crate) fn origin(&self, at: usize) -> Origin {
        Origin::File {
            kind: self.kind,
            path: self.path.clone(),
            line: self.place(at).0,
        }
    }

    /// Line and column, in characters, of byte `at`; both from 1.
    fn place(&self, at: usize) -> (usize, usize) {
        let text = self.text();
        let mut at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let before = &text[..at];
        let line = 1 + before.bytes().filter(|&byte| byte == b'\n').count();
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (line, before[start..].chars().count() + 1)
    }

    /// A mistake at these bytes.
    pub(crate) fn mistake(&self, at: Range<usize>, what: What) -> Mistake {
        let length = self.text().len();
        let start = at.start.min(length);
        let end = at.end.clamp(start, length);
        let (line, column) = self.place(start);
        Mistake {
            file: self.clone(),
            span: start..end,
            line,
            column,
            what,
        }
    }
}

/// What a mistake is, in the pieces of a report.
#[derive(Debug, Clone, Default)]
pub(crate) struct What {
    /// What is wrong, as a sentence without its place.
    pub(crate) message: String,
    /// What follows `message` where there is room for one line only.
    pub(crate) instead: String,
    /// What stands under the place.
    pub(crate) label: String,
    /// What to do.
    pub(crate) help: Option<String>,
    /// Whether the column says more than the line.
    pub(crate) exact: bool,
}

/// A mistake in a profile file.
///
/// [`Display`](fmt::Display) says what is wrong, [`sentence`](Self::sentence) also where and what
/// would be right; as a [`Diagnostic`] it has the text around it.
#[derive(Debug, Clone)]
pub struct Mistake {
    file: FileText,
    span: Range<usize>,
    line: usize,
    column: usize,
    what: What,
}

impl Mistake {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Line, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Column in characters, from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What to do about it, if that is known.
    pub fn advice(&self) -> Option<&str> {
        self.what.help.as_deref()
    }

    /// Where, what and what instead, in one line.
    pub fn sentence(&self) -> String {
        let Self {
            file, line, column, ..
        } = self;
        let column = match self.what.exact {
            true => format!(", column {column}"),
            false => String::new(),
        };
        format!(
            "{} {}, line {line}{column}: {}{}",
            file.kind,
            file.path.display(),
            self.what.message,
            self.what.instead
        )
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what.message)
    }
}

impl std::error::Error for Mistake {}

impl Diagnostic for Mistake {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.what.help.as_deref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.file.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = Some(self.what.label.clone());
        let span = LabeledSpan::new_with_span(label, self.span.clone());
        Some(Box::new(std::iter::once(span)))
    }
}

/// `text` with control characters, and the characters that turn the direction of text, replaced by
/// harmless ones of the same length in bytes, so that it can be shown and offsets stay true.
pub fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            '\r' => ' ',
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c if c.is_control() && c.len_utf8() == 1 => '?',
            c if c.is_control() => '\u{bf}',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_place_has_line_and_column_in_characters() {
        let file = FileText::new(
            FileKind::User,
            Path::new("a"),
            "a = 1\r\n\u{e4}\u{e4} = 2\n",
        );
        assert_eq!(file.place(0), (1, 1));
        assert_eq!(file.place(7), (2, 1));
        assert_eq!(file.place(9), (2, 2));
        assert_eq!(file.place(10), (2, 2), "inside a character");
        assert_eq!(file.place(1000), (3, 1));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_as_long_and_harmless(text in any::<String>(), at in any::<Range<usize>>()) {
            let shown = harmless(&text);
            prop_assert_eq!(shown.len(), text.len());
            prop_assert!(!shown.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
            let file = FileText::new(FileKind::User, Path::new("a"), &text);
            let mistake = file.mistake(at, What::default());
            prop_assert!(mistake.span.start <= mistake.span.end && mistake.span.end <= text.len());
        }
    }
}
