//! Sums of bytes, widened to 16 and then to 32 bits.
//!
//! A vector of unsigned bytes, seen as words, is `even + 256 * odd`. Its sum as words and the sum
//! of its odd bytes (a shift to the right) take three operations for both halves, and
//! `even = word - 256 * odd` modulo 2^16, as long as an even sum stays below 2^16.

use crate::form::Sums;

/// What is added to a byte sum, so that it is unsigned: bits 7 flipped.
pub(crate) const BIAS: u8 = 0x80;

/// Words of a row group.
const WORDS: usize = 64;

/// Sums of one part (low or high) of a row group; word `i` has rows `2 i` and `2 i + 1`.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Part {
    /// Even rows, and 256 times odd rows, modulo 2^16.
    pub(crate) words: [u16; WORDS],
    /// Odd rows.
    pub(crate) odd: [u16; WORDS],
}

impl Part {
    pub(crate) const ZERO: Self = Self {
        words: [0; WORDS],
        odd: [0; WORDS],
    };
}

/// Adds `low + 16 * high` to the sums, without the bias of so many runs.
#[inline(always)]
pub(crate) fn widen(low: &Part, high: &Part, runs: usize, sums: &mut Sums) {
    let bias = 17 * i32::from(BIAS) * runs as i32;
    for (i, sums) in sums.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        let even = |part: &Part| i32::from(part.words[i].wrapping_sub(part.odd[i] << 8));
        sums[0] += even(low) + 16 * even(high) - bias;
        sums[1] += i32::from(low.odd[i]) + 16 * i32::from(high.odd[i]) - bias;
    }
}
