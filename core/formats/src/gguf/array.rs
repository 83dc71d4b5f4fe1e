//! Arrays as metadata values: located once, decoded element by element.

use super::value::{Value, ValueType};

/// An array in the file. Elements are decoded when they are asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Array<'a> {
    elem: ValueType,
    len: usize,
    bytes: &'a [u8],
}

impl<'a> Array<'a> {
    pub(super) fn new(elem: ValueType, len: usize, bytes: &'a [u8]) -> Self {
        Self { elem, len, bytes }
    }

    /// The type of the elements, never an array.
    pub fn elem(&self) -> ValueType {
        self.elem
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The array as strings, if it holds strings.
    pub fn strings(&self) -> Option<StrArray<'a>> {
        (self.elem == ValueType::Str).then_some(StrArray {
            len: self.len,
            bytes: self.bytes,
        })
    }

    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let elem = self.elem;
        let size = elem.size().unwrap_or(1);
        let scalars = if elem.size().is_some() {
            self.bytes
        } else {
            &[]
        };
        let strings = self
            .strings()
            .into_iter()
            .flat_map(|strings| strings.iter());
        let scalars = scalars
            .chunks_exact(size)
            .filter_map(move |b| Value::scalar(elem, b));
        scalars.chain(strings.map(Value::Str))
    }
}

/// An array of strings in the file: the token list, the merge rules.
///
/// Strings are not copied. They follow each other with their lengths, so reaching one by number
/// means walking to it; [`offsets`](Self::offsets) makes that walk once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StrArray<'a> {
    len: usize,
    bytes: &'a [u8],
}

impl<'a> StrArray<'a> {
    /// Number of strings.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no strings.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The strings in order.
    ///
    /// Yields [`len`](Self::len) strings; fewer only if the file has been changed under its map
    /// since it was checked.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let this = *self;
        let mut offset = 0;
        std::iter::from_fn(move || {
            let text = this.at(offset)?;
            offset = text
                .len()
                .checked_add(8)
                .and_then(|step| offset.checked_add(step))?;
            Some(text)
        })
        .take(self.len)
    }

    /// Where each string begins, for [`at`](Self::at): 8 bytes per string.
    pub fn offsets(&self) -> Vec<usize> {
        let mut next = 0_usize;
        let step = |text: &[u8]| {
            let here = next;
            next = next.saturating_add(8).saturating_add(text.len());
            here
        };
        self.iter().map(step).collect()
    }

    /// The string at an offset from [`offsets`](Self::offsets); `None` beyond the end.
    pub fn at(&self, offset: usize) -> Option<&'a [u8]> {
        let (len, rest) = self.bytes.get(offset..)?.split_first_chunk()?;
        rest.get(..usize::try_from(u64::from_le_bytes(*len)).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_array_changed_after_checking_ends_early() {
        let mut bytes = Vec::new();
        for text in ["ab", "", "cde"] {
            bytes.extend(u64::try_from(text.len()).unwrap().to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        let array = StrArray {
            len: 3,
            bytes: &bytes,
        };
        assert_eq!(array.iter().collect::<Vec<_>>(), [&b"ab"[..], b"", b"cde"]);
        let offsets = array.offsets();
        assert_eq!(offsets, [0, 10, 18]);
        assert_eq!(array.at(18), Some(&b"cde"[..]));
        assert_eq!(array.at(bytes.len()), None);
        assert_eq!(array.at(usize::MAX), None);

        bytes.splice(10..18, u64::MAX.to_le_bytes());
        let array = StrArray {
            len: 3,
            bytes: &bytes,
        };
        assert_eq!(array.iter().collect::<Vec<_>>(), [b"ab"]);
    }
}
