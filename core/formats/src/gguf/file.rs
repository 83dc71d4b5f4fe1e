//! A checked GGUF file over bytes that somebody else keeps, whole or cut into parts.

use super::convert::FromValue;
use super::index::{Index, KeyEntry, text};
use super::split::{self, Split, SplitError};
use super::tensor::TensorView;
use super::value::Value;
use crate::codec::CodecError;
use crate::error::{GgufError, shown};
use crate::types::{I2sLayout, TensorType};

/// A GGUF file whose header has been checked, or all parts of one that is cut into several.
///
/// `B` owns or borrows the bytes: a memory map, a `Vec<u8>`, an `Arc<[u8]>`, a `&[u8]`. To share a
/// mapped file between threads, put the whole `GgufFile` into an `Arc`. `B` must give the same bytes on every call. If it does not, because a mapped file is changed by another
/// process, answers may be wrong but every access stays within bounds.
///
/// What concerns the container (version, alignment) and the metadata are those of the first part;
/// tensors are those of all parts.
pub struct GgufFile<B> {
    first: GgufPart<B>,
    more: Vec<GgufPart<B>>,
}

/// One file of a [`GgufFile`]; most often there is no other.
pub struct GgufPart<B> {
    bytes: B,
    pub(super) index: Index,
}

impl<B: AsRef<[u8]>> GgufPart<B> {
    /// All bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// The owner of the bytes.
    pub fn owner(&self) -> &B {
        &self.bytes
    }

    /// Where the data section begins, in bytes from the start of the file.
    pub fn data_offset(&self) -> usize {
        self.index.data_start
    }
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
        Ok(Self::whole(bytes, index))
    }

    /// Which part of a model it is, if the model is cut into several files.
    ///
    /// # Errors
    ///
    /// When the keys `split.*` contradict each other.
    pub fn split(&self) -> Result<Option<Split>, GgufError> {
        split::read(self)
    }

    /// All parts of a model, in order, as one file.
    ///
    /// # Errors
    ///
    /// When they are not the parts of one model, or not all of them.
    pub fn join(parts: Vec<Self>) -> Result<Self, SplitError> {
        split::check(&parts)?;
        let mut parts = parts
            .into_iter()
            .flat_map(|part| std::iter::once(part.first).chain(part.more));
        let first = parts
            .next()
            .ok_or(SplitError::Missing { given: 0, count: 1 })?;
        let more = parts.collect();
        Ok(Self { first, more })
    }

    /// The files it consists of: one, unless the model is cut into several.
    pub fn parts(&self) -> impl Iterator<Item = &GgufPart<B>> {
        std::iter::once(&self.first).chain(&self.more)
    }

    /// The file with this number, from 0; [`TensorView::part`] names it.
    pub fn part(&self, number: usize) -> Option<&GgufPart<B>> {
        match number.checked_sub(1) {
            None => Some(&self.first),
            Some(number) => self.more.get(number),
        }
    }

    fn whole(bytes: B, index: Index) -> Self {
        Self {
            first: GgufPart { bytes, index },
            more: Vec::new(),
        }
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
            Ok(index) => Ok(Some(Self::whole(bytes, index))),
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
        for part in std::iter::once(&mut self.first).chain(&mut self.more) {
            let tensors = part.index.tensors.iter_mut();
            for entry in tensors.filter(|entry| is_i2s(entry.ty)) {
                entry.ty = ty;
            }
        }
        Ok(())
    }

    /// The length of all files together, in bytes.
    pub fn file_len(&self) -> u64 {
        let lengths = self.parts().map(|part| part.bytes().len() as u64);
        lengths.fold(0, u64::saturating_add)
    }

    /// The version of the container: 2 or 3.
    pub fn version(&self) -> u32 {
        self.first.index.version
    }

    /// The alignment of tensor data in bytes, a power of two.
    pub fn alignment(&self) -> usize {
        self.first.index.alignment
    }

    /// Where the data section begins, in bytes from the start of the (first) file.
    pub fn data_offset(&self) -> usize {
        self.first.data_offset()
    }

    /// Metadata keys and values in the order of the file.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        let bytes = self.first.bytes();
        let pair = move |entry: &KeyEntry| Some((text(bytes, &entry.key), entry.value(bytes)?));
        self.first.index.keys.iter().filter_map(pair)
    }

    /// The value of a metadata key, whatever its type.
    pub fn get(&self, key: &str) -> Option<Value<'_>> {
        let bytes = self.first.bytes();
        self.first.index.key(bytes, key)?.value(bytes)
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

    /// The tensors in the order of the file, of one part after another.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = TensorView<'_>> {
        let parts = self.parts().enumerate();
        let views = parts.flat_map(|(number, part)| {
            let view = move |entry| TensorView::new(part.bytes(), number, entry);
            part.index.tensors.iter().map(view)
        });
        // Their number is known once they are put side by side.
        views.collect::<Vec<_>>().into_iter()
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let mut parts = self.parts().enumerate();
        parts.find_map(|(number, part)| {
            let entry = part.index.tensor(part.bytes(), name)?;
            Some(TensorView::new(part.bytes(), number, entry))
        })
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
            .field("bytes", &self.file_len())
            .field("parts", &self.parts().count())
            .field("keys", &self.first.index.keys.len())
            .field("tensors", &self.tensors().len())
            .finish()
    }
}
