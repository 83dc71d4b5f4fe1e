//! Model files: bytes in, checked views out.
//!
//! The crate reads GGUF files (versions 2 and 3), decodes and encodes the tensor types that Tritone
//! runs, and writes GGUF files. It never opens a file: the caller maps or reads the bytes and hands
//! them over, so every check here is a check of memory that is already there.
//!
//! - [`GgufFile`] checks a whole file once and then answers questions about metadata and tensors
//!   without copying: values and tensors are views into the caller's bytes.
//! - [`codec`] turns rows of one tensor type into `f32` and back; [`codec::Ternary`] is any
//!   ternary type and unpacks to *canonical* ternary rows, four columns to a byte.
//! - [`hf`] plans a GGUF file out of a directory of the transformers library.
//! - [`write::GgufWriter`] writes files in one pass, without holding tensor data.
//!
//! # Hostile files
//!
//! A model file is untrusted input. The parser uses checked arithmetic only, compares every length
//! with the bytes that are left *before* it allocates, and keeps nothing per token or merge rule:
//! its own memory is bounded by a small constant per metadata key and tensor ([`MAX_KEYS`],
//! [`MAX_TENSORS`]). Views that decode lazily check again while they decode, because a mapped file
//! can change under the map.
//!
//! ```
//! use tritone_formats::{GgufFile, TensorType, write::GgufWriter};
//!
//! let mut plan = GgufWriter::new();
//! plan.metadata("general.architecture", "bitnet-b1.58")?;
//! plan.tensor("output_norm.weight", TensorType::F32, &[2])?;
//! let mut body = plan.begin(Vec::new())?;
//! body.write("output_norm.weight", &[0, 0, 128, 63, 0, 0, 0, 64])?;
//! let bytes = body.finish()?;
//!
//! let file = GgufFile::new(bytes)?;
//! assert_eq!(file.require::<&str>("general.architecture")?, "bitnet-b1.58");
//! let mut row = [0.0; 2];
//! file.require_tensor("output_norm.weight")?.decode_row(0, &mut row)?;
//! assert_eq!(row, [1.0, 2.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod alphabet;
pub mod codec;
mod error;
mod gguf;
pub mod hf;
mod types;
pub mod write;

pub use error::GgufError;
pub use gguf::{
    Array, FromValue, GgufFile, GgufPart, MAX_ALIGNMENT, MAX_KEYS, MAX_NAME, MAX_TENSORS, Split,
    SplitError, StrArray, TensorView, Value, ValueType,
};
pub use types::{I2sLayout, ListedType, SizeError, TensorType};
