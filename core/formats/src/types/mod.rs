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

mod listed;
mod size;

use std::fmt;

pub use listed::ListedType;
use size::Size;
pub use size::SizeError;

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
    /// 256 five-bit values with 8 sub-scales, 8 minima and two f16 scales (id 13).
    Q5K,
    /// 256 four-bit values with 8 sub-scales, 8 minima and two f16 scales (id 12).
    Q4K,
    /// 32 four-bit values and an f16 scale (id 2).
    Q4_0,
    /// 32 four-bit values, an f16 scale and an f16 minimum (id 3).
    Q4_1,
    /// 32 indices into a table of 16 values and an f16 scale (id 20).
    Iq4Nl,
    /// Ternary values in two bits with one f32 scale for the tensor (id 36, of bitnet.cpp).
    I2S,
    /// I2_S as builds of bitnet.cpp for ARM have written it since November 2025: blocks of 64
    /// instead of 128. Nothing in a file tells, so a person has to
    /// ([`GgufFile::set_i2s_layout`](crate::GgufFile::set_i2s_layout)).
    I2sArm,
    /// I2_S as builds of bitnet.cpp without `ACT_PARALLEL` write it: four rows in a byte. Told by a
    /// person, as [`I2sArm`](Self::I2sArm).
    I2sRows4,
    /// 256 ternary values, five in a byte, and an f16 scale (id 34).
    Tq1_0,
    /// 256 ternary values in two bits and an f16 scale (id 35).
    Tq2_0,
    /// 128 values that are plus or minus an f16 scale (id 41).
    Q1_0,
    /// An f16 scale and 64 ternary values in two bits (id 42).
    Q2_0,
    /// An f16 scale and 128 ternary values in two bits, written as number 42 by programs of PrismML
    /// until August 2026; told apart by the sizes of the tensors.
    Q2_0G128,
    /// An f16 scale and 128 ternary values in two bits (id 142, of PrismML).
    Pq2_0,
    /// 128 ternary values, five in a byte, and an f16 scale (id 143, of PrismML).
    Ptq1_0,
    /// Rows: an f16 scale, then 64 ternary values in 13 bytes each (id 134, of ik_llama.cpp).
    Iq1Bn,
    /// Rows: an f32 scale, then 64 ternary values in 16 bytes each (id 135, of ik_llama.cpp).
    Iq2Bn,
    /// As [`Iq2Bn`](Self::Iq2Bn) with four rows interleaved (id 335, of ik_llama.cpp).
    Iq2BnR4,
    /// A known type without a codec.
    Listed(&'static ListedType),
}

/// Types with a codec, except those that share another's number.
const NUMBERED: [TensorType; 20] = [
    TensorType::F32,
    TensorType::F16,
    TensorType::Bf16,
    TensorType::Q8_0,
    TensorType::Q6K,
    TensorType::Q5K,
    TensorType::Q4K,
    TensorType::Q4_0,
    TensorType::Q4_1,
    TensorType::Iq4Nl,
    TensorType::I2S,
    TensorType::Tq1_0,
    TensorType::Tq2_0,
    TensorType::Q1_0,
    TensorType::Q2_0,
    TensorType::Pq2_0,
    TensorType::Ptq1_0,
    TensorType::Iq1Bn,
    TensorType::Iq2Bn,
    TensorType::Iq2BnR4,
];

/// The layouts that builds of bitnet.cpp have written under the number of I2_S.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum I2sLayout {
    /// Blocks of 128: every published file.
    #[default]
    Canonical,
    /// Blocks of 64: files quantised by a build for ARM since November 2025.
    Arm,
    /// Four rows in a byte: files quantised by a build without `ACT_PARALLEL`.
    Rows4,
}

impl I2sLayout {
    /// The type of tensors in this layout.
    pub fn tensor_type(self) -> TensorType {
        match self {
            Self::Canonical => TensorType::I2S,
            Self::Arm => TensorType::I2sArm,
            Self::Rows4 => TensorType::I2sRows4,
        }
    }
}

impl TensorType {
    /// The type with this number in a GGUF file, or `None` if no known program writes it.
    ///
    /// Number 36 is read as I2_S and number 42 as Q2_0 with 64 elements in a block;
    /// [`GgufFile`](crate::GgufFile) tells the other meanings apart by the sizes of tensors.
    pub fn from_id(id: u32) -> Option<Self> {
        let known = NUMBERED.iter().find(|ty| ty.id() == id).copied();
        known.or_else(|| Some(Self::Listed(listed::find(id)?)))
    }

    /// The old meaning of number 36: Q4 values in four interleaved rows, removed from llama.cpp.
    pub(crate) fn old_36() -> Self {
        Self::Listed(&listed::IQ4_NL_4_4)
    }

    /// Number 42 with a third layout, or with none that the sizes in the file allow.
    pub(crate) fn other_42() -> Self {
        Self::Listed(&listed::OTHER_42)
    }

    /// The number in a GGUF file.
    pub fn id(self) -> u32 {
        self.facts().0
    }

    /// The name, as the programs that write the type spell it.
    pub fn name(self) -> &'static str {
        self.facts().1
    }

    fn size(self) -> Size {
        self.facts().2
    }

    /// Number, name and size.
    fn facts(self) -> (u32, &'static str, Size) {
        let blocks = |elements, bytes| Size::Blocks { elements, bytes };
        let tail = |multiple, group| Size::Tail { multiple, group };
        let rows = |scale, bytes, group| Size::Rows {
            scale,
            bytes,
            group,
        };
        match self {
            Self::F32 => (0, "F32", blocks(1, 4)),
            Self::F16 => (1, "F16", blocks(1, 2)),
            Self::Q4_0 => (2, "Q4_0", blocks(32, 18)),
            Self::Q4_1 => (3, "Q4_1", blocks(32, 20)),
            Self::Q8_0 => (8, "Q8_0", blocks(32, 34)),
            Self::Q4K => (12, "Q4_K", blocks(256, 144)),
            Self::Q5K => (13, "Q5_K", blocks(256, 176)),
            Self::Q6K => (14, "Q6_K", blocks(256, 210)),
            Self::Iq4Nl => (20, "IQ4_NL", blocks(32, 18)),
            Self::Bf16 => (30, "BF16", blocks(1, 2)),
            Self::Tq1_0 => (34, "TQ1_0", blocks(256, 54)),
            Self::Tq2_0 => (35, "TQ2_0", blocks(256, 66)),
            Self::I2S => (36, "I2_S", tail(128, 1)),
            Self::I2sArm => (36, "I2_S (ARM)", tail(64, 1)),
            Self::I2sRows4 => (36, "I2_S (four rows)", tail(4, 4)),
            Self::Q1_0 => (41, "Q1_0", blocks(128, 18)),
            Self::Q2_0 => (42, "Q2_0", blocks(64, 18)),
            Self::Q2_0G128 => (42, "Q2_0 (128)", blocks(128, 34)),
            Self::Iq1Bn => (134, "IQ1_BN", rows(2, 13, 1)),
            Self::Iq2Bn => (135, "IQ2_BN", rows(4, 16, 1)),
            Self::Pq2_0 => (142, "PQ2_0", blocks(128, 34)),
            Self::Ptq1_0 => (143, "PTQ1_0", blocks(128, 28)),
            Self::Iq2BnR4 => (335, "IQ2_BN_R4", rows(4, 16, 4)),
            Self::Listed(ty) => (ty.id, ty.name, ty.size),
        }
    }

    /// Whether there is a codec, so that a tensor of this type can be computed with.
    pub fn is_supported(self) -> bool {
        !matches!(self, Self::Listed(_))
    }

    /// Whether elements are -1, 0 or +1 times a scale
    /// ([`TensorView::ternary`](crate::TensorView::ternary) reads them).
    pub fn is_ternary(self) -> bool {
        matches!(
            self,
            Self::I2S
                | Self::I2sArm
                | Self::I2sRows4
                | Self::Tq1_0
                | Self::Tq2_0
                | Self::Q1_0
                | Self::Q2_0
                | Self::Q2_0G128
                | Self::Pq2_0
                | Self::Ptq1_0
                | Self::Iq1Bn
                | Self::Iq2Bn
                | Self::Iq2BnR4
        )
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
        self.size().tensor_bytes(dims)
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

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
            listed::ALL.len() + NUMBERED.len(),
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
