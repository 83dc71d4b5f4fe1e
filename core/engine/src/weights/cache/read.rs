//! Reading pack files.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::Path;

use super::super::jobs::{Progress, run_jobs};
use super::Wanted;
use super::hash::{checksum, combined};
use super::header::{CHUNK, DATA_START, HEADER_BYTES, Header};
use super::key::content;
use super::place::trusted;
use crate::error::LoadError;
use crate::files::pieces;
use crate::map::FileMap;

/// The data of a pack file, mapped.
#[derive(Debug)]
pub(crate) struct Pack {
    map: FileMap,
    data: Range<usize>,
    /// The model file is not the one it was made from, though its tensors are.
    moved: bool,
}

impl Pack {
    /// All of it.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.map.as_ref()[self.data.clone()]
    }

    /// Whether the model file was copied, moved or touched since: the whole of it had to be
    /// compared, which a new file would save.
    pub(crate) fn is_outdated(&self) -> bool {
        self.moved
    }

    /// Keeps it in memory.
    pub(crate) fn lock(&self) -> io::Result<()> {
        self.map.lock(self.data.clone())
    }
}

/// Why a pack file is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// There is none.
    Absent,
    /// It was made from another model, by another version, or for another shape.
    Stale(&'static str),
    /// It cannot or must not be read.
    Refused(String),
}

/// Opens the pack file at `path` and checks everything: owner, header, length, the model it was
/// made from, and the checksum of its data, which brings the pages in at the same time.
///
/// # Errors
/// [`LoadError::Cancelled`] when `progress` says so.
pub(super) fn open(
    path: &Path,
    wanted: &Wanted<'_>,
    threads: usize,
    progress: Progress<'_>,
) -> Result<Result<Pack, Miss>, LoadError> {
    let (file, header) = match header(path) {
        Ok(found) => found,
        Err(miss) => return Ok(Err(miss)),
    };
    if let Err(miss) = fits(&header, wanted) {
        return Ok(Err(miss));
    }
    if (wanted.verify || header.source != wanted.source)
        && content(wanted.model, wanted.part, threads, progress)? != header.content
    {
        return Ok(Err(Miss::Stale("the model has changed")));
    }
    let map = match FileMap::new(&file) {
        Ok(map) => map,
        Err(error) => return Ok(Err(Miss::Refused(format!("it cannot be mapped: {error}")))),
    };
    let data = DATA_START..map.as_ref().len();
    if data.len() != wanted.bytes {
        return Ok(Err(Miss::Refused("its length has changed".to_owned())));
    }
    let moved = header.source != wanted.source;
    let pack = Pack { map, data, moved };
    if data_checksum(&pack, threads, progress)? != header.data {
        let why = "its data is damaged (wrong checksum)".to_owned();
        return Ok(Err(Miss::Refused(why)));
    }
    Ok(Ok(pack))
}

/// Whether a header speaks of what is wanted, so far as it tells by itself.
pub(super) fn fits(header: &Header, wanted: &Wanted<'_>) -> Result<(), Miss> {
    if header.part != wanted.part {
        return Err(Miss::Stale("it holds something else"));
    }
    if (header.shape, header.bytes) != (wanted.shape, wanted.bytes as u64) {
        return Err(Miss::Stale("it is for another shape"));
    }
    if !header.source.same_model(&wanted.source) {
        return Err(Miss::Stale("it was made from another model"));
    }
    Ok(())
}

/// Opens a file as one that may be a pack, and reads its header. The length is the one the header
/// speaks of.
pub(super) fn header(path: &Path) -> Result<(File, Header), Miss> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Miss::Absent,
        _ => Miss::Refused(format!("it cannot be read: {error}")),
    };
    // Something that is no file could block when it is opened.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(Miss::Refused("it is no regular file".to_owned()));
    }
    let mut file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(Miss::Refused("it is no regular file".to_owned()));
    }
    trusted(&meta, true).map_err(|why| Miss::Refused(why.to_owned()))?;
    let mut bytes = [0; HEADER_BYTES];
    if file.read_exact(&mut bytes).is_err() {
        return Err(Miss::Refused("it is cut short".to_owned()));
    }
    let header = Header::decode(&bytes).map_err(Miss::Stale)?;
    if header.bytes.checked_add(DATA_START as u64) != Some(meta.len()) {
        return Err(Miss::Refused("it is cut short".to_owned()));
    }
    Ok((file, header))
}

/// Checksum of the data, computed with `threads` threads.
fn data_checksum(pack: &Pack, threads: usize, progress: Progress<'_>) -> Result<u64, LoadError> {
    let data = pack.as_slice();
    let pieces: Vec<_> = pieces(0..data.len(), CHUNK).collect();
    let mut sums = vec![0; pieces.len()];
    let jobs = pieces.into_iter().zip(&mut sums).collect();
    let work = |(piece, sum): (Range<usize>, &mut u64)| {
        pack.map
            .populate(DATA_START + piece.start..DATA_START + piece.end);
        *sum = checksum(&data[piece.clone()]);
        Ok(piece.len() as u64)
    };
    let (stage, total) = ("reading the packed cache", data.len() as u64);
    run_jobs(jobs, threads, stage, total, progress, work)?;
    Ok(combined(&sums))
}

#[cfg(all(test, unix))]
#[allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]
mod tests {
    use super::super::Part;
    use super::super::key::SourceKey;
    use super::*;
    use std::io::Write as _;
    use tritone_abi::LayoutId;

    /// A file whose header claims `bytes` of data, followed by `there` bytes.
    fn claim(bytes: u64, there: u64) -> Result<Header, Miss> {
        let claimed = Header {
            part: Part::Weights(LayoutId::T2R32),
            shape: 1,
            bytes,
            data: 2,
            source: SourceKey {
                bytes: 3,
                seconds: 4,
                nanos: 5,
                inode: 6,
                sample: 7,
            },
            content: 8,
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.tritone-pack");
        let mut file = File::create(&path).unwrap();
        file.write_all(&claimed.encode()).unwrap();
        file.set_len(there).unwrap();
        header(&path).map(|(_, found)| {
            assert_eq!(found, claimed);
            found
        })
    }

    #[test]
    fn a_length_that_is_not_there_is_refused() {
        let start = DATA_START as u64;
        assert!(claim(64, start + 64).is_ok());
        assert!(claim(0, start).is_ok());
        let cut = Err(Miss::Refused("it is cut short".to_owned()));
        for (bytes, there) in [
            (64, start + 63),
            (64, start + 65),
            (64, HEADER_BYTES as u64),
            (64, HEADER_BYTES as u64 - 1),
            (u64::MAX, start),
            (u64::MAX - start, start),
            (u64::MAX - start + 1, start),
            (0u64.wrapping_sub(start), 0),
        ] {
            assert_eq!(claim(bytes, there), cut, "{bytes} {there}");
        }
    }
}
