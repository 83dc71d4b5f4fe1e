//! Writing pack files.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::hash::{checksum, combined};
use super::header::{CHUNK, DATA_START, Header};
use super::key::{SourceKey, content};
use super::place::{Place, is_own_place};
use super::{Bytes, Part};
use crate::api::LoadProgress;
use crate::error::LoadError;
use crate::files::{file_id, file_id_now};
use crate::model::Model;
use crate::plan::human_bytes;

/// A pack that is not in a file yet.
#[derive(Debug)]
pub(crate) struct Unwritten {
    pub(super) model: Arc<Model>,
    pub(super) part: Part,
    pub(super) shape: u64,
    pub(super) source: SourceKey,
    pub(super) data: Arc<Bytes>,
    /// The model file.
    pub(super) path: PathBuf,
    /// Where it may be written, in the order of preference.
    pub(super) places: Vec<Place>,
}

/// Bytes that stay free on the disk.
const SPARE: u64 = 1 << 30;
/// Age from which on a temporary file is one that a process has left behind.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Why a pack was not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The caller asked to stop.
    Cancelled,
    /// The system, or the state of the disk or the model.
    Failed(String),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Unwritten {
    /// Bytes of the data.
    pub(crate) fn bytes(&self) -> u64 {
        self.data.as_slice().len() as u64
    }

    /// Writes the file: to a temporary one in the same directory first, which then takes its name
    /// in one step, so that a reader finds a whole file or none, whoever writes at the same time.
    /// `progress` gets the bytes written so far and returns `false` to stop.
    ///
    /// Returns its path.
    ///
    /// # Errors
    /// Why no place took it, or [`WriteError::Cancelled`]; nothing is left behind.
    pub(crate) fn write(
        &self,
        progress: &mut dyn FnMut(u64) -> bool,
    ) -> Result<PathBuf, WriteError> {
        let own = is_own_place(&self.path);
        let mut why = "there is no directory of yours for it".to_owned();
        for Place { path, beside } in &self.places {
            if *beside && !own {
                continue;
            }
            match self.write_to(path, progress) {
                Ok(()) => return Ok(path.clone()),
                Err(WriteError::Cancelled) => return Err(WriteError::Cancelled),
                Err(WriteError::Failed(error)) => why = format!("{}: {error}", path.display()),
            }
        }
        Err(WriteError::Failed(why))
    }

    fn write_to(
        &self,
        place: &Path,
        progress: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), WriteError> {
        let dir = place.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or(Path::new("."));
        create_private(dir)?;
        clean(place);
        room(dir, self.bytes())?;
        let temporary = Temporary::create(place, &self.path.metadata()?)?;
        let data = self.write_data(&temporary.file, progress)?;
        let go_on = &mut |_: LoadProgress| progress(self.bytes());
        let content = match content(&self.model, self.part, 1, go_on) {
            Ok(content) => content,
            Err(LoadError::Cancelled) => return Err(WriteError::Cancelled),
            Err(error) => return Err(WriteError::Failed(error.to_string())),
        };
        let now = file_id_now(&self.model.file)?;
        if Some(now) != file_id(&self.model.file) {
            let why = "the model file has changed meanwhile";
            return Err(WriteError::Failed(why.to_owned()));
        }
        let header = Header {
            part: self.part,
            shape: self.shape,
            bytes: self.bytes(),
            data,
            source: self.source,
            content,
        };
        let mut file = &temporary.file;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&header.encode())?;
        file.sync_all()?;
        temporary.keep(place)?;
        // The name lasts once the directory is on disk; until then the old state is as good.
        if let Ok(dir) = File::open(dir) {
            let _ = dir.sync_all();
        }
        Ok(())
    }

    /// Writes the data and returns its checksum.
    fn write_data(
        &self,
        mut file: &File,
        progress: &mut dyn FnMut(u64) -> bool,
    ) -> Result<u64, WriteError> {
        file.seek(SeekFrom::Start(DATA_START as u64))?;
        let (mut sums, mut done) = (Vec::new(), 0);
        for piece in self.data.as_slice().chunks(CHUNK) {
            if !progress(done) {
                return Err(WriteError::Cancelled);
            }
            file.write_all(piece)?;
            sums.push(checksum(piece));
            done += piece.len() as u64;
        }
        Ok(combined(&sums))
    }
}

/// A file that goes away unless it is kept.
struct Temporary {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Temporary {
    /// Creates a new file beside `place`, which only this user may write, and others may read if
    /// they may read `model`.
    fn create(place: &Path, model: &Metadata) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let (process, number) = (std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let name = format!("{}{process}-{number}.tmp", prefix(place));
        let path = place.with_file_name(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
            options.mode(0o600 | model.mode() & 0o044);
        }
        #[cfg(not(unix))]
        let _ = model;
        let file = options.open(&path)?;
        Ok(Self {
            file,
            path,
            kept: false,
        })
    }

    fn keep(mut self, place: &Path) -> io::Result<()> {
        fs::rename(&self.path, place)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// How the names of temporary files for `place` begin.
fn prefix(place: &Path) -> String {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}.")
}

/// Removes what processes that were killed have left behind.
fn clean(place: &Path) {
    let prefix = prefix(place);
    let Some(Ok(entries)) = place.parent().map(fs::read_dir) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let old = |modified: SystemTime| modified.elapsed().is_ok_and(|age| age > ABANDONED);
        if name.starts_with(&prefix)
            && name.ends_with(".tmp")
            && entry
                .metadata()
                .and_then(|meta| meta.modified())
                .is_ok_and(old)
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Creates a directory for this user alone, if it is not there.
fn create_private(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Refuses to fill the disk.
fn room(dir: &Path, bytes: u64) -> Result<(), WriteError> {
    #[cfg(unix)]
    {
        let disk = rustix::fs::statvfs(dir).map_err(io::Error::from)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let needed = bytes.saturating_add(SPARE);
        if free < needed {
            return Err(WriteError::Failed(format!(
                "it takes {} and leaves {} free, but only {} are",
                human_bytes(bytes),
                human_bytes(SPARE),
                human_bytes(free)
            )));
        }
    }
    #[cfg(not(unix))]
    let _ = (dir, bytes);
    Ok(())
}
