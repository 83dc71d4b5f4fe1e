//! Files and directories that are there completely or not at all.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file that takes its name when it is complete. Until then it lies next to it under another
/// name, which goes away when the writer is dropped.
pub(crate) struct AtomicFile {
    path: PathBuf,
    temporary: PathBuf,
    file: Option<BufWriter<File>>,
}

impl AtomicFile {
    /// Begins a file that will be called `path`.
    ///
    /// # Errors
    /// When `path` names no file, or the directory cannot be written.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let Some(name) = path.file_name().filter(|_| !path.is_dir()) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not the name of a file",
            ));
        };
        let temporary = path.with_file_name(hidden(name));
        let file = File::options()
            .write(true)
            .create_new(true)
            .open(&temporary)?;
        let file = Some(BufWriter::with_capacity(1 << 20, file));
        Ok(Self {
            path: path.to_owned(),
            temporary,
            file,
        })
    }

    /// Gives the file its name, replacing an older one, once it is on the disk.
    ///
    /// # Errors
    /// What the system says; there is no new file then.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if let Some(file) = self.file.take() {
            let file = file.into_inner().map_err(io::IntoInnerError::into_error);
            let moved = file
                .and_then(|file| file.sync_all())
                .and_then(|()| fs::rename(&self.temporary, &self.path));
            if moved.is_err() {
                let _ = fs::remove_file(&self.temporary);
            }
            return moved;
        }
        Ok(())
    }
}

/// Writes a file of these bytes, completely or not at all.
///
/// # Errors
/// What the system says; an older file is there still then.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)?;
    file.finish()
}

/// The name under which something lies until it is complete.
fn hidden(name: &OsStr) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.part", std::process::id()));
    hidden
}

/// A directory that takes its name when it is complete. Until then it lies next to it under another
/// name, which goes away with all that is in it when this is dropped.
pub(crate) struct AtomicDirectory {
    path: PathBuf,
    temporary: PathBuf,
    done: bool,
}

impl AtomicDirectory {
    /// Begins a directory that will be called `path`.
    ///
    /// # Errors
    /// When `path` has no last name, is there already, or its directory cannot be written.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let Some(name) = path.file_name() else {
            let what = "not the name of a directory";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        };
        if path.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let temporary = path.with_file_name(hidden(name));
        fs::create_dir(&temporary)?;
        Ok(Self {
            path: path.to_owned(),
            temporary,
            done: false,
        })
    }

    /// Where it lies until it is complete.
    pub(crate) fn place(&self) -> &Path {
        &self.temporary
    }

    /// Gives the directory its name.
    ///
    /// # Errors
    /// What the system says, or that something of the name came to be meanwhile; there is no new
    /// directory then.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if self.path.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        fs::rename(&self.temporary, &self.path)?;
        self.done = true;
        Ok(())
    }
}

impl Drop for AtomicDirectory {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_dir_all(&self.temporary);
        }
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(0), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
