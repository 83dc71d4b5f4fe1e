//! Tensor types: their numbers in GGUF files, names and sizes.
//!
//! Several programs have used the same number for different layouts; the table says which reading
//! is taken and, where the number alone cannot tell, takes a tensor's size from the file.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::indexing_slicing
)]

use std::fmt;

/// How elements are stored.
///
/// The named variants are the types with a codec; [`Listed`](Self::Listed) are types that are known
/// by name, so that a file that has them can be inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorType {
    /// 32-bit float (id 0).
    F32,
    /// 16-bit float (id 1).
    F16,
    /// The upper half of a 32-bit float (id 30).
    Bf16,
    /// 32 signed bytes and an f16 scale (id 8).
    Q8_0,
    /// 256 six-bit values with 16 sub-scales and an f16 scale (id 14).
    Q6K,
    /// 32 four-bit values and an f16 scale (id 2).
    Q4_0,
    /// Ternary values in two bits with one f32 scale for the tensor (id 36, of bitnet.cpp).
    I2S,
    /// A known type without a codec.
    Listed(&'static ListedType),
}

/// A type that is known by number, name and size, but not computed with.
#[derive(Debug, PartialEq, Eq)]
pub struct ListedType {
    id: u32,
    name: &'static str,
    size: Size,
    advice: &'static str,
}

/// How a tensor's byte length follows from its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// Rows of blocks.
    Blocks { elements: usize, bytes: usize },
    /// Two bits per element, then 32 bytes that begin with an f32 scale.
    Tail { multiple: usize },
    /// Every row: a scale, then blocks of 64 elements.
    Rows { scale: usize, bytes: usize },
    /// Not computable: the distance to the next tensor.
    ToNext,
}

/// A shape that a type cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// The row length is no whole number of blocks.
    #[error("the row length must be a multiple of {multiple}")]
    Row {
        /// Elements in a block.
        multiple: usize,
    },
    /// The byte length does not fit into memory.
    #[error("the size overflows")]
    Overflow,
    /// The type's byte length does not follow from the shape.
    #[error("the type has no computable size")]
    Unknown,
}

impl TensorType {
    /// The type with this number in a GGUF file, or `None` if no known program writes it.
    ///
    /// Number 36 is read as I2_S; [`GgufFile`](crate::GgufFile) tells the old IQ4_NL_4_4 apart by
    /// its size.
    pub fn from_id(id: u32) -> Option<Self> {
        Some(match id {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            8 => Self::Q8_0,
            14 => Self::Q6K,
            30 => Self::Bf16,
            36 => Self::I2S,
            _ => Self::Listed(LISTED.iter().find(|ty| ty.id == id)?),
        })
    }

    /// The old meaning of number 36: Q4 values in four interleaved rows, removed from llama.cpp.
    pub(crate) fn old_36() -> Self {
        Self::Listed(&IQ4_NL_4_4)
    }

    /// The number in a GGUF file.
    pub fn id(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q8_0 => 8,
            Self::Q6K => 14,
            Self::Bf16 => 30,
            Self::I2S => 36,
            Self::Listed(ty) => ty.id,
        }
    }

    /// The name, as the programs that write the type spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Q4_0 => "Q4_0",
            Self::Q8_0 => "Q8_0",
            Self::Q6K => "Q6_K",
            Self::Bf16 => "BF16",
            Self::I2S => "I2_S",
            Self::Listed(ty) => ty.name,
        }
    }

    /// Whether there is a codec, so that a tensor of this type can be computed with.
    pub fn is_supported(self) -> bool {
        !matches!(self, Self::Listed(_))
    }

    /// What to do about a tensor of an unsupported type; `None` for supported types.
    pub fn advice(self) -> Option<&'static str> {
        match self {
            Self::Listed(ty) => Some(ty.advice),
            _ => None,
        }
    }

    /// Bytes of a row of `columns` elements, for types whose rows stand alone.
    ///
    /// # Errors
    ///
    /// When `columns` is no whole number of blocks, or the type keeps something outside its rows
    /// (I2_S: the scale), or the length overflows.
    pub fn row_bytes(self, columns: usize) -> Result<usize, SizeError> {
        match self.size() {
            Size::Blocks { .. } => self.tensor_bytes(&[columns]),
            _ => Err(SizeError::Unknown),
        }
    }

    /// Bytes of a whole tensor; `dims[0]` is the row length.
    ///
    /// # Errors
    ///
    /// When the row length is no whole number of blocks, the byte length overflows, or the type's
    /// size does not follow from its shape.
    pub fn tensor_bytes(self, dims: &[usize]) -> Result<usize, SizeError> {
        let columns = dims.first().copied().unwrap_or(0);
        let elements = dims.iter().try_fold(1, |n: usize, &dim| n.checked_mul(dim));
        let elements = elements.ok_or(SizeError::Overflow)?;
        let rows = elements.checked_div(columns).unwrap_or(0);
        let blocks = |multiple: usize| match columns.checked_rem(multiple) {
            Some(0) => Ok(columns.checked_div(multiple).unwrap_or(0)),
            _ => Err(SizeError::Row { multiple }),
        };
        let bytes = match self.size() {
            Size::Blocks { elements, bytes } => blocks(elements)?
                .checked_mul(bytes)
                .and_then(|row| row.checked_mul(rows)),
            Size::Tail { multiple } => {
                blocks(multiple)?;
                elements.div_euclid(4).checked_add(32)
            }
            Size::Rows { scale, bytes } => blocks(64)?
                .checked_mul(bytes)
                .and_then(|row| row.checked_add(scale))
                .and_then(|row| row.checked_mul(rows)),
            Size::ToNext => return Err(SizeError::Unknown),
        };
        // Slices cannot be longer than isize::MAX, so neither can a tensor.
        bytes
            .filter(|&n| isize::try_from(n).is_ok())
            .ok_or(SizeError::Overflow)
    }

    fn size(self) -> Size {
        match self {
            Self::F32 => Size::Blocks {
                elements: 1,
                bytes: 4,
            },
            Self::F16 | Self::Bf16 => Size::Blocks {
                elements: 1,
                bytes: 2,
            },
            Self::Q4_0 => Size::Blocks {
                elements: 32,
                bytes: 18,
            },
            Self::Q8_0 => Size::Blocks {
                elements: 32,
                bytes: 34,
            },
            Self::Q6K => Size::Blocks {
                elements: 256,
                bytes: 210,
            },
            Self::I2S => Size::Tail { multiple: 128 },
            Self::Listed(ty) => ty.size,
        }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const LATER: &str =
    "not supported yet; use a file whose tensors are I2_S, F16, BF16, F32, Q8_0, Q6_K or Q4_0";
const TILED: &str = "its tile sizes are chosen when bitnet.cpp is built and are not in the file; \
                     use the I2_S file of the same model";
const SHARED: &str = "several programs give this number to different layouts, and none of them is \
                      supported yet; use the I2_S file of the same model if there is one";
const REMOVED: &str =
    "an interleaved layout that llama.cpp has removed; convert the model again from its source";

static IQ4_NL_4_4: ListedType = blocks(36, "IQ4_NL_4_4", 32, 18, REMOVED);

const fn blocks(
    id: u32,
    name: &'static str,
    elements: usize,
    bytes: usize,
    advice: &'static str,
) -> ListedType {
    ListedType {
        id,
        name,
        size: Size::Blocks { elements, bytes },
        advice,
    }
}

const fn other(id: u32, name: &'static str, size: Size, advice: &'static str) -> ListedType {
    ListedType {
        id,
        name,
        size,
        advice,
    }
}

/// Types by number: llama.cpp, then the ones of bitnet.cpp, ik_llama.cpp and PrismML.
static LISTED: &[ListedType] = &[
    blocks(3, "Q4_1", 32, 20, LATER),
    blocks(6, "Q5_0", 32, 22, LATER),
    blocks(7, "Q5_1", 32, 24, LATER),
    blocks(9, "Q8_1", 32, 36, LATER),
    blocks(10, "Q2_K", 256, 84, LATER),
    blocks(11, "Q3_K", 256, 110, LATER),
    blocks(12, "Q4_K", 256, 144, LATER),
    blocks(13, "Q5_K", 256, 176, LATER),
    blocks(15, "Q8_K", 256, 292, LATER),
    blocks(16, "IQ2_XXS", 256, 66, LATER),
    blocks(17, "IQ2_XS", 256, 74, LATER),
    blocks(18, "IQ3_XXS", 256, 98, LATER),
    blocks(19, "IQ1_S", 256, 50, LATER),
    blocks(20, "IQ4_NL", 32, 18, LATER),
    blocks(21, "IQ3_S", 256, 110, LATER),
    blocks(22, "IQ2_S", 256, 82, LATER),
    blocks(23, "IQ4_XS", 256, 136, LATER),
    blocks(24, "I8", 1, 1, LATER),
    blocks(25, "I16", 1, 2, LATER),
    blocks(26, "I32", 1, 4, LATER),
    blocks(27, "I64", 1, 8, LATER),
    blocks(28, "F64", 1, 8, LATER),
    blocks(29, "IQ1_M", 256, 56, LATER),
    blocks(31, "Q4_0_4_4", 32, 18, REMOVED),
    blocks(32, "Q4_0_4_8", 32, 18, REMOVED),
    blocks(33, "Q4_0_8_8", 32, 18, REMOVED),
    blocks(34, "TQ1_0", 256, 54, LATER),
    blocks(35, "TQ2_0", 256, 66, LATER),
    other(37, "I8_S or IQ4_NL_4_8", Size::ToNext, SHARED),
    other(38, "TL1", Size::ToNext, TILED),
    other(39, "TL2 or MXFP4", Size::ToNext, TILED),
    blocks(40, "NVFP4", 64, 36, LATER),
    blocks(41, "Q1_0", 128, 18, LATER),
    // 64 elements in 18 bytes, or 128 in 34 with the scale first, or 128 in 34 with it last.
    other(42, "Q2_0", Size::ToNext, SHARED),
    other(
        134,
        "IQ1_BN",
        Size::Rows {
            scale: 2,
            bytes: 13,
        },
        LATER,
    ),
    other(
        135,
        "IQ2_BN",
        Size::Rows {
            scale: 4,
            bytes: 16,
        },
        LATER,
    ),
    blocks(142, "PQ2_0", 128, 34, LATER),
    blocks(143, "PTQ1_0", 128, 28, LATER),
    other(
        335,
        "IQ2_BN_R4",
        Size::Rows {
            scale: 4,
            bytes: 16,
        },
        LATER,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_come_back() {
        let mut known = 0;
        for id in 0..400 {
            if let Some(ty) = TensorType::from_id(id) {
                assert_eq!(ty.id(), id, "{ty}");
                assert!(!ty.name().is_empty());
                assert_eq!(ty.is_supported(), ty.advice().is_none(), "{ty}");
                known += 1;
            }
        }
        assert_eq!(
            known,
            LISTED.len() + 7,
            "a listed id is shadowed or repeated"
        );
        assert_eq!(TensorType::from_id(4), None, "Q4_2 was removed");
        assert_eq!(TensorType::from_id(u32::MAX), None);
    }

    #[test]
    fn sizes_of_published_tensors() {
        // blk.0.ffn_down.weight and token_embd.weight of bitnet-b1.58-2B-4T.
        assert_eq!(
            TensorType::I2S.tensor_bytes(&[6912, 2560]),
            Ok(4_423_680 + 32)
        );
        assert_eq!(
            TensorType::F16.tensor_bytes(&[2560, 128_256]),
            Ok(656_670_720)
        );
        assert_eq!(
            TensorType::Q6K.tensor_bytes(&[2560, 128_256]),
            Ok(269_337_600)
        );
        let bn = TensorType::from_id(135).unwrap();
        assert_eq!(bn.tensor_bytes(&[2560, 3]), Ok(3 * (4 + 640)));
    }

    #[test]
    fn impossible_shapes() {
        assert_eq!(
            TensorType::I2S.tensor_bytes(&[64, 2]),
            Err(SizeError::Row { multiple: 128 }),
            "128 elements, but in rows of 64"
        );
        assert_eq!(
            TensorType::Q8_0.row_bytes(33),
            Err(SizeError::Row { multiple: 32 })
        );
        assert_eq!(
            TensorType::F32.tensor_bytes(&[usize::MAX, 2]),
            Err(SizeError::Overflow)
        );
        assert_eq!(
            TensorType::F32.tensor_bytes(&[usize::MAX / 4, 1]),
            Err(SizeError::Overflow)
        );
        assert_eq!(
            TensorType::F32.tensor_bytes(&[1 << 62]),
            Err(SizeError::Overflow)
        );
        assert_eq!(TensorType::I2S.row_bytes(128), Err(SizeError::Unknown));
        let tl2 = TensorType::from_id(39).unwrap();
        assert_eq!(tl2.tensor_bytes(&[256, 256]), Err(SizeError::Unknown));
    }
}
