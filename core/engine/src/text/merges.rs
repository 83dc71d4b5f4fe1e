use super::TextError;
use super::hash::{Seed, place, places};

/// What becomes of two tokens side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Merge {
    /// Its place in the file's list; the lowest goes first. [`Merge::NONE`] has the highest.
    pub(super) rank: u32,
    /// The token that takes their place.
    pub(super) id: u32,
}

impl Merge {
    /// The two stay as they are.
    pub(super) const NONE: Self = Self {
        rank: u32::MAX,
        id: u32::MAX,
    };
}

#[derive(Debug, Clone, Copy)]
struct Place {
    left: u32,
    right: u32,
    merge: Merge,
}

// The largest table of the tokenizer: half a million places for the largest vocabularies.
const _: () = assert!(size_of::<Place>() == 16);

/// Finds the merge of a pair of tokens, in one flat table.
#[derive(Debug)]
pub(super) struct Merges {
    seed: Seed,
    places: Vec<Place>,
}

impl Merges {
    /// A table with room for `merges` merges.
    ///
    /// # Errors
    ///
    /// If they cannot be numbered.
    pub(super) fn with_capacity(merges: usize) -> Result<Self, TextError> {
        if u32::try_from(merges).is_ok_and(|merges| merges < u32::MAX) {
            let free = Place {
                left: 0,
                right: 0,
                merge: Merge::NONE,
            };
            return Ok(Self {
                seed: Seed::new(),
                places: vec![free; places(merges)],
            });
        }
        Err(TextError::Internal(format!("{merges} merges are too many")))
    }

    /// The merge of two tokens, or [`Merge::NONE`].
    #[inline]
    pub(super) fn get(&self, left: u32, right: u32) -> Merge {
        self.places[self.find(left, right)].merge
    }

    /// Adds a merge. Of several for one pair the last counts, as in the library that published
    /// tokenizers are made with.
    pub(super) fn insert(&mut self, left: u32, right: u32, merge: Merge) {
        let at = self.find(left, right);
        self.places[at] = Place { left, right, merge };
    }

    /// Where the merge of a pair is or belongs.
    #[inline]
    fn find(&self, left: u32, right: u32) -> usize {
        let mut at = place(self.seed.pair(left, right), self.places.len());
        loop {
            let place = &self.places[at];
            if place.left == left && place.right == right || place.merge == Merge::NONE {
                return at;
            }
            at += 1;
            if at == self.places.len() {
                at = 0;
            }
        }
    }
}
