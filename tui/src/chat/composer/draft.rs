//! What was written: the text of the input with its chips, as it is remembered.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::chip::{Chip, Placed};

/// Text and chips.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Draft {
    /// As it is shown, with the labels of the chips.
    pub(crate) text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) chips: Vec<Placed>,
}

impl Draft {
    /// Text without chips.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            chips: Vec::new(),
        }
    }

    /// A text: as it is, or as a chip if it is long.
    pub(crate) fn of(text: String) -> Self {
        let Some(chip) = Chip::of_paste(&text) else {
            return Self::plain(text);
        };
        let text = chip.label(None);
        Self {
            chips: vec![Placed {
                start: 0,
                end: text.len(),
                chip: Arc::new(chip),
            }],
            text,
        }
    }

    /// What the model reads: the chips written out. A file has lines of its own.
    pub(crate) fn message(&self) -> String {
        let mut message = String::new();
        let mut at = 0;
        for placed in &self.chips {
            message.push_str(&self.text[at..placed.start]);
            let file = matches!(placed.chip.origin, super::chip::Origin::File(_));
            if file && !message.is_empty() && !message.ends_with('\n') {
                message.push('\n');
            }
            message.push_str(&placed.chip.written_out());
            at = placed.end;
            if file && self.text[at..].chars().next().is_some_and(|c| c != '\n') {
                message.push('\n');
            }
        }
        message.push_str(&self.text[at..]);
        message
    }

    /// The draft with chips that are where they say; what was read from a file may claim anything.
    pub(crate) fn checked(mut self) -> Self {
        let mut at = 0;
        for placed in &self.chips {
            let sound = at <= placed.start
                && placed.start < placed.end
                && self.text.get(placed.start..placed.end).is_some();
            if !sound {
                self.chips.clear();
                break;
            }
            at = placed.end;
        }
        self
    }

    /// Adds `other` at the end.
    pub(crate) fn append(&mut self, other: &Self) {
        let at = self.text.len();
        self.text.push_str(&other.text);
        self.chips.extend(other.chips.iter().map(|chip| Placed {
            start: chip.start + at,
            end: chip.end + at,
            chip: Arc::clone(&chip.chip),
        }));
    }

    /// Bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        let chips = self.chips.iter().map(|placed| placed.chip.content.len());
        self.text.len() + chips.sum::<usize>()
    }

    /// The first line that says something, for lists.
    pub(crate) fn headline(&self) -> &str {
        let lines = self.text.lines().map(str::trim);
        lines
            .into_iter()
            .find(|line| !line.is_empty())
            .unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::chip::{Chip, Origin};
    use super::*;

    fn placed(start: usize, end: usize, origin: Origin, content: &str) -> Placed {
        let content = content.to_owned();
        Placed {
            start,
            end,
            chip: Arc::new(Chip { origin, content }),
        }
    }

    #[test]
    fn files_get_lines_of_their_own_and_pastes_stay_in_the_line() {
        let draft = Draft {
            text: "see [f] and [p]!".to_owned(),
            chips: vec![
                placed(4, 7, Origin::File("f".to_owned()), "data"),
                placed(12, 15, Origin::Paste, "PASTE"),
            ],
        };
        assert_eq!(
            draft.message(),
            "see \n<file name=\"f\">\ndata\n</file>\n and PASTE!"
        );
    }

    #[test]
    fn chips_that_are_not_where_they_say_become_text() {
        for (start, end) in [(0, 99), (3, 2), (1, 2)] {
            let draft = Draft {
                text: "ä[x]".to_owned(),
                chips: vec![placed(start, end, Origin::Paste, "c")],
            };
            assert_eq!(draft.checked(), Draft::plain("ä[x]"), "{start}..{end}");
        }
    }

    #[test]
    fn kept_as_one_line_and_read_again() {
        let draft = Draft {
            text: "a\n[f]".to_owned(),
            chips: vec![placed(2, 5, Origin::File("f".to_owned()), "x\ny")],
        };
        let line = serde_json::to_string(&draft).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Draft>(&line).unwrap(), draft);
        assert_eq!(draft.headline(), "a");
        let plain = serde_json::to_string(&Draft::plain("hi")).unwrap();
        assert_eq!(plain, "{\"text\":\"hi\"}");
    }
}
