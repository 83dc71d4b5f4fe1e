use super::{TextError, alphabet};

/// What a token is for (`tokenizer.ggml.token_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A piece of ordinary text.
    Normal,
    /// A mark that only a template or the model may write, and that is not shown.
    Control,
    /// A literal that stands for itself wherever it occurs.
    UserDefined,
    /// In the table to fill it up, or for what cannot be encoded; never written, not shown.
    Unused,
}

/// The bytes of every token, in one buffer.
#[derive(Debug)]
pub(super) struct Vocabulary {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    kinds: Vec<Kind>,
}

impl Vocabulary {
    pub(super) fn with_capacity(tokens: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(tokens * 8),
            ends: Vec::with_capacity(tokens),
            kinds: Vec::with_capacity(tokens),
        }
    }

    /// Adds the next token. `text` is its spelling in the file. The value says whether this is one
    /// in the byte alphabet; without, the token stands for the bytes of `text` itself.
    pub(super) fn push(&mut self, text: &[u8], kind: Kind) -> Result<bool, TextError> {
        let start = self.bytes.len();
        let is_spelled =
            kind == Kind::Normal && alphabet::unspell(text, &mut self.bytes) == text.len();
        if !is_spelled {
            self.bytes.truncate(start);
            self.bytes.extend_from_slice(text);
        }
        let end = u32::try_from(self.bytes.len())
            .map_err(|_| TextError::Internal("the tokens have more than 4 GiB of text".into()))?;
        self.ends.push(end);
        self.kinds.push(kind);
        Ok(is_spelled)
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
