use tritone_formats::alphabet;

use super::TextError;

/// How files spell ordinary tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// In the byte alphabet of GPT-2.
    Bytes,
    /// As text with [`SPACE`] for a space; single bytes as `<0x0A>`.
    Pieces,
}

/// Stands for a space in vocabularies of pieces (U+2581).
pub(super) const SPACE: char = '\u{2581}';

/// What a token is for (`tokenizer.ggml.token_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A piece of ordinary text.
    Normal,
    /// A mark that only a template or the model may write, and that is not shown.
    Control,
    /// A literal that stands for itself wherever it occurs.
    UserDefined,
    /// A single byte, in a vocabulary of pieces: for what is no piece.
    Byte,
    /// In the table to fill it up, or for what cannot be encoded; never written, not shown.
    Unused,
}

/// The bytes of every token, in one buffer.
#[derive(Debug)]
pub(super) struct Vocabulary {
    spelling: Spelling,
    bytes: Vec<u8>,
    ends: Vec<u32>,
    kinds: Vec<Kind>,
}

impl Vocabulary {
    pub(super) fn with_capacity(spelling: Spelling, tokens: usize) -> Self {
        Self {
            spelling,
            bytes: Vec::with_capacity(tokens * 8),
            ends: Vec::with_capacity(tokens),
            kinds: Vec::with_capacity(tokens),
        }
    }

    /// Adds the next token. `text` is its spelling in the file. The value says whether text can be
    /// this token by merging; others stand for the bytes of `text` itself.
    pub(super) fn push(&mut self, text: &[u8], kind: Kind) -> Result<bool, TextError> {
        let start = self.bytes.len();
        let is_reached = match (self.spelling, kind) {
            (Spelling::Bytes, Kind::Normal) => {
                let is_spelled = alphabet::unspell(text, &mut self.bytes) == text.len();
                if !is_spelled {
                    self.bytes.truncate(start);
                    self.bytes.extend_from_slice(text);
                }
                is_spelled
            }
            (Spelling::Pieces, Kind::Normal | Kind::UserDefined) => {
                push_piece(text, &mut self.bytes);
                // Text has the other character for every space when it is merged.
                kind == Kind::Normal && !text.is_empty() && !text.contains(&b' ')
            }
            (_, Kind::Byte) => {
                self.bytes.extend(byte_of(text));
                false
            }
            _ => {
                self.bytes.extend_from_slice(text);
                false
            }
        };
        let end = u32::try_from(self.bytes.len())
            .map_err(|_| TextError::Internal("the tokens have more than 4 GiB of text".into()))?;
        self.ends.push(end);
        self.kinds.push(kind);
        Ok(is_reached)
    }

    /// Gives back memory that was kept for more tokens.
    pub(super) fn shrink_to_fit(&mut self) {
        self.bytes.shrink_to_fit();
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes that token `id` writes; none if it lies outside the vocabulary.
    #[inline]
    pub(super) fn bytes(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let Some(&end) = self.ends.get(id) else {
            return &[];
        };
        let start = id.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start as usize..end as usize]
    }

    /// Whether `id` is an ordinary token.
    #[inline]
    pub(super) fn is_word(&self, id: u32) -> bool {
        self.kind(id) == Some(Kind::Normal)
    }

    pub(super) fn kind(&self, id: u32) -> Option<Kind> {
        self.kinds.get(id as usize).copied()
    }
}

/// Appends `text` with spaces where it has [`SPACE`].
pub(super) fn push_piece(text: &[u8], out: &mut Vec<u8>) {
    const SPELLED: &[u8; 3] = b"\xe2\x96\x81";
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(SPELLED) {
            out.push(b' ');
            rest = after;
        } else {
            out.push(first);
            rest = after;
        }
    }
}

/// The byte that a token spelled `<0x0A>` stands for.
pub(super) fn byte_of(text: &[u8]) -> Option<u8> {
    let &[b'<', b'0', b'x', high, low, b'>'] = text else {
        return None;
    };
    let digit = |char: u8| match char {
        b'0'..=b'9' => Some(char - b'0'),
        b'A'..=b'F' => Some(char - b'A' + 10),
        _ => None,
    };
    Some(digit(high)? << 4 | digit(low)?)
}
