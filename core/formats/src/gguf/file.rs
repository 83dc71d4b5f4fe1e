//! A checked GGUF file over bytes that somebody else keeps.

use super::convert::FromValue;
use super::index::{Index, KeyEntry, text};
use super::tensor::TensorView;
use super::value::Value;
use crate::codec::CodecError;
use crate::error::{GgufError, shown};
use crate::types::{I2sLayout, TensorType};

/// A GGUF file whose header has been checked.
///
/// `B` owns or borrows the bytes: a memory map, a `Vec<u8>`, an `Arc<[u8]>`, a `&[u8]`. To share a
/// mapped file between threads, put the whole `GgufFile` into an `Arc`. `B` must give the same bytes on every call. If it does not, because a mapped file is changed by another
/// process, answers may be wrong but every access stays within bounds.
pub struct GgufFile<B> {
    bytes: B,
    index: Index,
}

impl<B: AsRef<[u8]>> GgufFile<B> {
    /// Checks the header and where every tensor lies; reads no tensor data.
    ///
    /// Takes time in proportion to the header: the token list is walked, not copied.
    ///
    /// # Errors
    ///
    /// When the bytes are not a sound GGUF file of version 2 or 3. A tensor of a type that is known
    /// but has no codec is no error here; [`TensorView::bytes`] refuses it.
    pub fn new(bytes: B) -> Result<Self, GgufError> {
        let index = Index::parse(bytes.as_ref(), bytes.as_ref().len())?;
        Ok(Self { bytes, index })
    }

    /// Checks the header of a file of `file_len` bytes of which `bytes` is the beginning, such as a
    /// download that has just begun. `None` when the header goes on beyond it.
    ///
    /// Metadata, types and places of tensors are then there; bytes of a tensor only as far as `bytes`
    /// goes. Where stored values tell two layouts of one number apart (42), the usual one is taken
    /// if they are not there.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn header(bytes: B, file_len: u64) -> Result<Option<Self>, GgufError> {
        let have = bytes.as_ref().len();
        let file_len = usize::try_from(file_len).unwrap_or(usize::MAX);
        match Index::parse(bytes.as_ref(), file_len.max(have)) {
            Ok(index) => Ok(Some(Self { bytes, index })),
            Err(GgufError::Truncated { .. } | GgufError::CountPastEnd { .. })
                if have < file_len =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Says which of the layouts that share number 36 the I2_S tensors have; nothing in a file does.
    ///
    /// # Errors
    ///
    /// When a tensor's shape does not suit the layout; the file is then unchanged.
    pub fn set_i2s_layout(&mut self, layout: I2sLayout) -> Result<(), GgufError> {
        let ty = layout.tensor_type();
        let is_i2s = |ty: TensorType| ty.id() == TensorType::I2S.id() && ty.is_ternary();
        for tensor in self.tensors().filter(|tensor| is_i2s(tensor.ty())) {
            let codec = |source| GgufError::Codec {
                tensor: shown(tensor.name()),
                source: CodecError::Size { ty, source },
            };
            ty.tensor_bytes(tensor.dims()).map_err(codec)?;
        }
        for entry in self
            .index
            .tensors
            .iter_mut()
            .filter(|entry| is_i2s(entry.ty))
        {
            entry.ty = ty;
        }
        Ok(())
    }

    /// The bytes of the whole file.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// The owner of the bytes.
    pub fn owner(&self) -> &B {
        &self.bytes
    }

    /// The version of the container: 2 or 3.
    pub fn version(&self) -> u32 {
        self.index.version
    }

    /// The alignment of tensor data in bytes, a power of two.
    pub fn alignment(&self) -> usize {
        self.index.alignment
    }

    /// Where the data section begins, in bytes from the start of the file.
    pub fn data_offset(&self) -> usize {
        self.index.data_start
    }

    /// Metadata keys and values in the order of the file.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        let bytes = self.bytes();
        let pair = move |entry: &KeyEntry| Some((text(bytes, &entry.key), entry.value(bytes)?));
        self.index.keys.iter().filter_map(pair)
    }

    /// The value of a metadata key, whatever its type.
    pub fn get(&self, key: &str) -> Option<Value<'_>> {
        self.index.key(self.bytes(), key)?.value(self.bytes())
    }

    /// The value of a metadata key as `T`, or `None` if the key is absent.
    ///
    /// `T` can be `u32`, `u64`, `usize`, `i32`, `f32`, `bool`, `&str`, `&[u8]`,
    /// [`Array`](crate::Array), [`StrArray`](crate::StrArray), or a `Vec` of those.
    ///
    /// # Errors
    ///
    /// When the value has another type, or a number does not fit.
    pub fn value<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<Option<T>, GgufError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        T::from_value(value)
            .map(Some)
            .ok_or_else(|| GgufError::WrongType {
                key: shown(key),
                expected: T::expected().into_owned(),
                got: value.describe(),
            })
    }

    /// The value of a metadata key that must be there, as `T`.
    ///
    /// # Errors
    ///
    /// When the key is absent, the value has another type, or a number does not fit.
    pub fn require<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<T, GgufError> {
        self.value(key)?
            .ok_or_else(|| GgufError::MissingKey { key: shown(key) })
    }

    /// The tensors in the order of the file.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = TensorView<'_>> {
        let bytes = self.bytes();
        self.index
            .tensors
            .iter()
            .map(move |entry| TensorView::new(bytes, entry))
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let entry = self.index.tensor(self.bytes(), name)?;
        Some(TensorView::new(self.bytes(), entry))
    }

    /// The tensor of this name, which must be there.
    ///
    /// # Errors
    ///
    /// When it is absent.
    pub fn require_tensor(&self, name: &str) -> Result<TensorView<'_>, GgufError> {
        self.tensor(name).ok_or_else(|| GgufError::MissingTensor {
            tensor: shown(name),
        })
    }
}

impl<B: AsRef<[u8]>> std::fmt::Debug for GgufFile<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GgufFile")
            .field("version", &self.version())
            .field("bytes", &self.bytes().len())
            .field("keys", &self.index.keys.len())
            .field("tensors", &self.index.tensors.len())
            .finish()
    }
}
