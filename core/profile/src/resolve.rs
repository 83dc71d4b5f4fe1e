//! Putting the layers together.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{ProfileError, shown};
use crate::keys::KEYS;
use crate::nearest::nearest;
use crate::origin::{FileKind, Origin};
use crate::parse;
use crate::preset::{self, DEFAULT_PRESET, PRESETS, Preset};
use crate::schema::Profile;
use crate::source::{self, Setting, Source};
use crate::stack::Stack;

/// Environment variable that names a profile, like `--profile`.
const PROFILE_VARIABLE: &str = "TRITONE_PROFILE";

/// A setting made by a flag of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagSetting {
    /// The flag as the user knows it, such as `--ctx`.
    pub flag: String,
    /// Name of the setting, one of [`KEYS`].
    pub key: String,
    /// The value as written.
    pub value: String,
}

/// What may override the preset, in increasing order.
pub struct Layers<'e> {
    /// Preset and reason for when nothing names one, usually from
    /// [`auto_select`](crate::auto_select); [`DEFAULT_PRESET`] if `None`.
    pub auto: Option<(&'static str, String)>,
    /// The user's file, see [`user_file_path`](crate::user_file_path); it need not exist.
    pub user_file: Option<PathBuf>,
    /// The project's file, see [`project_file_path`](crate::project_file_path); it need not exist.
    pub project_file: Option<PathBuf>,
    /// Looks an environment variable up; empty ones count as unset. For the real ones, see
    /// [`process_environment`](crate::process_environment).
    pub env: &'e dyn Fn(&str) -> Option<String>,
    /// Settings from flags; of two for the same setting the later holds.
    pub flags: Vec<FlagSetting>,
}

impl Layers<'static> {
    /// No layer at all: the preset as it is.
    pub fn none() -> Self {
        Self {
            auto: None,
            user_file: None,
            project_file: None,
            env: &|_| None,
            flags: Vec::new(),
        }
    }
}

impl Layers<'_> {
    /// Adds a flag.
    #[must_use]
    pub fn with_flag(mut self, flag: &str, key: &str, value: &str) -> Self {
        let (flag, key, value) = (flag.to_owned(), key.to_owned(), value.to_owned());
        self.flags.push(FlagSetting { flag, key, value });
        self
    }
}

/// One value of a resolved profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The setting.
    pub key: &'static str,
    /// Its value as text.
    pub value: String,
    /// Where the value came from.
    pub origin: Origin,
    /// Values of lower layers that this one replaced, the lowest first.
    pub replaced: Vec<(String, Origin)>,
}

/// A profile and the origin of everything in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    pub(crate) profile: Profile,
    pub(crate) preset: &'static str,
    pub(crate) chosen: String,
    pub(crate) entries: Vec<Entry>,
}

impl Resolved {
    /// The profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The profile, by value.
    pub fn into_profile(self) -> Profile {
        self.profile
    }

    /// The preset at the bottom of the layers.
    pub fn preset(&self) -> &'static str {
        self.preset
    }

    /// Why it is this preset, as one line.
    pub fn chosen(&self) -> &str {
        &self.chosen
    }

    /// Every setting with its value and origin, in the order of [`KEYS`].
    pub fn origins(&self) -> &[Entry] {
        &self.entries
    }

    /// The setting of that name; `None` if there is none.
    pub fn origin_of(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

/// Puts the profile together: preset < profile file < user file < project file < environment <
/// flags.
///
/// `asked` is what the user gave to `--profile`: a preset's name, or a path (anything that ends in
/// `.toml` or has a slash). Without it the variable `TRITONE_PROFILE` counts, then `base` in the
/// project's or the user's file, then [`Layers::auto`]. A profile file stands on the preset that its
/// `base` names.
///
/// # Errors
///
/// An unknown name, a file that cannot be read or parsed, an unknown setting, or a value out of its
/// range; user and project files that do not exist are no error.
pub fn resolve(asked: Option<&str>, layers: &Layers<'_>) -> Result<Resolved, ProfileError> {
    let user = source::read_optional(FileKind::User, layers.user_file.as_deref())?;
    let project = source::read_optional(FileKind::Project, layers.project_file.as_deref())?;
    let variable = (layers.env)(PROFILE_VARIABLE).filter(|value| !value.trim().is_empty());
    let asked = match (asked, &variable) {
        (Some(asked), _) => Some((asked, "flag --profile".to_owned())),
        (None, Some(name)) => Some((name.trim(), format!("environment {PROFILE_VARIABLE}"))),
        (None, None) => None,
    };

    let mut file = Source::default();
    let mut file_path = None;
    let (preset, chosen) = match asked {
        Some((name, from)) if !is_path(name) => {
            (named(name, &from)?, format!("asked for by {from}"))
        }
        Some((path, from)) => {
            let path = Path::new(path);
            file = source::read_file(FileKind::Profile, path)?;
            file_path = Some(path);
            match base_of(&file)? {
                Some(base) => base,
                None => {
                    let (preset, reason) = automatic(layers)?;
                    let path = path.display();
                    (preset, format!("{path} ({from}) names no base; {reason}"))
                }
            }
        }
        None => match (base_of(&project)?, base_of(&user)?) {
            (Some(base), _) | (None, Some(base)) => base,
            (None, None) => automatic(layers)?,
        },
    };

    let mut stack = Stack::new();
    stack.put_all(preset_settings(preset)?);
    if let Some(path) = file_path {
        stack.put_all(identity(path, preset)?);
    }
    for layer in [file, user, project] {
        stack.put_all(layer.settings);
    }
    for key in KEYS {
        if let Some(variable) = key.env
            && let Some(text) = (layers.env)(variable).filter(|text| !text.trim().is_empty())
        {
            stack.put(source::from_text(
                key,
                &text,
                Origin::Environment(variable),
            )?);
        }
    }
    for flag in &layers.flags {
        stack.put(source::from_flag(&flag.flag, &flag.key, &flag.value)?);
    }
    stack.finish(preset, chosen)
}

fn is_path(name: &str) -> bool {
    name.ends_with(".toml") || name.contains(['/', '\\'])
}

fn named(name: &str, from: &str) -> Result<&'static Preset, ProfileError> {
    preset::find(name).ok_or_else(|| ProfileError::UnknownProfile {
        name: shown(name),
        from: from.to_owned(),
        nearest: nearest(name, PRESETS.iter().map(|preset| preset.name)),
    })
}

/// The preset that a file's `base` names, and the reason to take it.
fn base_of(source: &Source) -> Result<Option<(&'static Preset, String)>, ProfileError> {
    let Some((name, origin)) = &source.base else {
        return Ok(None);
    };
    let preset = named(name, &origin.to_string())?;
    Ok(Some((preset, format!("named as base by {origin}"))))
}

fn automatic(layers: &Layers<'_>) -> Result<(&'static Preset, String), ProfileError> {
    let default = (
        DEFAULT_PRESET,
        "the default, as nothing names a profile".to_owned(),
    );
    let (name, reason) = layers.auto.clone().unwrap_or(default);
    Ok((named(name, "automatic selection")?, reason))
}

fn preset_settings(preset: &Preset) -> Result<Vec<Setting>, ProfileError> {
    let path = format!("profiles/{}.toml", preset.name);
    let source = parse::parse(FileKind::Preset, Path::new(&path), preset.text.as_bytes())?;
    let name = preset.name;
    Ok(source
        .settings
        .into_iter()
        .map(|setting| Setting {
            origin: Origin::Preset(name),
            ..setting
        })
        .collect())
}

/// A profile file is not the preset under it, so it does not keep the preset's name and sentence.
fn identity(path: &Path, preset: &Preset) -> Result<[Setting; 2], ProfileError> {
    let name = source::name_from_path(path);
    let description = format!("A profile of your own, based on {}.", preset.name);
    let setting = |key: &str, text: &str, from: &str| {
        source::from_flag(from, key, text).map(|setting| Setting {
            origin: Origin::Derived(from.to_owned()),
            ..setting
        })
    };
    Ok([
        setting("name", &name, "name of the profile file")?,
        setting("description", &description, "base of the profile file")?,
    ])
}
