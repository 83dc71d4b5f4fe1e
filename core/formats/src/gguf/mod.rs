//! The GGUF container, versions 2 and 3, little-endian.
//!
//! Layout: magic `GGUF`, `u32` version, `u64` tensor count, `u64` key count, the keys with their
//! values, the tensor infos, padding to the alignment, the data section.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::indexing_slicing
)]

mod array;
mod convert;
mod file;
mod index;
mod layout;
mod reader;
mod split;
mod tensor;
mod value;

pub use array::{Array, StrArray};
pub use convert::FromValue;
pub use file::{GgufFile, GgufPart};
pub use split::{Split, SplitError};
pub use tensor::TensorView;
pub use value::{Value, ValueType};

/// Most metadata keys that are read. Model files have 20 to 100.
pub const MAX_KEYS: usize = 1 << 16;
/// Most tensors that are read. The largest published files have a few thousand.
pub const MAX_TENSORS: usize = 1 << 17;
/// Longest key or tensor name in bytes, from the GGUF specification.
pub const MAX_NAME: usize = 65_535;
/// Largest accepted `general.alignment` in bytes.
pub const MAX_ALIGNMENT: usize = 1 << 20;
/// `general.alignment` when a file does not say.
pub(crate) const DEFAULT_ALIGNMENT: usize = 32;
