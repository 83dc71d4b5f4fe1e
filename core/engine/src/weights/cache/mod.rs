//! Packed weights and converted heads, kept in files from one start to the next.
//!
//! A *pack* holds one part of a model in the form in which it is used: all ternary matrices in a
//! layout, or the head in a format ([`header`] has the file). It is a copy that can always be made
//! again: whatever is wrong with it, it is left aside and the part is packed from the model.
//!
//! * **When it is right**: [`key`]. The checksum of its own data is compared at every start; that is
//!   a pass over the pages that have to come into memory anyway.
//! * **How it is used**: mapped. The pages are those of the system's page cache, shared between
//!   processes, and count as file-backed. Measured on ext4, whose page cache holds large folios,
//!   they stream as fast as anonymous huge pages.
//! * **Who may have written it**: this user or the administrator, and nobody else ([`place`]).
//! * **How it is written**: under another name first, which is exchanged when all is on disk
//!   ([`write`]), so that two processes that write it at once both leave a whole file.

mod hash;
mod header;
mod key;
mod place;
mod read;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tritone_abi::{HeadFormat, LayoutId};

use super::bytes::Bytes;
use super::jobs::Progress;
use super::places::Places;
use crate::api::{LoadedFrom, PackCache, PackState, PackStatus};
use crate::error::LoadError;
use crate::model::Model;
use key::SourceKey;
use place::candidates;
pub(super) use read::Pack;
use read::{Miss, open};
pub(crate) use write::{Unwritten, WriteError};

/// What a pack holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All ternary matrices.
    Weights(LayoutId),
    /// The converted head.
    Head(HeadFormat),
    /// The head as a ternary matrix.
    TernaryHead(LayoutId),
}

impl Part {
    /// The numbers in the file.
    fn code(self) -> (u32, u32) {
        match self {
            Self::Weights(layout) => (1, layout.0),
            Self::Head(format) => (2, format as u32),
            Self::TernaryHead(layout) => (3, layout.0),
        }
    }

    fn from_code(kind: u32, id: u32) -> Option<Self> {
        match kind {
            1 => Some(Self::Weights(LayoutId(id))),
            2 => HeadFormat::from_u32(id).map(Self::Head),
            3 => Some(Self::TernaryHead(LayoutId(id))),
            _ => None,
        }
    }

    /// What stands in the name of the file.
    fn suffix(self) -> String {
        let name = |layout: LayoutId| match layout.name() {
            "unknown" => format!("layout{}", layout.0),
            name => name.to_ascii_lowercase(),
        };
        match self {
            Self::Weights(layout) => name(layout),
            Self::TernaryHead(layout) => format!("head-{}", name(layout)),
            Self::Head(format) => format!("head-{format:?}").to_ascii_lowercase(),
        }
    }

    /// For people.
    fn name(self) -> String {
        match self {
            Self::Weights(layout) => format!("weights in layout {}", layout.name()),
            Self::Head(format) => format!("head in {format:?}").to_lowercase(),
            Self::TernaryHead(layout) => format!("head in layout {}", layout.name()),
        }
    }
}

/// The pack that is looked for.
struct Wanted<'a> {
    model: &'a Model,
    part: Part,
    /// Checksum of the shapes and places.
    shape: u64,
    bytes: usize,
    source: SourceKey,
    /// Compare all tensors with the model.
    verify: bool,
}

/// The packs of one model: what there is, and what is to be written.
pub(super) struct Cache<'a> {
    model: &'a Arc<Model>,
    options: &'a PackCache,
    /// Path and key of the model file; `None` when nothing is kept.
    source: Option<(PathBuf, SourceKey)>,
    /// What the user should know.
    pub(super) notices: Vec<String>,
    /// What was packed and is worth a file.
    pub(super) unwritten: Vec<Unwritten>,
}

impl<'a> Cache<'a> {
    /// The packs of `model`, as `options` has it.
    pub(super) fn new(model: &'a Arc<Model>, options: &'a PackCache) -> Self {
        let source = (options.beside || options.dir.is_some())
            .then(|| Some((model.path.clone()?, SourceKey::new(model)?)))
            .flatten();
        Self {
            model,
            options,
            source,
            notices: Vec::new(),
            unwritten: Vec::new(),
        }
    }

    /// The bytes of `part`, `bytes` of them, laid out as `shape` (a checksum) says, and the file they
    /// are in; `None` when there is no pack that can be used.
    ///
    /// # Errors
    /// [`LoadError::Cancelled`] when `progress` says so.
    pub(super) fn find(
        &mut self,
        part: Part,
        shape: u64,
        bytes: usize,
        threads: usize,
        progress: Progress<'_>,
    ) -> Result<Option<(Arc<Bytes>, LoadedFrom)>, LoadError> {
        let Some((model, source)) = &self.source else {
            return Ok(None);
        };
        let wanted = Wanted {
            model: self.model,
            part,
            shape,
            bytes,
            source: *source,
            verify: self.options.verify,
        };
        for place in candidates(self.options, model, part) {
            match open(&place.path, &wanted, threads, progress)? {
                Ok(pack) => {
                    let outdated = pack.is_outdated();
                    let data = Arc::new(Bytes::Mapped(pack));
                    if outdated {
                        self.keep(part, shape, &data);
                    }
                    return Ok(Some((data, LoadedFrom::Cache(place.path))));
                }
                Err(Miss::Absent) => {}
                Err(Miss::Stale(why)) => {
                    tracing::info!(path = %place.path.display(), why, "pack left aside");
                }
                Err(Miss::Refused(why)) => self.notices.push(format!(
                    "the packed cache {} is not used: {why}",
                    place.path.display()
                )),
            }
        }
        Ok(None)
    }

    /// Remembers to write `data`, if it is worth a file.
    pub(super) fn keep(&mut self, part: Part, shape: u64, data: &Arc<Bytes>) {
        let Some((path, source)) = &self.source else {
            return;
        };
        if (data.as_slice().len() as u64) < self.options.least_bytes {
            return;
        }
        self.unwritten.push(Unwritten {
            model: Arc::clone(self.model),
            part,
            shape,
            source: *source,
            data: Arc::clone(data),
            path: path.clone(),
            places: candidates(self.options, path, part),
        });
    }
}

/// Checksum of where everything lies.
pub(super) fn shape_of_places(places: &Places) -> u64 {
    let all = places.all().iter();
    hash::combined(
        &all.flat_map(|place| {
            let (name, range) = (hash::checksum(place.name.as_bytes()), &place.range);
            [
                place.layer.map_or(u64::MAX, |layer| layer as u64),
                name,
                place.rows as u64,
                place.cols as u64,
                range.start as u64,
                range.end as u64,
            ]
        })
        .collect::<Vec<_>>(),
    )
}

/// Checksum of the shape of a head.
pub(super) fn shape_of_head(vocab: usize, hidden: usize) -> u64 {
    hash::combined(&[vocab as u64, hidden as u64])
}

/// Looks for a pack without using it. Its data is only read when `options.verify` is set.
pub(super) fn status(
    model: &Arc<Model>,
    options: &PackCache,
    part: Part,
    (shape, bytes): (u64, usize),
    threads: usize,
) -> Option<PackStatus> {
    let cache = Cache::new(model, options);
    let (path, source) = cache.source.as_ref()?;
    let mut found = None;
    for place in candidates(options, path, part) {
        let wanted = Wanted {
            model,
            part,
            shape,
            bytes,
            source: *source,
            verify: options.verify,
        };
        let state = match check(&place.path, &wanted, threads) {
            Ok(()) => PackState::Valid,
            Err(Miss::Absent) => continue,
            Err(Miss::Stale(why)) => PackState::Unusable(why.to_owned()),
            Err(Miss::Refused(why)) => PackState::Unusable(why),
        };
        let valid = state == PackState::Valid;
        found = Some(PackStatus {
            what: part.name(),
            path: place.path,
            bytes: bytes as u64,
            state,
        });
        if valid {
            break;
        }
    }
    found
}

fn check(path: &Path, wanted: &Wanted<'_>, threads: usize) -> Result<(), Miss> {
    if wanted.verify {
        return match open(path, wanted, threads, &mut |_| true) {
            Ok(found) => found.map(drop),
            Err(error) => Err(Miss::Refused(error.to_string())),
        };
    }
    let (_, header) = read::header(path)?;
    read::fits(&header, wanted)
}
