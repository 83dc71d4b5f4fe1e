//! Where the kernel's files are, and reading them with a bound.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

/// No file read here is longer, save `/proc/cpuinfo` on machines with thousands of CPUs; what is
/// beyond is ignored.
const READ_LIMIT: u64 = 4 << 20;

/// No directory listed here has more entries; what is beyond is ignored.
const LIST_LIMIT: usize = 4096;

/// The places of the `/proc` and `/sys` file systems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// Stands for `/proc`.
    pub proc: PathBuf,
    /// Stands for `/sys`; control groups mounted below `/sys` are looked up here too.
    pub sys: PathBuf,
}

impl Roots {
    /// The running system's own.
    pub fn system() -> Self {
        Self {
            proc: PathBuf::from("/proc"),
            sys: PathBuf::from("/sys"),
        }
    }

    /// Text of a file under `/proc`; `None` if it cannot be read.
    pub(crate) fn read_proc(&self, path: &str) -> Option<String> {
        read(&self.proc.join(path))
    }

    /// Text of a file under `/sys`; `None` if it cannot be read.
    pub(crate) fn read_sys(&self, path: &str) -> Option<String> {
        read(&self.sys.join(path))
    }

    /// The numbers of the processes that `/proc` shows; at most 65 536 of them.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir(&self.proc) else {
            return Vec::new();
        };
        entries
            .take(1 << 16)
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect()
    }

    /// Names in a directory under `/sys`, sorted; none if it cannot be read.
    pub(crate) fn list_sys(&self, path: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.sys.join(path)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .take(LIST_LIMIT)
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        names
    }

    /// Where an absolute path of the described system is found: below `sys` for `/sys/...`.
    /// Any other place is outside the two roots, and `None`.
    pub(crate) fn locate(&self, absolute: &Path) -> Option<PathBuf> {
        let below = absolute.strip_prefix("/sys").ok()?;
        let plain = below
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        plain.then(|| self.sys.join(below))
    }
}

/// Text of a file, at most [`READ_LIMIT`] bytes of it; bytes that are not UTF-8 are replaced.
pub(crate) fn read(path: &Path) -> Option<String> {
    try_read(path).ok()
}

/// [`read`] that says why there is nothing.
pub(crate) fn try_read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(READ_LIMIT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The value after `key` and a colon, in files made of `Key: value` lines.
pub(crate) fn field<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim())
    })
}

/// Bytes of a `/proc` field written as `1234 kB`.
pub(crate) fn kib_field(text: &str, key: &str) -> Option<u64> {
    let number = field(text, key)?.strip_suffix("kB")?.trim();
    number.parse::<u64>().ok()?.checked_mul(1024)
}
