//! What one grapheme cluster looks like on the screen.
//!
//! Text from a model, a paste or a file name may hold anything. A control character is drawn as
//! its picture (`␛` for escape), so that it is seen and has no effect; a tab is four blanks; line
//! and paragraph separators break the line. Widths are those with which ratatui draws.

use ratatui::buffer::CellWidth as _;
use unicode_segmentation::{Graphemes, UnicodeSegmentation as _};

/// Cells of a tab.
const TAB: &str = "    ";

/// Longest part of a grapheme cluster, in bytes, that is drawn. A base letter under more marks
/// than that is not text that somebody reads.
const LONGEST: usize = 64;

/// A grapheme cluster on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Glyph<'a> {
    /// The line ends here.
    Break,
    /// Cells.
    Cells {
        /// What to draw: no control characters in it.
        symbol: &'a str,
        /// Cells it takes; 0 for what cannot be seen.
        width: u16,
    },
}

impl<'a> Glyph<'a> {
    /// The look of one grapheme cluster.
    pub(crate) fn of(cluster: &'a str) -> Self {
        if is_plain(cluster.as_bytes()) {
            return Self::Cells {
                symbol: cluster,
                width: 1,
            };
        }
        match cluster {
            "\n" | "\r" | "\r\n" | "\u{2028}" | "\u{2029}" => Self::Break,
            "\t" => Self::Cells {
                symbol: TAB,
                width: 4,
            },
            _ => {
                let symbol = picture(cluster).unwrap_or_else(|| shorten(cluster));
                Self::Cells {
                    symbol,
                    width: symbol.cell_width(),
                }
            }
        }
    }

    /// Whether a line may end at this glyph and leave it out.
    pub(crate) fn is_blank(self) -> bool {
        matches!(
            self,
            Self::Cells {
                symbol: " " | TAB,
                ..
            }
        )
    }
}

/// The clusters of `text` from byte `start` on, with their byte offsets in `text`.
pub(crate) fn clusters(text: &str, start: usize) -> Clusters<'_> {
    Clusters {
        text,
        at: start,
        slow: None,
    }
}

/// Goes through the clusters of a text. Most text is ASCII, and a printable character of it before
/// another character of it is a cluster; only what is left needs the tables.
pub(crate) struct Clusters<'a> {
    text: &'a str,
    at: usize,
    slow: Option<Graphemes<'a>>,
}

impl<'a> Iterator for Clusters<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let rest = self.text.get(at..)?;
        let two = rest.as_bytes().get(..2).unwrap_or(rest.as_bytes());
        let cluster = match two {
            [] => return None,
            [first, second] if second.is_ascii() && is_plain(&[*first]) => {
                self.slow = None;
                &rest[..1]
            }
            _ => self
                .slow
                .get_or_insert_with(|| rest.graphemes(true))
                .next()?,
        };
        self.at += cluster.len();
        Some((at, cluster))
    }
}

/// Whether terminals differ about how many cells this cluster takes: those that count characters come
/// to another number than those that know clusters, or do not know what makes a character an emoji.
pub(crate) fn is_disputed(cluster: &str) -> bool {
    let mut characters = cluster.chars();
    if cluster.len() < 4 || (characters.next().is_some() && characters.next().is_none()) {
        return false;
    }
    let one = |c: char| c.encode_utf8(&mut [0; 4]).cell_width();
    let mut seen = cluster.chars().map(one).filter(|width| *width > 0);
    seen.next() != Some(cluster.cell_width()) || seen.next().is_some()
}

/// Whether it is one printable character of ASCII.
fn is_plain(cluster: &[u8]) -> bool {
    matches!(cluster, [b' '..=b'~'])
}

/// Cells that `text` takes on one line.
pub(crate) fn width(text: &str) -> usize {
    clusters(text, 0)
        .map(|(_, cluster)| match Glyph::of(cluster) {
            Glyph::Break => 0,
            Glyph::Cells { width, .. } => usize::from(width),
        })
        .sum()
}

/// The longest beginning of `text` that fits into `cells`.
pub(crate) fn fit(text: &str, cells: usize) -> &str {
    let mut left = cells;
    for (at, cluster) in clusters(text, 0) {
        let Glyph::Cells { width, .. } = Glyph::of(cluster) else {
            return &text[..at];
        };
        match left.checked_sub(usize::from(width)) {
            Some(rest) => left = rest,
            None => return &text[..at],
        }
    }
    text
}

fn shorten(cluster: &str) -> &str {
    if cluster.len() <= LONGEST {
        return cluster;
    }
    let end = (0..=LONGEST)
        .rev()
        .find(|&at| cluster.is_char_boundary(at))
        .unwrap_or(0);
    &cluster[..end]
}

/// Control characters are always clusters of their own, so the first character decides.
fn picture(cluster: &str) -> Option<&'static str> {
    const PICTURES: [&str; 32] = [
        "␀", "␁", "␂", "␃", "␄", "␅", "␆", "␇", "␈", "␉", "␊", "␋", "␌", "␍", "␎", "␏", "␐", "␑",
        "␒", "␓", "␔", "␕", "␖", "␗", "␘", "␙", "␚", "␛", "␜", "␝", "␞", "␟",
    ];
    let first = cluster.chars().next()?;
    match first {
        '\u{7f}' => Some("␡"),
        _ if first.is_control() => {
            Some(PICTURES.get(first as usize).copied().unwrap_or("\u{fffd}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_survives() {
        let all: String = (0..=0x9f_u32).filter_map(char::from_u32).collect();
        let mut pictures = 0;
        for (_, cluster) in clusters(&all, 0) {
            if let Glyph::Cells { symbol, width } = Glyph::of(cluster) {
                assert!(
                    !symbol.contains(char::is_control),
                    "{cluster:?} became {symbol:?}"
                );
                assert!(width >= 1, "{cluster:?} disappears");
                pictures += usize::from(symbol != cluster);
            }
        }
        // 32 + DEL + 32 of C1, less the line breaks CR and LF.
        assert_eq!(pictures, 63);
    }

    #[test]
    fn an_escape_sequence_is_seen_and_has_no_effect() {
        let shown: Vec<_> = clusters("\u{1b}[2J", 0)
            .map(|(_, cluster)| match Glyph::of(cluster) {
                Glyph::Cells { symbol, .. } => symbol,
                Glyph::Break => "/",
            })
            .collect();
        assert_eq!(shown.concat(), "␛[2J");
    }

    #[test]
    fn widths_of_clusters_that_programs_get_wrong() {
        for (text, cells) in [
            ("a", 1),
            ("é", 1),
            ("e\u{301}", 1),
            ("漢", 2),
            ("한", 2),
            ("👩\u{200d}🚀", 2),
            ("👨\u{200d}👩\u{200d}👧\u{200d}👦", 2),
            ("🇩🇪", 2),
            ("❤\u{fe0f}", 2),
            ("🏳\u{fe0f}\u{200d}🌈", 2),
            ("👍🏽", 2),
            ("1\u{fe0f}\u{20e3}", 2),
            ("각", 2),
            ("שָׁ", 1),
            ("نَ", 1),
            ("ｆ", 2),
            ("ｶ", 1),
            ("\u{200b}", 0),
            ("\t", 4),
        ] {
            assert_eq!(width(text), cells, "{text:?}");
        }
    }

    #[test]
    fn only_clusters_that_are_counted_differently_are_disputed() {
        for sure in ["a", " ", "漢", "e\u{301}", "각", "نَ", "😀", "␛"] {
            assert!(!is_disputed(sure), "{sure:?}");
        }
        let emoji = ["❤\u{fe0f}", "👩\u{200d}🚀", "👍🏽", "🇩🇪", "1\u{fe0f}\u{20e3}"];
        for disputed in emoji.into_iter().chain(["क्षि", "ｶﾞ"]) {
            assert!(is_disputed(disputed), "{disputed:?}");
        }
    }

    #[test]
    fn a_cluster_of_a_thousand_marks_is_cut() {
        let tower = format!("a{}", "\u{301}".repeat(1000));
        let Glyph::Cells { symbol, width } = Glyph::of(&tower) else {
            panic!("a break")
        };
        assert!(symbol.len() <= LONGEST && symbol.starts_with('a'));
        assert_eq!(width, 1);
    }

    #[test]
    fn clusters_are_those_of_the_tables() {
        for text in [
            "plain",
            "e\u{301}x\u{301} \r\n\n\r🇩🇪🇩🇪 a👩\u{200d}🚀b \u{1b}[0m漢字",
            "한국어 각 עברית שָׁלוֹם العربية نَصّ नमस्ते क्षि",
            "🇩🇪🇫a🇩🇪 \u{600}1 a\u{200d}b",
        ] {
            let expected: Vec<_> = text.grapheme_indices(true).collect();
            assert_eq!(clusters(text, 0).collect::<Vec<_>>(), expected, "{text:?}");
        }
        assert_eq!(clusters("ab", 1).collect::<Vec<_>>(), [(1, "b")]);
    }

    #[test]
    fn fitting_never_cuts_a_cluster() {
        assert_eq!(fit("ab漢字", 3), "ab");
        assert_eq!(fit("ab漢字", 4), "ab漢");
        assert_eq!(fit("👩\u{200d}🚀x", 1), "");
        assert_eq!(fit("👩\u{200d}🚀x", 2), "👩\u{200d}🚀");
        assert_eq!(fit("one\ntwo", 80), "one");
    }
}
