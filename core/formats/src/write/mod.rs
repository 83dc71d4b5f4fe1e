//! Writing GGUF files in one pass.
//!
//! A file is planned first: metadata, then tensors by name, type and shape. That fixes every
//! offset, so the header can be written before any tensor exists, and tensor data can then be
//! written part by part, in the planned order, without holding it.

mod meta;
mod split;

use std::collections::HashSet;
use std::io::{self, Write};

use crate::error::shown;
use crate::gguf::{DEFAULT_ALIGNMENT, MAX_ALIGNMENT, MAX_NAME};
use crate::types::{SizeError, TensorType};
use meta::{put_len, put_str, type_id};

pub use meta::{MetaValue, Strings};

/// A file that cannot be written as planned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The output failed.
    #[error("writing the file failed: {0}")]
    Io(#[from] io::Error),
    /// A key or a tensor was planned twice.
    #[error("{what} '{name}' is planned twice")]
    Duplicate {
        /// Key or tensor.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A key or a tensor's name is longer than the format allows.
    #[error("{what} of {len} bytes is too long; at most {MAX_NAME} are allowed")]
    NameTooLong {
        /// Key or tensor name.
        what: &'static str,
        /// Its length.
        len: usize,
    },
    /// The alignment is no power of two or too large, or was set as metadata.
    #[error(
        "the alignment must be a power of two up to {MAX_ALIGNMENT} and is set with \
         `with_alignment`, not as metadata"
    )]
    Alignment,
    /// A tensor has no or too many dimensions, or one of length zero.
    #[error("tensor '{tensor}' has dimensions {dims:?}; 1 to 4, none of them zero, are possible")]
    Dimensions {
        /// The tensor.
        tensor: String,
        /// Its dimensions.
        dims: Vec<usize>,
    },
    /// A tensor's shape does not suit its type.
    #[error("tensor '{tensor}' of type {ty}: {source}")]
    Size {
        /// The tensor.
        tensor: String,
        /// Its type.
        ty: TensorType,
        /// Why.
        source: SizeError,
    },
    /// A plan of more parts or tensors than can be counted.
    #[error("there would be more parts or tensors than a file can count; choose larger parts")]
    TooManyParts,
    /// Data came for another tensor than the next one.
    #[error("data for tensor '{got}' came, but {expected} is next in the plan")]
    OutOfOrder {
        /// The tensor that came.
        got: String,
        /// What should have come.
        expected: String,
    },
    /// More data came than the tensor has.
    #[error("tensor '{tensor}' has room for {left} more bytes, but {got} came")]
    TooMuch {
        /// The tensor.
        tensor: String,
        /// Bytes that are still missing.
        left: u64,
        /// Bytes that came.
        got: usize,
    },
    /// The file was finished before all data came.
    #[error("tensor '{tensor}' still lacks {left} bytes")]
    Unfinished {
        /// The first tensor that is not complete.
        tensor: String,
        /// Bytes that are missing.
        left: u64,
    },
}

/// The plan of a GGUF file of version 3.
#[derive(Debug)]
pub struct GgufWriter {
    alignment: usize,
    keys: HashSet<String>,
    metadata: Vec<u8>,
    names: HashSet<String>,
    tensors: Vec<Planned>,
    data_len: u64,
}

#[derive(Debug)]
struct Planned {
    name: String,
    ty: TensorType,
    dims: Vec<usize>,
    offset: u64,
    size: u64,
}

impl Default for GgufWriter {
    fn default() -> Self {
        Self {
            alignment: DEFAULT_ALIGNMENT,
            keys: HashSet::new(),
            metadata: Vec::new(),
            names: HashSet::new(),
            tensors: Vec::new(),
            data_len: 0,
        }
    }
}

impl GgufWriter {
    /// A plan without metadata or tensors, aligned to 32 bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// A plan with another alignment of tensor data, in bytes.
    ///
    /// # Errors
    ///
    /// When `alignment` is no power of two or larger than [`MAX_ALIGNMENT`].
    pub fn with_alignment(alignment: u32) -> Result<Self, WriteError> {
        let mut plan = Self::new();
        plan.alignment = usize::try_from(alignment)
            .ok()
            .filter(|n| n.is_power_of_two() && *n <= MAX_ALIGNMENT)
            .ok_or(WriteError::Alignment)?;
        plan.put_key("general.alignment", &alignment)?;
        Ok(plan)
    }

    /// Adds a metadata key.
    ///
    /// # Errors
    ///
    /// When the key is there already, is too long, or is `general.alignment`.
    pub fn metadata(&mut self, key: &str, value: impl MetaValue) -> Result<&mut Self, WriteError> {
        if key == "general.alignment" {
            return Err(WriteError::Alignment);
        }
        self.put_key(key, &value)?;
        Ok(self)
    }

    fn put_key(&mut self, key: &str, value: &impl MetaValue) -> Result<(), WriteError> {
        claim(&mut self.keys, "metadata key", key)?;
        put_str(key.as_bytes(), &mut self.metadata);
        self.metadata.extend(type_id(value.ty()).to_le_bytes());
        value.put(&mut self.metadata);
        Ok(())
    }

    /// Adds a tensor; `dims[0]` is the row length.
    ///
    /// # Errors
    ///
    /// When the name is there already or too long, or type and dimensions do not go together.
    pub fn tensor(
        &mut self,
        name: &str,
        ty: TensorType,
        dims: &[usize],
    ) -> Result<&mut Self, WriteError> {
        if dims.is_empty() || dims.len() > 4 || dims.contains(&0) {
            return Err(WriteError::Dimensions {
                tensor: shown(name),
                dims: dims.to_vec(),
            });
        }
        let size = |source| WriteError::Size {
            tensor: shown(name),
            ty,
            source,
        };
        let bytes = ty.tensor_bytes(dims).map_err(size)? as u64;
        let offset = self.data_len;
        let end = offset.checked_add(bytes);
        let end = end.and_then(|end| end.checked_next_multiple_of(self.alignment as u64));
        let end = end.ok_or(size(SizeError::Overflow))?;
        claim(&mut self.names, "tensor", name)?;
        let (name, dims) = (name.to_owned(), dims.to_vec());
        self.tensors.push(Planned {
            name,
            ty,
            dims,
            offset,
            size: bytes,
        });
        self.data_len = end;
        Ok(self)
    }

    /// The names of the tensors, in order.
    pub fn tensor_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.tensors.iter().map(|tensor| tensor.name.as_str())
    }

    /// Writes the header and goes over to writing tensor data.
    ///
    /// # Errors
    ///
    /// When the output fails.
    pub fn begin<W: Write>(self, mut out: W) -> Result<GgufBody<W>, WriteError> {
        let header = self.header();
        out.write_all(&header)?;
        let mut body = GgufBody {
            out,
            alignment: self.alignment,
            tensors: self.tensors,
            next: 0,
            written: 0,
        };
        body.pad(header.len() as u64)?;
        Ok(body)
    }

    /// The length of the finished file in bytes.
    pub fn file_len(&self) -> u64 {
        let header = self.header().len().next_multiple_of(self.alignment) as u64;
        header.saturating_add(self.data_len)
    }

    fn header(&self) -> Vec<u8> {
        let mut header = b"GGUF\x03\0\0\0".to_vec();
        put_len(self.tensors.len(), &mut header);
        put_len(self.keys.len(), &mut header);
        header.extend(&self.metadata);
        for tensor in &self.tensors {
            put_str(tensor.name.as_bytes(), &mut header);
            // At most four.
            header.extend((tensor.dims.len() as u32).to_le_bytes());
            tensor
                .dims
                .iter()
                .for_each(|&dim| put_len(dim, &mut header));
            header.extend(tensor.ty.id().to_le_bytes());
            header.extend(tensor.offset.to_le_bytes());
        }
        header
    }
}

fn claim(taken: &mut HashSet<String>, what: &'static str, name: &str) -> Result<(), WriteError> {
    if name.len() > MAX_NAME {
        return Err(WriteError::NameTooLong {
            what,
            len: name.len(),
        });
    }
    if !taken.insert(name.to_owned()) {
        return Err(WriteError::Duplicate {
            what,
            name: shown(name),
        });
    }
    Ok(())
}

/// A GGUF file whose header is written and whose tensor data is being written.
#[derive(Debug)]
pub struct GgufBody<W> {
    out: W,
    alignment: usize,
    tensors: Vec<Planned>,
    /// The tensor that is not complete yet.
    next: usize,
    /// Bytes of it that are there.
    written: u64,
}

impl<W: Write> GgufBody<W> {
    /// Writes the next part of a tensor's data: all of it, or what follows the last part.
    ///
    /// # Errors
    ///
    /// When `tensor` is not the next one in the plan, the part is longer than what it lacks, or the
    /// output fails.
    pub fn write(&mut self, tensor: &str, part: &[u8]) -> Result<(), WriteError> {
        let planned = self.tensors.get(self.next);
        let Some(planned) = planned.filter(|planned| planned.name == tensor) else {
            let expected = planned.map(|planned| format!("'{}'", shown(&planned.name)));
            let expected = expected.unwrap_or_else(|| "the end".to_owned());
            return Err(WriteError::OutOfOrder {
                got: shown(tensor),
                expected,
            });
        };
        let (size, left) = (planned.size, planned.size - self.written);
        if part.len() as u64 > left {
            return Err(WriteError::TooMuch {
                tensor: shown(tensor),
                left,
                got: part.len(),
            });
        }
        self.out.write_all(part)?;
        self.written += part.len() as u64;
        if self.written == size {
            self.pad(size)?;
            self.next += 1;
            self.written = 0;
        }
        Ok(())
    }

    /// Flushes the output and gives it back.
    ///
    /// # Errors
    ///
    /// When a tensor is not complete, or the output fails.
    pub fn finish(mut self) -> Result<W, WriteError> {
        if let Some(planned) = self.tensors.get(self.next) {
            let left = planned.size - self.written;
            return Err(WriteError::Unfinished {
                tensor: shown(&planned.name),
                left,
            });
        }
        self.out.flush()?;
        Ok(self.out)
    }

    /// Zero bytes after `len` bytes, up to the alignment.
    fn pad(&mut self, len: u64) -> io::Result<()> {
        let alignment = self.alignment as u64;
        let count = len.next_multiple_of(alignment) - len;
        io::copy(&mut io::Read::take(io::repeat(0), count), &mut self.out)?;
        Ok(())
    }
}
