//! Metadata values: typed, borrowed from the file, decoded when asked for.

use std::fmt;

use super::array::Array;

/// The type of a metadata value, by its number in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// Number 0.
    U8,
    /// Number 1.
    I8,
    /// Number 2.
    U16,
    /// Number 3.
    I16,
    /// Number 4.
    U32,
    /// Number 5.
    I32,
    /// Number 6.
    F32,
    /// Number 7: one byte, 0 or 1.
    Bool,
    /// Number 8: a `u64` length and bytes.
    Str,
    /// Number 9: element type, `u64` count, elements.
    Array,
    /// Number 10.
    U64,
    /// Number 11.
    I64,
    /// Number 12.
    F64,
}

impl ValueType {
    pub(super) fn from_id(id: u32) -> Option<Self> {
        const ALL: [ValueType; 13] = [
            ValueType::U8,
            ValueType::I8,
            ValueType::U16,
            ValueType::I16,
            ValueType::U32,
            ValueType::I32,
            ValueType::F32,
            ValueType::Bool,
            ValueType::Str,
            ValueType::Array,
            ValueType::U64,
            ValueType::I64,
            ValueType::F64,
        ];
        ALL.get(usize::try_from(id).ok()?).copied()
    }

    /// Bytes of a value, or `None` for strings and arrays, which carry their length.
    pub fn size(self) -> Option<usize> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Str | Self::Array => None,
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::F32 => "f32",
            Self::Bool => "bool",
            Self::Str => "string",
            Self::Array => "array",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F64 => "f64",
        })
    }
}

/// A metadata value. Strings and arrays point into the file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Unsigned, 8 bits.
    U8(u8),
    /// Signed, 8 bits.
    I8(i8),
    /// Unsigned, 16 bits.
    U16(u16),
    /// Signed, 16 bits.
    I16(i16),
    /// Unsigned, 32 bits.
    U32(u32),
    /// Signed, 32 bits.
    I32(i32),
    /// Float, 32 bits.
    F32(f32),
    /// True or false.
    Bool(bool),
    /// Text as bytes; usually, but not always, UTF-8.
    Str(&'a [u8]),
    /// Values of one type.
    Array(Array<'a>),
    /// Unsigned, 64 bits.
    U64(u64),
    /// Signed, 64 bits.
    I64(i64),
    /// Float, 64 bits.
    F64(f64),
}

impl<'a> Value<'a> {
    /// Decodes a value of fixed size from its bytes.
    pub(super) fn scalar(ty: ValueType, bytes: &'a [u8]) -> Option<Self> {
        fn chunk<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
            bytes.first_chunk().copied()
        }
        Some(match ty {
            ValueType::U8 => Self::U8(u8::from_le_bytes(chunk(bytes)?)),
            ValueType::I8 => Self::I8(i8::from_le_bytes(chunk(bytes)?)),
            ValueType::U16 => Self::U16(u16::from_le_bytes(chunk(bytes)?)),
            ValueType::I16 => Self::I16(i16::from_le_bytes(chunk(bytes)?)),
            ValueType::U32 => Self::U32(u32::from_le_bytes(chunk(bytes)?)),
            ValueType::I32 => Self::I32(i32::from_le_bytes(chunk(bytes)?)),
            ValueType::F32 => Self::F32(f32::from_le_bytes(chunk(bytes)?)),
            ValueType::Bool => Self::Bool(*bytes.first()? != 0),
            ValueType::U64 => Self::U64(u64::from_le_bytes(chunk(bytes)?)),
            ValueType::I64 => Self::I64(i64::from_le_bytes(chunk(bytes)?)),
            ValueType::F64 => Self::F64(f64::from_le_bytes(chunk(bytes)?)),
            ValueType::Str | ValueType::Array => return None,
        })
    }

    /// A value that the index has located; strings without their length.
    pub(super) fn located(ty: ValueType, bytes: &'a [u8]) -> Option<Self> {
        if ty == ValueType::Str {
            Some(Self::Str(bytes))
        } else {
            Self::scalar(ty, bytes)
        }
    }

    /// The value's type.
    pub fn ty(&self) -> ValueType {
        match self {
            Self::U8(_) => ValueType::U8,
            Self::I8(_) => ValueType::I8,
            Self::U16(_) => ValueType::U16,
            Self::I16(_) => ValueType::I16,
            Self::U32(_) => ValueType::U32,
            Self::I32(_) => ValueType::I32,
            Self::F32(_) => ValueType::F32,
            Self::Bool(_) => ValueType::Bool,
            Self::Str(_) => ValueType::Str,
            Self::Array(_) => ValueType::Array,
            Self::U64(_) => ValueType::U64,
            Self::I64(_) => ValueType::I64,
            Self::F64(_) => ValueType::F64,
        }
    }

    /// The value, if it is an integer of any width.
    pub fn integer(&self) -> Option<i128> {
        Some(match *self {
            Self::U8(n) => n.into(),
            Self::I8(n) => n.into(),
            Self::U16(n) => n.into(),
            Self::I16(n) => n.into(),
            Self::U32(n) => n.into(),
            Self::I32(n) => n.into(),
            Self::U64(n) => n.into(),
            Self::I64(n) => n.into(),
            _ => return None,
        })
    }

    /// Type and value in a few words, for messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Str(bytes) if std::str::from_utf8(bytes).is_err() => {
                format!("a string of {} bytes that is not UTF-8", bytes.len())
            }
            Self::Str(bytes) => format!("a string of {} bytes", bytes.len()),
            Self::Array(array) => format!("an array of {} {}", array.len(), array.elem()),
            Self::F32(x) => format!("f32 {x}"),
            Self::F64(x) => format!("f64 {x}"),
            Self::Bool(x) => format!("bool {x}"),
            _ => format!("{} {}", self.ty(), self.integer().unwrap_or_default()),
        }
    }
}
