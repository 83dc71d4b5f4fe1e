//! Why a profile could not be put together.

use std::io;
use std::path::PathBuf;

use crate::origin::Origin;

/// Why a profile could not be put together; every message says where and what is possible.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The name is no preset's and does not look like a path.
    #[error(
        "{from}: no profile is called \"{name}\"{}; the presets are mobile, edge, server and \
         cloud, and a profile file is named by a path ending in .toml",
        meant(*.nearest)
    )]
    UnknownProfile {
        /// What the user wrote, shortened, control characters escaped.
        name: String,
        /// Who asked for it: `--profile`, `TRITONE_PROFILE`, or a file and line.
        from: String,
        /// The preset that was probably meant.
        nearest: Option<&'static str>,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file is longer than [`MAX_FILE_BYTES`](crate::MAX_FILE_BYTES).
    #[error("{} is longer than {limit} bytes, which no profile is", .path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The most bytes that are read.
        limit: u64,
    },
    /// A file is not TOML.
    #[error("{}, line {line}, column {column}: {message}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// A setting that does not exist.
    #[error("{origin}: there is no setting \"{key}\"{}", instead(*.nearest, .possible))]
    UnknownKey {
        /// Where it stands.
        origin: Origin,
        /// What it is called there, shortened, control characters escaped.
        key: String,
        /// The setting that was probably meant.
        nearest: Option<&'static str>,
        /// Every setting possible in that place.
        possible: Vec<&'static str>,
    },
    /// A value that the setting cannot have.
    #[error("{origin}: {key} is {found}, expected {expected}")]
    Value {
        /// Where it stands.
        origin: Origin,
        /// The setting.
        key: String,
        /// The value, shortened, control characters escaped.
        found: String,
        /// What is possible.
        expected: String,
    },
    /// The layers together leave a setting without a value; only a faulty preset can cause it.
    #[error("preset {preset} is incomplete: {message}")]
    Incomplete {
        /// The preset at the bottom of the layers.
        preset: &'static str,
        /// What is missing.
        message: String,
    },
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean \"{name}\"?)"))
}

fn instead(nearest: Option<&str>, possible: &[&str]) -> String {
    match nearest {
        Some(_) => meant(nearest),
        None => format!("; there are: {}", possible.join(", ")),
    }
}

/// Text from a file as it may be printed: at most 60 characters, control characters escaped.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        shown.push_str("...");
    }
    shown
}
