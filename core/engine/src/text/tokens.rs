use std::collections::HashMap;

use super::bpe::{Bpe, Order, UNKNOWN};
use super::error::shortened;
use super::lookup::Lookup;
use super::merges::{Merge, Merges};
use super::names::Names;
use super::scores::Scores;
use super::stop::is_stop_name;
use super::vocabulary::{Kind, Spelling, Vocabulary, byte_of};
use super::{TextError, TokenizerSpec};

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
    pub(super) fn collect(spec: &TokenizerSpec<'_>, spelling: Spelling) -> Result<Self, TextError> {
        let size = spec.tokens.len();
        let mut vocabulary = Vocabulary::with_capacity(spelling, size);
        let mut lookup = Lookup::with_capacity(size);
        let mut foreign = HashMap::new();
        let mut literals = Vec::new();
        let mut literal_ids = Vec::new();
        let mut letters = [None; 256];
        for (index, bytes) in spec.tokens.iter().enumerate() {
            let id = u32::try_from(index)
                .ok()
                .filter(|&id| id < UNKNOWN)
                .ok_or_else(|| TextError::Internal("too many tokens".into()))?;
            let kind = kind_of(spec, spelling, id, bytes);
            let is_reached = vocabulary.push(bytes, kind)?;
            let text = || {
                let text = std::str::from_utf8(bytes);
                text.map_err(|_| TextError::TokenNotUtf8 { id: index })
            };
            // Control tokens are kept apart: a text must not become one because it happens to be
            // one word and to have the same letters.
            let earlier = if is_reached {
                // Whatever is spelled in the alphabet is UTF-8.
                if spelling == Spelling::Pieces {
                    text()?;
                }
                lookup.insert(&vocabulary, id)
            } else if kind == Kind::Normal {
                foreign.insert(text()?, id)
            } else if kind == Kind::Byte {
                byte_of(bytes).and_then(|byte| letters[usize::from(byte)].replace(id))
            } else {
                let text = text()?;
                if kind != Kind::Unused && !text.is_empty() {
                    let with_spaces = String::from_utf8_lossy(vocabulary.bytes(id));
                    literals.push(match spec.merges.is_empty() {
                        true => with_spaces.into_owned(),
                        false => text.to_owned(),
                    });
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
        let letters = every_letter(spelling, letters, &vocabulary, &lookup)?;
        let mut names = Names {
            spelling,
            vocabulary: &vocabulary,
            lookup: &lookup,
            letters: &letters,
            foreign,
            last: 0,
        };
        let order = if spelling == Spelling::Pieces && spec.merges.is_empty() {
            Order::Scores(Scores::new(&spec.scores, &vocabulary)?)
        } else {
            let mut merges = Merges::with_capacity(spec.merges.len())?;
            let mut buffer = Vec::new();
            for (rank, (index, entry)) in (0..).zip(spec.merges.iter().enumerate()) {
                let [left, right, id] = names.of_merge(index, entry, &mut buffer)?;
                merges.insert(left, right, Merge { rank, id });
            }
            Order::Merges(merges)
        };
        let bpe = Bpe {
            spelling,
            lookup,
            letters,
            order,
        };
        Ok(Self {
            vocabulary,
            bpe,
            literals,
            literal_ids,
        })
    }
}

/// The tokens of single bytes. Without one for each there would be text that has no tokens.
fn every_letter(
    spelling: Spelling,
    listed: [Option<u32>; 256],
    vocabulary: &Vocabulary,
    lookup: &Lookup,
) -> Result<[u32; 256], TextError> {
    let mut letters = [0; 256];
    for ((letter, byte), listed) in letters.iter_mut().zip(0..=255).zip(listed) {
        let found = match spelling {
            Spelling::Bytes => lookup.word(vocabulary, &[byte]),
            Spelling::Pieces => listed,
        };
        *letter = found.ok_or(TextError::MissingByte { byte })?;
    }
    Ok(letters)
}

/// What token `id` is for. Tokens that begin or end texts are control tokens, whatever the file
/// says about them: some converters mark them as ordinary.
fn kind_of(spec: &TokenizerSpec<'_>, spelling: Spelling, id: u32, text: &[u8]) -> Kind {
    let declared = [spec.bos, spec.eos, spec.eot, spec.pad].contains(&Some(id));
    if declared || is_stop_name(text) {
        return Kind::Control;
    }
    let is_byte = spelling == Spelling::Pieces && byte_of(text).is_some();
    match spec.token_types.get(id as usize) {
        Some(3) => Kind::Control,
        Some(4) => Kind::UserDefined,
        Some(2 | 5) => Kind::Unused,
        // Some converters mark bytes as ordinary.
        _ if is_byte => Kind::Byte,
        _ => Kind::Normal,
    }
}
