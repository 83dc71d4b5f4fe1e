//! Ternary tensors of every stored form, as canonical codes and scales.
//!
//! | type | elements | bytes | layout |
//! |---|---|---|---|
//! | I2_S | tensor | n / 4 + 32 | 32 bytes with 4 elements 32 apart, f32 scale behind all; two variants of other builds |
//! | TQ2_0 | 256 | 66 | two runs of 32 bytes with 4 elements 32 apart, f16 scale |
//! | TQ1_0 | 256 | 54 | 48 bytes of five and 4 bytes of four base-3 digits, f16 scale |
//! | Q2_0; PQ2_0 | 64; 128 | 18; 34 | f16 scale, four neighbours in a byte |
//! | PTQ1_0 | 128 | 28 | 24 bytes of five and 2 bytes of four base-3 digits, f16 scale |
//! | Q1_0 | 128 | 18 | f16 scale, one bit each: minus or plus |
//! | IQ2_BN | row | 4 + n / 4 | f32 scale; 16 bytes with 4 elements 16 apart |
//! | IQ2_BN_R4 | four rows | 4 × as IQ2_BN | four f32 scales; 64 bytes for 64 columns of four rows |
//! | IQ1_BN | row | 2 + 13 n / 64 | f16 scale; 12 bytes of five digits, one byte of four |
//!
//! Code 0 is −1, 1 is 0 and 2 is +1. A byte of base-3 digits is a fixed-point fraction, rounded
//! up: multiplied by 3ⁿ modulo 256, its top third tells digit n.

mod digits;
mod encode;
mod i2s;
mod scales;
mod unpack;

pub use encode::{Rounding, encode_ternary, lossless_type};
pub use scales::Scales;

use super::CodecError;
use crate::types::TensorType;
use i2s::canonical_blocks;
use unpack::Form;

/// The values of canonical codes ([`Ternary::canonical_row`]), four a byte: −1, 0 and +1.
pub fn ternary_values(codes: &[u8]) -> impl Iterator<Item = i8> {
    codes.iter().flat_map(|byte| {
        [byte & 3, byte >> 2 & 3, byte >> 4 & 3, byte >> 6].map(|code| code as i8 - 1)
    })
}

/// Whether `scale` can be one: no program writes a negative one, so that it is damage.
fn sound_scale(scale: f32) -> bool {
    scale.is_finite() && scale >= 0.0
}

/// Most elements in a block.
const MAX_BLOCK: usize = 256;

/// Ternary weights of a tensor of any stored form.
///
/// The weight of column `c` is `(code - 1) * scale`, with the scale that reaches over it.
#[derive(Debug, Clone, Copy)]
pub struct Ternary<'a> {
    ty: TensorType,
    form: Form,
    bytes: &'a [u8],
    rows: usize,
    columns: usize,
}

/// How far one stored scale reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Over the tensor.
    Tensor,
    /// Over a row.
    Row,
    /// Over so many columns of a row.
    Columns(usize),
}

impl<'a> Ternary<'a> {
    /// Reads the bytes of a whole tensor. Codes and scales are checked when they are read.
    ///
    /// # Errors
    ///
    /// When the type is not ternary, the shape does not suit it, or `bytes` is not exactly as long
    /// as the shape asks for.
    pub fn new(
        ty: TensorType,
        bytes: &'a [u8],
        rows: usize,
        columns: usize,
    ) -> Result<Self, CodecError> {
        let form = Form::of(ty).ok_or(CodecError::NotTernaryType { ty })?;
        let expected = ty
            .tensor_bytes(&[columns, rows])
            .map_err(|source| CodecError::Size { ty, source })?;
        if bytes.len() != expected {
            let got = bytes.len();
            return Err(CodecError::StoredLength { ty, expected, got });
        }
        Ok(Self {
            ty,
            form,
            bytes,
            rows,
            columns,
        })
    }

    /// How the weights are stored.
    pub fn ty(&self) -> TensorType {
        self.ty
    }

    /// Number of rows: output features.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Elements in a row: input features, a multiple of 4.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How far one stored scale reaches.
    pub fn span(&self) -> Span {
        self.form.span()
    }

    /// About where in the tensor's bytes the codes of `rows` lie.
    pub fn stored(&self, rows: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let tail = if self.span() == Span::Tensor { 32 } else { 0 };
        let row = (self.bytes.len() - tail) / self.rows.max(1);
        rows.start.min(self.rows) * row..rows.end.min(self.rows) * row
    }

    /// Writes row `row` in canonical packing: column `j` in byte `j / 4`, bits `2 * (j % 4)` and
    /// the next, codes 0, 1, 2 for −1, 0, +1. `out` must have length `columns / 4`.
    ///
    /// # Errors
    ///
    /// When there is no such row, `out` has another length, or the row holds the unused code 3.
    pub fn canonical_row(&self, row: usize, out: &mut [u8]) -> Result<(), CodecError> {
        self.check(row, self.columns / 4, out.len())?;
        let mut unused = 0;
        if self.ty == TensorType::I2S {
            // The type of the largest files has a way of its own.
            let stored = &self.bytes[row * out.len()..][..out.len()];
            unused = canonical_blocks(stored, out);
        } else {
            self.blocks(row, |number, codes| {
                let start = number * codes.len() / 4;
                for (byte, &[a, b, c, d]) in out[start..].iter_mut().zip(codes.as_chunks().0) {
                    let three = (a & a >> 1) | (b & b >> 1) | (c & c >> 1) | (d & d >> 1);
                    unused |= u64::from(three);
                    *byte = a | b << 2 | c << 4 | d << 6;
                }
            });
        }
        if unused == 0 {
            return Ok(());
        }
        let is_unused = |&column: &usize| out[column / 4] >> (2 * (column % 4)) & 3 == 3;
        let column = (0..self.columns).find(is_unused).unwrap_or_default();
        Err(CodecError::UnusedCode { row, column })
    }

    /// The scales of row `row`, in order of columns; one if a scale reaches over a row or more.
    ///
    /// # Errors
    ///
    /// When there is no such row, or a scale is infinite, negative or not a number.
    pub fn row_scales(&self, row: usize) -> Result<Vec<f32>, CodecError> {
        self.check(row, 0, 0)?;
        let scales: Vec<f32> = match self.span() {
            Span::Columns(columns) => (0..self.columns / columns)
                .map(|block| self.form.block_scale(self.block(row, block).0))
                .collect(),
            Span::Row => vec![self.form.row_scale(self.bytes, self.columns, row)],
            Span::Tensor => vec![self.form.tensor_scale(self.bytes)],
        };
        match scales.iter().find(|scale| !sound_scale(**scale)) {
            None => Ok(scales),
            Some(&scale) => Err(CodecError::BadScale { scale }),
        }
    }

    /// All scales, in the coarsest form that says the same: a tensor whose blocks all have one
    /// scale has one scale. Blocks of zeros, whatever their scale, stand in nobody's way.
    ///
    /// # Errors
    ///
    /// When a scale is infinite, negative or not a number.
    pub fn scales(&self) -> Result<Scales, CodecError> {
        scales::read(self)
    }

    /// Decodes row `row` into `out`, which must have length `columns`.
    ///
    /// # Errors
    ///
    /// As for [`canonical_row`](Self::canonical_row) and [`row_scales`](Self::row_scales).
    pub fn decode_row(&self, row: usize, out: &mut [f32]) -> Result<(), CodecError> {
        self.check(row, self.columns, out.len())?;
        let scales = self.row_scales(row)?;
        let reach = self.columns / scales.len().max(1);
        let mut unused = None;
        self.blocks(row, |number, codes| {
            let start = number * codes.len();
            for (i, (x, code)) in out[start..].iter_mut().zip(codes).enumerate() {
                *x = (f32::from(*code) - 1.0) * scales[(start + i) / reach.max(1)];
                if *code == 3 {
                    unused.get_or_insert(start + i);
                }
            }
        });
        match unused {
            None => Ok(()),
            Some(column) => Err(CodecError::UnusedCode { row, column }),
        }
    }

    fn check(&self, row: usize, expected: usize, got: usize) -> Result<(), CodecError> {
        if row >= self.rows {
            let rows = self.rows;
            return Err(CodecError::NoSuchRow { row, rows });
        }
        if expected == got {
            Ok(())
        } else {
            Err(CodecError::SliceLength { expected, got })
        }
    }

    /// Calls `each` with the number and the codes of every block of a row that exists.
    fn blocks(&self, row: usize, mut each: impl FnMut(usize, &[u8])) {
        let mut codes = [0; MAX_BLOCK];
        let codes = &mut codes[..self.form.elements()];
        for number in 0..self.columns / codes.len() {
            let (block, lane) = self.block(row, number);
            self.form.unpack(block, lane, codes);
            each(number, codes);
        }
    }

    /// The bytes of a block of a row that exists, and which of the interleaved rows it is.
    fn block(&self, row: usize, number: usize) -> (&'a [u8], usize) {
        let (start, lane) = self.form.place(self.columns, row, number);
        (&self.bytes[start..][..self.form.bytes()], lane)
    }
}
