//! Why a profile could not be put together.

use std::fmt;
use std::io;
use std::path::PathBuf;

use miette::{Diagnostic, LabeledSpan, SourceCode};

use crate::mistake::Mistake;
use crate::origin::Origin;

/// Why a profile could not be put together; every message says where and what is possible.
///
/// As a [`Diagnostic`] it also has the text around every mistake of a file, the place in it, and
/// what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The name is no preset's, no user profile's, and does not look like a path.
    #[error(
        "{from}: no profile is called \"{name}\"{}; the presets are mobile, edge, server and \
         cloud{}, and a profile file is named by a path ending in .toml",
        meant(nearest.as_deref()),
        others(.own)
    )]
    UnknownProfile {
        /// What the user wrote, shortened, control characters escaped.
        name: String,
        /// Who asked for it: `flag --profile` or `environment TRITONE_PROFILE`.
        from: String,
        /// The profile that was probably meant.
        nearest: Option<String>,
        /// The names of the user's own profiles.
        own: Vec<String>,
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
    /// What is wrong in a file, all of it.
    #[error("{0}")]
    File(Mistakes),
    /// A setting of a flag or a variable that does not exist.
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
    /// A value of a flag or a variable that the setting cannot have.
    #[error("{0}")]
    Value(Box<WrongValue>),
    /// The layers together leave a setting without a value; only a faulty preset can cause it.
    #[error("preset {preset} is incomplete: {message}")]
    Incomplete {
        /// The preset at the bottom of the layers.
        preset: &'static str,
        /// What is missing.
        message: String,
    },
}

/// A value of a flag or a variable that the setting cannot have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongValue {
    /// Where it stands.
    pub origin: Origin,
    /// The setting.
    pub key: &'static str,
    /// The value, shortened, control characters escaped.
    pub found: String,
    /// What is possible.
    pub expected: String,
    /// The value that was probably meant, or how to write it.
    pub advice: Option<String>,
}

impl fmt::Display for WrongValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            origin,
            key,
            found,
            expected,
            ..
        } = self;
        write!(f, "{origin}: {key} is {found}, expected {expected}")
    }
}

/// The mistakes of one file, in its order; there is at least one.
#[derive(Debug)]
pub struct Mistakes {
    first: Box<Mistake>,
    others: Vec<Mistake>,
}

impl Mistakes {
    /// `None` without any.
    pub(crate) fn of(mistakes: Vec<Mistake>) -> Option<Self> {
        let mut mistakes = mistakes.into_iter();
        Some(Self {
            first: Box::new(mistakes.next()?),
            others: mistakes.collect(),
        })
    }

    /// Every mistake.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        std::iter::once(&*self.first).chain(&self.others)
    }
}

impl From<Mistake> for ProfileError {
    fn from(mistake: Mistake) -> Self {
        Self::File(Mistakes {
            first: Box::new(mistake),
            others: Vec::new(),
        })
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first.sentence())?;
        match self.others.len() {
            0 => Ok(()),
            1 => f.write_str(" (and 1 more mistake in this file)"),
            n => write!(f, " (and {n} more mistakes in this file)"),
        }
    }
}

impl Diagnostic for ProfileError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        match self {
            Self::File(mistakes) => mistakes.first.help(),
            Self::Value(wrong) => Some(Box::new(wrong.advice.as_ref()?)),
            Self::UnknownProfile { .. } => Some(Box::new(
                "`tritone profile list` shows every profile, `tritone profile new` makes one",
            )),
            Self::UnknownKey { .. } => Some(Box::new(
                "`tritone profile explain` shows every setting and its value",
            )),
            _ => None,
        }
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        match self {
            Self::File(mistakes) => mistakes.first.source_code(),
            _ => None,
        }
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        match self {
            Self::File(mistakes) => mistakes.first.labels(),
            _ => None,
        }
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        match self {
            Self::File(mistakes) if !mistakes.others.is_empty() => Some(Box::new(
                mistakes
                    .others
                    .iter()
                    .map(|mistake| mistake as &dyn Diagnostic),
            )),
            _ => None,
        }
    }
}

pub(crate) fn meant(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean \"{name}\"?)"))
}

fn others(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!(", your own are {}", names.join(", ")),
    }
}

pub(crate) fn instead(nearest: Option<&str>, possible: &[&str]) -> String {
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
