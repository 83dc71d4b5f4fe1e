//! Where a value came from.

use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

/// Which of the files a value stood in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Compiled in.
    Preset,
    /// Named by the user for this run, by its path.
    Profile,
    /// Kept in the user's directory of profiles, and used by name.
    Named,
    /// The user's own settings.
    User,
    /// The settings of the directory the program runs in.
    Project,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preset => "preset",
            Self::Profile => "profile file",
            Self::Named => "user profile",
            Self::User => "user file",
            Self::Project => "project file",
        })
    }
}

/// Where a value came from; [`Display`](fmt::Display) is one line for people, and so is its
/// serialised form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A preset, by name.
    Preset(&'static str),
    /// A file.
    File {
        /// Which of the files.
        kind: FileKind,
        /// Where it is.
        path: PathBuf,
        /// Line in it, from 1.
        line: usize,
    },
    /// An environment variable, by name.
    Environment(&'static str),
    /// A flag of the command line, as the user wrote it.
    Flag(String),
    /// Computed, from what is said here.
    Derived(String),
    /// Chosen for this machine as it is now, for the reason said here.
    Automatic(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preset(name) => write!(f, "preset {name}"),
            Self::File { kind, path, line } => write!(f, "{kind} {}, line {line}", path.display()),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Derived(from) => write!(f, "derived: {from}"),
            Self::Automatic(why) => write!(f, "automatic: {why}"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
