//! Small files of the user's cache directory: what is in them is worth having, and nothing depends on it.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::atomic;

/// Longest file that is read; they take a few kilobytes.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a file; no file is no value.
///
/// # Errors
/// Why the file is left out, for people.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, String> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
        Ok(file) => {
            let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
            read.map_err(|error| error.to_string())?;
        }
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it is longer than {} KiB", MAX_BYTES >> 10));
    }
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

/// That a file is of the schema that is `expected`.
///
/// # Errors
/// That it is not, for people.
pub(crate) fn expect_schema(found: &str, expected: &str) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    let found = found.escape_debug();
    Err(format!("its schema is '{found}', expected '{expected}'"))
}

/// Writes a file, completely or not at all, and its directory if there is none.
///
/// # Errors
/// What the system says.
pub(crate) fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    text.push('\n');
    atomic::write(path, text.as_bytes())
}
