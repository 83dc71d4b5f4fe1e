//! What is wrong in the file, and where.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use tritone_profile::harmless;

/// The file, for reports.
#[derive(Clone, Debug)]
pub(super) struct Text {
    path: PathBuf,
    /// Control characters are replaced, so that it can be shown; offsets stay true.
    source: NamedSource<Arc<str>>,
}

impl Text {
    pub(super) fn new(path: &Path, text: &str) -> Self {
        let name = harmless(&path.display().to_string());
        Self {
            path: path.to_owned(),
            source: NamedSource::new(name, Arc::from(harmless(text))).with_language("TOML"),
        }
    }

    /// Line, from 1, of byte `at`.
    pub(super) fn line(&self, at: usize) -> usize {
        let bytes = self.source.inner().as_bytes();
        let before = &bytes[..at.min(bytes.len())];
        1 + before.iter().filter(|&&byte| byte == b'\n').count()
    }

    /// Puts asterisks over these bytes: reports show the lines around what is wrong, and a key that somebody wrote into
    /// the file is nobody's business.
    pub(super) fn hide(&mut self, at: Range<usize>) {
        let hidden: String = self
            .source
            .inner()
            .char_indices()
            .map(|(start, c)| match at.contains(&start) && c != '\n' {
                true => "*".repeat(c.len_utf8()),
                false => c.to_string(),
            })
            .collect();
        let name = self.source.name().to_owned();
        self.source = NamedSource::new(name, Arc::from(hidden)).with_language("TOML");
    }

    /// Something wrong at these bytes.
    pub(super) fn fault(&self, at: Range<usize>, message: String) -> Fault {
        let length = self.source.inner().len();
        let start = at.start.min(length);
        Fault {
            text: self.clone(),
            span: start..at.end.clamp(start, length),
            message,
            help: None,
        }
    }
}

/// Something wrong in the file.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    text: Text,
    span: Range<usize>,
    message: String,
    help: Option<String>,
}

impl Fault {
    /// What to do.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The line, from 1.
    pub(super) fn line(&self) -> usize {
        self.text.line(self.span.start)
    }

    /// Where, what, and what to do, in one line.
    pub(crate) fn sentence(&self) -> String {
        let path = self.text.path.display();
        let help = self.help.as_ref();
        let help = help.map_or_else(String::new, |help| format!("; {help}"));
        format!("{path}, line {}: {}{help}", self.line(), self.message)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl Diagnostic for Fault {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.help.as_deref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.text.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = LabeledSpan::new_with_span(Some("here".to_owned()), self.span.clone());
        Some(Box::new(std::iter::once(span)))
    }
}

/// Text of the file within a sentence: short, control characters escaped.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().nth(40).is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_shown_is_as_long_and_harmless(text in any::<String>(), at in any::<Range<usize>>()) {
            let shown = harmless(&text);
            prop_assert_eq!(shown.len(), text.len());
            prop_assert!(!shown.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
            let fault = Text::new(Path::new("a"), &text).fault(at, String::new());
            prop_assert!(fault.span.start <= fault.span.end && fault.span.end <= text.len());
            prop_assert!(fault.line() >= 1);
        }
    }
}
