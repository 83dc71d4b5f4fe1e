//! Whether an answer is the expected one.

use clap::ValueEnum;

/// How an answer is compared with the expected ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Match {
    /// Character by character, without white space around it.
    Exact,
    /// Small letters, white space as one space, without punctuation at both ends of words.
    Normal,
    /// As `normal`, and the expected words may stand anywhere in the answer.
    Contains,
    /// The last number of the answer, by its value: 1,000.0 is 1000.
    Number,
}

impl Match {
    /// The name of the flag's value.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Normal => "normal",
            Self::Contains => "contains",
            Self::Number => "number",
        }
    }

    /// Whether `answer` is one of `expected`.
    pub(super) fn accepts(self, answer: &str, expected: &[String]) -> bool {
        expected.iter().any(|one| match self {
            Self::Exact => answer.trim() == one.trim(),
            Self::Normal => words(answer) == words(one),
            Self::Contains => {
                let (answer, one) = (words(answer), words(one));
                !one.is_empty() && answer.windows(one.len()).any(|part| part == one)
            }
            Self::Number => {
                let found = number(answer);
                found.is_some() && found == number(one)
            }
        })
    }
}

/// Words in small letters, without punctuation around them. A sign or a point before a digit is part
/// of the word.
fn words(text: &str) -> Vec<String> {
    let bare = |word: &str| {
        let word = word.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '%');
        let begin = word.find(char::is_alphanumeric)?;
        let before = word[..begin].chars().next_back();
        let digit = word[begin..].starts_with(|c: char| c.is_ascii_digit());
        let sign = before.filter(|c| digit && matches!(c, '-' | '.'));
        let begin = begin - sign.map_or(0, char::len_utf8);
        Some(word[begin..].to_lowercase())
    };
    text.split_whitespace().filter_map(bare).collect()
}

/// The last number in a text: sign, digits without leading and trailing zeros. Commas between
/// groups of three digits are left out.
fn number(text: &str) -> Option<(bool, String, String)> {
    let bytes = text.as_bytes();
    let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    let last = bytes.iter().rposition(u8::is_ascii_digit)?;
    let mut begin = last;
    while let Some(before) = begin.checked_sub(1) {
        let joins = match bytes[before] {
            b'0'..=b'9' | b'.' => true,
            // Between groups of three digits.
            b',' => (1..=3).all(|i| digit(before + i)) && !digit(before + 4),
            _ => false,
        };
        if !joins {
            break;
        }
        begin = before;
    }
    let negative = text[..begin].ends_with('-');
    let plain: String = text[begin..=last].chars().filter(|c| *c != ',').collect();
    // Of 192.168.0.1 or "1.2" the last point is the one of a fraction.
    let (whole, fraction) = plain.rsplit_once('.').unwrap_or((&plain, ""));
    let whole = whole.rsplit('.').next().unwrap_or_default();
    let whole = whole.trim_start_matches('0').to_owned();
    let fraction = fraction.trim_end_matches('0').to_owned();
    let zero = whole.is_empty() && fraction.is_empty();
    Some((negative && !zero, whole, fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(how: Match, answer: &str, expected: &str) -> bool {
        how.accepts(answer, &["never".to_owned(), expected.to_owned()])
    }

    #[test]
    fn answers_are_compared_as_asked() {
        assert!(accepts(Match::Exact, " Lima.\n", "Lima."));
        assert!(!accepts(Match::Exact, "Lima", "Lima."));
        assert!(accepts(Match::Normal, "  \"LIMA\",  Peru. ", "lima Peru"));
        assert!(!accepts(Match::Normal, "-5", "5"));
        assert!(accepts(Match::Normal, "(-5)", "-5"));
        assert!(!accepts(Match::Normal, "The capital is Lima.", "Lima"));
        assert!(accepts(Match::Contains, "The capital is Lima.", "Lima"));
        assert!(!accepts(Match::Contains, "Limacine", "Lima"));
        assert!(!accepts(Match::Contains, "anything", "..."));
    }

    #[test]
    fn numbers_are_compared_by_value() {
        for (answer, expected) in [
            ("7 + 5 = 12.", "12"),
            ("It is 1,000.50 in all", "1000.5"),
            ("-0", "0"),
            ("it fell to -3", "-3.0"),
            ("1,2,3", "3"),
            ("007", "7"),
            ("12,345,678", "12345678"),
        ] {
            assert!(accepts(Match::Number, answer, expected), "{answer}");
        }
        for (answer, expected) in [
            ("12", "-12"),
            ("1.5", "15"),
            ("none", "0"),
            ("12 or 13", "12"),
        ] {
            assert!(!accepts(Match::Number, answer, expected), "{answer}");
        }
    }
}
