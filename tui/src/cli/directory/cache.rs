//! Directories that are run: converted once, and mapped from then on.
//!
//! The GGUF file lies among the user's caches, under the name of the directory, a number of its path and
//! one of its content: names, lengths and times of its files, what stands in the texts and in the headers of
//! the weights, and samples of the weights. A directory that changes is converted anew, and the file
//! of its old content goes away. Without a cache the file has no name and goes away with the process.

use std::borrow::Cow;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use tritone_engine::{LoadError, LoadProgress, ModelSource, human_bytes, open_gguf};
use tritone_formats::codec::Rounding;
use tritone_formats::hf::HfError;

use super::{Directory, with_advice};
use crate::cli::atomic::AtomicFile;
use crate::cli::failure;
use crate::cli::output::{Bytes, check_space, write_tensors};

/// Grows when a directory would be converted in another way than before.
const CONVERTER: u32 = 1;
/// Age from which on a temporary file is one that a process has left behind.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A directory as a GGUF file.
pub(crate) struct Converted {
    /// The file.
    pub(crate) source: ModelSource,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
}

/// The GGUF file of the directory `place`: kept in `models`, or without a name.
///
/// # Errors
/// When the directory holds no model that can be run, the file cannot be written, or `progress` said
/// so ([`LoadError::Cancelled`]).
pub(crate) fn open(
    place: &Path,
    models: Option<&Path>,
    progress: &mut dyn FnMut(LoadProgress) -> bool,
) -> Result<Converted, LoadError> {
    let opened = try_open(place, models, progress);
    opened.map_err(|error| match error.downcast::<LoadError>() {
        Ok(error) => error,
        Err(error) => LoadError::Recipe {
            model: place.display().to_string(),
            what: failure::message(&error),
        },
    })
}

fn try_open(
    place: &Path,
    models: Option<&Path>,
    progress: &mut dyn FnMut(LoadProgress) -> bool,
) -> anyhow::Result<Converted> {
    let directory = Directory::read(place)?;
    let mut notes = Vec::new();
    let kept = match models {
        None => None,
        Some(models) => match own_directory(models) {
            Ok(()) => Some(Kept::new(models, &directory)?),
            Err(error) => {
                notes.push(format!("{} is not used: {error}", models.display()));
                None
            }
        },
    };
    if let Some(kept) = &kept
        && let Some(source) = kept.find(&mut notes)
    {
        return Ok(Converted { source, notes });
    }
    let begin = Instant::now();
    let shards = directory.shards();
    let model = directory.model(&shards)?;
    let total = shards.iter().map(|shard| shard.len() as u64).sum();
    let mut looking = |done| {
        let stage = "looking at the weights";
        progress(LoadProgress { stage, done, total })
    };
    let plan = match model.plan(&directory.name(), None, &mut looking) {
        Err(HfError::Stopped) => return Err(LoadError::Cancelled.into()),
        plan => plan.map_err(with_advice)?,
    };
    let size = plan.writer.file_len();
    let mut tensors = plan.tensors.iter().map(|tensor| {
        let bytes: Bytes<'_> = Box::new(|| {
            let bytes = model.bytes(tensor, Rounding::Exact);
            Ok(Cow::Owned(bytes.map_err(with_advice)?))
        });
        (tensor.name.clone(), bytes)
    });
    let mut written = |done| {
        let (stage, total) = ("converting the directory", size);
        progress(LoadProgress { stage, done, total })
    };
    let from = place.display();
    let took = |begin: Instant| format!("{:.1} s", begin.elapsed().as_secs_f64());
    let size_text = human_bytes(size);
    let source = match &kept {
        Some(kept) => {
            let path = &kept.path;
            check_space(path, size)?;
            let writing = || format!("cannot write '{}'", path.display());
            let out = AtomicFile::create(path).with_context(writing)?;
            let out = write_tensors(plan.writer, out, &mut tensors, &mut written);
            let out = out.with_context(writing)?.ok_or(LoadError::Cancelled)?;
            out.finish().with_context(writing)?;
            kept.clean();
            notes.push(format!(
                "'{from}' was converted to {} ({size_text}) in {}; the next start uses that file",
                path.display(),
                took(begin)
            ));
            ModelSource::File(path.clone())
        }
        None => {
            let (file, path) = nameless(size)?;
            let writing = || format!("cannot write to '{}'", path.display());
            let out = BufWriter::with_capacity(1 << 20, &file);
            let out = write_tensors(plan.writer, out, &mut tensors, &mut written);
            let mut out = out.with_context(writing)?.ok_or(LoadError::Cancelled)?;
            out.flush().with_context(writing)?;
            drop(out);
            notes.push(format!(
                "'{from}' was converted in {} to a file without a name in {} ({size_text}), for this \
                 time only; with a cache (`--pack-cache auto`) the next start uses it again",
                took(begin),
                path.display()
            ));
            let (name, file) = (from.to_string(), Arc::new(file));
            ModelSource::Open { name, file }
        }
    };
    Ok(Converted { source, notes })
}

/// A file without a name, and the directory it is in.
fn nameless(size: u64) -> anyhow::Result<(File, PathBuf)> {
    let directory = std::env::temp_dir();
    let unique = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let path = directory.join(format!("tritone-{}-{unique}.gguf", std::process::id()));
    check_space(&path, size)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let creating = || format!("cannot write '{}'", path.display());
    let file = options.open(&path).with_context(creating)?;
    // It lives until the last one closes it.
    fs::remove_file(&path).with_context(creating)?;
    Ok((file, directory))
}

/// Where the file of a directory is kept.
struct Kept {
    path: PathBuf,
    /// What the names of the files of this directory begin with, whatever its content was.
    prefix: String,
}

impl Kept {
    fn new(models: &Path, directory: &Directory) -> io::Result<Self> {
        let whole = directory.place.canonicalize()?;
        let mut path = Fnv::new();
        path.add(whole.as_os_str().as_encoded_bytes());
        let name: String = directory.name().chars().take(80).collect();
        let prefix = format!("{name}-{:016x}-", path.0);
        let content = content(directory)?;
        let path = models.join(format!("{prefix}{content:016x}.gguf"));
        Ok(Self { path, prefix })
    }

    /// The file, if it is there and sound.
    fn find(&self, notes: &mut Vec<String>) -> Option<ModelSource> {
        let meta = self.path.symlink_metadata().ok()?;
        let source = ModelSource::File(self.path.clone());
        let why = match own(&meta) {
            Err(why) => why.to_owned(),
            Ok(()) if !meta.is_file() => "it is no file".to_owned(),
            Ok(()) => match open_gguf(&source) {
                Ok(_) => return Some(source),
                Err(error) => error.to_string(),
            },
        };
        let path = self.path.display();
        notes.push(format!("{path} is not used and made again: {why}"));
        None
    }

    /// Removes what is left of earlier contents.
    fn clean(&self) {
        let Some(files) = self.path.parent().and_then(|dir| fs::read_dir(dir).ok()) else {
            return;
        };
        let current = self.path.file_name().unwrap_or_default().to_string_lossy();
        for file in files.flatten() {
            let name = file.file_name();
            let name = name.to_string_lossy();
            let old = name.starts_with(&self.prefix) && !name.starts_with(&*current);
            let part = name.strip_prefix('.');
            let left = part.is_some_and(|name| name.starts_with(&self.prefix)) && abandoned(&file);
            if old || left {
                let _ = fs::remove_file(file.path());
            }
        }
    }
}

fn abandoned(file: &fs::DirEntry) -> bool {
    let age = file.metadata().and_then(|meta| meta.modified());
    age.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > ABANDONED))
}

/// A number of the content of a directory.
fn content(directory: &Directory) -> io::Result<u64> {
    /// Samples of a file, and bytes of one.
    const SAMPLES: usize = 64;
    const SAMPLE: usize = 1024;
    let mut hash = Fnv::new();
    hash.add(&CONVERTER.to_le_bytes());
    let names = directory.texts.keys().copied();
    for name in names.chain(directory.weights.keys().map(String::as_str)) {
        let meta = directory.place.join(name).metadata()?;
        let time = meta.modified()?.duration_since(SystemTime::UNIX_EPOCH);
        hash.add(name.as_bytes());
        hash.add(&meta.len().to_le_bytes());
        hash.add(&time.map_or(0, |time| time.as_nanos()).to_le_bytes());
    }
    for text in directory.texts.values() {
        hash.add(text.as_bytes());
    }
    for bytes in directory.shards() {
        // The header is JSON behind its length.
        let length = bytes
            .first_chunk()
            .map_or(0, |length| u64::from_le_bytes(*length));
        let header = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .saturating_add(8);
        let (header, data) = bytes.split_at(header.min(bytes.len()));
        hash.add(header);
        let step = (data.len() / SAMPLES).max(SAMPLE);
        data.chunks(step)
            .for_each(|piece| hash.add(&piece[..piece.len().min(SAMPLE)]));
    }
    Ok(hash.0)
}

/// Makes a directory that only this user can write to, or finds it.
fn own_directory(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)?;
    own(&directory.metadata()?).map_err(io::Error::other)
}

/// Checks that only this user can have written something.
#[cfg(unix)]
fn own(meta: &Metadata) -> Result<(), &'static str> {
    use std::os::unix::fs::MetadataExt as _;
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err("it belongs to another user");
    }
    if meta.mode() & 0o022 != 0 {
        return Err("others can write to it");
    }
    Ok(())
}

/// Owners are not known here.
#[cfg(not(unix))]
fn own(_meta: &Metadata) -> Result<(), &'static str> {
    Ok(())
}

/// FNV-1a, 64 bits: tells contents apart that nobody has made to be alike.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds bytes and their number.
    fn add(&mut self, bytes: &[u8]) {
        let length = (bytes.len() as u64).to_le_bytes();
        for byte in length.iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
