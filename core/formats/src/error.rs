//! What can be wrong with a GGUF file, with the place and the remedy.

use crate::codec::CodecError;

/// A GGUF file that cannot be read, or a question that its content cannot answer.
///
/// Offsets are bytes from the start of the file. The path is not known here; the caller adds it.
/// Names that come from the file are shortened and freed of control characters.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    /// The first four bytes are not the magic of a GGUF file.
    #[error(
        "expected a GGUF file, which starts with \"GGUF\", but this one starts with {found}{hint}"
    )]
    NotGguf {
        /// The first bytes, escaped.
        found: String,
        /// What the file probably is, or nothing.
        hint: &'static str,
    },
    /// The version field is byte-swapped.
    #[error(
        "the file is big-endian GGUF (version {version} with its bytes swapped), and only \
         little-endian files are read; convert it or download the little-endian file"
    )]
    BigEndian {
        /// The version after swapping its bytes.
        version: u32,
    },
    /// Version 1 used 32-bit lengths and was in use for a few weeks of 2023.
    #[error("GGUF version 1 is not read; convert the file to version 3 or download a newer one")]
    Version1,
    /// A version that did not exist when this was written.
    #[error("GGUF version {version} is not known; versions 2 and 3 are read")]
    UnknownVersion {
        /// The version in the file.
        version: u32,
    },
    /// A field reaches beyond the end of the file.
    #[error(
        "the file ends inside {what}: {need} bytes are needed at byte {offset} and {left} are left; \
         the download is probably incomplete"
    )]
    Truncated {
        /// The field.
        what: &'static str,
        /// Where the field's bytes begin.
        offset: usize,
        /// How many bytes it needs.
        need: u64,
        /// How many bytes the file still has there.
        left: usize,
    },
    /// A count is larger than this reader accepts.
    #[error("{count} {what} are declared at byte {offset}; at most {limit} are read")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// The declared count.
        count: u64,
        /// The limit.
        limit: usize,
        /// Where the count stands.
        offset: usize,
    },
    /// A count cannot be true, because the rest of the file is too short for that many entries.
    #[error(
        "{count} {what} are declared at byte {offset}, but the {left} bytes that are left hold at \
         most {most}"
    )]
    CountPastEnd {
        /// What is counted.
        what: &'static str,
        /// The declared count.
        count: u64,
        /// Where the count stands.
        offset: usize,
        /// How many bytes follow the count.
        left: usize,
        /// How many smallest entries those bytes hold.
        most: usize,
    },
    /// A key or tensor name is longer than the format allows.
    #[error("the {what} at byte {offset} is {len} bytes long; at most {limit} are allowed")]
    NameTooLong {
        /// Key or tensor name.
        what: &'static str,
        /// Where the name begins.
        offset: usize,
        /// Its length.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// A key or tensor name is not UTF-8.
    #[error("the {what} at byte {offset} is not UTF-8")]
    NameNotUtf8 {
        /// Key or tensor name.
        what: &'static str,
        /// Where the name begins.
        offset: usize,
    },
    /// A metadata value has a type number that the format does not define.
    #[error("metadata key '{key}' has value type {id} at byte {offset}; types 0 to 12 exist")]
    UnknownValueType {
        /// The key.
        key: String,
        /// The type number.
        id: u32,
        /// Where the number stands.
        offset: usize,
    },
    /// An array of arrays, which no model file uses.
    #[error("metadata key '{key}' is an array of arrays (byte {offset}), which is not read")]
    NestedArray {
        /// The key.
        key: String,
        /// Where the element type stands.
        offset: usize,
    },
    /// A boolean is neither 0 nor 1.
    #[error("metadata key '{key}' holds {byte} at byte {offset} where a boolean (0 or 1) belongs")]
    BadBool {
        /// The key.
        key: String,
        /// The byte found.
        byte: u8,
        /// Where it stands.
        offset: usize,
    },
    /// The same key twice.
    #[error("metadata key '{key}' appears twice")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// `general.alignment` is no power of two or too large.
    #[error("general.alignment is {value}; it must be a power of two, at most {limit}")]
    BadAlignment {
        /// The value in the file.
        value: u32,
        /// The largest accepted alignment.
        limit: usize,
    },
    /// A value has another type than the one asked for, or does not fit into it.
    #[error("metadata key '{key}' should be {expected}, but is {got}")]
    WrongType {
        /// The key.
        key: String,
        /// The type asked for.
        expected: String,
        /// The type and value found.
        got: String,
    },
    /// A key that is needed is absent.
    #[error("metadata key '{key}' is missing")]
    MissingKey {
        /// The key.
        key: String,
    },
    /// The same tensor name twice.
    #[error("tensor '{tensor}' appears twice")]
    DuplicateTensor {
        /// The tensor.
        tensor: String,
    },
    /// A tensor with no dimension, or more than four.
    #[error("tensor '{tensor}' has {rank} dimensions at byte {offset}; 1 to 4 are possible")]
    BadRank {
        /// The tensor.
        tensor: String,
        /// The declared number of dimensions.
        rank: u32,
        /// Where the number stands.
        offset: usize,
    },
    /// A dimension of length zero.
    #[error("tensor '{tensor}' has length 0 in dimension {axis}")]
    ZeroDimension {
        /// The tensor.
        tensor: String,
        /// Which dimension, 0 being the row length.
        axis: usize,
    },
    /// The dimensions multiply to more than memory can address.
    #[error("tensor '{tensor}' declares dimensions {dims:?}, whose size overflows")]
    DimensionOverflow {
        /// The tensor.
        tensor: String,
        /// The declared dimensions.
        dims: Vec<u64>,
    },
    /// The row length is no whole number of the type's blocks.
    #[error(
        "tensor '{tensor}' has rows of {columns} elements, but type {name} needs a multiple of {multiple}"
    )]
    RowLength {
        /// The tensor.
        tensor: String,
        /// Its row length.
        columns: usize,
        /// The type's name.
        name: &'static str,
        /// Elements in a block of the type.
        multiple: usize,
    },
    /// The number of rows is no whole number of the groups that the type interleaves.
    #[error(
        "tensor '{tensor}' of type {name} needs a number of rows that is a multiple of {multiple}"
    )]
    RowCount {
        /// The tensor.
        tensor: String,
        /// The type's name.
        name: &'static str,
        /// Rows in a group.
        multiple: usize,
    },
    /// A type number that no known program writes.
    #[error("tensor '{tensor}' has type {id} at byte {offset}, which no known format defines")]
    UnknownTensorType {
        /// The tensor.
        tensor: String,
        /// The type number.
        id: u32,
        /// Where the number stands.
        offset: usize,
    },
    /// A tensor's data does not begin at a multiple of the alignment.
    #[error(
        "tensor '{tensor}' begins at byte {offset} of the data section, which is no multiple of the \
         alignment {alignment}"
    )]
    Misaligned {
        /// The tensor.
        tensor: String,
        /// Its offset in the data section.
        offset: u64,
        /// The file's alignment.
        alignment: usize,
    },
    /// A tensor's data ends beyond the file.
    #[error(
        "tensor '{tensor}' needs {size} bytes at byte {offset} of the data section, which has only \
         {available} bytes; the download is probably incomplete"
    )]
    PastEnd {
        /// The tensor.
        tensor: String,
        /// Its offset in the data section.
        offset: u64,
        /// Its size in bytes.
        size: usize,
        /// The size of the data section.
        available: usize,
    },
    /// Two tensors share bytes.
    #[error("tensors '{first}' and '{second}' overlap at byte {offset} of the data section")]
    Overlap {
        /// The tensor that begins first.
        first: String,
        /// The tensor that begins inside it.
        second: String,
        /// Where the second one begins.
        offset: usize,
    },
    /// A part of a model with a number beyond the last.
    #[error("split.no is {number}, but there are only {count} parts (split.count), from 0")]
    SplitNumber {
        /// `split.no`.
        number: usize,
        /// `split.count`.
        count: usize,
    },
    /// The file is sound, but this tensor's type cannot be computed with.
    #[error("tensor '{tensor}' has type {name} (id {id}): {advice}")]
    Unsupported {
        /// The tensor.
        tensor: String,
        /// The type number.
        id: u32,
        /// The type's name.
        name: &'static str,
        /// What to do about it.
        advice: &'static str,
    },
    /// A tensor that is needed is absent.
    #[error("tensor '{tensor}' is missing")]
    MissingTensor {
        /// The tensor.
        tensor: String,
    },
    /// A tensor's content is wrong.
    #[error("tensor '{tensor}': {source}")]
    Codec {
        /// The tensor.
        tensor: String,
        /// What is wrong with it.
        source: CodecError,
    },
}

/// A name from a file, fit for a message on a terminal: at most 96 characters, control characters
/// escaped, so that a file cannot move the cursor or hide text.
pub(crate) fn shown(name: &str) -> String {
    const MOST: usize = 96;
    let mut text = String::new();
    for (count, c) in name.chars().enumerate() {
        if count == MOST {
            text.push('…');
            break;
        }
        if c.is_control() {
            text.extend(c.escape_default())
        } else {
            text.push(c)
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn names_are_shortened_and_escaped() {
        assert_eq!(shown("blk.0.attn_q.weight"), "blk.0.attn_q.weight");
        assert_eq!(shown("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(shown(&"é".repeat(500)).chars().count(), 97);
    }
}
