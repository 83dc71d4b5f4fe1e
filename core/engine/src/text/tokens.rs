use std::collections::HashMap;

use super::bpe::Bpe;
use super::error::shortened;
use super::lookup::Lookup;
use super::merges::{Merge, Merges};
use super::stop::is_stop_name;
use super::vocabulary::{Kind, Vocabulary};
use super::{TextError, TokenizerSpec, alphabet};

/// The tokens of a file, sorted by what they are for.
pub(super) struct Tokens {
    pub(super) vocabulary: Vocabulary,
    pub(super) bpe: Bpe,
    /// The texts of control and user-defined tokens, and their ids.
    pub(super) literals: Vec<String>,
    pub(super) literal_ids: Vec<u32>,
}

impl Tokens {
    /// Reads the lists of a file.
    ///
    /// # Errors
    ///
    /// If they do not fit together; the error names the entry.
    pub(super) fn collect(spec: &TokenizerSpec<'_>) -> Result<Self, TextError> {
        let size = spec.tokens.len();
        let mut vocabulary = Vocabulary::with_capacity(size);
        let mut lookup = Lookup::with_capacity(size);
        let mut foreign = HashMap::new();
        let mut literals = Vec::new();
        let mut literal_ids = Vec::new();
        for (index, bytes) in spec.tokens.iter().enumerate() {
            let id = u32::try_from(index)
                .ok()
                .filter(|&id| id < u32::MAX)
                .ok_or_else(|| TextError::Internal("too many tokens".into()))?;
            let kind = kind_of(spec, id, bytes);
            let is_spelled = vocabulary.push(bytes, kind)?;
            // Whatever is spelled in the alphabet is UTF-8.
            let text = || {
                let text = std::str::from_utf8(bytes);
                text.map_err(|_| TextError::TokenNotUtf8 { id: index })
            };
            // Control tokens are kept apart: a text must not become one because it happens to be
            // one word and to have the same letters.
            let earlier = if is_spelled {
                lookup.insert(&vocabulary, id)
            } else if kind == Kind::Normal {
                foreign.insert(text()?, id)
            } else {
                let text = text()?;
                if kind != Kind::Unused && !text.is_empty() {
                    literals.push(text.to_owned());
                    literal_ids.push(id);
                }
                lookup.insert(&vocabulary, id)
            };
            if let Some(first) = earlier {
                return Err(TextError::DuplicateToken {
                    text: shortened(text()?),
                    first,
                    second: id,
                });
            }
        }
        vocabulary.shrink_to_fit();
        let mut letters = [0; 256];
        for (letter, byte) in letters.iter_mut().zip(0..=255) {
            *letter = lookup
                .word(&vocabulary, &[byte])
                .ok_or(TextError::MissingByte { byte })?;
        }
        let mut merges = Merges::with_capacity(spec.merges.len())?;
        let mut names = Names {
            vocabulary: &vocabulary,
            lookup: &lookup,
            letters: &letters,
            foreign,
            last: 0,
        };
        let mut buffer = Vec::new();
        for (rank, (index, entry)) in (0..).zip(spec.merges.iter().enumerate()) {
            let [left, right, id] = names.of_merge(index, entry, &mut buffer)?;
            merges.insert(left, right, Merge { rank, id });
        }
        let bpe = Bpe {
            lookup,
            letters,
            merges,
        };
        Ok(Self {
            vocabulary,
            bpe,
            literals,
            literal_ids,
        })
    }
}

/// Ordinary tokens by their spelling in the file.
struct Names<'a> {
    vocabulary: &'a Vocabulary,
    lookup: &'a Lookup,
    letters: &'a [u32; 256],
    /// Those that are not spelled in the byte alphabet. No text becomes one of them, but merges
    /// may name them.
    foreign: HashMap<&'a str, u32>,
    /// What the last merge made.
    last: u32,
}

impl Names<'_> {
    /// The tokens of a merge: left, right, and what they become. `buffer` is for its use.
    fn of_merge(
        &mut self,
        index: usize,
        entry: &[u8],
        buffer: &mut Vec<u8>,
    ) -> Result<[u32; 3], TextError> {
        buffer.clear();
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

    /// The same for what is not spelled in the alphabet, or wrong.
    fn of_odd_merge(&self, index: usize, entry: &[u8]) -> Result<[u32; 3], TextError> {
        let syntax = || {
            let text = shortened(&String::from_utf8_lossy(entry));
            TextError::MergeSyntax { index, text }
        };
        let text = std::str::from_utf8(entry).map_err(|_| syntax())?;
        let (left, right) = text.split_once(' ').ok_or_else(syntax)?;
        if left.is_empty() || right.is_empty() || right.contains(' ') {
            return Err(syntax());
        }
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

/// What token `id` is for. Tokens that begin or end texts are control tokens, whatever the file
/// says about them: some converters mark them as ordinary.
fn kind_of(spec: &TokenizerSpec<'_>, id: u32, text: &[u8]) -> Kind {
    let declared = [spec.bos, spec.eos, spec.eot, spec.pad].contains(&Some(id));
    if declared || is_stop_name(text) {
        return Kind::Control;
    }
    match spec.token_types.get(id as usize) {
        Some(3) => Kind::Control,
        Some(4) => Kind::UserDefined,
        Some(2 | 5) => Kind::Unused,
        _ => Kind::Normal,
    }
}
