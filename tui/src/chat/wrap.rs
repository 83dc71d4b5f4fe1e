//! Breaking text into rows of a given width.
//!
//! Rows are byte ranges of the text, which is never copied. A change re-breaks the text from one
//! row before the change on, so appending to a long answer costs what is appended, not what is
//! there. One row back is enough: only the last cluster before the change can become another one,
//! and the break before its row is the only one it took part in.

use super::glyph::{Glyph, clusters};

/// One row: a byte range of the text, without the line break or blank that ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// First byte.
    pub(crate) start: usize,
    /// One past the last byte.
    pub(crate) end: usize,
}

/// The rows of one text at one width. There is always at least one row.
#[derive(Clone, Debug)]
pub(crate) struct Wrapped {
    width: u16,
    rows: Vec<Row>,
}

impl Wrapped {
    /// The rows of `text` at `width` cells.
    pub(crate) fn new(text: &str, width: u16) -> Self {
        let mut wrapped = Self {
            width: width.max(1),
            rows: Vec::new(),
        };
        wrapped.fill(text, 0);
        wrapped
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Breaks `text` anew if the width is another one; says whether it was.
    pub(crate) fn set_width(&mut self, text: &str, width: u16) -> bool {
        let changed = self.width != width.max(1);
        if changed {
            *self = Self::new(text, width);
        }
        changed
    }

    /// Follows a change of the text: everything before byte `from` is as it was.
    pub(crate) fn text_changed(&mut self, text: &str, from: usize) {
        let keep = self.row_of(from).saturating_sub(1);
        let start = self.rows.get(keep).map_or(0, |row| row.start);
        self.rows.truncate(keep);
        self.fill(text, start);
    }

    /// The row that holds byte `at`; a byte that no row shows belongs to the row before it.
    pub(crate) fn row_of(&self, at: usize) -> usize {
        self.rows
            .partition_point(|row| row.start <= at)
            .saturating_sub(1)
    }

    fn fill(&mut self, text: &str, start: usize) {
        let mut line = Line::new(start);
        for (at, cluster) in clusters(text, start) {
            let next = at + cluster.len();
            match Glyph::of(cluster) {
                Glyph::Break => {
                    self.rows.push(line.row(at));
                    line = Line::new(next);
                }
                glyph @ Glyph::Cells { width, .. } => {
                    self.cells(&mut line, at, next, width, glyph.is_blank());
                }
            }
        }
        self.rows.push(line.row(text.len()));
    }

    fn cells(&mut self, line: &mut Line, at: usize, next: usize, width: u16, blank: bool) {
        if line.left_out.is_some() {
            self.rows.push(line.row(at));
            *line = Line::new(at);
        }
        if line.column > 0 && line.column + width > self.width {
            if blank {
                line.left_out = Some(at);
                return;
            }
            if let Some(split) = line.split.take() {
                self.rows.push(Row {
                    start: line.start,
                    end: split.end,
                });
                line.start = split.next;
                line.column -= split.column;
            }
            if line.column > 0 && line.column + width > self.width {
                self.rows.push(line.row(at));
                *line = Line::new(at);
            }
        }
        line.column += width;
        line.inked |= !blank;
        if blank && line.inked {
            line.split = Some(Split {
                end: at,
                next,
                column: line.column,
            });
        } else if width == 2 {
            line.split = Some(Split {
                end: next,
                next,
                column: line.column,
            });
        }
    }
}

/// The row being filled.
struct Line {
    start: usize,
    column: u16,
    /// Something other than blanks is in the line: the blanks before it are indentation, at which
    /// no line is split.
    inked: bool,
    split: Option<Split>,
    /// A blank that did not fit any more; the next cluster starts a row.
    left_out: Option<usize>,
}

/// Where a row may end.
struct Split {
    end: usize,
    next: usize,
    column: u16,
}

impl Line {
    fn new(start: usize) -> Self {
        Self {
            start,
            column: 0,
            inked: false,
            split: None,
            left_out: None,
        }
    }

    fn row(&self, end: usize) -> Row {
        Row {
            start: self.start,
            end: self.left_out.unwrap_or(end),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::glyph::width;
    use super::*;

    fn rows(text: &str, width: u16) -> Vec<&str> {
        Wrapped::new(text, width)
            .rows()
            .iter()
            .map(|row| &text[row.start..row.end])
            .collect()
    }

    #[test]
    fn words_stay_whole_where_they_fit() {
        assert_eq!(rows("the quick brown fox", 10), ["the quick", "brown fox"]);
        assert_eq!(rows("abcdefghij klm", 10), ["abcdefghij", "klm"]);
        assert_eq!(rows("abcdefghijklm no", 10), ["abcdefghij", "klm no"]);
        assert_eq!(rows("", 10), [""]);
        assert_eq!(rows("one\n\ntwo\n", 10), ["one", "", "two", ""]);
    }

    #[test]
    fn indentation_is_kept_and_is_no_place_to_split() {
        assert_eq!(rows("    let x = 1;", 20), ["    let x = 1;"]);
        assert_eq!(rows("    abcdefgh", 8), ["    abcd", "efgh"]);
    }

    #[test]
    fn wide_text_splits_between_any_two_characters_and_never_inside() {
        assert_eq!(rows("日本語の文章", 5), ["日本", "語の", "文章"]);
        assert_eq!(
            rows("ab👩\u{200d}🚀👩\u{200d}🚀", 4),
            ["ab👩\u{200d}🚀", "👩\u{200d}🚀"]
        );
    }

    #[test]
    fn words_and_wide_characters_split_at_the_borders_between_them() {
        assert_eq!(rows("abc 漢字 def", 8), ["abc 漢字", "def"]);
        assert_eq!(rows("abc漢字def", 6), ["abc漢", "字def"]);
        assert_eq!(rows("한국어 문장", 7), ["한국어", "문장"]);
        assert_eq!(rows("שָׁלוֹם עולם", 6), ["שָׁלוֹם", "עולם"]);
        assert_eq!(rows("السَّلام عليكم", 8), ["السَّلام", "عليكم"]);
        assert_eq!(rows("🇩🇪🇫🇷🇮🇹", 5), ["🇩🇪🇫🇷", "🇮🇹"]);
    }

    #[test]
    fn all_line_ends_are_line_ends() {
        assert_eq!(rows("a\r\nb\rc\u{2028}d", 9), ["a", "b", "c", "d"]);
    }

    #[test]
    fn the_row_of_a_byte() {
        let text = "the quick\nbrown";
        let wrapped = Wrapped::new(text, 5);
        // Rows: "the", "quick", "brown".
        assert_eq!(
            [0, 3, 4, 8, 9, 10, 15].map(|at| wrapped.row_of(at)),
            [0, 0, 1, 1, 1, 2, 2]
        );
    }

    fn texts() -> impl Strategy<Value = String> {
        proptest::collection::vec(
            prop_oneof![
                8 => "[a-z]{1,7}",
                6 => Just(" ".to_owned()),
                1 => Just("\n".to_owned()),
                1 => Just("\r".to_owned()),
                1 => Just("\r\n".to_owned()),
                1 => Just("\t".to_owned()),
                2 => Just("漢".to_owned()),
                1 => Just("👩\u{200d}🚀".to_owned()),
                1 => Just("\u{301}".to_owned()),
                1 => Just("\u{fe0e}".to_owned()),
                1 => Just("🇩🇪".to_owned()),
                1 => Just("\u{1b}[0m".to_owned()),
            ],
            0..60,
        )
        .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn appending_piece_by_piece_gives_the_rows_of_the_whole(
            text in texts(), width in 1u16..24, step in 1usize..6,
        ) {
            let mut grown = Wrapped::new("", width);
            let mut seen = 0;
            let ends = text.char_indices().map(|(at, _)| at).step_by(step).chain([text.len()]);
            for end in ends {
                grown.text_changed(&text[..end], seen);
                seen = end;
            }
            let whole = Wrapped::new(&text, width);
            prop_assert_eq!(grown.rows(), whole.rows());
        }

        #[test]
        fn a_change_in_the_middle_gives_the_rows_of_the_whole(
            head in texts(), old in texts(), new in texts(), width in 1u16..24,
        ) {
            let mut wrapped = Wrapped::new(&format!("{head}{old}"), width);
            let text = format!("{head}{new}");
            wrapped.text_changed(&text, head.len());
            let whole = Wrapped::new(&text, width);
            prop_assert_eq!(wrapped.rows(), whole.rows());
        }

        #[test]
        fn rows_fit_and_lose_nothing_but_blanks_and_breaks(text in texts(), cells in 4u16..24) {
            let wrapped = Wrapped::new(&text, cells);
            let mut at = 0;
            for row in wrapped.rows() {
                let skipped = &text[at..row.start];
                prop_assert!(skipped.chars().all(|c| c.is_whitespace()), "lost {skipped:?}");
                prop_assert!(width(&text[row.start..row.end]) <= usize::from(cells));
                at = row.end;
            }
            prop_assert!(text[at..].chars().all(char::is_whitespace));
        }
    }
}
