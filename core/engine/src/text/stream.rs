use super::Tokenizer;

/// Joins pieces of UTF-8 that may be cut inside a character.
///
/// The concatenation of everything returned is what [`String::from_utf8_lossy`] makes of all the
/// bytes: U+FFFD stands in for bytes that cannot be part of a character, as soon as that is
/// certain.
#[derive(Debug, Clone, Default)]
pub struct Utf8Stream {
    /// The beginning of a character: at most three bytes between calls.
    pending: Vec<u8>,
}

impl Utf8Stream {
    /// Takes `bytes` in, and appends the characters that are now complete to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut String) {
        self.pending.extend_from_slice(bytes);
        let mut done = 0;
        for chunk in self.pending.utf8_chunks() {
            out.push_str(chunk.valid());
            done += chunk.valid().len();
            let invalid = chunk.invalid();
            // At the end of what has come so far, the beginning of a character may yet be one.
            let may_go_on = done + invalid.len() == self.pending.len()
                && std::str::from_utf8(invalid).is_err_and(|err| err.error_len().is_none());
            if !invalid.is_empty() && !may_go_on {
                out.push(char::REPLACEMENT_CHARACTER);
                done += invalid.len();
            }
        }
        self.pending.drain(..done);
    }

    /// Ends the stream: an unfinished character becomes U+FFFD.
    pub fn finish(&mut self, out: &mut String) {
        if !self.pending.is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
            self.pending.clear();
        }
    }
}

/// Turns the tokens of an answer into text, piece by piece.
///
/// A piece never ends inside a character; control tokens write nothing.
#[derive(Debug, Clone, Default)]
pub struct TokenStream {
    utf8: Utf8Stream,
    /// A space that comes now is one that encoding would have put there.
    drops_space: bool,
}

impl TokenStream {
    /// The stream of what comes after `token`, or with `None` at the beginning of a text.
    pub fn after(tokenizer: &Tokenizer, token: Option<u32>) -> Self {
        Self {
            utf8: Utf8Stream::default(),
            drops_space: tokenizer.puts_space_after(token),
        }
    }

    /// The text that `token` completes; often a word, sometimes nothing. An id outside the
    /// vocabulary writes nothing.
    pub fn push(&mut self, tokenizer: &Tokenizer, token: u32) -> String {
        let mut out = String::new();
        if !tokenizer.is_hidden(token) {
            let bytes = tokenizer.decode_bytes(token);
            let rest = bytes.strip_prefix(b" ").filter(|_| self.drops_space);
            self.utf8.push(rest.unwrap_or(bytes), &mut out);
            self.drops_space = false;
        }
        out
    }

    /// Ends the answer: what is left of an unfinished character, as U+FFFD.
    pub fn finish(&mut self) -> String {
        let mut out = String::new();
        self.utf8.finish(&mut out);
        out
    }
}
