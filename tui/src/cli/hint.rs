//! Three lines for whoever starts the program for the first time.

use std::fs;
use std::path::PathBuf;

use super::paths::{self, Env};
use crate::app::commands::Action;
use crate::app::keymap::Keymap;
use crate::app::screen::View;

/// Remembers that the hint was shown.
fn file(env: Env<'_>) -> Option<PathBuf> {
    Some(paths::state(env)?.join("hint-shown"))
}

/// The hint, if it has not been shown on this machine; from now on it has. Where that cannot be
/// remembered it is not shown at all: a hint that comes every time is no hint.
pub(crate) fn first_run(env: Env<'_>, keymap: &Keymap) -> Option<String> {
    let file = file(env)?;
    if file.exists() {
        return None;
    }
    fs::create_dir_all(file.parent()?).ok()?;
    fs::write(&file, "").ok()?;
    let key = |action| keymap.label(action);
    Some(format!(
        "New here? {} sends, {} stops an answer, {} shows all keys.\n\
         {} machine, {} kernels, {} models; /quit leaves.\n\
         `tritone config init` makes settings. This comes once.",
        key(Action::Send),
        key(Action::Stop),
        key(Action::Help),
        key(Action::Show(View::Monitor)),
        key(Action::Show(View::Kernels)),
        key(Action::Show(View::Models)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_comes_once_and_only_where_that_can_be_remembered() {
        let home = tempfile::TempDir::new().unwrap();
        let path = home.path().to_str().unwrap().to_owned();
        let env = |name: &str| (name == "XDG_STATE_HOME").then(|| path.clone());
        let keymap = Keymap::default();
        let hint = first_run(&env, &keymap).unwrap();
        assert_eq!(hint.lines().count(), 3);
        // With the mark of a note before it, each line has one row of 80 columns.
        assert!(
            hint.lines().all(|line| line.chars().count() <= 74),
            "{hint}"
        );
        assert!(hint.contains("Enter sends, Esc stops"), "{hint}");
        assert_eq!(first_run(&env, &keymap), None);
        assert_eq!(first_run(&|_| None, &keymap), None);
        let lost = |name: &str| (name == "HOME").then(|| "/dev/null".to_owned());
        assert_eq!(first_run(&lost, &keymap), None);
    }
}
