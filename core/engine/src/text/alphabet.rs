//! The byte alphabet of GPT-2: every byte as one printable character.
//!
//! The printable bytes of Latin-1 stand for themselves, the other 68 for U+0100 and up, in order.

use std::sync::LazyLock;

/// Characters of the alphabet lie below this code point.
const END: usize = 0x144;

struct Alphabet {
    chars: [char; 256],
    bytes: [Option<u8>; END],
}

static ALPHABET: LazyLock<Alphabet> = LazyLock::new(|| {
    let mut alphabet = Alphabet {
        chars: ['\0'; 256],
        bytes: [None; END],
    };
    let mut moved = 0x100u32;
    for byte in 0..=255u8 {
        let char = match byte {
            33..=126 | 161..=172 | 174..=255 => char::from(byte),
            _ => {
                moved += 1;
                char::from_u32(moved - 1).unwrap_or_default()
            }
        };
        alphabet.chars[usize::from(byte)] = char;
        alphabet.bytes[char as usize] = Some(byte);
    }
    alphabet
});

/// The character that stands for `byte`.
pub(super) fn char_of(byte: u8) -> char {
    ALPHABET.chars[usize::from(byte)]
}

/// Appends the alphabet form of `bytes` to `out`.
pub(super) fn spell(bytes: &[u8], out: &mut String) {
    out.extend(bytes.iter().map(|&byte| char_of(byte)));
}

/// Appends the bytes that `token` stands for, or its own bytes if a character is not in the
/// alphabet.
pub(super) fn unspell(token: &str, out: &mut Vec<u8>) {
    let start = out.len();
    for char in token.chars() {
        match ALPHABET.bytes.get(char as usize) {
            Some(Some(byte)) => out.push(*byte),
            _ => {
                out.truncate(start);
                out.extend_from_slice(token.as_bytes());
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let mut spelled = String::new();
        spell(&all, &mut spelled);
        assert!(!spelled.chars().any(|c| c.is_whitespace() || c.is_control()));
        let mut back = Vec::new();
        unspell(&spelled, &mut back);
        assert_eq!(back, all);
        assert_eq!(
            (char_of(b' '), char_of(b'\n'), char_of(0xad)),
            ('Ġ', 'Ċ', '\u{143}')
        );
    }

    #[test]
    fn foreign_characters_keep_their_own_bytes() {
        let mut out = vec![b'x'];
        unspell("Ġ語", &mut out);
        assert_eq!(out, "xĠ語".as_bytes());
    }
}
