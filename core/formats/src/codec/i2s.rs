//! I2_S, the ternary type of bitnet.cpp, and canonical ternary rows.
//!
//! A tensor is `n/4` bytes of codes, an f32 scale and 28 bytes of padding. Code 0 is −1, 1 is 0,
//! 2 is +1. Blocks of 128 consecutive elements of a row take 32 bytes: byte `p` holds element `p`
//! in bits 7–6, `p + 32` in 5–4, `p + 64` in 3–2 and `p + 96` in 1–0.
//!
//! Builds of bitnet.cpp for ARM have written other interleavings under the same number. Nothing in
//! a file tells them apart; every published file has the layout above, which is the one read here.

use super::CodecError;
use crate::types::{SizeError, TensorType};

/// Elements in a block.
const BLOCK: usize = 128;
/// Bytes in a block.
const BYTES: usize = 32;
/// The lower bit of every two-bit field.
const LOW_BITS: u64 = 0x5555_5555_5555_5555;

/// Ternary weights of an I2_S tensor: the stored codes and their scale.
///
/// The weight of column `c` is `(code - 1) * scale`.
#[derive(Debug, Clone, Copy)]
pub struct I2s<'a> {
    codes: &'a [u8],
    scale: f32,
    rows: usize,
    columns: usize,
}

impl<'a> I2s<'a> {
    /// Reads the bytes of a whole tensor. The codes are checked when rows are read.
    ///
    /// # Errors
    ///
    /// When `columns` is no multiple of 128, `bytes` is not exactly as long as the shape asks for,
    /// or the scale is infinite or not a number.
    pub fn new(bytes: &'a [u8], rows: usize, columns: usize) -> Result<Self, CodecError> {
        let ty = TensorType::I2S;
        let expected = ty
            .tensor_bytes(&[columns, rows])
            .map_err(|source| CodecError::Size { ty, source })?;
        let stored = || CodecError::StoredLength {
            ty,
            expected,
            got: bytes.len(),
        };
        if bytes.len() != expected {
            return Err(stored());
        }
        let (codes, tail) = bytes.split_at(expected - BYTES);
        let scale = f32::from_le_bytes(*tail.first_chunk().ok_or_else(stored)?);
        if !scale.is_finite() {
            return Err(CodecError::BadScale { scale });
        }
        Ok(Self {
            codes,
            scale,
            rows,
            columns,
        })
    }

    /// Number of rows: output features.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Elements in a row: input features, a multiple of 128.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The value of code 2, for all rows.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// Writes row `row` in canonical packing: column `j` in byte `j / 4`, bits `2 * (j % 4)` and
    /// the next, codes 0, 1, 2 for −1, 0, +1. `out` must have length `columns / 4`.
    ///
    /// # Errors
    ///
    /// When there is no such row, `out` has another length, or the row holds the unused code 3.
    pub fn canonical_row(&self, row: usize, out: &mut [u8]) -> Result<(), CodecError> {
        let stored = self.row(row)?;
        if out.len() != stored.len() {
            let (expected, got) = (stored.len(), out.len());
            return Err(CodecError::SliceLength { expected, got });
        }
        if canonical_blocks(stored, out) == 0 {
            Ok(())
        } else {
            Err(self.unused_code(row, out))
        }
    }

    /// Decodes row `row` into `out`, which must have length `columns`.
    ///
    /// # Errors
    ///
    /// As for [`canonical_row`](Self::canonical_row).
    pub fn decode_row(&self, row: usize, out: &mut [f32]) -> Result<(), CodecError> {
        let stored = self.row(row)?;
        if out.len() != self.columns {
            let (expected, got) = (self.columns, out.len());
            return Err(CodecError::SliceLength { expected, got });
        }
        let values = [-self.scale, 0.0, self.scale];
        for (number, (block, out)) in stored
            .as_chunks::<BYTES>()
            .0
            .iter()
            .zip(out.as_chunks_mut::<BLOCK>().0)
            .enumerate()
        {
            for (i, x) in out.iter_mut().enumerate() {
                let code = block[i % BYTES] >> (6 - 2 * (i / BYTES)) & 3;
                let column = number * BLOCK + i;
                let value = values.get(usize::from(code)).copied();
                *x = value.ok_or(CodecError::UnusedCode { row, column })?;
            }
        }
        Ok(())
    }

    /// The stored bytes of a row.
    fn row(&self, row: usize) -> Result<&'a [u8], CodecError> {
        if row >= self.rows {
            return Err(CodecError::NoSuchRow {
                row,
                rows: self.rows,
            });
        }
        let len = self.columns / 4;
        Ok(&self.codes[row * len..][..len])
    }

    /// Where the first code 3 stands in a row that has been unpacked to `canonical`.
    #[cold]
    fn unused_code(&self, row: usize, canonical: &[u8]) -> CodecError {
        let is_unused = |&column: &usize| canonical[column / 4] >> (2 * (column % 4)) & 3 == 3;
        let column = (0..self.columns).find(is_unused).unwrap_or_default();
        CodecError::UnusedCode { row, column }
    }
}

/// Unpacks blocks; the result is zero unless a code is 3.
pub(super) fn canonical_blocks(stored: &[u8], out: &mut [u8]) -> u64 {
    let mut unused = 0;
    for (block, out) in stored.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        unused |= canonical_block(block, out);
    }
    unused
}

/// Unpacks a block; the result is zero unless a code is 3.
///
/// Four stored bytes are a 4 × 4 matrix of two-bit fields (byte, field), and the canonical bytes
/// are its rows after transposing, last field first. Two exchanges transpose two such matrices in a
/// 64-bit word: the off-diagonal 2 × 2 parts, then the off-diagonal fields inside each part.
#[inline]
fn canonical_block(block: &[u8; BYTES], out: &mut [u8; BYTES]) -> u64 {
    let mut unused = 0;
    for (k, stored) in block.as_chunks().0.iter().enumerate() {
        let mut w = u64::from_le_bytes(*stored);
        unused |= w & (w >> 1) & LOW_BITS;
        let swap = ((w >> 12) ^ w) & 0x0000_f0f0_0000_f0f0;
        w ^= swap ^ (swap << 12);
        let swap = ((w >> 6) ^ w) & 0x00cc_00cc_00cc_00cc;
        w ^= swap ^ (swap << 6);
        let [d0, c0, b0, a0, d1, c1, b1, a1] = w.to_le_bytes();
        for (group, pair) in [[a0, a1], [b0, b1], [c0, c1], [d0, d1]]
            .into_iter()
            .enumerate()
        {
            out[group * 8 + 2 * k] = pair[0];
            out[group * 8 + 2 * k + 1] = pair[1];
        }
    }
    unused
}

/// Encodes a whole tensor: `ternary` holds `rows` rows of `columns` values −1, 0 or +1.
///
/// # Errors
///
/// When `columns` is no multiple of 128, `ternary` has another length than the shape asks for, a
/// value is not ternary, or the scale is not finite.
pub fn encode_i2s(
    ternary: &[i8],
    rows: usize,
    columns: usize,
    scale: f32,
) -> Result<Vec<u8>, CodecError> {
    let ty = TensorType::I2S;
    let size = |source| CodecError::Size { ty, source };
    let len = ty.tensor_bytes(&[columns, rows]).map_err(size)?;
    let expected = rows.checked_mul(columns).ok_or(size(SizeError::Overflow))?;
    if ternary.len() != expected {
        return Err(CodecError::SliceLength {
            expected,
            got: ternary.len(),
        });
    }
    if !scale.is_finite() {
        return Err(CodecError::BadScale { scale });
    }
    if let Some(at) = ternary.iter().position(|t| !(-1..=1).contains(t)) {
        let (row, column) = (at / columns, at % columns);
        return Err(CodecError::NotTernary {
            row,
            column,
            value: ternary[at],
        });
    }
    let mut bytes = Vec::with_capacity(len);
    for block in ternary.as_chunks::<BLOCK>().0 {
        for p in 0..BYTES {
            let code = |group: usize| (block[p + group * BYTES] + 1).cast_unsigned();
            bytes.push(code(0) << 6 | code(1) << 4 | code(2) << 2 | code(3));
        }
    }
    bytes.extend(scale.to_le_bytes());
    bytes.resize(len, 0);
    Ok(bytes)
}
