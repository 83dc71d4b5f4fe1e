//! `tritone profile new`

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tritone_profile::{KEYS, Layers, Resolved, json_schema, name_fault, resolve};

use super::Place;
use crate::cli::atomic;
use crate::cli::console::visible;
use crate::cli::failure::Usage;

pub(super) fn run(place: &Place, name: &str, base: Option<&str>) -> anyhow::Result<()> {
    let path = file(place, name)?;
    if path.symlink_metadata().is_ok() {
        let why =
            format!("there is a profile {name} already; `tritone profile edit {name}` opens it");
        return Err(Usage(why).into());
    }
    let used;
    let base = match base {
        Some(base) => base,
        None => {
            used = resolve(place.asked.as_deref(), &place.layers)?;
            used.lineage().last().map_or(used.preset(), String::as_str)
        }
    };
    create(place, &path, base)?;
    let line = format!(
        "{}\n`tritone profile edit {name}` opens it, `tritone --profile {name}` uses it",
        path.display()
    );
    writeln!(io::stdout(), "{}", visible(&line))?;
    Ok(())
}

/// The file of a profile of the user's own; its directory is made.
pub(super) fn file(place: &Place, name: &str) -> anyhow::Result<PathBuf> {
    if let Some(fault) = name_fault(name) {
        let name = visible(name);
        return Err(Usage(format!(
            "no profile of yours can be called '{name}': {fault}"
        ))
        .into());
    }
    let dir = place.dir()?;
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir.join(format!("{name}.toml")))
}

/// Writes a profile that stands on `base` and says what else could be set.
pub(super) fn create(place: &Place, path: &Path, base: &str) -> anyhow::Result<()> {
    let layers = Layers {
        auto: place.layers.auto.clone(),
        profiles_dir: place.layers.profiles_dir.clone(),
        ..Layers::none()
    };
    let resolved = resolve(Some(base), &layers)?;
    // A file is no base, and its name would mean another one.
    let base = resolved.lineage().last().map_or(base, String::as_str);
    write(path, &template(base, &resolved))?;
    let schema = path.with_file_name("profile.schema.json");
    write(&schema, &format!("{:#}\n", json_schema()))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    atomic::write(path, text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

/// A profile that changes nothing yet, with every setting as a comment.
fn template(base: &str, resolved: &Resolved) -> String {
    let mut text = format!(
        "#:schema ./profile.schema.json\n#\n# A profile of your own. Settings left out come from the \
         profile named by `base`; take the `#`\n# away from those you want to change.\n\nbase = \"{base}\"\n"
    );
    for key in KEYS {
        // What a profile says about itself is not its base's.
        if matches!(key.name, "name" | "description" | "tips") {
            continue;
        }
        if let Some(value) = resolved.toml_of(key.name) {
            let _ = writeln!(text, "\n# {}\n# {} = {value}", key.help, key.name);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_profile_changes_nothing_and_every_line_of_it_can_be_taken() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place {
            layers: Layers {
                profiles_dir: Some(dir.path().to_owned()),
                ..Layers::none()
            },
            asked: None,
        };
        let path = file(&place, "lab").unwrap();
        create(&place, &path, "server").unwrap();
        let server = resolve(Some("server"), &place.layers).unwrap();
        let lab = resolve(Some("lab"), &place.layers).unwrap();
        assert_eq!(tritone_profile::changes(&server, &lab), []);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.lines().all(|line| line.len() < 200), "{text}");
        // With every setting taken it is still the same profile.
        let all: String = text
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(setting) if setting.contains(" = ") => format!("{setting}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        assert!(
            all.lines().filter(|line| line.contains(" = ")).count() > 20,
            "{all}"
        );
        fs::write(&path, all).unwrap();
        let lab = resolve(Some("lab"), &place.layers).unwrap();
        assert_eq!(tritone_profile::changes(&server, &lab), []);
        assert!(dir.path().join("profile.schema.json").is_file());
    }
}
