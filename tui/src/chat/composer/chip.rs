//! Pieces of a message that are written as one word: a long paste, an attached file.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::view::format;

/// A paste of more bytes than this is a chip.
const MOST_BYTES: usize = 2_000;

/// A paste of more lines than this is a chip.
const MOST_LINES: usize = 15;

/// Bytes of a token of ordinary text, for a guess until the engine has counted.
const BYTES_A_TOKEN: usize = 4;

/// Where the text of a chip comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Origin {
    /// It was pasted.
    Paste,
    /// It is the content of a file of this name.
    File(String),
}

/// Text that stands in the input as one word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chip {
    pub(crate) origin: Origin,
    pub(crate) content: String,
}

/// A chip and where it is in the text of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Placed {
    /// First byte of its label.
    pub(crate) start: usize,
    /// One past the last byte of its label.
    pub(crate) end: usize,
    #[serde(with = "shared")]
    pub(crate) chip: Arc<Chip>,
}

/// Chips are shared by what can be undone; on disk each is written by itself.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Chip;

    pub(super) fn serialize<S: Serializer>(chip: &Arc<Chip>, to: S) -> Result<S::Ok, S::Error> {
        chip.as_ref().serialize(to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Arc<Chip>, D::Error> {
        Chip::deserialize(from).map(Arc::new)
    }
}

impl Chip {
    /// A paste, if it is too long to be shown as it is.
    pub(crate) fn of_paste(text: &str) -> Option<Self> {
        let long = text.len() > MOST_BYTES || text.lines().count() > MOST_LINES;
        long.then(|| Self {
            origin: Origin::Paste,
            content: text.to_owned(),
        })
    }

    /// What is written in the input. `tokens` is what the engine counted.
    pub(crate) fn label(&self, tokens: Option<usize>) -> String {
        let bytes = format::bytes(self.content.len() as u64);
        let tokens = match tokens {
            Some(tokens) => format!("{} tokens", thousands(tokens)),
            None => format!("~{} tokens", about(self.content.len() / BYTES_A_TOKEN)),
        };
        match &self.origin {
            Origin::Paste => {
                let lines = self.content.lines().count();
                let noun = if lines == 1 { "line" } else { "lines" };
                format!("[pasted {bytes}, {} {noun}, {tokens}]", thousands(lines))
            }
            Origin::File(name) => format!("[{} {bytes}, {tokens}]", in_a_label(name)),
        }
    }

    /// What the model reads: a paste as it is, a file between two lines that name it.
    pub(crate) fn written_out(&self) -> String {
        match &self.origin {
            Origin::Paste => self.content.clone(),
            Origin::File(name) => {
                let end = if self.content.ends_with('\n') {
                    ""
                } else {
                    "\n"
                };
                let name = in_a_label(name).replace('"', "'");
                format!("<file name=\"{name}\">\n{}{end}</file>", self.content)
            }
        }
    }
}

/// A name on one line, without the brackets that end a label.
fn in_a_label(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            '[' => '(',
            ']' => ')',
            c if c.is_control() => '?',
            c => c,
        })
        .collect()
}

/// `1,234,567`.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `25k`, `310`.
fn about(number: usize) -> String {
    match number {
        0..1000 => number.max(1).to_string(),
        _ => format!("{}k", (number + 500) / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_pastes_are_chips_and_short_ones_are_text() {
        assert_eq!(Chip::of_paste(&"x".repeat(2_000)), None);
        let lines = "a line\n".repeat(1_234);
        let chip = Chip::of_paste(&lines).unwrap();
        assert_eq!(chip.label(None), "[pasted 8 KiB, 1,234 lines, ~2k tokens]");
        assert_eq!(
            chip.label(Some(3702)),
            "[pasted 8 KiB, 1,234 lines, 3,702 tokens]"
        );
        assert_eq!(chip.written_out(), lines);
        assert!(
            Chip::of_paste(&"x\n".repeat(16)).is_some(),
            "few bytes, many lines"
        );
    }

    #[test]
    fn a_file_is_wrapped_in_lines_that_name_it() {
        let file = |name: &str, content: &str| Chip {
            origin: Origin::File(name.to_owned()),
            content: content.to_owned(),
        };
        let chip = file("notes.txt", "one\ntwo");
        assert_eq!(
            chip.written_out(),
            "<file name=\"notes.txt\">\none\ntwo\n</file>"
        );
        assert_eq!(chip.label(Some(1020)), "[notes.txt 7 B, 1,020 tokens]");
        let odd = file("a[1]\"\n.txt", "x\n");
        assert_eq!(odd.label(None), "[a(1)\"?.txt 2 B, ~1 tokens]");
        assert!(
            odd.written_out()
                .starts_with("<file name=\"a(1)'?.txt\">\nx\n</file>")
        );
    }

    #[test]
    fn digits_in_threes() {
        let shown = [0, 999, 1_000, 12_345, 1_234_567].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }
}
