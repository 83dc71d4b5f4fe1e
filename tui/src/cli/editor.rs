//! The person's own editor, for files of theirs.

use std::path::Path;
use std::process::{Command, ExitStatus};

use anyhow::Context as _;

use super::failure::Usage;

/// The editor that `VISUAL` or `EDITOR` names, as a line of the shell.
///
/// # Errors
/// When neither is set.
pub(crate) fn named() -> anyhow::Result<String> {
    ["VISUAL", "EDITOR"]
        .into_iter()
        .find_map(|name| {
            std::env::var(name)
                .ok()
                .filter(|line| !line.trim().is_empty())
        })
        .ok_or_else(|| {
            let why = "no editor is known: set VISUAL or EDITOR, for example `EDITOR=nano`";
            Usage(why.to_owned()).into()
        })
}

/// Opens `path` in the editor and waits for it. The variable may hold arguments, as with git.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn open(editor: &str, path: &Path) -> anyhow::Result<ExitStatus> {
    let mut command = if cfg!(unix) {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{editor} \"$1\""), "sh"]);
        command
    } else {
        Command::new(editor)
    };
    command
        .arg(path)
        .status()
        .with_context(|| format!("cannot start the editor '{editor}'"))
}
