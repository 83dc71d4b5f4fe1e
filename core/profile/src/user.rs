//! The user's own profiles, kept by name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::preset;
use crate::resolve::AUTO;

/// More files than this are not looked at.
const MAX_PROFILES: usize = 1000;

/// A profile of the user's own: a file `NAME.toml` in the directory of
/// [`profiles_dir_path`](crate::profiles_dir_path).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserProfile {
    /// What it is called.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

/// Says why a user profile cannot be called `name`; `None` if it can.
pub fn name_fault(name: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if preset::find(name).is_some() {
        return Some(format!("{name} is a preset"));
    }
    if name == AUTO {
        return Some(format!(
            "{name} stands for the preset that suits the machine"
        ));
    }
    let first = name.chars().next();
    let fits = first.is_some_and(|c| c.is_ascii_alphanumeric())
        && name.len() <= 60
        && name.chars().all(is_plain)
        && !name.ends_with(".toml");
    (!fits).then(|| {
        "a name has 1 to 60 letters, digits, dots, dashes and underscores, begins with a letter or \
         digit, and does not end in .toml"
            .to_owned()
    })
}

/// The file of the user profile `name` in `dir`.
pub(crate) fn path_of(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.toml"))
}

/// The user profiles in `dir`, sorted by name; none if there is no such directory. Files whose name
/// is no profile's are left out.
///
/// # Errors
///
/// When the directory is there and cannot be read.
pub fn user_profiles(dir: &Path) -> io::Result<Vec<UserProfile>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found: Vec<UserProfile> = entries
        .take(MAX_PROFILES)
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path
                .file_name()?
                .to_str()?
                .strip_suffix(".toml")?
                .to_owned();
            (name_fault(&name).is_none() && path.is_file()).then_some(UserProfile { name, path })
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_not_a_presets() {
        for name in ["lab", "a", "night-2.1_x", "9"] {
            assert_eq!(name_fault(name), None, "{name}");
        }
        let long = "x".repeat(61);
        for name in [
            "", "edge", "auto", "a b", "../a", ".a", "-a", "a/b", "a.toml", "\u{e4}", &long,
        ] {
            assert!(name_fault(name).is_some(), "{name}");
        }
    }

    #[test]
    fn only_profiles_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(user_profiles(&dir.path().join("none")).unwrap(), []);
        for name in ["b.toml", "a.toml", "edge.toml", "notes.txt", ".c.toml"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir(dir.path().join("d.toml")).unwrap();
        let names: Vec<_> = user_profiles(dir.path())
            .unwrap()
            .into_iter()
            .map(|profile| profile.name)
            .collect();
        assert_eq!(names, ["a", "b"]);
    }
}
