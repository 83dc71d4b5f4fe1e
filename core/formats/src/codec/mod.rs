//! Rows of one tensor type to `f32` and back.
//!
//! | type | elements | bytes | layout of a block |
//! |---|---|---|---|
//! | F32, F16, BF16 | 1 | 4, 2, 2 | the value, little-endian |
//! | Q8_0 | 32 | 34 | f16 scale, 32 × i8 |
//! | Q4_0 | 32 | 18 | f16 scale, 16 bytes: low nibble element j, high nibble element j + 16 |
//! | Q4_1 | 32 | 20 | f16 scale, f16 minimum, nibbles as Q4_0 |
//! | IQ4_NL | 32 | 18 | as Q4_0, the nibbles being indices into a table |
//! | Q6_K | 256 | 210 | 128 low nibbles, 64 bytes of upper bits, 16 × i8 sub-scale, f16 scale |
//! | Q4_K, Q5_K | 256 | 144, 176 | 2 × f16, 12 bytes of scales and minima, fifth bits, nibbles |
//!
//! The ternary types are read through [`Ternary`], which lists them. Q4_1, IQ4_NL, Q4_K and Q5_K
//! are read only.
//!
//! Decoders pass non-finite values through: whether a model may contain them is for the engine to
//! say. Encoders refuse values that the type cannot hold.

mod float;
mod grid;
mod kquants;
mod q6k;
mod quants;
mod ternary;

pub use grid::{Grid, OffGrid, absmean, ternary_grid};
pub use ternary::{Rounding, Scales, Span, Ternary, encode_ternary, lossless_type, ternary_values};

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
    /// The tensor is not of a ternary type.
    #[error("ternary weights expected, but the type is {ty}")]
    NotTernaryType {
        /// Its type.
        ty: TensorType,
    },
    /// Values of this type are read but not written.
    #[error("values of type {ty} can be read but not written")]
    NoEncoder {
        /// The type.
        ty: TensorType,
    },
    /// A zero for a type that has none.
    #[error("row {row}, column {column} is 0, and type {ty} has only -1 and 1")]
    Zero {
        /// The row.
        row: usize,
        /// The column.
        column: usize,
        /// The type.
        ty: TensorType,
    },
    /// Scales that differ where the type has one.
    #[error("the scale changes at row {row}, column {column}, where type {ty} has one scale")]
    ScaleVaries {
        /// The row.
        row: usize,
        /// The column.
        column: usize,
        /// The type.
        ty: TensorType,
    },
    /// A scale that the type cannot hold as it is.
    #[error("type {ty} has scales of 16 bits and cannot hold {scale} exactly")]
    InexactScale {
        /// The scale.
        scale: f32,
        /// The type.
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
    /// A ternary scale that is infinite, negative or not a number.
    #[error("a scale of the ternary weights is {scale}; it must be finite and not negative")]
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
/// a row, or the type's rows do not stand alone (I2_S, IQ1_BN, IQ2_BN) or have no codec.
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
        TensorType::Q4_1 => quants::decode_q4_1(bytes, out),
        TensorType::Iq4Nl => quants::decode_iq4_nl(bytes, out),
        TensorType::Q4K => kquants::decode_q4_k(bytes, out),
        TensorType::Q5K => kquants::decode_q5_k(bytes, out),
        ty if ty.is_ternary() => return Ternary::new(ty, bytes, 1, out.len())?.decode_row(0, out),
        _ => {
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
/// the type is ternary ([`encode_ternary`] writes those) or has no encoder. `out` then has
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
        _ => return Err(CodecError::NoEncoder { ty }),
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
