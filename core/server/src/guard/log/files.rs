//! The log on disk: one file, and older ones with numbers after their names.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::guard::mode;

/// Where lines go. What goes wrong is told and may go right the next time.
pub(super) trait Disk: Send {
    /// Opens the file, at its end, and gives its length.
    fn open(&mut self) -> io::Result<u64>;
    /// Writes at the end.
    fn append(&mut self, line: &[u8]) -> io::Result<()>;
    /// Cuts the file back to a length.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Gives the file and the older ones their next numbers; the oldest is lost.
    fn rotate(&mut self) -> io::Result<()>;
}

/// Files that only their owner can read.
#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    keep: u32,
    file: Option<File>,
}

impl Files {
    /// A log at `path` that keeps `keep` older files.
    pub(super) fn new(path: PathBuf, keep: u32) -> Self {
        Self {
            path,
            keep,
            file: None,
        }
    }

    fn numbered(&self, number: u32) -> PathBuf {
        if number == 0 {
            return self.path.clone();
        }
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        name.into()
    }

    fn file(&mut self) -> io::Result<&mut File> {
        self.file
            .as_mut()
            .ok_or_else(|| io::Error::other("the log is not open"))
    }
}

impl Disk for Files {
    fn open(&mut self) -> io::Result<u64> {
        self.file = None;
        if let Some(directory) = self.path.parent().filter(|path| *path != Path::new("")) {
            fs::create_dir_all(directory)?;
        }
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        mode::only_owner(&mut options);
        let file = options.open(&self.path)?;
        let about = file.metadata()?;
        // A device, such as /dev/stderr, is what it is.
        if about.is_file() && mode::open_to_others(&self.path).is_some() {
            mode::close_to_others(&self.path)?;
        }
        self.file = Some(file);
        Ok(about.len())
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        self.file()?.write_all(line)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file()?.set_len(length)
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        if self.keep == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (0..self.keep).rev() {
            match fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}
