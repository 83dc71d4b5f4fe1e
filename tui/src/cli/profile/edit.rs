//! `tritone profile edit`

use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use tritone_profile::{PRESETS, ProfileError, check_text, resolve};

use super::{Place, new, report};
use crate::cli::atomic;
use crate::cli::console::{Console, visible};
use crate::cli::editor;
use crate::cli::failure::USAGE;

pub(super) fn run(place: &Place, name: &str, console: &Console) -> anyhow::Result<ExitCode> {
    let editor = editor::named()?;
    let preset = PRESETS.iter().any(|preset| preset.name == name);
    let own = if preset {
        format!("my-{name}")
    } else {
        name.to_owned()
    };
    let path = new::file(place, &own)?;
    if !path.is_file() {
        if !preset {
            // Says what there is instead.
            resolve(Some(name), &place.layers)?;
        }
        new::create(place, &path, name)?;
    }
    if preset {
        console.note(&format!(
            "presets stay as they are: {own} is a profile of yours that stands on {name}"
        ));
    }
    let before = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let copy = Copy::of(&path, &before)?;
    loop {
        let status = editor::open(&editor, &copy.0)?;
        anyhow::ensure!(
            status.success(),
            "the editor '{editor}' failed ({status}); nothing was changed"
        );
        let text =
            fs::read(&copy.0).with_context(|| format!("cannot read {}", copy.0.display()))?;
        if text == before {
            writeln!(
                io::stdout(),
                "{}: not changed",
                visible(&path.display().to_string())
            )?;
            return Ok(ExitCode::SUCCESS);
        }
        match check_text(&path, &text, &place.layers) {
            Ok(()) => {
                replace(&path, &before, &text, copy)?;
                writeln!(out(), "{}: saved", visible(&path.display().to_string()))?;
                return Ok(ExitCode::SUCCESS);
            }
            Err(error) => {
                report(&error, console);
                if !again(&error)? {
                    let kept = copy.keep();
                    console.note(&format!(
                        "{} is as it was; what you wrote is kept in {}",
                        path.display(),
                        kept.display()
                    ));
                    return Ok(ExitCode::from(USAGE));
                }
            }
        }
    }
}

fn out() -> io::Stdout {
    io::stdout()
}

/// Asks whether to open the editor again; nobody is asked without a terminal.
fn again(error: &ProfileError) -> anyhow::Result<bool> {
    let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
    // Only mistakes in the file can be put right in it.
    if !can_ask || !matches!(error, ProfileError::File(_)) {
        return Ok(false);
    }
    write!(io::stderr(), "Open the editor again? [Y/n] ")?;
    io::stderr().flush()?;
    let mut answer = String::new();
    if io::stdin().lock().read_line(&mut answer)? == 0 {
        return Ok(false);
    }
    Ok(!answer.trim().to_lowercase().starts_with('n'))
}

/// Puts `text` in place of `before`, unless somebody else has changed the file meanwhile.
fn replace(path: &Path, before: &[u8], text: &[u8], copy: Copy) -> anyhow::Result<()> {
    let now = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if now != before {
        let kept = copy.keep();
        anyhow::bail!(
            "{} was changed by another program meanwhile; what you wrote is kept in {}",
            path.display(),
            kept.display()
        );
    }
    atomic::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// What is edited: it lies next to the profile under a name that no profile has, and goes away in the
/// end.
struct Copy(PathBuf);

impl Copy {
    fn of(path: &Path, text: &[u8]) -> anyhow::Result<Self> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let copy = path.with_file_name(format!(".{name}.{}.edit.toml", std::process::id()));
        fs::write(&copy, text).with_context(|| format!("cannot write {}", copy.display()))?;
        Ok(Self(copy))
    }

    /// Leaves it there.
    fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.0);
        }
    }
}
