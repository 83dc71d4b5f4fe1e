//! Rust values as metadata values.

use crate::gguf::{Array, Value, ValueType};

/// A Rust value that can be written as metadata.
///
/// Implemented for the integer and float types of the format, `bool`, `&str`, slices of numbers or
/// booleans, and, through [`Strings`], slices of strings.
pub trait MetaValue {
    /// The type number's meaning.
    fn ty(&self) -> ValueType;
    /// Appends the value as it stands in the file, after the type number.
    fn put(&self, out: &mut Vec<u8>);
}

/// A list of strings as a metadata value; the strings need not be UTF-8.
#[derive(Debug, Clone, Copy)]
pub struct Strings<'a, S>(pub &'a [S]);

/// The format's number for a value type.
pub(super) fn type_id(ty: ValueType) -> u32 {
    match ty {
        ValueType::U8 => 0,
        ValueType::I8 => 1,
        ValueType::U16 => 2,
        ValueType::I16 => 3,
        ValueType::U32 => 4,
        ValueType::I32 => 5,
        ValueType::F32 => 6,
        ValueType::Bool => 7,
        ValueType::Str => 8,
        ValueType::Array => 9,
        ValueType::U64 => 10,
        ValueType::I64 => 11,
        ValueType::F64 => 12,
    }
}

pub(super) fn put_len(len: usize, out: &mut Vec<u8>) {
    // usize is at most 64 bits wide on every target.
    out.extend((len as u64).to_le_bytes());
}

pub(super) fn put_str(text: &[u8], out: &mut Vec<u8>) {
    put_len(text.len(), out);
    out.extend(text);
}

macro_rules! scalars {
    ($($rust:ty => $ty:ident),*) => {$(
        impl MetaValue for $rust {
            fn ty(&self) -> ValueType {
                ValueType::$ty
            }

            fn put(&self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }
        }

        impl MetaValue for &[$rust] {
            fn ty(&self) -> ValueType {
                ValueType::Array
            }

            fn put(&self, out: &mut Vec<u8>) {
                out.extend(type_id(ValueType::$ty).to_le_bytes());
                put_len(self.len(), out);
                self.iter().for_each(|x| x.put(out));
            }
        }
    )*};
}

scalars!(
    u8 => U8, i8 => I8, u16 => U16, i16 => I16, u32 => U32, i32 => I32, u64 => U64, i64 => I64,
    f32 => F32, f64 => F64
);

impl MetaValue for bool {
    fn ty(&self) -> ValueType {
        ValueType::Bool
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl MetaValue for &[bool] {
    fn ty(&self) -> ValueType {
        ValueType::Array
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend(type_id(ValueType::Bool).to_le_bytes());
        put_len(self.len(), out);
        self.iter().for_each(|x| x.put(out));
    }
}

impl MetaValue for &str {
    fn ty(&self) -> ValueType {
        ValueType::Str
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_str(self.as_bytes(), out);
    }
}

impl<S: AsRef<[u8]>> MetaValue for Strings<'_, S> {
    fn ty(&self) -> ValueType {
        ValueType::Array
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend(type_id(ValueType::Str).to_le_bytes());
        put_len(self.0.len(), out);
        self.0.iter().for_each(|text| put_str(text.as_ref(), out));
    }
}

/// A value as it was read from another file.
impl MetaValue for Value<'_> {
    fn ty(&self) -> ValueType {
        Value::ty(self)
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Value::U8(x) => x.put(out),
            Value::I8(x) => x.put(out),
            Value::U16(x) => x.put(out),
            Value::I16(x) => x.put(out),
            Value::U32(x) => x.put(out),
            Value::I32(x) => x.put(out),
            Value::F32(x) => x.put(out),
            Value::Bool(x) => x.put(out),
            Value::Str(text) => put_str(text, out),
            Value::Array(array) => put_array(array, out),
            Value::U64(x) => x.put(out),
            Value::I64(x) => x.put(out),
            Value::F64(x) => x.put(out),
        }
    }
}

/// Elements are never arrays.
fn put_array(array: &Array<'_>, out: &mut Vec<u8>) {
    out.extend(type_id(array.elem()).to_le_bytes());
    put_len(array.len(), out);
    array.iter().for_each(|element| element.put(out));
}
