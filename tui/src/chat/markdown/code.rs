//! Code blocks: a label, the lines as they are, an end.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::chat::glyph::{Glyph, clusters};

/// Marks a row that goes on with the line above.
pub(super) const CONTINUED: &str = "↪ ";

/// Longest name of a language that is shown, in cells.
pub(super) const LONGEST_LANGUAGE: usize = 20;

/// A code block of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Code {
    /// The language as the text names it; empty if it does not.
    pub(crate) language: String,
    /// The code, as it came.
    pub(crate) text: String,
}

/// The language of a fence's info string: its first word.
pub(super) fn language(info: &str) -> &str {
    let word = info
        .trim_start()
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '{' | ';'))
        .next()
        .unwrap_or_default();
    crate::chat::glyph::fit(word, LONGEST_LANGUAGE)
}

/// The key before the first line of a program in `language`.
pub(crate) fn first_key(language: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    language.hash(&mut hasher);
    hasher.finish()
}

/// The key of `line`, which follows the line of key `before`: it stands for everything up to here.
pub(crate) fn next_key(before: u64, line: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    before.hash(&mut hasher);
    line.hash(&mut hasher);
    hasher.finish()
}

/// The lines of `text` without their ends, and where they begin. Line ends are those of Markdown.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let ends = &rest[end..];
        at += end
            + if ends.starts_with("\r\n") {
                2
            } else {
                ends.len().min(1)
            };
        Some((&rest[..end], start))
    })
}

/// A fence at the start of a line, not indented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fence {
    sign: char,
    count: usize,
}

impl Fence {
    /// The fence that opens with `line`, and its info string. Info strings with escapes are left
    /// to the parser.
    pub(super) fn open(line: &str) -> Option<(Self, &str)> {
        let sign = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let info = line.trim_start_matches(sign);
        let count = line.len() - info.len();
        let plain = !info.contains(['\\', '&', '\0', '\r']) && (sign == '~' || !info.contains('`'));
        (count >= 3 && plain).then_some((Self { sign, count }, info))
    }

    /// Whether `line` closes it.
    pub(super) fn closes(self, line: &str) -> bool {
        let rest = line.trim_start_matches(' ');
        let behind = rest.trim_start_matches(self.sign);
        line.len() - rest.len() < 4
            && rest.len() - behind.len() >= self.count
            && behind.chars().all(|c| matches!(c, ' ' | '\t'))
    }

    /// Whether `line` may become a line that closes it.
    pub(super) fn may_close(self, line: &str) -> bool {
        let rest = line.trim_start_matches(' ');
        !rest.is_empty() && rest.trim_start_matches(self.sign).is_empty()
    }
}

/// Where the rows of `line` begin when `first` cells are there for the first and `others` for the
/// others. Code is broken anywhere, as its blanks mean something.
pub(super) fn breaks(line: &str, first: u16, others: u16) -> Vec<usize> {
    let mut starts = vec![0];
    let mut left = first.max(1);
    let mut begun = false;
    for (at, cluster) in clusters(line, 0) {
        let Glyph::Cells { width, .. } = Glyph::of(cluster) else {
            continue;
        };
        if width > left && begun {
            starts.push(at);
            left = others.max(1);
        }
        left = left.saturating_sub(width);
        begun = true;
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_first_word() {
        for (info, expected) in [
            ("rust", "rust"),
            (" python title=\"x\"", "python"),
            ("rust,no_run", "rust"),
            ("{.ruby}", ""),
            ("", ""),
            ("a-very-long-name-of-a-language", "a-very-long-name-of-"),
        ] {
            assert_eq!(language(info), expected, "{info:?}");
        }
    }

    #[test]
    fn all_line_ends() {
        let found: Vec<_> = lines("a\nb\r\nc\rd\n\ne\n").collect();
        assert_eq!(
            found,
            [("a", 0), ("b", 2), ("c", 5), ("d", 7), ("", 9), ("e", 10)]
        );
        assert_eq!(lines("").count(), 0);
    }

    #[test]
    fn fences() {
        let (fence, info) = Fence::open("```` rust").unwrap();
        assert_eq!(info, " rust");
        assert!(fence.closes("   ````` \t") && fence.closes("````"));
        for line in ["```", "    ````", "````x", "~~~~"] {
            assert!(!fence.closes(line), "{line:?}");
        }
        assert!(fence.may_close("``") && !fence.may_close("") && !fence.may_close("``x"));
        for line in ["``", "``` a`b", "text", "", " ```"] {
            assert_eq!(Fence::open(line), None, "{line:?}");
        }
    }

    #[test]
    fn lines_break_where_the_cells_end() {
        assert_eq!(breaks("abcdef", 4, 2), [0, 4]);
        assert_eq!(breaks("abcdefg", 4, 2), [0, 4, 6]);
        assert_eq!(breaks("", 4, 2), [0]);
        assert_eq!(breaks("漢字漢", 3, 2), [0, 3, 6]);
        assert_eq!(breaks("\tx", 2, 2), [0, 1], "a tab wider than the row");
    }
}
