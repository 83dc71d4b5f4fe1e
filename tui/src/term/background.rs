//! Whether the terminal is dark or light, by asking it (OSC 11).
//!
//! The question is written and the program goes on; the answer comes among the keys whenever it
//! comes ([`super::input`] tells it from typing), so that a slow line delays nothing and a terminal
//! that does not know the question costs nothing. It is asked again when the window gets the focus
//! and when the program goes on after it was stopped: the theme of a desktop changes at dusk.

use std::io::{self, Write};

use crate::view::theme::Background;

/// The question.
const QUESTION: &[u8] = b"\x1b]11;?\x1b\\";

/// Longest answer between introducer and end.
pub(super) const LONGEST: usize = 48;

/// Asks.
pub(super) fn ask(out: &mut impl Write) -> io::Result<()> {
    out.write_all(QUESTION)?;
    out.flush()
}

/// Whether the terminal can be asked: the console of Linux and simple ones cannot.
pub(super) fn can_be_asked(env: &dyn Fn(&str) -> Option<String>) -> bool {
    let term = env("TERM").unwrap_or_default();
    !matches!(term.as_str(), "" | "dumb" | "linux")
}

/// What the environment says, for terminals that do not answer: `COLORFGBG` ends with the number of
/// the background's colour.
pub(super) fn from_environment(env: &dyn Fn(&str) -> Option<String>) -> Background {
    let colors = env("COLORFGBG").unwrap_or_default();
    let number = colors.rsplit(';').next().and_then(|last| last.parse().ok());
    match number {
        Some(7_u8 | 9..=15) => Background::Light,
        Some(0..=6 | 8) => Background::Dark,
        Some(_) | None => Background::Unknown,
    }
}

/// Reads an answer: `11;rgb:ffff/ffff/ffff`, the digits of a part being one to four.
pub(super) fn read(answer: &str) -> Option<Background> {
    let colors = answer.strip_prefix("11;")?;
    let parts = colors
        .strip_prefix("rgb:")
        .or_else(|| colors.strip_prefix("rgba:"))?;
    let mut parts = parts.split('/').map(share);
    let (red, green, blue) = (parts.next()??, parts.next()??, parts.next()??);
    // How bright the eye finds it (ITU-R BT.601).
    let bright = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5;
    Some(match bright {
        true => Background::Light,
        false => Background::Dark,
    })
}

/// Whether `text` may be the beginning of an answer.
pub(super) fn may_be(text: &str) -> bool {
    let beginning = "11;rgb";
    let common = text.len().min(beginning.len());
    text.len() <= LONGEST
        && text.get(..common) == beginning.get(..common)
        && text.get(common..).is_some_and(|rest| {
            rest.chars()
                .all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '/'))
        })
}

/// A part of a colour, from 0 to 1.
fn share(digits: &str) -> Option<f64> {
    if !(1..=4).contains(&digits.len()) {
        return None;
    }
    let value = u32::from_str_radix(digits, 16).ok()?;
    let most = 16_u32.checked_pow(u32::try_from(digits.len()).ok()?)? - 1;
    Some(f64::from(value) / f64::from(most))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_of_terminals() {
        for (answer, expected) in [
            ("11;rgb:0000/0000/0000", Some(Background::Dark)),
            ("11;rgb:1e1e/1e1e/2e2e", Some(Background::Dark)),
            ("11;rgb:ffff/ffff/ffff", Some(Background::Light)),
            ("11;rgb:fd/f6/e3", Some(Background::Light)),
            ("11;rgba:ffff/ffff/ffff/8000", Some(Background::Light)),
            ("11;rgb:ffff/ffff", None),
            ("11;rgb:fffff/0/0", None),
            ("10;rgb:0/0/0", None),
            ("11;rgb:x/y/z", None),
        ] {
            assert_eq!(read(answer), expected, "{answer}");
        }
        for end in ["11", "11;rgb:ffff/ff", "11;rgba:1/2/3/4"] {
            assert!(may_be(end), "{end}");
        }
        for end in ["12", "1x", "11;rgb:ffff/ff hello", "11;rgx"] {
            assert!(!may_be(end), "{end}");
        }
    }

    #[test]
    fn what_the_environment_says() {
        let of = |colors: &'static str| from_environment(&|_| Some(colors.to_owned()));
        assert_eq!(of("15;0"), Background::Dark);
        assert_eq!(of("0;default;15"), Background::Light);
        assert_eq!(of("0;default"), Background::Unknown);
        assert_eq!(from_environment(&|_| None), Background::Unknown);
    }

    proptest! {
        #[test]
        fn no_answer_is_too_strange(text in any::<String>()) {
            read(&text);
            may_be(&text);
        }
    }
}
