//! One pass over the header: everything checked, only positions kept.

use std::ops::Range;

use super::array::Array;
use super::convert::FromValue;
use super::layout::{self, Declared, TensorEntry};
use super::reader::Reader;
use super::value::{Value, ValueType};
use super::{DEFAULT_ALIGNMENT, MAX_ALIGNMENT, MAX_KEYS, MAX_TENSORS};
use crate::error::{GgufError, shown};
use crate::types::TensorType;

/// Key length, type and a one-byte value.
const SMALLEST_KEY: usize = 8 + 4 + 1;
/// Name length, rank, one dimension, type and offset.
const SMALLEST_TENSOR: usize = 8 + 4 + 8 + 4 + 8;

/// What a checked file holds and where. Positions are bytes from the start of the file.
pub(super) struct Index {
    pub(super) version: u32,
    pub(super) alignment: usize,
    pub(super) data_start: usize,
    pub(super) keys: Vec<KeyEntry>,
    /// Positions in `keys`, sorted by key.
    key_order: Vec<u32>,
    pub(super) tensors: Vec<TensorEntry>,
    /// Positions in `tensors`, sorted by name.
    tensor_order: Vec<u32>,
}

pub(super) struct KeyEntry {
    pub(super) key: Range<usize>,
    ty: ValueType,
    /// Element type and count of an array.
    array: Option<(ValueType, usize)>,
    /// The value's bytes, without the length of a string or the head of an array.
    value: Range<usize>,
}

impl KeyEntry {
    /// The value; `None` only if the file has shrunk since it was checked.
    pub(super) fn value<'a>(&self, bytes: &'a [u8]) -> Option<Value<'a>> {
        let value = bytes.get(self.value.clone())?;
        match self.array {
            Some((elem, len)) => Some(Value::Array(Array::new(elem, len, value))),
            None => Value::located(self.ty, value),
        }
    }
}

impl Index {
    /// Parses a file of `file_len` bytes that begins with `bytes`.
    pub(super) fn parse(bytes: &[u8], file_len: usize) -> Result<Self, GgufError> {
        let mut reader = Reader::new(bytes);
        let version = head(&mut reader)?;

        let counts = reader.pos();
        let tensor_count = reader.u64("the tensor count")?;
        let key_offset = reader.pos();
        let key_count = reader.u64("the key count")?;
        limit("tensors", tensor_count, MAX_TENSORS, counts)?;
        limit("metadata keys", key_count, MAX_KEYS, key_offset)?;

        let key_count = reader.fits("metadata keys", key_count, key_offset, SMALLEST_KEY)?;
        let mut keys = Vec::with_capacity(key_count);
        for _ in 0..key_count {
            keys.push(key(&mut reader, bytes)?);
        }
        let key_order = order(&keys, |entry| text(bytes, &entry.key))
            .map_err(|name| GgufError::DuplicateKey { key: shown(name) })?;

        let tensor_count = reader.fits("tensors", tensor_count, counts, SMALLEST_TENSOR)?;
        let mut declared = Vec::with_capacity(tensor_count);
        for _ in 0..tensor_count {
            declared.push(tensor(&mut reader)?);
        }
        let tensor_order = order(&declared, |entry| text(bytes, &entry.name)).map_err(|name| {
            GgufError::DuplicateTensor {
                tensor: shown(name),
            }
        })?;

        let mut index = Self {
            version,
            alignment: DEFAULT_ALIGNMENT,
            data_start: reader.pos(),
            keys,
            key_order,
            tensors: Vec::new(),
            tensor_order,
        };
        index.alignment = index.read_alignment(bytes)?;
        // Alignment is at most 1 MiB and the header fits into memory, so this cannot overflow.
        index.data_start = reader
            .pos()
            .div_ceil(index.alignment)
            .saturating_mul(index.alignment);
        index.tensors =
            layout::place(declared, bytes, file_len, index.data_start, index.alignment)?;
        Ok(index)
    }

    pub(super) fn key(&self, bytes: &[u8], key: &str) -> Option<&KeyEntry> {
        find(&self.keys, &self.key_order, key, |entry| {
            text(bytes, &entry.key)
        })
    }

    pub(super) fn tensor(&self, bytes: &[u8], name: &str) -> Option<&TensorEntry> {
        find(&self.tensors, &self.tensor_order, name, |entry| {
            text(bytes, &entry.name)
        })
    }

    fn read_alignment(&self, bytes: &[u8]) -> Result<usize, GgufError> {
        const KEY: &str = "general.alignment";
        let Some(value) = self.key(bytes, KEY).and_then(|entry| entry.value(bytes)) else {
            return Ok(DEFAULT_ALIGNMENT);
        };
        let value = u32::from_value(value).ok_or_else(|| GgufError::WrongType {
            key: KEY.to_owned(),
            expected: u32::expected().into_owned(),
            got: value.describe(),
        })?;
        usize::try_from(value)
            .ok()
            .filter(|n| n.is_power_of_two() && *n <= MAX_ALIGNMENT)
            .ok_or(GgufError::BadAlignment {
                value,
                limit: MAX_ALIGNMENT,
            })
    }
}

/// A checked name; empty only if the file has changed since it was checked.
pub(super) fn text<'a>(bytes: &'a [u8], span: &Range<usize>) -> &'a str {
    let name = bytes.get(span.clone()).unwrap_or_default();
    std::str::from_utf8(name).unwrap_or_default()
}

/// Magic and version.
fn head(reader: &mut Reader<'_>) -> Result<u32, GgufError> {
    let magic = reader.take(4, "the magic")?;
    if magic != b"GGUF" {
        return Err(GgufError::NotGguf {
            found: format!("\"{}\"", magic.escape_ascii()),
            hint: match magic {
                b"vers" => "; it looks like a Git LFS pointer: fetch the real file with git lfs",
                b"<!DO" | b"<htm" | b"{\"er" => "; it looks like a web page or an error message",
                b"PK\x03\x04" => "; it looks like a zip or PyTorch file",
                b"tjgg" | b"fmgg" | b"lmgg" => "; it is a GGML file from before GGUF",
                b"FUGG" => "; it is byte-swapped",
                _ => "",
            },
        });
    }
    match reader.u32("the version")? {
        version @ (2 | 3) => Ok(version),
        1 => Err(GgufError::Version1),
        version if (1..=3).contains(&version.swap_bytes()) => Err(GgufError::BigEndian {
            version: version.swap_bytes(),
        }),
        version => Err(GgufError::UnknownVersion { version }),
    }
}

fn limit(what: &'static str, count: u64, limit: usize, offset: usize) -> Result<(), GgufError> {
    match usize::try_from(count) {
        Ok(n) if n <= limit => Ok(()),
        _ => Err(GgufError::TooMany {
            what,
            count,
            limit,
            offset,
        }),
    }
}

fn key(reader: &mut Reader<'_>, bytes: &[u8]) -> Result<KeyEntry, GgufError> {
    let (key, name) = reader.name("a metadata key")?;
    let ty = value_type(reader, name)?;
    let (array, value) = match ty {
        ValueType::Array => {
            let (elem, len, value) = array(reader, name)?;
            (Some((elem, len)), value)
        }
        ValueType::Str => (None, reader.string("a metadata string")?),
        _ => (
            None,
            reader.span(ty.size().unwrap_or(0), "a metadata value")?,
        ),
    };
    if array.map_or(ty, |(elem, _)| elem) == ValueType::Bool {
        let flags = bytes.get(value.clone()).unwrap_or_default();
        if let Some(bad) = flags.iter().position(|&byte| byte > 1) {
            return Err(GgufError::BadBool {
                key: shown(name),
                byte: flags.get(bad).copied().unwrap_or_default(),
                offset: value.start.saturating_add(bad),
            });
        }
    }
    Ok(KeyEntry {
        key,
        ty,
        array,
        value,
    })
}

fn value_type(reader: &mut Reader<'_>, key: &str) -> Result<ValueType, GgufError> {
    let offset = reader.pos();
    let id = reader.u32("a value type")?;
    ValueType::from_id(id).ok_or_else(|| GgufError::UnknownValueType {
        key: shown(key),
        id,
        offset,
    })
}

fn array(
    reader: &mut Reader<'_>,
    key: &str,
) -> Result<(ValueType, usize, Range<usize>), GgufError> {
    let offset = reader.pos();
    let elem = value_type(reader, key)?;
    if elem == ValueType::Array {
        return Err(GgufError::NestedArray {
            key: shown(key),
            offset,
        });
    }
    let len = reader.count("array elements", elem.size().unwrap_or(8))?;
    let start = reader.pos();
    match elem.size() {
        // `count` has checked that `len` elements are there.
        Some(size) => {
            reader.span(len.saturating_mul(size), "array elements")?;
        }
        None => {
            for _ in 0..len {
                reader.string("a string of an array")?;
            }
        }
    }
    Ok((elem, len, start..reader.pos()))
}

fn tensor(reader: &mut Reader<'_>) -> Result<Declared, GgufError> {
    let (name, tensor) = reader.name("a tensor name")?;
    let offset = reader.pos();
    let rank = reader.u32("a tensor's rank")?;
    if !(1..=4).contains(&rank) {
        return Err(GgufError::BadRank {
            tensor: shown(tensor),
            rank,
            offset,
        });
    }
    let mut declared = [1_u64; 4];
    let rank = usize::try_from(rank).unwrap_or(4);
    for dim in declared.iter_mut().take(rank) {
        *dim = reader.u64("a tensor's dimensions")?;
    }
    if let Some(axis) = declared.iter().position(|&dim| dim == 0) {
        return Err(GgufError::ZeroDimension {
            tensor: shown(tensor),
            axis,
        });
    }
    let offset = reader.pos();
    let id = reader.u32("a tensor's type")?;
    let ty = TensorType::from_id(id).ok_or_else(|| GgufError::UnknownTensorType {
        tensor: shown(tensor),
        id,
        offset,
    })?;
    let offset = reader.u64("a tensor's offset")?;

    let overflow = || GgufError::DimensionOverflow {
        tensor: shown(tensor),
        dims: declared.iter().copied().take(rank).collect(),
    };
    let mut dims = [1_usize; 4];
    for (dim, &declared) in dims.iter_mut().zip(&declared) {
        *dim = usize::try_from(declared).map_err(|_| overflow())?;
    }
    // Types of unknown size must not escape the check of the product.
    dims.iter()
        .try_fold(1, |n: usize, &dim| n.checked_mul(dim))
        .ok_or_else(overflow)?;
    Ok(Declared {
        name,
        dims,
        rank,
        ty,
        offset,
    })
}

/// Positions in `entries` sorted by name, or the name that two entries share.
fn order<'a, T>(entries: &[T], name: impl Fn(&T) -> &'a str) -> Result<Vec<u32>, &'a str> {
    let at = |&i: &u32| {
        usize::try_from(i)
            .ok()
            .and_then(|i| entries.get(i))
            .map_or("", &name)
    };
    // Counts are limited to far less than u32::MAX.
    let mut order: Vec<u32> = (0..u32::try_from(entries.len()).unwrap_or(u32::MAX)).collect();
    order.sort_unstable_by_key(|i| at(i));
    let same = order.windows(2).find_map(|pair| match pair {
        [a, b] if at(a) == at(b) => Some(at(a)),
        _ => None,
    });
    same.map_or(Ok(order), Err)
}

fn find<'e, 'a, T>(
    entries: &'e [T],
    order: &[u32],
    name: &str,
    name_of: impl Fn(&T) -> &'a str,
) -> Option<&'e T> {
    let entry = |i: u32| usize::try_from(i).ok().and_then(|i| entries.get(i));
    let at = order
        .binary_search_by(|&i| entry(i).map_or("", &name_of).cmp(name))
        .ok()?;
    entry(*order.get(at)?)
}
