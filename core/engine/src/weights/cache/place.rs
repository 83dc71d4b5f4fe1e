//! Where pack files lie, and which files may be trusted.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use super::Part;
use super::hash::checksum;
use crate::api::PackCache;

/// A place for a pack file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// In the directory of the model, rather than in one for packs.
    pub(super) beside: bool,
}

/// Where the pack of `part` of the model at `model` may lie, in the order of preference.
pub(super) fn candidates(cache: &PackCache, model: &Path, part: Part) -> Vec<Place> {
    let Some(name) = model.file_name().map(|name| name.to_string_lossy()) else {
        return Vec::new();
    };
    let ending = format!("{}.tritone-pack", part.suffix());
    let beside = cache.beside.then(|| Place {
        path: model.with_file_name(format!("{name}.{ending}")),
        beside: true,
    });
    // Two models of one name from different directories have a pack each.
    let whole = std::path::absolute(model).unwrap_or_else(|_| model.to_owned());
    let key = checksum(whole.as_os_str().as_encoded_bytes());
    let in_dir = cache.dir.as_ref().map(|dir| Place {
        path: dir.join(format!("{name}-{key:016x}.{ending}")),
        beside: false,
    });
    beside.into_iter().chain(in_dir).collect()
}

/// Whether pack files may be written beside `model`: into a directory of this user's that nobody
/// else can write to, and not beside a link, which tools that keep a store of models make.
#[cfg(unix)]
pub(super) fn is_own_place(model: &Path) -> bool {
    let own_dir = |meta: Metadata| meta.is_dir() && trusted(&meta, false).is_ok();
    let dir = model.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or(Path::new("."));
    model
        .symlink_metadata()
        .is_ok_and(|meta| !meta.is_symlink())
        && dir.metadata().is_ok_and(own_dir)
}

/// Owners are not known here, so that only the user's own directory is used.
#[cfg(not(unix))]
pub(super) fn is_own_place(_model: &Path) -> bool {
    false
}

/// Checks that only this user (or the administrator, if `root`) can have written a file.
///
/// # Errors
/// Who else could.
#[cfg(unix)]
pub(super) fn trusted(meta: &Metadata, root: bool) -> Result<(), &'static str> {
    use std::os::unix::fs::MetadataExt as _;
    let owner = meta.uid();
    if owner != rustix::process::geteuid().as_raw() && !(root && owner == 0) {
        return Err("it belongs to another user");
    }
    if meta.mode() & 0o022 != 0 {
        return Err("others can write to it");
    }
    Ok(())
}

/// Owners are not known here.
#[cfg(not(unix))]
pub(super) fn trusted(_meta: &Metadata, _root: bool) -> Result<(), &'static str> {
    Ok(())
}
