//! The person's own editor for the text of the input.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Editors that are tried when none is named.
const USUAL: [&str; 3] = ["nano", "vim", "vi"];

/// Most bytes of a text that comes back.
const MOST_BYTES: u64 = 16 << 20;

/// A text on its way through an editor.
pub(crate) struct Errand {
    editor: Vec<String>,
    path: PathBuf,
}

impl Errand {
    /// Writes `text` into a file of its own, for the editor that `VISUAL` or `EDITOR` names.
    ///
    /// # Errors
    /// Why there is no such file.
    pub(crate) fn begin(text: &str) -> Result<Self, String> {
        let editor = editor(&|name| env::var(name).ok());
        let directory = env::temp_dir();
        // Nobody else may have made a file or a link of that name: the first free name is taken.
        for number in 0..1000_u32 {
            let name = format!("tritone-{}-{number}.md", std::process::id());
            let path = directory.join(name);
            let file = super::history::private()
                .write(true)
                .create_new(true)
                .open(&path);
            match file {
                Ok(mut file) => {
                    let errand = Self { editor, path };
                    return match file.write_all(text.as_bytes()) {
                        Ok(()) => Ok(errand),
                        Err(error) => Err(cannot_write(&errand.path, &error)),
                    };
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(cannot_write(&path, &error)),
            }
        }
        Err(format!(
            "there is no free name for a file in {}",
            directory.display()
        ))
    }

    /// The program to be run: it has the terminal.
    pub(crate) fn command(&self) -> Command {
        let mut words = self.editor.iter();
        let mut command = Command::new(words.next().map_or("vi", String::as_str));
        command.args(words).arg(&self.path);
        command
    }

    /// The text as the editor left it, without the line end that editors add.
    ///
    /// # Errors
    /// Why it cannot be used; the text in the input should stay then.
    pub(crate) fn end(
        &self,
        ended: std::io::Result<std::process::ExitStatus>,
    ) -> Result<String, String> {
        let name = self.editor.join(" ");
        match ended {
            Err(error) => {
                return Err(format!(
                    "cannot run {name}: {error}; $VISUAL or $EDITOR names an editor"
                ));
            }
            Ok(status) if !status.success() => {
                return Err(format!("{name} failed ({status}); the text is as it was"));
            }
            Ok(_) => {}
        }
        let length = fs::metadata(&self.path).map_or(0, |kind| kind.len());
        if length > MOST_BYTES {
            return Err("the text is too long: 16 MiB is the most".to_owned());
        }
        let bytes = fs::read(&self.path)
            .map_err(|error| format!("cannot read {}: {error}", self.path.display()))?;
        let mut text = String::from_utf8(bytes)
            .map_err(|_| format!("{name} left no UTF-8 text; the text is as it was"))?;
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        Ok(text)
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}

/// The editor and its arguments, split at blanks as shells do with a plain `$EDITOR`.
fn editor(env: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    for name in ["VISUAL", "EDITOR"] {
        let words: Vec<String> = env(name)
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        if !words.is_empty() {
            return words;
        }
    }
    let path = env("PATH").unwrap_or_default();
    let is_there = |name: &&str| env::split_paths(&path).any(|place| place.join(name).is_file());
    let found = USUAL.into_iter().find(is_there).unwrap_or("vi");
    vec![found.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visual_comes_before_editor_and_may_have_arguments() {
        let env = |visual: &'static str| {
            move |name: &str| match name {
                "VISUAL" => Some(visual.to_owned()),
                "EDITOR" => Some("ed".to_owned()),
                _ => None,
            }
        };
        assert_eq!(editor(&env("code --wait")), ["code", "--wait"]);
        assert_eq!(editor(&env("  ")), ["ed"]);
        assert_eq!(editor(&|_| None), ["vi"]);
    }

    #[test]
    #[cfg(unix)]
    fn the_text_goes_out_and_comes_back_and_the_file_goes() {
        use std::os::unix::fs::PermissionsExt as _;
        let mut errand = Errand::begin("old").unwrap();
        let mode = fs::metadata(&errand.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        errand.editor = ["sh", "-c", "printf 'new\\n\\n' >> \"$0\""]
            .map(str::to_owned)
            .to_vec();
        let ended = errand.command().status();
        assert_eq!(errand.end(ended).unwrap(), "oldnew\n");
        errand.editor = ["sh", "-c", "exit 3"].map(str::to_owned).to_vec();
        let ended = errand.command().status();
        assert!(errand.end(ended).unwrap_err().contains("as it was"));
        errand.editor = vec!["/no/such/editor".to_owned()];
        let ended = errand.command().status();
        assert!(errand.end(ended).unwrap_err().contains("$EDITOR"));
        let path = errand.path.clone();
        drop(errand);
        assert!(!path.exists());
    }
}
