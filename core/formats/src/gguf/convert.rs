//! Metadata values as Rust types.

use std::borrow::Cow;

use super::array::{Array, StrArray};
use super::value::Value;

/// A Rust type that a metadata value can be read as.
pub trait FromValue<'a>: Sized {
    /// The type in words, for messages: "should be …".
    fn expected() -> Cow<'static, str>;

    /// The value as this type, or `None` if it has another type or does not fit.
    fn from_value(value: Value<'a>) -> Option<Self>;
}

/// Integers of any width and sign convert when the number fits.
macro_rules! integers {
    ($($ty:ident $words:literal),*) => {$(
        impl FromValue<'_> for $ty {
            fn expected() -> Cow<'static, str> {
                $words.into()
            }

            fn from_value(value: Value<'_>) -> Option<Self> {
                Self::try_from(value.integer()?).ok()
            }
        }
    )*};
}

integers!(
    u32 "an unsigned 32-bit integer",
    u64 "an unsigned 64-bit integer",
    usize "an unsigned integer",
    i32 "a 32-bit integer"
);

impl FromValue<'_> for f32 {
    fn expected() -> Cow<'static, str> {
        "a float".into()
    }

    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::F32(x) => Some(x),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "rounding is what is asked for"
            )]
            Value::F64(x) => Some(x as f32),
            _ => None,
        }
    }
}

impl FromValue<'_> for bool {
    fn expected() -> Cow<'static, str> {
        "a bool".into()
    }

    fn from_value(value: Value<'_>) -> Option<Self> {
        if let Value::Bool(x) = value {
            Some(x)
        } else {
            None
        }
    }
}

impl<'a> FromValue<'a> for &'a [u8] {
    fn expected() -> Cow<'static, str> {
        "a string".into()
    }

    fn from_value(value: Value<'a>) -> Option<Self> {
        if let Value::Str(bytes) = value {
            Some(bytes)
        } else {
            None
        }
    }
}

impl<'a> FromValue<'a> for &'a str {
    fn expected() -> Cow<'static, str> {
        "a UTF-8 string".into()
    }

    fn from_value(value: Value<'a>) -> Option<Self> {
        std::str::from_utf8(<&[u8]>::from_value(value)?).ok()
    }
}

impl<'a> FromValue<'a> for Array<'a> {
    fn expected() -> Cow<'static, str> {
        "an array".into()
    }

    fn from_value(value: Value<'a>) -> Option<Self> {
        if let Value::Array(array) = value {
            Some(array)
        } else {
            None
        }
    }
}

impl<'a> FromValue<'a> for StrArray<'a> {
    fn expected() -> Cow<'static, str> {
        "an array of strings".into()
    }

    fn from_value(value: Value<'a>) -> Option<Self> {
        Array::from_value(value)?.strings()
    }
}

impl<'a, T: FromValue<'a>> FromValue<'a> for Vec<T> {
    fn expected() -> Cow<'static, str> {
        format!("an array, each element {}", T::expected()).into()
    }

    fn from_value(value: Value<'a>) -> Option<Self> {
        Array::from_value(value)?
            .iter()
            .map(T::from_value)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_convert_when_they_fit() {
        assert_eq!(u32::from_value(Value::I64(7)), Some(7));
        assert_eq!(u32::from_value(Value::I8(-1)), None);
        assert_eq!(u32::from_value(Value::U64(1 << 32)), None);
        assert_eq!(i32::from_value(Value::U32(u32::MAX)), None);
        assert_eq!(u64::from_value(Value::U64(u64::MAX)), Some(u64::MAX));
        assert_eq!(u32::from_value(Value::F32(1.0)), None);
        assert_eq!(u32::from_value(Value::Bool(true)), None);
    }
}
