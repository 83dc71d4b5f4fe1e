//! `tritone profile validate`

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use tritone_profile::{FileKind, ProfileError, check, user_profiles};

use super::{Place, report};
use crate::cli::console::{Console, visible};
use crate::cli::failure::USAGE;

pub(super) fn run(
    place: &Place,
    files: &[PathBuf],
    json: bool,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let files = if files.is_empty() {
        used_here(place)?
    } else {
        files
            .iter()
            .map(|file| (kind(place, file), path(place, file)))
            .collect()
    };
    let mut out = io::stdout().lock();
    if files.is_empty() && !json {
        writeln!(out, "no profile files are used here")?;
    }
    let mut valid = true;
    let mut objects = Vec::new();
    for (kind, path) in &files {
        let checked = check(*kind, path, &place.layers);
        valid &= checked.is_ok();
        if json {
            objects.push(object(path, checked.as_ref().err()));
            continue;
        }
        match checked {
            Ok(()) => {
                let line = format!("{}: valid", path.display());
                writeln!(out, "{}", visible(&line))?;
            }
            Err(error) => report(&error, console),
        }
    }
    if json {
        writeln!(out, "{:#}", json!({"valid": valid, "files": objects}))?;
    }
    Ok(match valid {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(USAGE),
    })
}

/// The files that count here: profiles of the user's own, the user's file, the project's file.
fn used_here(place: &Place) -> anyhow::Result<Vec<(FileKind, PathBuf)>> {
    let layers = &place.layers;
    let mut files = Vec::new();
    if let Some(dir) = &layers.profiles_dir {
        let own = user_profiles(dir)?;
        files.extend(
            own.into_iter()
                .map(|profile| (FileKind::Named, profile.path)),
        );
    }
    for (kind, path) in [
        (FileKind::User, &layers.user_file),
        (FileKind::Project, &layers.project_file),
    ] {
        files.extend(
            path.iter()
                .filter(|path| path.exists())
                .map(|path| (kind, path.clone())),
        );
    }
    Ok(files)
}

/// The file that is meant: a file, or the profile of the user's own of this name.
fn path(place: &Place, file: &Path) -> PathBuf {
    let own = place
        .layers
        .profiles_dir
        .as_ref()
        .map(|dir| dir.join(file).with_added_extension("toml"));
    match own {
        Some(own) if !file.exists() && own.is_file() => own,
        _ => file.to_owned(),
    }
}

fn kind(place: &Place, file: &Path) -> FileKind {
    let path = path(place, file);
    let layers = &place.layers;
    if path.file_name().is_some_and(|name| name == "tritone.toml") {
        FileKind::Project
    } else if layers.user_file.as_deref() == Some(&path) {
        FileKind::User
    } else if path.parent() == layers.profiles_dir.as_deref() {
        FileKind::Named
    } else {
        FileKind::Profile
    }
}

fn object(path: &Path, error: Option<&ProfileError>) -> Value {
    let mistakes: Vec<Value> = match error {
        None => Vec::new(),
        Some(ProfileError::File(mistakes)) => mistakes
            .iter()
            .map(|mistake| {
                json!({
                    "file": mistake.path(),
                    "line": mistake.line(),
                    "column": mistake.column(),
                    "message": mistake.to_string(),
                    "help": mistake.advice(),
                })
            })
            .collect(),
        Some(error) => vec![json!({"file": path, "message": error.to_string()})],
    };
    json!({"file": path, "valid": error.is_none(), "mistakes": mistakes})
}
