//! The best settings as a profile of the user's own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tritone_profile::{Layers, name_fault, process_environment, profiles_dir_path, resolve};

use super::point::Point;
use crate::cli::atomic;
use crate::cli::console::visible;
use crate::cli::failure::Usage;
use crate::cli::setup::Setup;

/// The file of the profile `name`, which may be written.
///
/// # Errors
/// When the name is none, is taken, or there is no place for profiles.
pub(super) fn place(name: &str, force: bool) -> anyhow::Result<PathBuf> {
    if let Some(fault) = name_fault(name) {
        let name = visible(name);
        let why = format!("no profile of yours can be called '{name}': {fault}");
        return Err(Usage(why).into());
    }
    let dir = profiles_dir_path(&process_environment).ok_or_else(|| {
        Usage(
            "there is no place for profiles of your own: neither XDG_CONFIG_HOME nor HOME is an absolute path"
                .to_owned(),
        )
    })?;
    let path = dir.join(format!("{name}.toml"));
    if !force && path.symlink_metadata().is_ok() {
        let why = format!("there is a profile {name} already; --force replaces it");
        return Err(Usage(why).into());
    }
    Ok(path)
}

/// Writes `best`, as `setup` has it, and reads it again.
///
/// # Errors
/// When it cannot be written, or is not what was meant.
pub(super) fn write(
    path: &Path,
    name: &str,
    best: &Point,
    setup: &Setup,
    batch: Option<usize>,
    about: &str,
) -> anyhow::Result<()> {
    let mut text = format!(
        "# Written by `tritone tune`. Settings left out come from the profile named by `base`.\n\nbase = \"{}\"\n\
         description = {}\n",
        best.profile,
        toml_text(about)
    );
    for (key, _) in &best.settings {
        if let Some(value) = setup.resolved.toml_of(key) {
            let _ = writeln!(text, "{key} = {value}");
        }
    }
    if let Some(batch) = batch {
        let _ = writeln!(text, "batch = {batch}");
    }
    let dir = path.parent().context("a profile has a directory")?;
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    atomic::write(path, text.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))?;
    let layers = Layers {
        profiles_dir: Some(dir.to_owned()),
        ..Layers::none()
    };
    resolve(Some(name), &layers)
        .with_context(|| format!("the profile that was written cannot be read: {text}"))?;
    Ok(())
}

/// A text as TOML has it.
fn toml_text(text: &str) -> String {
    toml_edit::Value::from(text).to_string().trim().to_owned()
}
