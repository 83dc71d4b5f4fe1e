//! Byte pair encoding: the word as single bytes, or as single characters in a vocabulary of pieces, of which the pair that comes first in the list of
//! merges becomes one token, the leftmost of equals, until no pair is in the list.
//!
//! Sennrich, Haddow, Birch: "Neural Machine Translation of Rare Words with Subword Units" (2016).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::TextError;
use super::lookup::Lookup;
use super::merges::{Merge, Merges};
use super::scores::Scores;
use super::vocabulary::{Spelling, Vocabulary};

/// Words of up to this many bytes are searched for the next merge from end to end; longer ones
/// keep the merges that are possible in a heap.
const SHORT: usize = 48;

/// Marks the ends of a list, and a part that is gone.
const NONE: u32 = u32::MAX;

/// Marks a character that is no token. Ids of tokens are lower.
pub(super) const UNKNOWN: u32 = NONE - 1;

/// Which merges there are.
#[derive(Debug)]
pub(super) enum Order {
    /// Those of a list.
    Merges(Merges),
    /// All that make a token.
    Scores(Scores),
}

/// The ordinary tokens of a model and how words become them.
#[derive(Debug)]
pub(super) struct Bpe {
    pub(super) spelling: Spelling,
    pub(super) lookup: Lookup,
    /// The token of every byte.
    pub(super) letters: [u32; 256],
    pub(super) order: Order,
}

/// Buffers for long words, to be used again for the next one.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    parts: Vec<Part>,
    heap: Vec<Reverse<Possible>>,
}

/// A token of a long word, in a list of them. Its place is where it begins in the word.
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
    /// Appends the tokens of a word. With `whole`, a word that is a token is that token, whatever
    /// the merges would make of it.
    ///
    /// # Errors
    ///
    /// If the word is longer than 4 GiB.
    pub(super) fn encode(
        &self,
        vocabulary: &Vocabulary,
        whole: bool,
        word: &str,
        buffers: &mut Buffers,
        ids: &mut Vec<u32>,
    ) -> Result<(), TextError> {
        let found = if whole {
            self.lookup.word(vocabulary, word.as_bytes())
        } else {
            None
        };
        match (&self.order, self.spelling) {
            _ if found.is_some() => ids.extend(found),
            (Order::Merges(merges), Spelling::Bytes) if word.len() <= SHORT => {
                self.encode_short(merges, word.as_bytes(), ids);
            }
            _ if u32::try_from(word.len()).is_ok_and(|len| len < UNKNOWN) => {
                self.encode_long(vocabulary, word, buffers, ids);
            }
            _ => {
                let bytes = word.len();
                let message = format!("one word of {bytes} bytes: at most 4 GiB are accepted");
                return Err(TextError::Internal(message));
            }
        }
        Ok(())
    }

    fn encode_short(&self, all: &Merges, word: &[u8], ids: &mut Vec<u32>) {
        let mut parts = [0; SHORT];
        // What becomes of each part and the one after it.
        let mut merges = [Merge::NONE; SHORT];
        let mut count = word.len();
        for (part, &byte) in parts.iter_mut().zip(word) {
            *part = self.letters[usize::from(byte)];
        }
        for (merge, pair) in merges.iter_mut().zip(parts[..count].windows(2)) {
            *merge = all.get(pair[0], pair[1]);
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
                merges[at - 1] = all.get(parts[at - 1], parts[at]);
            }
            if at + 1 < count {
                merges[at] = all.get(parts[at], parts[at + 1]);
            }
        }
        ids.extend_from_slice(&parts[..count]);
    }

    fn encode_long(
        &self,
        vocabulary: &Vocabulary,
        word: &str,
        buffers: &mut Buffers,
        ids: &mut Vec<u32>,
    ) {
        self.part(vocabulary, word, &mut buffers.parts);
        let parts = &mut buffers.parts;
        let possible = |at: u32, left: u32, right: u32, end: u32| {
            let whole = || &word.as_bytes()[at as usize..word.len().min(end as usize)];
            let Merge { rank, id } = match &self.order {
                Order::Merges(merges) => merges.get(left, right),
                Order::Scores(scores) => scores.get(vocabulary, &self.lookup, whole()),
            };
            (rank != Merge::NONE.rank).then_some(Reverse(Possible {
                rank,
                at,
                left,
                right,
                id,
            }))
        };
        let mut heap = std::mem::take(&mut buffers.heap);
        heap.clear();
        let mut at = 0;
        while let Some(&left) = parts.get(at as usize)
            && let Some(right) = parts.get(left.after as usize)
        {
            heap.extend(possible(at, left.id, right.id, right.after));
            at = left.after;
        }
        let mut heap = BinaryHeap::from(heap);
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
                heap.extend(possible(best.at, best.id, after.id, after.after));
            }
            if left.before != NONE {
                let before = parts[left.before as usize].id;
                heap.extend(possible(left.before, before, best.id, right.after));
            }
        }
        buffers.heap = heap.into_vec();
        let mut at = 0;
        while let Some(part) = parts.get(at as usize) {
            if part.id == UNKNOWN {
                let bytes = &word.as_bytes()[at as usize..word.len().min(part.after as usize)];
                ids.extend(bytes.iter().map(|&byte| self.letters[usize::from(byte)]));
            } else {
                ids.push(part.id);
            }
            at = part.after;
        }
    }

    /// Cuts a word into what is never cut any further.
    fn part(&self, vocabulary: &Vocabulary, word: &str, parts: &mut Vec<Part>) {
        parts.clear();
        match self.spelling {
            Spelling::Bytes => {
                parts.extend((0..).zip(word.bytes()).map(|(at, byte): (u32, _)| Part {
                    id: self.letters[usize::from(byte)],
                    before: at.wrapping_sub(1),
                    after: at + 1,
                }))
            }
            Spelling::Pieces => {
                let none = Part {
                    id: NONE,
                    before: NONE,
                    after: NONE,
                };
                parts.resize(word.len(), none);
                let (mut before, mut after) = (NONE, 0);
                for char in word.chars() {
                    let at = after;
                    let bytes = char.len_utf8();
                    let bytes = &word.as_bytes()[at as usize..at as usize + bytes];
                    after += bytes.len() as u32;
                    let id = self.lookup.word(vocabulary, bytes).unwrap_or(UNKNOWN);
                    parts[at as usize] = Part { id, before, after };
                    before = at;
                }
            }
        }
        // Whatever ends the word has nothing after it.
        let end = word.len() as u32;
        let last = parts.iter_mut().rev().find(|part| part.after == end);
        if let Some(last) = last {
            last.after = NONE;
        }
    }
}
