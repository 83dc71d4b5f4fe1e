//! Putting the layers together.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::bottom::{self, Start};
use crate::error::ProfileError;
use crate::keys::KEYS;
use crate::origin::{FileKind, Origin};
use crate::parse;
use crate::preset::Preset;
use crate::schema::Profile;
use crate::select::Selection;
use crate::source::{self, Setting, Source};
use crate::stack::{Identity, Stack};

/// Environment variable that names a profile, like `--profile`.
const PROFILE_VARIABLE: &str = "TRITONE_PROFILE";

/// Stands for the preset that suits the machine, as if nobody named a profile.
pub const AUTO: &str = "auto";

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
    /// What to take when nothing names a preset, from [`select`](crate::select);
    /// [`DEFAULT_PRESET`](crate::DEFAULT_PRESET) if `None`.
    pub auto: Option<Selection>,
    /// Where user profiles are, see [`profiles_dir_path`](crate::profiles_dir_path); it need not
    /// exist.
    pub profiles_dir: Option<PathBuf>,
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
            profiles_dir: None,
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
    pub(crate) lineage: Vec<String>,
    pub(crate) automatic: bool,
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

    /// The preset and the profile files above it, by name, the lowest first.
    pub fn lineage(&self) -> &[String] {
        &self.lineage
    }

    /// Whether nobody named a profile, so that one was chosen for the machine.
    pub fn is_automatic(&self) -> bool {
        self.automatic
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

/// Puts the profile together: preset < automatic < user profiles < profile file < user file <
/// project file < environment < flags.
///
/// `asked` is what the user gave to `--profile`: a preset's or user profile's name, [`AUTO`], or a path
/// (anything that ends in `.toml` or has a slash). Without it the variable `TRITONE_PROFILE` counts,
/// then `base` in the project's or the user's file, then [`Layers::auto`]. A profile file stands on
/// the preset or user profile that its `base` names.
///
/// # Errors
///
/// An unknown name, profiles that stand on each other in a circle, a file that cannot be read or
/// parsed, an unknown setting, or a value out of its range; user and project files that do not exist
/// are no error.
pub fn resolve(asked: Option<&str>, layers: &Layers<'_>) -> Result<Resolved, ProfileError> {
    let user = source::read_optional(FileKind::User, layers.user_file.as_deref())?;
    let project = source::read_optional(FileKind::Project, layers.project_file.as_deref())?;
    let variable = (layers.env)(PROFILE_VARIABLE).filter(|value| !value.trim().is_empty());
    let asked = match (asked, &variable) {
        (Some(asked), _) => Some((asked, "flag --profile".to_owned())),
        (None, Some(name)) => Some((name.trim(), format!("environment {PROFILE_VARIABLE}"))),
        (None, None) => None,
    };
    let start = match asked {
        Some((AUTO, _)) => Start::Nowhere,
        Some((path, from)) if is_path(path) => Start::Path(Path::new(path), from),
        Some((name, from)) => Start::Name(name, from),
        None => match project.base.as_ref().or(user.base.as_ref()) {
            Some(base) => Start::Base(base.clone()),
            None => Start::Nowhere,
        },
    };
    let bottom = bottom::find(start, layers)?;

    let mut stack = Stack::new();
    stack.put_all(preset_settings(bottom.preset)?);
    if let Some((key, value, why)) = bottom.automatic.and_then(Selection::settings) {
        let setting = source::from_flag(key, key, &value)?;
        stack.put(Setting {
            origin: Origin::Automatic(why),
            ..setting
        });
    }
    let mut lineage = vec![bottom.preset.name.to_owned()];
    let automatic = bottom.automatic.is_some() && bottom.floors.is_empty();
    for floor in bottom.floors {
        let base = lineage.last().map_or(bottom.preset.name, String::as_str);
        stack.put_all(identity(&floor.name, base)?);
        stack.put_all(floor.source.settings);
        lineage.push(floor.name);
    }
    for layer in [user, project] {
        stack.put_all(layer.settings);
    }
    for key in KEYS {
        if let Some(variable) = key.env
            && let Some(text) = (layers.env)(variable).filter(|text| !text.trim().is_empty())
        {
            let origin = Origin::Environment(variable);
            stack.put(source::from_text(key, &text, origin)?);
        }
    }
    for flag in &layers.flags {
        stack.put(source::from_flag(&flag.flag, &flag.key, &flag.value)?);
    }
    stack.finish(Identity {
        preset: bottom.preset.name,
        chosen: bottom.chosen,
        lineage,
        automatic,
    })
}

/// Checks one file without the layers around it: that it can be read, and that its base can be found.
///
/// # Errors
///
/// All that is wrong in the file.
pub fn check(kind: FileKind, path: &Path, layers: &Layers<'_>) -> Result<(), ProfileError> {
    check_base(source::read_file(kind, path)?, layers)
}

/// Checks the text of a user profile that will be called `path`, as [`check`] does.
///
/// # Errors
///
/// All that is wrong in the text.
pub fn check_text(path: &Path, text: &[u8], layers: &Layers<'_>) -> Result<(), ProfileError> {
    check_base(parse::parse(FileKind::Named, path, text)?, layers)
}

fn check_base(source: Source, layers: &Layers<'_>) -> Result<(), ProfileError> {
    match source.base {
        Some(base) => bottom::find(Start::Base(base), layers).map(|_| ()),
        None => Ok(()),
    }
}

fn is_path(name: &str) -> bool {
    name.ends_with(".toml") || name.contains(['/', '\\'])
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

/// A profile file is not the profile under it, so it does not keep that one's name and sentence.
fn identity(name: &str, base: &str) -> Result<[Setting; 2], ProfileError> {
    let description = format!("A profile of your own, based on {base}.");
    let setting = |key: &str, text: &str, from: &str| {
        source::from_flag(from, key, text).map(|setting| Setting {
            origin: Origin::Derived(from.to_owned()),
            ..setting
        })
    };
    Ok([
        setting("name", name, "name of the profile file")?,
        setting("description", &description, "base of the profile file")?,
    ])
}
