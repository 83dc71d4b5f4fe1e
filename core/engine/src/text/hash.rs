use std::hash::{BuildHasher, RandomState};

/// Spreads keys over tables. The keys come from files, so every process draws numbers of its own:
/// no file can be made whose keys fall on one place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seed {
    first: u64,
    /// Odd, so that no product with it loses a bit of the other factor.
    second: u64,
}

impl Seed {
    pub(super) fn new() -> Self {
        let random = RandomState::new();
        Self {
            first: random.hash_one(1),
            second: random.hash_one(2) | 1,
        }
    }

    /// A hash of two numbers.
    #[inline(always)]
    pub(super) fn pair(self, left: u32, right: u32) -> u64 {
        let key = u64::from(left) << 32 | u64::from(right);
        fold(key ^ self.first, self.second)
    }

    /// A hash of some bytes and their number.
    #[inline]
    pub(super) fn bytes(self, bytes: &[u8]) -> u64 {
        let mut hash = self.first ^ bytes.len() as u64;
        let mut rest = bytes;
        while let Some((word, after)) = rest.split_first_chunk() {
            hash = fold(hash ^ u64::from_le_bytes(*word), self.second);
            rest = after;
        }
        // Fewer than eight: two numbers that overlap, or up to three letters.
        let word = match (rest.first_chunk(), rest.last_chunk()) {
            (Some(first), Some(last)) => {
                u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
            }
            _ => rest
                .iter()
                .fold(0, |word, &byte| word << 8 | u64::from(byte)),
        };
        fold(hash ^ word, self.second)
    }
}

/// Both halves of the product of two words, as one.
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The place among `places` that belongs to `hash`: its first bits decide.
#[inline(always)]
pub(super) fn place(hash: u64, places: usize) -> usize {
    ((u128::from(hash) * places as u128) >> 64) as usize
}

/// The places of a table for `entries` entries: half as many more, so that some stay free and a
/// search ends.
pub(super) fn places(entries: usize) -> usize {
    entries + entries / 2 + 1
}
