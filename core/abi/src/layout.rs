//! Packed-weight layouts: how ternary rows lie in memory for a kernel.
//!
//! # Canonical rows
//!
//! The exchange format between file readers and kernels. A row of `cols` weights takes
//! `cols.div_ceil(4)` bytes; weight `j` is the code in byte `j / 4`, bits `2 * (j % 4)` and up,
//! with codes 0, 1, 2 for -1, 0, +1. Unused fields at the end of a row hold code 1. Code 3 never
//! appears: readers refuse it.
//!
//! # `T2R32`
//!
//! Rows in groups of 32, columns in blocks of 16; a (group, block) is 128 bytes. For half
//! `h` = 0, 1 (16 rows each), lane `l` = 0..15 is row `16 * h + l` of the group; its four bytes
//! `b` = 0..3 hold in bit plane `p` = 0..3 (bits `2p`, `2p + 1`) the code of column `4 * p + b`
//! of the block. One 64-byte load therefore feeds four byte dot products that each need a single
//! broadcast dword of activations, and masking with 0x03, 0x0c, 0x30, 0xc0 replaces shifting.
//! Rows are padded to 32 and columns to 16 with code 1 (zero).
//!
//! # `T5R128`
//!
//! Five trits a byte: 1.6 bits a weight. Rows in groups of 128, columns in blocks of 5; a (group,
//! block) is 128 bytes, byte `l` for row `l` of the group. What a byte means is said in
//! [`t5r128`]. Rows are padded to 128 and columns to 5 with zeros, whose byte is 0. Groups of
//! scales (64, 128, 256 columns) do not end with a block: a kernel that scales groups reads the
//! byte across a border twice, with the activations of one side each time.

pub mod t5r128;

use crate::error::KernelError;

/// Names a packed layout. Kernels with the same id share packed weights, and switching between
/// them costs nothing.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayoutId(pub u32);

impl LayoutId {
    /// No packed layout: the kernel does not implement the ternary product.
    pub const NONE: Self = Self(0);
    /// Two bits a weight, 32 rows interleaved; see the module documentation.
    pub const T2R32: Self = Self(1);
    /// 1.6 bits a weight, 128 rows interleaved; see the module documentation.
    pub const T5R128: Self = Self(2);

    /// A short name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NONE => "none",
            Self::T2R32 => "T2R32",
            Self::T5R128 => "T5R128",
            _ => "unknown",
        }
    }
}

/// Bytes of a canonical row of `cols` weights.
#[must_use]
pub fn canonical_row_bytes(cols: usize) -> usize {
    cols.div_ceil(4)
}

/// Geometry and packing of [`LayoutId::T2R32`].
pub mod t2r32 {
    use super::{KernelError, canonical_row_bytes};

    /// Rows in a group; row ranges given to a kernel start and end on multiples of it (or at the
    /// end of the matrix).
    pub const GROUP_ROWS: usize = 32;
    /// Columns in a block.
    pub const BLOCK_COLS: usize = 16;
    /// Bytes of one block of one group.
    pub const BLOCK_BYTES: usize = 128;

    /// Bytes of one group of 32 rows, or `None` on overflow.
    #[must_use]
    pub fn group_bytes(cols: usize) -> Option<usize> {
        cols.div_ceil(BLOCK_COLS).checked_mul(BLOCK_BYTES)
    }

    /// Bytes of `rows` rows of `cols` weights, or `None` on overflow.
    #[must_use]
    pub fn packed_bytes(rows: usize, cols: usize) -> Option<usize> {
        rows.div_ceil(GROUP_ROWS).checked_mul(group_bytes(cols)?)
    }

    /// Transposes the 4x4 matrix of two-bit fields in `w` (field `4 * p + b` moves to
    /// `4 * b + p`), which turns four canonical bytes into one lane of a block.
    #[inline(always)]
    #[must_use]
    pub fn transpose_fields(w: u32) -> u32 {
        // Swap the off-diagonal fields inside each 2x2 tile, then the off-diagonal tiles.
        let t = (w ^ (w >> 6)) & 0x00cc_00cc;
        let w = w ^ t ^ (t << 6);
        let t = (w ^ (w >> 12)) & 0x0000_f0f0;
        w ^ t ^ (t << 12)
    }

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
            let row = |lane: usize| {
                let row = g * GROUP_ROWS + lane;
                codes.get(row * stride..(row + 1) * stride).unwrap_or(&[])
            };
            // Blocks of full rows are written once, from front to back; only what is padded goes
            // lane by lane.
            let full = if (g + 1) * GROUP_ROWS <= rows {
                stride / 4
            } else {
                0
            };
            let lanes: [&[u8]; GROUP_ROWS] = core::array::from_fn(row);
            let (blocks, rest) = group_out.split_at_mut(full * BLOCK_BYTES);
            pack_blocks(&lanes, blocks);
            for (lane, row) in lanes.iter().enumerate() {
                pack_row(row.get(full * 4..).unwrap_or(&[]), lane, rest);
            }
        }
        Ok(())
    }

    /// Writes the first columns of 32 canonical rows: as many whole blocks as `out` holds.
    fn pack_blocks(rows: &[&[u8]; GROUP_ROWS], out: &mut [u8]) {
        let out = out.as_chunks_mut::<BLOCK_BYTES>().0;
        let rows: [&[[u8; 4]]; GROUP_ROWS] = core::array::from_fn(|l| rows[l].as_chunks().0);
        for (b, block) in out.iter_mut().enumerate() {
            // Gathered first, so that the arithmetic on 32 lanes becomes vectors.
            let mut words = [0u32; GROUP_ROWS];
            for lane in 0..GROUP_ROWS {
                words[lane] = u32::from_le_bytes(rows[lane][b]);
            }
            for word in &mut words {
                *word = transpose_fields(*word);
            }
            for (out, word) in block.as_chunks_mut().0.iter_mut().zip(words) {
                *out = word.to_le_bytes();
            }
        }
    }

    /// Writes one canonical row into its lane of every block of a group.
    fn pack_row(row: &[u8], lane: usize, group: &mut [u8]) {
        const ZEROS: u32 = 0x5555_5555;
        let mut words = row.chunks_exact(4);
        let mut blocks = group.chunks_exact_mut(BLOCK_BYTES);
        for (word, block) in words.by_ref().zip(blocks.by_ref()) {
            let w = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            block[lane * 4..lane * 4 + 4].copy_from_slice(&transpose_fields(w).to_le_bytes());
        }
        let mut tail = ZEROS.to_le_bytes();
        tail[..words.remainder().len()].copy_from_slice(words.remainder());
        let mut last = u32::from_le_bytes(tail);
        for block in blocks {
            block[lane * 4..lane * 4 + 4].copy_from_slice(&transpose_fields(last).to_le_bytes());
            last = ZEROS;
        }
    }

    /// The weight (-1, 0, +1) at `row`, `col` of a packed matrix. Slow; for tests and oracles.
    ///
    /// # Panics
    /// When the position lies outside `packed`.
    #[must_use]
    pub fn weight(packed: &[u8], cols: usize, row: usize, col: usize) -> i8 {
        let blocks = cols.div_ceil(BLOCK_COLS);
        let block = (row / GROUP_ROWS) * blocks + col / BLOCK_COLS;
        let (p, b) = (col % BLOCK_COLS / 4, col % 4);
        let byte = packed[block * BLOCK_BYTES + (row % GROUP_ROWS) * 4 + b];
        ((byte >> (2 * p)) & 3) as i8 - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(rows: usize, cols: usize, weights: &[i8]) -> Vec<u8> {
        let stride = canonical_row_bytes(cols);
        let mut out = vec![0x55u8; rows * stride];
        for r in 0..rows {
            for c in 0..cols {
                let shift = 2 * (c % 4);
                let byte = &mut out[r * stride + c / 4];
                *byte = *byte & !(3 << shift) | ((weights[r * cols + c] + 1) as u8) << shift;
            }
        }
        out
    }

    proptest! {
        #[test]
        fn packing_keeps_every_weight(rows in 1usize..70, cols in 1usize..70, seed: u64) {
            let mut state = seed | 1;
            let weights: Vec<i8> = (0..rows * cols).map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                ((state >> 33) % 3) as i8 - 1
            }).collect();
            let codes = canonical(rows, cols, &weights);
            let mut packed = vec![0xffu8; t2r32::packed_bytes(rows, cols).unwrap()];
            t2r32::pack(&codes, rows, cols, &mut packed).unwrap();
            let padded_rows = rows.next_multiple_of(t2r32::GROUP_ROWS);
            let padded_cols = cols.next_multiple_of(t2r32::BLOCK_COLS);
            for r in 0..padded_rows {
                for c in 0..padded_cols {
                    let want = if r < rows && c < cols { weights[r * cols + c] } else { 0 };
                    prop_assert_eq!(t2r32::weight(&packed, cols, r, c), want, "row {} col {}", r, c);
                }
            }
        }

        #[test]
        fn transposing_fields_twice_is_nothing(w: u32) {
            prop_assert_eq!(t2r32::transpose_fields(t2r32::transpose_fields(w)), w);
            for p in 0..4 { for b in 0..4 {
                prop_assert_eq!(
                    (t2r32::transpose_fields(w) >> (2 * (4 * b + p))) & 3,
                    (w >> (2 * (4 * p + b))) & 3
                );
            }}
        }
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let mut out = [0u8; 128];
        assert!(t2r32::pack(&[0; 4], 1, 16, &mut out).is_ok());
        assert!(t2r32::pack(&[0; 3], 1, 16, &mut out).is_err());
        assert!(t2r32::pack(&[0; 4], 1, 16, &mut out[..64]).is_err());
        assert!(t2r32::pack(&[], 1, 0, &mut []).is_err());
        assert_eq!(t2r32::packed_bytes(usize::MAX, usize::MAX), None);
    }
}
