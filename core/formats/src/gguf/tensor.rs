//! A tensor in a file: shape, type, bytes, rows.

use std::ops::Range;

use super::index::text;
use super::layout::TensorEntry;
use crate::codec::{self, CodecError, Ternary};
use crate::error::{GgufError, shown};
use crate::types::TensorType;

/// A tensor of a [`GgufFile`](crate::GgufFile). Its bytes lie inside the file and do not overlap
/// another tensor's.
#[derive(Clone, Copy)]
pub struct TensorView<'a> {
    file: &'a [u8],
    part: usize,
    entry: &'a TensorEntry,
}

impl<'a> TensorView<'a> {
    pub(super) fn new(file: &'a [u8], part: usize, entry: &'a TensorEntry) -> Self {
        Self { file, part, entry }
    }

    /// The number of the file it lies in, from 0; see [`GgufFile::parts`](crate::GgufFile::parts).
    pub fn part(&self) -> usize {
        self.part
    }

    /// The name, such as `blk.0.attn_q.weight`.
    pub fn name(&self) -> &'a str {
        text(self.file, &self.entry.name)
    }

    /// One to four lengths; the first is the row length, which varies fastest. None is zero.
    pub fn dims(&self) -> &'a [usize] {
        self.entry.dims.get(..self.entry.rank).unwrap_or_default()
    }

    /// How elements are stored.
    pub fn ty(&self) -> TensorType {
        self.entry.ty
    }

    /// Elements in a row: input features of a weight matrix.
    pub fn columns(&self) -> usize {
        self.entry.dims[0]
    }

    /// Number of rows: output features of a weight matrix, 1 for a vector.
    pub fn rows(&self) -> usize {
        // The product of all dimensions has been checked.
        self.entry
            .dims
            .iter()
            .skip(1)
            .fold(1, |n: usize, &dim| n.saturating_mul(dim))
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.rows().saturating_mul(self.columns())
    }

    /// Where the data stands, in bytes from the start of its file.
    pub fn byte_range(&self) -> Range<usize> {
        self.entry.data.clone()
    }

    /// The stored bytes.
    ///
    /// # Errors
    ///
    /// When the type has no codec; the message says what to do.
    pub fn bytes(&self) -> Result<&'a [u8], GgufError> {
        if let Some(advice) = self.ty().advice() {
            return Err(GgufError::Unsupported {
                tensor: shown(self.name()),
                id: self.ty().id(),
                name: self.ty().name(),
                advice,
            });
        }
        Ok(self.file.get(self.byte_range()).unwrap_or_default())
    }

    /// The stored bytes of row `row`, for types whose rows stand alone: all but I2_S and the
    /// interleaved ones.
    ///
    /// # Errors
    ///
    /// When there is no such row, or the type has no codec or keeps a scale outside its rows.
    pub fn row_bytes(&self, row: usize) -> Result<&'a [u8], GgufError> {
        let bytes = self.bytes()?;
        let len = self.ty().row_bytes(self.columns());
        let len = len.map_err(|source| {
            self.codec(CodecError::Size {
                ty: self.ty(),
                source,
            })
        })?;
        let span = row
            .checked_mul(len)
            .and_then(|start| Some(start..start.checked_add(len)?));
        let slice = span
            .filter(|_| row < self.rows())
            .and_then(|span| bytes.get(span));
        slice.ok_or_else(|| {
            self.codec(CodecError::NoSuchRow {
                row,
                rows: self.rows(),
            })
        })
    }

    /// The tensor as ternary rows with scales, whatever form they are stored in.
    ///
    /// # Errors
    ///
    /// When the type is not ternary.
    pub fn ternary(&self) -> Result<Ternary<'a>, GgufError> {
        let bytes = self.bytes()?;
        Ternary::new(self.ty(), bytes, self.rows(), self.columns())
            .map_err(|source| self.codec(source))
    }

    /// Decodes row `row` into `out`, whose length must be [`columns`](Self::columns).
    ///
    /// # Errors
    ///
    /// When there is no such row, `out` has another length, the type has no codec, or a ternary
    /// row holds the unused code 3.
    pub fn decode_row(&self, row: usize, out: &mut [f32]) -> Result<(), GgufError> {
        if out.len() != self.columns() {
            let (expected, got) = (self.columns(), out.len());
            return Err(self.codec(CodecError::SliceLength { expected, got }));
        }
        if self.ty().is_ternary() {
            let ternary = self.ternary()?;
            return ternary
                .decode_row(row, out)
                .map_err(|source| self.codec(source));
        }
        codec::decode_row(self.ty(), self.row_bytes(row)?, out).map_err(|source| self.codec(source))
    }

    fn codec(&self, source: CodecError) -> GgufError {
        GgufError::Codec {
            tensor: shown(self.name()),
            source,
        }
    }
}

impl std::fmt::Debug for TensorView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TensorView")
            .field("name", &self.name())
            .field("dims", &self.dims())
            .field("ty", &self.ty().name())
            .field("byte_range", &self.byte_range())
            .finish()
    }
}
