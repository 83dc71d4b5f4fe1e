//! Byte pair encoding: the word as single bytes, of which the pair that comes first in the list of
//! merges becomes one token, the leftmost of equals, until no pair is in the list.
//!
//! Sennrich, Haddow, Birch: "Neural Machine Translation of Rare Words with Subword Units" (2016).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::TextError;
use super::lookup::Lookup;
use super::merges::{Merge, Merges};
use super::vocabulary::Vocabulary;

/// Words of up to this many bytes are searched for the next merge from end to end; longer ones
/// keep the merges that are possible in a heap.
const SHORT: usize = 48;

/// Marks the ends of a list, and a part that is gone.
const NONE: u32 = u32::MAX;

/// The ordinary tokens of a model and how words become them.
#[derive(Debug)]
pub(super) struct Bpe {
    pub(super) lookup: Lookup,
    /// The token of every byte.
    pub(super) letters: [u32; 256],
    pub(super) merges: Merges,
}

/// Buffers for long words, to be used again for the next one.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    parts: Vec<Part>,
    heap: Vec<Reverse<Possible>>,
}

/// A token of a long word, in a list of them.
#[derive(Debug, Clone, Copy)]
struct Part {
    id: u32,
    before: u32,
    after: u32,
}

/// A merge that was possible when it was written down. The fields are in the order that decides
/// which goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Possible {
    rank: u32,
    at: u32,
    left: u32,
    right: u32,
    id: u32,
}

impl Bpe {
    /// Appends the tokens of a word. With `known`, a word that is a token is that token, whatever
    /// the merges would make of it.
    ///
    /// # Errors
    ///
    /// If the word is longer than 4 GiB.
    pub(super) fn encode(
        &self,
        known: Option<&Vocabulary>,
        word: &[u8],
        buffers: &mut Buffers,
        ids: &mut Vec<u32>,
    ) -> Result<(), TextError> {
        let whole = known.and_then(|vocabulary| self.lookup.word(vocabulary, word));
        if let Some(id) = whole {
            ids.push(id);
        } else if word.len() <= SHORT {
            self.encode_short(word, ids);
        } else if u32::try_from(word.len()).is_ok_and(|len| len < NONE) {
            self.encode_long(word, buffers, ids);
        } else {
            let bytes = word.len();
            let message = format!("one word of {bytes} bytes: at most 4 GiB are accepted");
            return Err(TextError::Internal(message));
        }
        Ok(())
    }

    fn encode_short(&self, word: &[u8], ids: &mut Vec<u32>) {
        let mut parts = [0; SHORT];
        // What becomes of each part and the one after it.
        let mut merges = [Merge::NONE; SHORT];
        let mut count = word.len();
        for (part, &byte) in parts.iter_mut().zip(word) {
            *part = self.letters[usize::from(byte)];
        }
        for (merge, pair) in merges.iter_mut().zip(parts[..count].windows(2)) {
            *merge = self.merges.get(pair[0], pair[1]);
        }
        while count > 1 {
            let mut at = 0;
            for (other, merge) in merges[..count - 1].iter().enumerate() {
                if merge.rank < merges[at].rank {
                    at = other;
                }
            }
            if merges[at] == Merge::NONE {
                break;
            }
            parts[at] = merges[at].id;
            parts.copy_within(at + 2..count, at + 1);
            merges.copy_within(at + 1..count, at);
            count -= 1;
            if at > 0 {
                merges[at - 1] = self.merges.get(parts[at - 1], parts[at]);
            }
            if at + 1 < count {
                merges[at] = self.merges.get(parts[at], parts[at + 1]);
            }
        }
        ids.extend_from_slice(&parts[..count]);
    }

    fn encode_long(&self, word: &[u8], buffers: &mut Buffers, ids: &mut Vec<u32>) {
        let parts = &mut buffers.parts;
        parts.clear();
        parts.extend((0..).zip(word).map(|(at, &byte): (u32, _)| Part {
            id: self.letters[usize::from(byte)],
            before: at.wrapping_sub(1),
            after: at + 1,
        }));
        if let Some(last) = parts.last_mut() {
            last.after = NONE;
        }
        let mut possible = std::mem::take(&mut buffers.heap);
        possible.clear();
        let pairs = (0..).zip(parts.windows(2));
        possible.extend(pairs.filter_map(|(at, pair)| self.possible(at, pair[0].id, pair[1].id)));
        let mut heap = BinaryHeap::from(possible);
        while let Some(Reverse(best)) = heap.pop() {
            let left = parts[best.at as usize];
            // One of the two may have become something else since.
            if left.id != best.left || left.after == NONE {
                continue;
            }
            let right = parts[left.after as usize];
            if right.id != best.right {
                continue;
            }
            parts[left.after as usize].id = NONE;
            parts[best.at as usize].id = best.id;
            parts[best.at as usize].after = right.after;
            if right.after != NONE {
                let after = &mut parts[right.after as usize];
                after.before = best.at;
                heap.extend(self.possible(best.at, best.id, after.id));
            }
            if left.before != NONE {
                let before = parts[left.before as usize].id;
                heap.extend(self.possible(left.before, before, best.id));
            }
        }
        buffers.heap = heap.into_vec();
        ids.extend(parts.iter().map(|part| part.id).filter(|&id| id != NONE));
    }

    fn possible(&self, at: u32, left: u32, right: u32) -> Option<Reverse<Possible>> {
        let Merge { rank, id } = self.merges.get(left, right);
        (rank != Merge::NONE.rank).then_some(Reverse(Possible {
            rank,
            at,
            left,
            right,
            id,
        }))
    }
}
