//! The byte alphabet of GPT-2, in which vocabularies spell tokens: every byte as one printable character.
//!
//! The printable bytes of Latin-1 stand for themselves, the other 68 for U+0100 and up, in order.

/// Characters of the alphabet lie below this code point.
const END: usize = 0x144;

/// The byte that each of them stands for.
const BYTES: [Option<u8>; END] = {
    let mut bytes = [None; END];
    let mut moved = 0x100;
    let mut byte = 0;
    while byte < 256 {
        let char = match byte {
            33..=126 | 161..=172 | 174..=255 => byte,
            _ => {
                moved += 1;
                moved - 1
            }
        };
        bytes[char] = Some(byte as u8);
        byte += 1;
    }
    bytes
};

/// The character that stands for each byte.
const LETTERS: [char; 256] = {
    let mut letters = ['\0'; 256];
    let mut char = '\0';
    while (char as usize) < END {
        if let Some(byte) = BYTES[char as usize] {
            letters[byte as usize] = char;
        }
        char = match char::from_u32(char as u32 + 1) {
            Some(next) => next,
            None => break,
        };
    }
    letters
};

/// The character that stands for `byte`.
pub fn letter(byte: u8) -> char {
    LETTERS[usize::from(byte)]
}

/// Appends the bytes that the characters at the beginning of `text` stand for, up to the first that
/// is not in the alphabet, or not UTF-8. The value is how much of `text` they take up.
pub fn unspell(text: &[u8], out: &mut Vec<u8>) -> usize {
    let mut at = 0;
    out.reserve(text.len());
    while let Some(&first) = text.get(at) {
        if matches!(first, 33..=126) {
            out.push(first);
            at += 1;
            continue;
        }
        // All others of the alphabet take two bytes in UTF-8.
        let Some(&second) = text.get(at + 1) else {
            break;
        };
        if !matches!((first, second), (0xc2..=0xc5, 0x80..=0xbf)) {
            break;
        }
        let char = usize::from(first & 0x1f) << 6 | usize::from(second & 0x3f);
        let Some(&Some(byte)) = BYTES.get(char) else {
            break;
        };
        out.push(byte);
        at += 2;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let spelled: String = all.iter().map(|&byte| letter(byte)).collect();
        assert!(!spelled.chars().any(|c| c.is_whitespace() || c.is_control()));
        let mut back = Vec::new();
        assert_eq!(unspell(spelled.as_bytes(), &mut back), spelled.len());
        assert_eq!(back, all);
        assert_eq!(
            (letter(b' '), letter(b'\n'), letter(0xad)),
            ('Ġ', 'Ċ', '\u{143}')
        );
    }

    #[test]
    fn reading_stops_at_what_is_not_in_the_alphabet() {
        for (text, end, bytes) in [
            ("aĠ b".as_bytes(), 3, &b"a "[..]),
            ("Ġ語".as_bytes(), 2, b" "),
            ("\u{ad}".as_bytes(), 0, b""),
            ("!\u{144}".as_bytes(), 1, b"!"),
            (b"a\xc4", 1, b"a"),
            (b"a\xc4a", 1, b"a"),
            (b"\xc1\xa1", 0, b""),
            (b"~\x7f", 1, b"~"),
            (b"", 0, b""),
        ] {
            let mut out = vec![b'x'];
            assert_eq!(unspell(text, &mut out), end, "{text:?}");
            assert_eq!(&out[1..], bytes, "{text:?}");
        }
    }
}
