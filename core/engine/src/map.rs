//! The bytes of a model: a memory map, or a file linked into the program.
#![expect(
    unsafe_code,
    reason = "mapping a file is only as safe as the file is left alone"
)]

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;

use crate::api::ModelSource;
use crate::error::LoadError;

/// The bytes of a model file, opened for reading.
#[derive(Debug)]
pub struct ModelBytes(Bytes);

#[derive(Debug)]
enum Bytes {
    /// A mapped file.
    Mapped(Mmap),
    /// Bytes linked into the program.
    Static(&'static [u8]),
}

impl AsRef<[u8]> for ModelBytes {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Mapped(map) => map,
            Bytes::Static(bytes) => bytes,
        }
    }
}

impl ModelBytes {
    /// Maps the file of `source`; what is in it is not looked at.
    ///
    /// # Errors
    /// [`LoadError::Open`] with what the system says; a directory, an empty file and a special
    /// file are refused, too.
    pub fn open(source: &ModelSource) -> Result<Self, LoadError> {
        match source {
            ModelSource::File(path) => {
                map(path)
                    .map(|map| Self(Bytes::Mapped(map)))
                    .map_err(|source| LoadError::Open {
                        path: path.clone(),
                        source,
                    })
            }
            ModelSource::Embedded { bytes, .. } => Ok(Self(Bytes::Static(bytes))),
        }
    }

    /// Tells the system that `range` will not be read again soon, so that its pages need not
    /// stay resident; the pages at its ends are given back, too. They are read from the file again
    /// when they are touched.
    pub(crate) fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Bytes::Mapped(map) = &self.0 {
            let start = range.start / PAGE * PAGE;
            let end = range.end.min(map.len());
            if start < end {
                // SAFETY: dropping clean pages of a read-only file map loses nothing.
                let _ = unsafe {
                    map.unchecked_advise_range(
                        memmap2::UncheckedAdvice::DontNeed,
                        start,
                        end - start,
                    )
                };
            }
        }
        #[cfg(not(unix))]
        let _ = range;
    }
}

/// Maps a regular file for reading.
fn map(path: &Path) -> std::io::Result<Mmap> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    let refuse = |what: &str| Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, what));
    if !meta.is_file() {
        return refuse("not a regular file");
    }
    if meta.len() == 0 {
        return refuse("the file is empty");
    }
    // SAFETY: the map is read only and private. Writing to the file while it is mapped is
    // outside our control: readers check again whatever they decode, and SECURITY.md says
    // that a model file must not be changed while it runs.
    unsafe { Mmap::map(&file) }
}

/// Ranges are given back in pages; larger ones are rounded by the system.
#[cfg(unix)]
const PAGE: usize = 4096;
