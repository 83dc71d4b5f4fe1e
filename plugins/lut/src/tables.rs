//! Activations as the tables want them: in blocks of five, split into low and high parts.

use core::ops::Range;

use tritone_abi::layout::t5r128::{BLOCK_COLS, pair, triple};

/// Readable values behind the last block, for loads of whole registers.
const SLACK: usize = 16;

/// Blocks that hold columns of `span`; those at its ends may hold others too.
pub(crate) fn blocks_of(span: &Range<usize>) -> Range<usize> {
    span.start / BLOCK_COLS..span.end.div_ceil(BLOCK_COLS)
}

/// Bytes of one part of the activations of up to `cols` columns.
pub(crate) fn part_bytes(cols: usize) -> usize {
    cols.saturating_add(2 * BLOCK_COLS + SLACK)
}

/// Splits the activations of `span` into `low + 16 * high`, both from -8 to 8, in the blocks of
/// the span: columns outside of it are zero, and so is the slack behind.
#[inline(always)]
pub(crate) fn split(q: &[i8], span: &Range<usize>, low: &mut [i8], high: &mut [i8]) -> usize {
    let blocks = blocks_of(span);
    let first = span.start - blocks.start * BLOCK_COLS;
    let end = first + span.len();
    let used = blocks.len() * BLOCK_COLS + SLACK;
    for part in [&mut *low, &mut *high] {
        part[..first].fill(0);
        part[end..used].fill(0);
    }
    let parts = low[first..end].iter_mut().zip(&mut high[first..end]);
    for (q, (low, high)) in q[span.clone()].iter().zip(parts) {
        *low = (q.wrapping_add(8) & 15) - 8;
        *high = ((i16::from(*q) - i16::from(*low)) >> 4) as i8;
    }
    used
}

/// Blocks that add up in a byte: entries of tables are at most 40 in magnitude.
pub(crate) const RUN: usize = 3;

/// Runs that add up in 16 bits: a byte of a run is at most 255, or 120 in magnitude.
pub(crate) const RUNS: usize = 257;

/// Entries of a table: indices of a nibble.
pub(crate) const ENTRIES: usize = 16;

/// The triple's number for every index.
pub(crate) const TRIPLES: [i8; ENTRIES] = {
    let mut all = [0; ENTRIES];
    let mut i = 0;
    while i < ENTRIES {
        all[i] = triple(i as u8);
        i += 1;
    }
    all
};

/// The pair's number for every index, which is bits 3..=6 of a byte.
pub(crate) const PAIRS: [i8; ENTRIES] = {
    let mut all = [0; ENTRIES];
    let mut i = 0;
    while i < ENTRIES {
        all[i] = pair(i as u8 >> 1);
        i += 1;
    }
    all
};

/// Which of the nine values [`Recipe`] a number of two trits takes, and its sign.
const fn base(number: i8, first: u8) -> (i8, i8) {
    match number {
        0 => (i8::MIN, 0),
        1..=4 => (first as i8 + number - 1, 1),
        _ => (first as i8 - number - 1, -1),
    }
}

/// How a table is made from nine values of a block: `a0, a1 - a0, a1, a1 + a0, a2` and
/// `a3, a4 - a3, a4, a4 + a3`.
pub(crate) struct Recipe {
    /// Where the nine values take their first term from.
    pub(crate) first: [i8; ENTRIES],
    /// Where the second, and its sign.
    pub(crate) second: [i8; ENTRIES],
    pub(crate) second_sign: [i8; ENTRIES],
    /// Where a triple takes its first two trits from, and their sign; and where its third.
    pub(crate) low: [i8; ENTRIES],
    pub(crate) low_sign: [i8; ENTRIES],
    pub(crate) third: [i8; ENTRIES],
    /// Where a pair comes from, and its sign.
    pub(crate) pair: [i8; ENTRIES],
    pub(crate) pair_sign: [i8; ENTRIES],
}

pub(crate) const RECIPE: Recipe = {
    /// Bit 7 makes a shuffle give zero.
    const NONE: i8 = i8::MIN;
    let mut recipe = Recipe {
        first: [
            0, 1, 1, 1, 2, 3, 4, 4, 4, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
        ],
        second: [
            NONE, 0, NONE, 0, NONE, NONE, 3, NONE, 3, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
        ],
        second_sign: [0, -1, 0, 1, 0, 0, -1, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        low: [0; 16],
        low_sign: [0; 16],
        third: [NONE; 16],
        pair: [0; 16],
        pair_sign: [0; 16],
    };
    let mut i = 0;
    while i < ENTRIES {
        let mut n = TRIPLES[i];
        if n > 4 {
            n -= 9;
            recipe.third[i] = 4;
        }
        (recipe.low[i], recipe.low_sign[i]) = base(n, 0);
        (recipe.pair[i], recipe.pair_sign[i]) = base(PAIRS[i], 5);
        i += 1;
    }
    recipe
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_small_and_add_up() {
        let q: Vec<i8> = (i8::MIN..=i8::MAX).collect();
        for span in [0..256, 64..128, 61..62, 65..70, 192..256] {
            let mut parts = [[99; 300]; 2];
            let [low, high] = &mut parts;
            let used = split(&q, &span, low, high);
            let blocks = blocks_of(&span);
            assert_eq!(used, 5 * blocks.len() + SLACK);
            for i in 0..used {
                let (low, high) = (low[i], high[i]);
                assert!((-8..=7).contains(&low) && (-8..=8).contains(&high));
                let col = 5 * blocks.start + i;
                let want = if span.contains(&col) { q[col] } else { 0 };
                assert_eq!(
                    i16::from(low) + 16 * i16::from(high),
                    i16::from(want),
                    "{col}"
                );
            }
            assert!(low[used..].iter().all(|v| *v == 99));
        }
    }
}
