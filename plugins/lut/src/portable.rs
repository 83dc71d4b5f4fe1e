//! The form for any processor: a table of all 256 bytes, indexed one byte at a time.

use tritone_abi::layout::t5r128::{BLOCK_BYTES, BLOCK_COLS, GROUP_ROWS, digits};

use crate::form::{Form, Sums};
use crate::tables::{ENTRIES, PAIRS, TRIPLES};

/// What a block is worth for every byte.
type Worth = [i16; 256];

pub(crate) struct Portable;

impl Form for Portable {
    /// Both parts of five activations, padded to 8.
    const TABLE_BYTES: usize = 16;

    unsafe fn tables(low: &[i8], high: &[i8], tables: &mut [u8]) {
        for (b, table) in tables.chunks_exact_mut(Self::TABLE_BYTES).enumerate() {
            for i in 0..BLOCK_COLS {
                table[i] = low[b * BLOCK_COLS + i] as u8;
                table[8 + i] = high[b * BLOCK_COLS + i] as u8;
            }
        }
    }

    unsafe fn sums(tables: &[u8], weights: &[u8]) -> Sums {
        let mut sums = [0; GROUP_ROWS];
        let blocks = weights.chunks_exact(BLOCK_BYTES);
        for (table, block) in tables.chunks_exact(Self::TABLE_BYTES).zip(blocks) {
            let worth = worth(table);
            for (sum, byte) in sums.iter_mut().zip(block) {
                *sum += i32::from(worth[usize::from(*byte)]);
            }
        }
        sums
    }
}

fn worth(table: &[u8]) -> Worth {
    let a: [i16; BLOCK_COLS] =
        core::array::from_fn(|i| i16::from(table[i] as i8) + 16 * i16::from(table[8 + i] as i8));
    let triples = TRIPLES.map(|n| {
        let [x, y, z] = digits(n).map(i16::from);
        x * a[0] + y * a[1] + z * a[2]
    });
    let pairs = PAIRS.map(|u| {
        let [x, y, _] = digits(u).map(i16::from);
        x * a[3] + y * a[4]
    });
    let mut worth = [0; 256];
    let (positive, negative) = worth.split_at_mut(128);
    for (line, pair) in positive
        .chunks_exact_mut(ENTRIES)
        .zip(pairs.iter().step_by(2))
    {
        for (worth, triple) in line.iter_mut().zip(triples) {
            *worth = triple + pair;
        }
    }
    for (worth, triple) in positive.iter_mut().step_by(8).zip(triples) {
        *worth = triple;
    }
    for (negative, positive) in negative.iter_mut().zip(positive) {
        *negative = -*positive;
    }
    worth
}

#[cfg(test)]
mod tests {
    use super::*;
    use tritone_abi::layout::t5r128::TRITS;

    #[test]
    fn every_byte_is_worth_its_trits() {
        let a = [-128i16, 127, 3, -77, 100];
        let mut table = [0; Portable::TABLE_BYTES];
        for (i, a) in a.iter().enumerate() {
            let low = (a + 8).rem_euclid(16) - 8;
            table[i] = low as u8;
            table[8 + i] = ((a - low) / 16) as u8;
        }
        let worth = worth(&table);
        for (byte, trits) in TRITS.iter().enumerate() {
            let want: i16 = trits.iter().zip(a).map(|(t, a)| i16::from(*t) * a).sum();
            assert_eq!(worth[byte], want, "byte {byte:#04x}");
        }
    }
}
