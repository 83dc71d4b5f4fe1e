//! A file that is being received: its bytes so far, and a note beside it of what they belong to.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::listing::RemoteFile;

/// Longest note that is read.
const MOST_NOTE: u64 = 64 << 10;

/// What the bytes belong to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    size: u64,
    checksum: Option<String>,
    /// What the server that sent them calls this content.
    etag: Option<String>,
}

/// `.NAME.part` beside the file it will become.
pub(super) struct Part {
    target: PathBuf,
    path: PathBuf,
    note_path: PathBuf,
    note: Note,
    file: File,
    len: u64,
    digest: Digest,
    fresh: Digest,
}

impl Part {
    /// Opens what is there of `remote`, or begins; `advance` hears of bytes that are there already.
    ///
    /// # Errors
    /// When the file cannot be written, or another process is at it.
    pub(super) fn open(
        target: &Path,
        remote: &RemoteFile,
        mut advance: impl FnMut(u64),
    ) -> anyhow::Result<Self> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let path = target.with_file_name(format!(".{name}.part"));
        let note_path = target.with_file_name(format!(".{name}.part.json"));
        let writing = || format!("cannot write '{}'", path.display());
        // A link in its place would lead the bytes to another file.
        if path.symlink_metadata().is_ok_and(|meta| !meta.is_file()) {
            anyhow::bail!("'{}' is no regular file", path.display());
        }
        let options = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let file = options.with_context(writing)?;
        if let Err(fs::TryLockError::WouldBlock) = file.try_lock() {
            anyhow::bail!("another process is receiving '{}'", target.display());
        }
        let checksum = remote.checksum.as_ref();
        let fresh = Digest::new(checksum, remote.size);
        let expected = Note {
            size: remote.size,
            checksum: checksum.map(super::listing::Checksum::tag),
            etag: None,
        };
        let found = read_note(&note_path).unwrap_or_default();
        let same = (found.size, &found.checksum) == (expected.size, &expected.checksum);
        let len = file.metadata().with_context(writing)?.len();
        let mut part = Self {
            target: target.to_owned(),
            path: path.clone(),
            note_path,
            note: if same { found } else { expected },
            file,
            len: 0,
            digest: fresh.clone(),
            fresh,
        };
        if same && len <= remote.size {
            let mut buffer = vec![0; 1 << 20];
            part.file.seek(SeekFrom::Start(0)).with_context(writing)?;
            loop {
                let read = part.file.read(&mut buffer).with_context(writing)?;
                let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
                    break;
                };
                part.digest.update(bytes);
                part.len += read as u64;
                advance(read as u64);
            }
        } else {
            part.restart().with_context(writing)?;
        }
        part.keep_note().with_context(writing)?;
        Ok(part)
    }

    /// Bytes that are there.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// What the server calls the content of the bytes that are there.
    pub(super) fn etag(&self) -> Option<&str> {
        self.note.etag.as_deref().filter(|_| self.len > 0)
    }

    /// Forgets all bytes.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.len = 0;
        self.digest = self.fresh.clone();
        Ok(())
    }

    /// Remembers what the server calls this content.
    pub(super) fn set_etag(&mut self, etag: Option<&str>) -> io::Result<()> {
        if self.note.etag.as_deref() == etag {
            return Ok(());
        }
        self.note.etag = etag.map(str::to_owned);
        self.keep_note()
    }

    fn keep_note(&self) -> io::Result<()> {
        fs::write(&self.note_path, serde_json::to_vec(&self.note)?)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.len += bytes.len() as u64;
        self.digest.update(bytes);
        Ok(())
    }

    /// The first bytes, at most `most` of them.
    pub(super) fn beginning(&self, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(&self.path)?
            .take(most.min(self.len))
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The checksum of all bytes, in hexadecimal digits.
    pub(super) fn sum(&self) -> String {
        self.digest.clone().finish()
    }

    /// Gives the file its name, once it is on the disk.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let writing = || format!("cannot write '{}'", self.target.display());
        self.file.sync_all().with_context(writing)?;
        fs::rename(&self.path, &self.target).with_context(writing)?;
        let _ = fs::remove_file(&self.note_path);
        Ok(())
    }

    /// Takes the bytes away.
    pub(super) fn remove(self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(&self.note_path);
    }
}

fn read_note(path: &Path) -> Option<Note> {
    let mut text = String::new();
    File::open(path)
        .ok()?
        .take(MOST_NOTE)
        .read_to_string(&mut text)
        .ok()?;
    serde_json::from_str(&text).ok()
}
