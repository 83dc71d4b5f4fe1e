//! The bytes of a model: a memory map, or a file linked into the program.
#![expect(
    unsafe_code,
    reason = "mapping a file is only as safe as the file is left alone"
)]

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::api::ModelSource;
use crate::error::LoadError;
use crate::plan::human_bytes;

/// The bytes of a model file, opened for reading.
#[derive(Debug)]
pub struct ModelBytes(Bytes);

#[derive(Debug)]
enum Bytes {
    /// A mapped file, and where it is, if anywhere.
    Mapped(FileMap, FileId, Option<PathBuf>),
    /// Bytes linked into the program.
    Static(&'static [u8]),
}

impl AsRef<[u8]> for ModelBytes {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Mapped(map, ..) => map.as_ref(),
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
                let (map, id) = open(path).map_err(|source| LoadError::Open {
                    path: path.clone(),
                    source,
                })?;
                Ok(Self(Bytes::Mapped(map, id, Some(path.clone()))))
            }
            ModelSource::Open { name, file } => {
                let (map, id) = map(file).map_err(|source| LoadError::Open {
                    path: name.into(),
                    source,
                })?;
                Ok(Self(Bytes::Mapped(map, id, None)))
            }
            ModelSource::Embedded { bytes, .. } => Ok(Self(Bytes::Static(bytes))),
        }
    }

    /// Which file it is, and where; `None` when it is none, or nowhere.
    pub(crate) fn file(&self) -> Option<(FileId, &Path)> {
        match &self.0 {
            Bytes::Mapped(_, id, path) => Some((*id, path.as_deref()?)),
            Bytes::Static(_) => None,
        }
    }

    /// Tells the system that `range` will not be read again soon, so that its pages need not
    /// stay resident; the pages at its ends are given back, too. They are read from the file again
    /// when they are touched.
    pub(crate) fn release(&self, range: Range<usize>) {
        if let Bytes::Mapped(map, ..) = &self.0 {
            map.release(range);
        }
    }

    /// Brings the pages of `range` in, rather than when they are touched.
    pub(crate) fn populate(&self, range: Range<usize>) {
        if let Bytes::Mapped(map, ..) = &self.0 {
            map.populate(range);
        }
    }

    /// Releases `range` with all that touching it may have brought in: the system maps a whole large page
    /// of its cache at once ([`READ_AROUND`]). Neighbours that are in use come back when they are touched.
    pub(crate) fn release_around(&self, range: Range<usize>) {
        if range.start < range.end {
            let end = range.end.next_multiple_of(READ_AROUND);
            self.release(range.start / READ_AROUND * READ_AROUND..end);
        }
    }

    /// Keeps `range` in memory.
    pub(crate) fn lock(&self, range: Range<usize>) -> io::Result<()> {
        match &self.0 {
            Bytes::Mapped(map, ..) => map.lock(range),
            Bytes::Static(bytes) => lock(&bytes[range]),
        }
    }
}

/// Tells a file from another one, or from itself after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    /// Length.
    pub(crate) bytes: u64,
    /// Last change: seconds and nanoseconds since 1970.
    pub(crate) seconds: i64,
    pub(crate) nanos: u64,
    /// Inode; 0 where there is none.
    pub(crate) inode: u64,
}

impl FileId {
    #[cfg(unix)]
    pub(crate) fn of(meta: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self {
            bytes: meta.len(),
            seconds: meta.mtime(),
            nanos: meta.mtime_nsec() as u64,
            inode: meta.ino(),
        }
    }

    /// Several files as one: a change of any of them shows.
    pub(crate) fn joined(files: &[Self]) -> Self {
        if let [one] = files {
            return *one;
        }
        let mixed = |number: fn(&Self) -> u64| {
            let numbers = files.iter().map(number);
            numbers.fold(0, |all: u64, n| {
                (all ^ n).wrapping_mul(0x0100_0000_01b3).rotate_left(23)
            })
        };
        Self {
            bytes: files
                .iter()
                .fold(0, |all, file| all.saturating_add(file.bytes)),
            seconds: files.iter().map(|file| file.seconds).max().unwrap_or(0),
            nanos: mixed(|file| file.seconds.cast_unsigned() ^ file.nanos << 34),
            inode: mixed(|file| file.inode),
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn of(meta: &Metadata) -> Self {
        let since = |time: std::time::SystemTime| {
            time.duration_since(std::time::UNIX_EPOCH)
                .unwrap_or_default()
        };
        let modified = meta.modified().map(since).unwrap_or_default();
        Self {
            bytes: meta.len(),
            seconds: modified.as_secs() as i64,
            nanos: u64::from(modified.subsec_nanos()),
            inode: 0,
        }
    }
}

/// Opens and maps a regular file.
fn open(path: &Path) -> io::Result<(FileMap, FileId)> {
    map(&File::open(path)?)
}

/// Maps a regular file.
fn map(file: &File) -> io::Result<(FileMap, FileId)> {
    let refuse = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    let meta = file.metadata()?;
    if !meta.is_file() {
        return refuse("not a regular file");
    }
    if meta.len() == 0 {
        return refuse("the file is empty");
    }
    Ok((FileMap::new(file)?, FileId::of(&meta)))
}

/// A file, mapped for reading.
#[derive(Debug)]
pub(crate) struct FileMap(Mmap);

impl AsRef<[u8]> for FileMap {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Touching a page of a mapped file brings in its neighbours within the same block of this size at most:
/// the largest page of the system's cache, all of which Linux maps at once since 6.18 (64 KiB before).
pub(crate) const READ_AROUND: usize = 2 << 20;

/// Ranges are rounded to pages; where pages are larger the system rounds or refuses.
const PAGE: usize = 4096;

impl FileMap {
    /// Maps all of `file`.
    pub(crate) fn new(file: &File) -> io::Result<Self> {
        // SAFETY: the map is read only. Writing to the file while it is mapped is outside our
        // control: readers check again whatever they decode, kernels read packed weights of any
        // value inside their slices, and SECURITY.md says that a file must not be changed while
        // it is in use.
        unsafe { Mmap::map(file) }.map(Self)
    }

    /// The pages of `range`, as start and length; `None` when there are none.
    fn pages(&self, range: Range<usize>) -> Option<(usize, usize)> {
        let start = range.start / PAGE * PAGE;
        let end = range.end.min(self.0.len());
        (start < end).then(|| (start, end - start))
    }

    /// Gives the pages of `range` back; see [`ModelBytes::release`].
    fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Some((start, len)) = self.pages(range) {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY: dropping clean pages of a read-only file map loses nothing.
            let _ = unsafe { self.0.unchecked_advise_range(advice, start, len) };
        }
        #[cfg(not(unix))]
        let _ = range;
    }

    /// Brings the pages of `range` in at once, where the system knows how; otherwise they come when
    /// they are touched.
    pub(crate) fn populate(&self, range: Range<usize>) {
        #[cfg(target_os = "linux")]
        if let Some((start, len)) = self.pages(range) {
            let _ = self
                .0
                .advise_range(memmap2::Advice::PopulateRead, start, len);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = range;
    }

    /// Keeps `range` in memory.
    pub(crate) fn lock(&self, range: Range<usize>) -> io::Result<()> {
        lock(&self.0[range])
    }
}

/// Keeps the pages of `bytes` in memory until they are unmapped.
pub(crate) fn lock(bytes: &[u8]) -> io::Result<()> {
    #[cfg(unix)]
    {
        let start = bytes.as_ptr().cast_mut().cast();
        // SAFETY: locking changes nothing about the bytes, which are a live slice.
        unsafe { rustix::mm::mlock(start, bytes.len()) }.map_err(io::Error::from)
    }
    #[cfg(not(unix))]
    {
        let _ = bytes;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Says why `bytes` of memory are not locked, and what to do about it.
pub(crate) fn not_locked(error: &io::Error, bytes: u64) -> String {
    let wanted = human_bytes(bytes);
    #[cfg(unix)]
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
    #[cfg(not(unix))]
    let limit: Option<u64> = None;
    let limit = match limit {
        Some(limit) => format!(
            "; {wanted} were to be locked and the limit is {}: raise it (`ulimit -l {}`, or \
             LimitMEMLOCK of a service)",
            human_bytes(limit),
            bytes.div_ceil(1024)
        ),
        None => format!("; {wanted} were to be locked"),
    };
    format!("memory is not locked and may be swapped out: {error}{limit}")
}
