//! Geometry and packing of [`LayoutId::T5R128`](super::LayoutId::T5R128).
//!
//! 243 of the 256 values of a byte are needed for five trits, so which value stands for which
//! trits is free, and is chosen for lookups in tables of sixteen entries, the width of a byte
//! shuffle. The first three trits are the balanced ternary number `n = t0 + 3 t1 + 9 t2`, the
//! other two `u = t3 + 3 t4`.
//!
//! | bits | field |
//! |---|---|
//! | 7 | sign `s`: all five trits are negated |
//! | 4..=6 | `p`: the pair `u`, one of 1, 2, 3, 4, -1, -2, -3, -4; it is never 0 here |
//! | 0..=3 | `m`: the triple `n`: 1..=7 stand for themselves, 9..=14 for 8..=13, 15 for 0 |
//!
//! Where bits 0..=2 are 0, `m` would be 0 or 8: that is the escape for `u = 0`. Then bits 3..=6
//! are the number of the triple, in the same code, and 0 stands for five zeros.
//!
//! So a byte is looked up twice, at `m` and at bits 3..=6 (of which the pair needs all but the
//! last), after one exchange of indices for the escapes, and its sign is applied once. Codes that
//! are not needed repeat others.

use super::canonical_row_bytes;
use crate::error::KernelError;

/// Rows in a group; row ranges given to a kernel start and end on multiples of it (or at the
/// end of the matrix).
pub const GROUP_ROWS: usize = 128;
/// Columns in a block: trits of a byte.
pub const BLOCK_COLS: usize = 5;
/// Bytes of one block of one group: one a row.
pub const BLOCK_BYTES: usize = GROUP_ROWS;

/// Five trits.
pub type Trits = [i8; BLOCK_COLS];

/// The number `n` of a triple in the code that [`triple`] reads.
const ZERO_TRIPLE: u8 = 15;

/// The triple's number, 0..=13, that `m` stands for.
#[must_use]
pub const fn triple(m: u8) -> i8 {
    match m & 15 {
        0 | 8 | ZERO_TRIPLE => 0,
        m @ 1..=7 => m as i8,
        m => m as i8 - 1,
    }
}

/// The pair's number, -4..=4 without 0, that `p` stands for.
#[must_use]
pub const fn pair(p: u8) -> i8 {
    match p & 7 {
        p @ 0..=3 => p as i8 + 1,
        p => 3 - p as i8,
    }
}

/// The lowest digit of a balanced ternary number, and the rest of it.
const fn digit(n: i8) -> (i8, i8) {
    let low = (n + 13) % 3 - 1;
    (low, (n - low) / 3)
}

/// The digits of a balanced ternary number of three trits, lowest first.
#[must_use]
pub const fn digits(n: i8) -> [i8; 3] {
    let (a, rest) = digit(n);
    let (b, c) = digit(rest);
    [a, b, c]
}

/// The trits of a byte.
#[must_use]
pub const fn trits(byte: u8) -> Trits {
    let (n, u) = if byte & 7 == 0 {
        (triple(byte >> 3), 0)
    } else {
        (triple(byte), pair(byte >> 4))
    };
    let ([a, b, c], [d, e, _]) = (digits(n), digits(u));
    let s = if byte & 0x80 == 0 { 1 } else { -1 };
    [s * a, s * b, s * c, s * d, s * e]
}

/// The trits of every byte.
pub const TRITS: [Trits; 256] = {
    let mut all = [[0; BLOCK_COLS]; 256];
    let mut byte = 0;
    while byte < 256 {
        all[byte] = trits(byte as u8);
        byte += 1;
    }
    all
};

/// The byte of five canonical codes, packed as they are in a canonical row: two bits each, the
/// first in the lowest. Of several bytes it is the lowest. Code 3, which does not appear, has 0.
const BYTES: [u8; 1024] = {
    let mut bytes = [0; 1024];
    let mut byte = 256;
    while byte > 0 {
        byte -= 1;
        let [a, b, c, d, e] = TRITS[byte];
        let (low, high) = (
            (a + 1) | (b + 1) << 2 | (c + 1) << 4,
            (d + 1) | (e + 1) << 2,
        );
        bytes[low as usize | (high as usize) << 6] = byte as u8;
    }
    bytes
};

/// Bytes of one group of 128 rows, or `None` on overflow.
#[must_use]
pub fn group_bytes(cols: usize) -> Option<usize> {
    cols.div_ceil(BLOCK_COLS).checked_mul(BLOCK_BYTES)
}

/// Bytes of `rows` rows of `cols` weights, or `None` on overflow.
#[must_use]
pub fn packed_bytes(rows: usize, cols: usize) -> Option<usize> {
    rows.div_ceil(GROUP_ROWS).checked_mul(group_bytes(cols)?)
}

/// Rows that [`pack`] reads side by side, so that it writes several bytes at once.
const TOGETHER: usize = 8;

/// Packs `rows` canonical rows into whole groups.
///
/// `codes` holds `rows * canonical_row_bytes(cols)` bytes; `out` holds
/// [`packed_bytes`]`(rows, cols)` bytes. Missing rows of the last group become zeros.
///
/// # Errors
/// [`KernelError::BadArgument`] when a length does not fit the shape.
pub fn pack(codes: &[u8], rows: usize, cols: usize, out: &mut [u8]) -> Result<(), KernelError> {
    let stride = canonical_row_bytes(cols);
    if cols == 0 || rows.checked_mul(stride) != Some(codes.len()) {
        return Err(KernelError::BadArgument(
            "canonical rows do not fit the shape",
        ));
    }
    let (Some(total), Some(group)) = (packed_bytes(rows, cols), group_bytes(cols)) else {
        return Err(KernelError::BadArgument("packed size overflows"));
    };
    if out.len() != total {
        return Err(KernelError::BadArgument(
            "packed buffer does not fit the shape",
        ));
    }
    for (g, group_out) in out.chunks_exact_mut(group).enumerate() {
        for lane in (0..GROUP_ROWS).step_by(TOGETHER) {
            let sources: [&[u8]; TOGETHER] = core::array::from_fn(|i| {
                let row = g * GROUP_ROWS + lane + i;
                if row < rows {
                    &codes[row * stride..(row + 1) * stride]
                } else {
                    &[]
                }
            });
            for (b, block) in group_out.chunks_exact_mut(BLOCK_BYTES).enumerate() {
                let bytes = sources.map(|row| byte_at(row, cols, b * BLOCK_COLS));
                block[lane..lane + TOGETHER].copy_from_slice(&bytes);
            }
        }
    }
    Ok(())
}

/// The byte for columns `col ..` of a canonical row, or of a missing row.
#[inline]
fn byte_at(row: &[u8], cols: usize, col: usize) -> u8 {
    const ZEROS: u8 = 0x55;
    let (first, shift) = (col / 4, 2 * (col % 4));
    let codes = if let Some(bytes) = row.get(first..first + 3) {
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0])
    } else {
        let at = |i: usize| row.get(first + i).copied().unwrap_or(ZEROS);
        u32::from_le_bytes([at(0), at(1), at(2), 0])
    };
    let codes = codes >> shift;
    // What lies behind the row's end is zeros, whatever the canonical padding holds.
    let codes = match cols - col {
        left @ 0..BLOCK_COLS => {
            let used = (1 << (2 * left)) - 1;
            codes & used | 0x5555_5555 & !used
        }
        _ => codes,
    };
    BYTES[codes as usize % BYTES.len()]
}

/// The weight (-1, 0, +1) at `row`, `col` of a packed matrix. Slow; for tests and oracles.
///
/// # Panics
/// When the position lies outside `packed`.
#[must_use]
pub fn weight(packed: &[u8], cols: usize, row: usize, col: usize) -> i8 {
    let block = row / GROUP_ROWS * cols.div_ceil(BLOCK_COLS) + col / BLOCK_COLS;
    let byte = packed[block * BLOCK_BYTES + row % GROUP_ROWS];
    TRITS[usize::from(byte)][col % BLOCK_COLS]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The weights `Σ (t + 1) 3^i = number` of a block.
    fn numbered(number: usize) -> Trits {
        core::array::from_fn(|i| (number / 3usize.pow(i as u32) % 3) as i8 - 1)
    }

    fn codes_of(trits: &[i8]) -> Vec<u8> {
        trits
            .chunks(4)
            .map(|four| {
                let byte = four.iter().enumerate();
                byte.fold(0x55, |byte, (i, t)| {
                    byte & !(3 << (2 * i)) | ((t + 1) as u8) << (2 * i)
                })
            })
            .collect()
    }

    #[test]
    #[cfg_attr(miri, ignore = "exhaustive: hours under Miri")]
    fn every_block_has_a_byte_that_means_it() {
        let mut used = std::collections::BTreeSet::new();
        for number in 0..243 {
            let trits = numbered(number);
            let mut packed = [0xee; BLOCK_BYTES];
            pack(&codes_of(&trits), 1, 5, &mut packed).unwrap();
            assert_eq!(TRITS[usize::from(packed[0])], trits);
            assert!(packed[1..].iter().all(|b| *b == 0), "missing rows are 0");
            used.insert(packed[0]);
        }
        assert_eq!(used.len(), 243);
    }

    #[test]
    fn the_fields_mean_what_the_table_says() {
        // Triple 5 = -1 - 3 + 9, pair -2 = 1 - 3.
        assert_eq!(trits(5 << 4 | 5), [-1, -1, 1, 1, -1]);
        assert_eq!(trits(0x80 | 5 << 4 | 5), [1, 1, -1, -1, 1]);
        // No triple, pair 1; an escape with triple 13; nothing.
        assert_eq!(trits(15), [0, 0, 0, 1, 0]);
        assert_eq!(trits(14 << 3), [1, 1, 1, 0, 0]);
        assert_eq!(trits(0), [0; 5]);
    }

    proptest! {
        #[test]
        fn packing_keeps_every_weight(
            rows in 1..if cfg!(miri) { 10usize } else { 300 },
            cols in 1..if cfg!(miri) { 12usize } else { 70 },
            seed: u64
        ) {
            let mut state = seed | 1;
            let weights: Vec<i8> = (0..rows * cols).map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                ((state >> 33) % 3) as i8 - 1
            }).collect();
            let codes: Vec<u8> = weights.chunks(cols).flat_map(codes_of).collect();
            let mut packed = vec![0xffu8; packed_bytes(rows, cols).unwrap()];
            pack(&codes, rows, cols, &mut packed).unwrap();
            for r in 0..rows.next_multiple_of(GROUP_ROWS) {
                for c in 0..cols.next_multiple_of(BLOCK_COLS) {
                    let want = if r < rows && c < cols { weights[r * cols + c] } else { 0 };
                    prop_assert_eq!(weight(&packed, cols, r, c), want, "row {} col {}", r, c);
                }
            }
        }
    }

    #[test]
    fn padding_is_zero_even_if_the_canonical_padding_is_not() {
        let ones = [0b10_10_10_10; 2];
        let mut packed = [0; 2 * BLOCK_BYTES];
        pack(&ones[..1], 1, 3, &mut packed[..BLOCK_BYTES]).unwrap();
        assert_eq!(TRITS[usize::from(packed[0])], [1, 1, 1, 0, 0]);
        pack(&ones, 1, 7, &mut packed).unwrap();
        assert_eq!(TRITS[usize::from(packed[0])], [1; 5]);
        assert_eq!(TRITS[usize::from(packed[BLOCK_BYTES])], [1, 1, 0, 0, 0]);
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let mut out = [0u8; 256];
        assert!(pack(&[0; 2], 1, 8, &mut out).is_ok());
        assert!(pack(&[0; 3], 1, 8, &mut out).is_err());
        assert!(pack(&[0; 2], 1, 8, &mut out[..128]).is_err());
        assert!(pack(&[], 1, 0, &mut []).is_err());
        assert_eq!(packed_bytes(usize::MAX, usize::MAX), None);
    }
}
