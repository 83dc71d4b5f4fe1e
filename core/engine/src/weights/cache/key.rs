//! Which model file a pack was made from.
//!
//! Size, time of the last change and inode say whether a file is the same one; the header with all
//! metadata and 64 samples of the data, spread over the file, make sure that it is this model. That
//! costs milliseconds and reads next to nothing of a large file. Only when time or inode differ (a
//! copied, moved or touched file), or when the user asks for it, all packed tensors are compared
//! through their checksum, which reads all of them.

use super::super::jobs::{Progress, run_jobs};
use super::Part;
use super::hash::{checksum, combined};
use super::header::CHUNK;
use crate::error::LoadError;
use crate::files::{Stretch, file_id};
use crate::map::FileId;
use crate::model::Model;

/// What identifies a model file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SourceKey {
    /// Its length.
    pub(super) bytes: u64,
    /// Its last change, in seconds and nanoseconds since 1970.
    pub(super) seconds: i64,
    pub(super) nanos: u64,
    /// Its inode; 0 where there is none.
    pub(super) inode: u64,
    /// Number of its header and samples ([`Model::content_id`]), and of the types of its tensors.
    pub(super) sample: u64,
}

impl SourceKey {
    /// The key of the file that `model` is mapped from; `None` for a model that is linked in.
    pub(super) fn new(model: &Model) -> Option<Self> {
        let id: FileId = file_id(&model.file)?;
        Some(Self {
            bytes: id.bytes,
            seconds: id.seconds,
            nanos: id.nanos,
            inode: id.inode,
            sample: sample(model),
        })
    }

    /// Whether it is the same model, so far as header and samples tell.
    pub(super) fn same_model(&self, other: &Self) -> bool {
        (self.bytes, self.sample) == (other.bytes, other.sample)
    }
}

fn sample(model: &Model) -> u64 {
    // The same bytes read in two ways are two models.
    let types: Vec<u8> = model
        .file
        .tensors()
        .flat_map(|tensor| tensor.ty().name().bytes())
        .collect();
    combined(&[model.content(), checksum(&types)])
}

/// The tensors that `part` of `model` is made from.
fn sources(model: &Model, part: Part) -> Vec<Stretch> {
    let recipe = &model.recipe;
    let names: Vec<String> = match part {
        Part::Weights(_) => recipe.ternary_tensors().collect(),
        Part::Head(_) | Part::TernaryHead(_) => vec![recipe.head_tensor().to_owned()],
    };
    let data = |name: &String| Some(Stretch::of(&model.file.tensor(name)?));
    names.iter().filter_map(data).collect()
}

/// Checksum of the tensors that `part` of `model` is made from, computed with `threads` threads.
///
/// # Errors
/// [`LoadError::Cancelled`] when `progress` says so.
pub(super) fn content(
    model: &Model,
    part: Part,
    threads: usize,
    progress: Progress<'_>,
) -> Result<u64, LoadError> {
    let pieces: Vec<_> = sources(model, part)
        .into_iter()
        .flat_map(|data| data.pieces(CHUNK))
        .collect();
    let total = pieces.iter().map(|piece| piece.range.len() as u64).sum();
    let mut sums = vec![0; pieces.len()];
    let jobs = pieces.into_iter().zip(&mut sums).collect();
    let work = |(piece, sum): (Stretch, &mut u64)| {
        *sum = checksum(piece.bytes(&model.file));
        piece.release(&model.file);
        Ok(piece.range.len() as u64)
    };
    run_jobs(
        jobs,
        threads,
        "comparing with the model",
        total,
        progress,
        work,
    )?;
    Ok(combined(&sums))
}
