//! The layers: where files are, reading them, and settings from the environment and flags.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Value;

use crate::advice;
use crate::error::{ProfileError, WrongValue, shown};
use crate::keys::{self, KEYS, Key, Kind};
use crate::mistake::FileText;
use crate::nearest::nearest;
use crate::origin::{FileKind, Origin};
use crate::parse::parse;

/// The longest profile file that is read.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// A value for a setting, accepted by its kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting {
    pub(crate) key: &'static Key,
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// What one file says.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// The profile it builds on.
    pub(crate) base: Option<Base>,
    pub(crate) settings: Vec<Setting>,
}

/// The profile that a file names as its base, and where it does.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    pub(crate) name: String,
    pub(crate) file: FileText,
    pub(crate) span: Range<usize>,
}

impl Base {
    /// For people: `user file profile.toml, line 2`.
    pub(crate) fn place(&self) -> String {
        self.file.origin(self.span.start).to_string()
    }
}

/// `$XDG_CONFIG_HOME/tritone/profile.toml`, or `~/.config/tritone/profile.toml`.
///
/// `None` if neither `XDG_CONFIG_HOME` nor `HOME` is an absolute path (XDG Base Directory
/// Specification: relative ones are to be ignored).
pub fn user_file_path(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    Some(config_dir(env)?.join("profile.toml"))
}

/// `$XDG_CONFIG_HOME/tritone/profiles`, or `~/.config/tritone/profiles`: every `NAME.toml` in it is
/// the user profile NAME. `None` as for [`user_file_path`].
pub fn profiles_dir_path(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    Some(config_dir(env)?.join("profiles"))
}

fn config_dir(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let absolute = |name| {
        env(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(config.join("tritone"))
}

/// `tritone.toml` in `dir`; its `[profile]` table is the project's layer.
pub fn project_file_path(dir: &Path) -> PathBuf {
    dir.join("tritone.toml")
}

/// The environment of this process, for [`Layers::env`](crate::Layers::env); bytes that are not
/// UTF-8 are replaced, so that a bad value is refused rather than ignored.
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// Reads a file of the given kind.
pub(crate) fn read_file(kind: FileKind, path: &Path) -> Result<Source, ProfileError> {
    let failed = |source| ProfileError::Read {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ProfileError::TooLong {
            path: path.to_owned(),
            limit: MAX_FILE_BYTES,
        });
    }
    parse(kind, path, &bytes)
}

/// Reads a file that need not exist.
pub(crate) fn read_optional(kind: FileKind, path: Option<&Path>) -> Result<Source, ProfileError> {
    match path.map(|path| read_file(kind, path)) {
        None => Ok(Source::default()),
        Some(Err(ProfileError::Read { source, .. })) if is_absent(&source) => Ok(Source::default()),
        Some(read) => read,
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The error for a setting that does not exist in a place where `possible` do.
pub(crate) fn unknown(origin: Origin, key: &str, possible: Vec<&'static str>) -> ProfileError {
    ProfileError::UnknownKey {
        origin,
        key: shown(key),
        nearest: nearest_key(key, &possible),
        possible,
    }
}

/// The setting that was probably meant; it may also have been written into the wrong table.
pub(crate) fn nearest_key(key: &str, possible: &[&'static str]) -> Option<&'static str> {
    nearest(key, possible.iter().copied())
        .or_else(|| nearest(key.rsplit_once('.')?.1, KEYS.iter().map(|key| key.name)))
}

/// The setting that text from the environment or a flag makes.
pub(crate) fn from_text(
    key: &'static Key,
    text: &str,
    origin: Origin,
) -> Result<Setting, ProfileError> {
    match key.kind.accept(key.kind.read(text)) {
        Some(value) => Ok(Setting { key, value, origin }),
        None => Err(ProfileError::Value(Box::new(WrongValue {
            origin,
            key: key.name,
            found: format!("\"{}\"", shown(text)),
            expected: key.kind.expected(),
            advice: advice::for_value(key, &key.kind.read(text)),
        }))),
    }
}

/// The setting that a flag makes; `name` is that of a [`Key`].
pub(crate) fn from_flag(flag: &str, name: &str, text: &str) -> Result<Setting, ProfileError> {
    let origin = Origin::Flag(shown(flag));
    match keys::find(name) {
        Some(key) => from_text(key, text, origin),
        None => Err(unknown(
            origin,
            name,
            KEYS.iter().map(|key| key.name).collect(),
        )),
    }
}

/// A name for a profile file that does not give one: its own, if that can be a name.
pub(crate) fn name_from_path(path: &Path) -> String {
    let stem = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    let possible = |name: &String| {
        let kind = keys::find("name").map_or(Kind::Word(&[]), |key| key.kind);
        kind.accept(Value::String(name.clone())).is_some()
    };
    stem.filter(possible).unwrap_or_else(|| "custom".to_owned())
}

/// `text` in lines of at most `width` characters; longer words stay whole.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
