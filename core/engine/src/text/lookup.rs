use super::hash::{Seed, place, places};
use super::vocabulary::Vocabulary;

/// Marks a free place. No token has this id: there would have to be 2^32 of them.
const FREE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Place {
    /// The last bits of the hash. The first ones decide the place.
    tag: u32,
    id: u32,
}

/// Finds tokens by their bytes, in one flat table that refers to the vocabulary. An ordinary token
/// and one with a purpose of its own may have the same bytes.
#[derive(Debug)]
pub(super) struct Lookup {
    seed: Seed,
    places: Vec<Place>,
}

impl Lookup {
    /// A table with room for `tokens` tokens.
    pub(super) fn with_capacity(tokens: usize) -> Self {
        let free = Place { tag: 0, id: FREE };
        Self {
            seed: Seed::new(),
            places: vec![free; places(tokens)],
        }
    }

    /// The ordinary token with these bytes.
    #[inline]
    pub(super) fn word(&self, vocabulary: &Vocabulary, bytes: &[u8]) -> Option<u32> {
        self.get(vocabulary, bytes, true)
    }

    /// The token that is not ordinary with these bytes.
    pub(super) fn special(&self, vocabulary: &Vocabulary, bytes: &[u8]) -> Option<u32> {
        self.get(vocabulary, bytes, false)
    }

    #[inline]
    fn get(&self, vocabulary: &Vocabulary, bytes: &[u8], is_word: bool) -> Option<u32> {
        let (_, at) = self.find(vocabulary, bytes, is_word);
        Some(self.places[at].id).filter(|&id| id != FREE)
    }

    /// Adds token `id` of the vocabulary. If an earlier one of the same kind has the same bytes,
    /// it stays, and is returned.
    pub(super) fn insert(&mut self, vocabulary: &Vocabulary, id: u32) -> Option<u32> {
        let (tag, at) = self.find(vocabulary, vocabulary.bytes(id), vocabulary.is_word(id));
        let place = &mut self.places[at];
        if place.id != FREE {
            return Some(place.id);
        }
        *place = Place { tag, id };
        None
    }

    /// The tag of `bytes`, and where their token is or belongs.
    #[inline]
    fn find(&self, vocabulary: &Vocabulary, bytes: &[u8], is_word: bool) -> (u32, usize) {
        let hash = self.seed.bytes(bytes);
        let tag = hash as u32;
        let mut at = place(hash, self.places.len());
        loop {
            let place = self.places[at];
            let is_it = || {
                let id = place.id;
                vocabulary.bytes(id) == bytes && vocabulary.is_word(id) == is_word
            };
            if place.id == FREE || place.tag == tag && is_it() {
                return (tag, at);
            }
            at += 1;
            if at == self.places.len() {
                at = 0;
            }
        }
    }
}
