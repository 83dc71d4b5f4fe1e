use std::collections::HashMap;

use tritone_formats::alphabet;

use super::TextError;
use super::error::shortened;
use super::lookup::Lookup;
use super::vocabulary::{Kind, Spelling, Vocabulary, push_piece};

/// Ordinary tokens by their spelling in the file.
pub(super) struct Names<'a> {
    pub(super) spelling: Spelling,
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) lookup: &'a Lookup,
    pub(super) letters: &'a [u32; 256],
    /// Those that are not spelled in the byte alphabet. No text becomes one of them, but merges
    /// may name them.
    pub(super) foreign: HashMap<&'a str, u32>,
    /// What the last merge made.
    pub(super) last: u32,
}

impl Names<'_> {
    /// The tokens of a merge: left, right, and what they become. `buffer` is for its use.
    ///
    /// # Errors
    ///
    /// If it is not two tokens that make a third.
    pub(super) fn of_merge(
        &mut self,
        index: usize,
        entry: &[u8],
        buffer: &mut Vec<u8>,
    ) -> Result<[u32; 3], TextError> {
        buffer.clear();
        if self.spelling == Spelling::Pieces {
            return self.of_pieces(index, entry, buffer);
        }
        // The space between the parts is not in the alphabet, so reading stops there.
        let space = alphabet::unspell(entry, buffer);
        let middle = buffer.len();
        if let Some((b' ', right)) = entry[space..].split_first()
            && alphabet::unspell(right, buffer) == right.len()
            && (1..buffer.len()).contains(&middle)
            && let Some(left) = self.part(&buffer[..middle])
            && let Some(right) = self.part(&buffer[middle..])
            && let Some(merged) = self.merged(buffer)
        {
            self.last = merged;
            return Ok([left, right, merged]);
        }
        self.of_odd_merge(index, entry)
    }

    /// The same for a vocabulary of pieces.
    fn of_pieces(
        &self,
        index: usize,
        entry: &[u8],
        buffer: &mut Vec<u8>,
    ) -> Result<[u32; 3], TextError> {
        let (left, right) = parts_of(index, entry)?;
        let id = |bytes: &[u8], text: &dyn Fn() -> String| {
            // Merges of SentencePiece models name their user-defined pieces too.
            let special = || self.lookup.special(self.vocabulary, bytes);
            let defined = |&id: &u32| self.vocabulary.kind(id) == Some(Kind::UserDefined);
            let found = self.lookup.word(self.vocabulary, bytes);
            let found = found.or_else(|| special().filter(defined));
            found.ok_or_else(|| TextError::MergeUnknown {
                index,
                token: shortened(&text()),
            })
        };
        push_piece(left.as_bytes(), buffer);
        let middle = buffer.len();
        push_piece(right.as_bytes(), buffer);
        Ok([
            id(&buffer[..middle], &|| left.to_owned())?,
            id(&buffer[middle..], &|| right.to_owned())?,
            id(buffer, &|| [left, right].concat())?,
        ])
    }

    /// The same for what is not spelled in the alphabet, or wrong.
    fn of_odd_merge(&self, index: usize, entry: &[u8]) -> Result<[u32; 3], TextError> {
        let (left, right) = parts_of(index, entry)?;
        let id = |text: &str| {
            let mut bytes = Vec::new();
            let is_spelled = alphabet::unspell(text.as_bytes(), &mut bytes) == text.len();
            let id = if is_spelled {
                self.lookup.word(self.vocabulary, &bytes)
            } else {
                self.foreign.get(text).copied()
            };
            id.ok_or_else(|| TextError::MergeUnknown {
                index,
                token: shortened(text),
            })
        };
        Ok([id(left)?, id(right)?, id(&[left, right].concat())?])
    }

    fn part(&self, bytes: &[u8]) -> Option<u32> {
        match *bytes {
            [byte] => Some(self.letters[usize::from(byte)]),
            _ => self.lookup.word(self.vocabulary, bytes),
        }
    }

    /// The token with these bytes. Files list the merges in the order of what they make, so it is
    /// most likely the one of the last merge, or the one after that.
    fn merged(&self, bytes: &[u8]) -> Option<u32> {
        let near = [self.last, self.last.saturating_add(1)];
        let is_it = |&id: &u32| self.vocabulary.bytes(id) == bytes && self.vocabulary.is_word(id);
        // A token that is not spelled in the alphabet may have the same bytes as one that is.
        let found = near
            .into_iter()
            .filter(|_| self.foreign.is_empty())
            .find(is_it);
        found.or_else(|| self.lookup.word(self.vocabulary, bytes))
    }
}

/// The two texts of a merge.
fn parts_of(index: usize, entry: &[u8]) -> Result<(&str, &str), TextError> {
    let syntax = || {
        let text = shortened(&String::from_utf8_lossy(entry));
        TextError::MergeSyntax { index, text }
    };
    let text = std::str::from_utf8(entry).map_err(|_| syntax())?;
    let (left, right) = text.split_once(' ').ok_or_else(syntax)?;
    if left.is_empty() || right.is_empty() || right.contains(' ') {
        return Err(syntax());
    }
    Ok((left, right))
}
