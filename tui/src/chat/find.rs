//! Finding text, whatever the case of its letters.

use std::ops::Range;

/// The places where `text` says `wanted`, which do not overlap. Letters are compared one by one,
/// as small ones.
pub(crate) fn all<'a>(text: &'a str, wanted: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    let first = wanted.chars().next();
    let mut at = 0;
    std::iter::from_fn(move || {
        let first = first?;
        loop {
            let start = at + next(text.get(at..)?, first)?;
            if let Some(len) = begins(text.get(start..)?, wanted) {
                at = start + len;
                return Some(start..at);
            }
            at = start + text.get(start..)?.chars().next()?.len_utf8();
        }
    })
}

/// Where `wanted` comes next, with the case of its letters or the other one.
fn next(text: &str, wanted: char) -> Option<usize> {
    match u8::try_from(wanted) {
        // A byte of ASCII is a character.
        Ok(byte) if byte.is_ascii() => {
            let (small, large) = (byte.to_ascii_lowercase(), byte.to_ascii_uppercase());
            text.bytes().position(|b| b == small || b == large)
        }
        _ => text.find(|c| same(c, wanted)),
    }
}

fn same(a: char, b: char) -> bool {
    if a.is_ascii() || b.is_ascii() {
        return a.eq_ignore_ascii_case(&b);
    }
    a == b || a.to_lowercase().eq(b.to_lowercase())
}

/// Bytes that `wanted` takes at the start of `text`.
fn begins(text: &str, wanted: &str) -> Option<usize> {
    let mut chars = text.chars();
    let mut len = 0;
    for expected in wanted.chars() {
        let c = chars.next().filter(|&c| same(c, expected))?;
        len += c.len_utf8();
    }
    Some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_both_cases() {
        let found = |text: &str, wanted: &str| all(text, wanted).collect::<Vec<_>>();
        assert_eq!(found("Fox, fox, FOXES", "fox"), [0..3, 5..8, 10..13]);
        assert_eq!(found("aaaa", "aa"), [0..2, 2..4]);
        assert_eq!(found("ÄRGER ärger", "är"), [0..3, 7..10]);
        assert_eq!(found("漢字漢字", "字"), [3..6, 9..12]);
        assert!(found("abc", "").is_empty() && found("", "a").is_empty());
    }
}
