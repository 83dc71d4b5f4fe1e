//! Rows of one tensor type to `f32` and back.
//!
//! | type | elements | bytes | layout of a block |
//! |---|---|---|---|
//! | F32, F16, BF16 | 1 | 4, 2, 2 | the value, little-endian |
//! | Q8_0 | 32 | 34 | f16 scale, 32 × i8 |
//! | Q4_0 | 32 | 18 | f16 scale, 16 bytes: low nibble element j, high nibble element j + 16 |
//! | Q6_K | 256 | 210 | 128 low nibbles, 64 bytes of upper bits, 16 × i8 sub-scale, f16 scale |
//!
//! I2_S keeps one scale for the whole tensor and is read through [`I2s`].
//!
//! Decoders pass non-finite values through: whether a model may contain them is for the engine to
//! say. Encoders refuse values that the type cannot hold.

mod float;
mod i2s;
mod q6k;
mod quants;

pub use i2s::{I2s, encode_i2s};

use crate::types::{SizeError, TensorType};

/// Data that a codec cannot take.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The shape does not suit the type.
    #[error("type {ty}: {source}")]
    Size {
        /// The type.
        ty: TensorType,
        /// Why.
        source: SizeError,
    },
    /// The stored bytes are too few or too many.
    #[error("type {ty}: {expected} stored bytes expected, {got} found")]
    StoredLength {
        /// The type.
        ty: TensorType,
        /// Bytes that the shape asks for.
        expected: usize,
        /// Bytes found.
        got: usize,
    },
    /// A slice of decoded values is shorter or longer than the shape.
    #[error("a slice of length {expected} is needed, but it has {got}")]
    SliceLength {
        /// The length that the shape asks for.
        expected: usize,
        /// The length of the slice.
        got: usize,
    },
    /// A row number beyond the last row.
    #[error("there is no row {row}; the tensor has {rows}")]
    NoSuchRow {
        /// The row asked for.
        row: usize,
        /// How many there are.
        rows: usize,
    },
    /// The tensor is not of type I2_S.
    #[error("ternary weights of type I2_S expected, but the type is {ty}")]
    NotI2s {
        /// Its type.
        ty: TensorType,
    },
    /// A two-bit code that stands for no ternary value.
    #[error("row {row}, column {column} holds the code 3; ternary codes are 0, 1 and 2")]
    UnusedCode {
        /// The row.
        row: usize,
        /// The column.
        column: usize,
    },
    /// A ternary scale that is infinite or not a number.
    #[error("the scale of the ternary weights is {scale}; it must be finite")]
    BadScale {
        /// The scale found.
        scale: f32,
    },
    /// A weight to encode is not −1, 0 or +1.
    #[error("row {row}, column {column} is {value}; ternary weights are -1, 0 and 1")]
    NotTernary {
        /// The row.
        row: usize,
        /// The column.
        column: usize,
        /// The value.
        value: i8,
    },
    /// A value to encode that the type cannot hold.
    #[error("element {column} is {value}, which type {ty} cannot hold")]
    Unrepresentable {
        /// The type.
        ty: TensorType,
        /// Which element.
        column: usize,
        /// The value.
        value: f32,
    },
}

/// Decodes one row of `out.len()` elements.
///
/// # Errors
///
/// When `out.len()` is no whole number of the type's blocks, `bytes` is not exactly as long as such
/// a row, or the type's rows do not stand alone (I2_S) or have no codec.
pub fn decode_row(ty: TensorType, bytes: &[u8], out: &mut [f32]) -> Result<(), CodecError> {
    let expected = ty
        .row_bytes(out.len())
        .map_err(|source| CodecError::Size { ty, source })?;
    if bytes.len() != expected {
        return Err(CodecError::StoredLength {
            ty,
            expected,
            got: bytes.len(),
        });
    }
    match ty {
        TensorType::F32 => float::decode_f32(bytes, out),
        TensorType::F16 => float::decode_f16(bytes, out),
        TensorType::Bf16 => float::decode_bf16(bytes, out),
        TensorType::Q8_0 => quants::decode_q8_0(bytes, out),
        TensorType::Q4_0 => quants::decode_q4_0(bytes, out),
        TensorType::Q6K => q6k::decode(bytes, out),
        TensorType::I2S | TensorType::Listed(_) => {
            return Err(CodecError::Size {
                ty,
                source: SizeError::Unknown,
            });
        }
    }
    Ok(())
}

/// Encodes one row and appends its bytes to `out`.
///
/// # Errors
///
/// When `row.len()` is no whole number of the type's blocks, a value does not fit into the type, or
/// the type's rows do not stand alone ([`encode_i2s`] writes I2_S) or have no codec. `out` then has
/// the length it had.
pub fn encode_row(ty: TensorType, row: &[f32], out: &mut Vec<u8>) -> Result<(), CodecError> {
    let len = ty
        .row_bytes(row.len())
        .map_err(|source| CodecError::Size { ty, source })?;
    let start = out.len();
    out.reserve(len);
    let done = match ty {
        TensorType::F32 => {
            out.extend(row.iter().flat_map(|x| x.to_le_bytes()));
            Ok(())
        }
        TensorType::F16 => float::encode_f16(row, out),
        TensorType::Bf16 => float::encode_bf16(row, out),
        TensorType::Q8_0 => quants::encode_q8_0(row, out),
        TensorType::Q4_0 => quants::encode_q4_0(row, out),
        TensorType::Q6K => q6k::encode(row, out),
        TensorType::I2S | TensorType::Listed(_) => {
            return Err(CodecError::Size {
                ty,
                source: SizeError::Unknown,
            });
        }
    };
    done.map_err(|column| {
        out.truncate(start);
        let value = row.get(column).copied().unwrap_or(f32::NAN);
        CodecError::Unrepresentable { ty, column, value }
    })
}

/// The position of the first value that is infinite or not a number, as an error.
fn all_finite(row: &[f32]) -> Result<(), usize> {
    row.iter().position(|x| !x.is_finite()).map_or(Ok(()), Err)
}

/// The position and the value of the element with the largest magnitude; the first of equals.
fn extreme(row: &[f32]) -> (usize, f32) {
    let mut best = (0, 0.0_f32);
    for (column, &x) in row.iter().enumerate() {
        if x.abs() > best.1.abs() {
            best = (column, x);
        }
    }
    best
}
