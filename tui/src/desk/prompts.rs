//! System prompts with names: text files `NAME.md` that anybody may write.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use tritone_profile::process_environment;

use crate::cli::paths;

/// Most bytes of a system prompt.
const MOST_BYTES: u64 = 256 << 10;

/// Most prompts that are listed.
const MOST: usize = 500;

/// Characters of a prompt that a list shows.
const HEADLINE: usize = 120;

/// The directory.
pub(crate) struct Prompts {
    directory: Option<PathBuf>,
}

impl Prompts {
    /// `None` means that there is no place for them.
    pub(super) fn new(directory: Option<PathBuf>) -> Self {
        Self { directory }
    }

    /// Those of this user.
    pub(crate) fn of_user() -> Self {
        let config = paths::config(&process_environment);
        Self::new(config.map(|place| place.join("prompts")))
    }

    /// Names, and how each begins.
    pub(crate) fn list(&self) -> Vec<(String, String)> {
        let entries = self.directory.as_ref().map(fs::read_dir);
        let Some(Ok(entries)) = entries else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let name = name.strip_suffix(".md")?.to_owned();
                is_name(&name).then_some(name)
            })
            .collect();
        names.sort();
        names.truncate(MOST);
        let line = |name: String| {
            let text = self.load(&name).map_or_else(|why| why, |(_, text)| text);
            let line = text.lines().next().unwrap_or_default();
            (name, line.chars().take(HEADLINE).collect())
        };
        names.into_iter().map(line).collect()
    }

    /// The name and the text of a prompt.
    pub(crate) fn load(&self, name: &str) -> Result<(String, String), String> {
        let path = self.path(name)?;
        let mut bytes = Vec::new();
        let read = fs::File::open(&path)
            .and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let names: Vec<String> = self.names();
                let known = match names.as_slice() {
                    [] => "none is saved; /system save NAME saves the one in use".to_owned(),
                    names => format!("there are: {}", names.join(", ")),
                };
                Err(format!("there is no system prompt {name}; {known}"))
            }
            Err(error) => Err(format!("cannot read {}: {error}", path.display())),
            Ok(_) if bytes.len() as u64 > MOST_BYTES => Err(format!(
                "{} is too long for a system prompt: 256 KiB is the most",
                path.display()
            )),
            Ok(_) => match String::from_utf8(bytes) {
                Ok(text) if text.trim().is_empty() => {
                    Err(format!("{} says nothing", path.display()))
                }
                Ok(text) => Ok((name.to_owned(), text.trim().to_owned())),
                Err(_) => Err(format!("{} is not UTF-8 text", path.display())),
            },
        }
    }

    /// Saves a prompt, in place of one of that name; says where.
    pub(crate) fn save(&self, name: &str, text: &str) -> Result<String, String> {
        let path = self.path(name)?;
        let mut whole = text.trim().to_owned();
        whole.push('\n');
        let write = || -> io::Result<()> {
            if let Some(directory) = &self.directory {
                fs::create_dir_all(directory)?;
            }
            // What is there stays whole until the new text is.
            let new = path.with_extension(format!("md.{}", std::process::id()));
            let mut file = super::history::private()
                .write(true)
                .create(true)
                .truncate(true)
                .open(&new)?;
            file.write_all(whole.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        match write() {
            Ok(()) => Ok(path.display().to_string()),
            Err(error) => Err(format!("cannot write {}: {error}", path.display())),
        }
    }

    fn names(&self) -> Vec<String> {
        let entries = self.directory.as_ref().map(fs::read_dir);
        let Some(Ok(entries)) = entries else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
            .filter(|name| is_name(name))
            .collect();
        names.sort();
        names.truncate(20);
        names
    }

    fn path(&self, name: &str) -> Result<PathBuf, String> {
        if !is_name(name) {
            return Err(format!(
                "\"{name}\" is no name for a system prompt: letters, digits, - and _, at most 40"
            ));
        }
        match &self.directory {
            Some(directory) => Ok(directory.join(format!("{name}.md"))),
            None => Err(
                "there is no place for system prompts: set XDG_CONFIG_HOME or HOME to a \
                         directory"
                    .to_owned(),
            ),
        }
    }
}

fn is_name(name: &str) -> bool {
    (1..=40).contains(&name.chars().count())
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn saved_listed_and_loaded() {
        let place = TempDir::new().unwrap();
        let prompts = Prompts::new(Some(place.path().join("new/prompts")));
        assert!(prompts.list().is_empty());
        assert!(prompts.load("a").unwrap_err().contains("none is saved"));
        let path = prompts.save("terse", " Be brief.\nAlways. ").unwrap();
        assert!(path.ends_with("prompts/terse.md"));
        prompts.save("kind", "Be kind.").unwrap();
        prompts.save("kind", "Be kinder.").unwrap();
        let listed = prompts.list();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            listed,
            [pair("kind", "Be kinder."), pair("terse", "Be brief.")]
        );
        assert_eq!(
            prompts.load("terse"),
            Ok(pair("terse", "Be brief.\nAlways."))
        );
        assert!(
            prompts
                .load("x")
                .unwrap_err()
                .ends_with("there are: kind, terse")
        );
        let files = fs::read_dir(place.path().join("new/prompts"))
            .unwrap()
            .count();
        assert_eq!(files, 2, "nothing else is left");
    }

    #[test]
    fn names_lead_nowhere_else() {
        let place = TempDir::new().unwrap();
        let prompts = Prompts::new(Some(place.path().to_owned()));
        for name in ["", "../x", "a/b", ".x", "a.b", "a b", &"x".repeat(41)] {
            assert!(prompts.save(name, "x").unwrap_err().contains("is no name"));
            assert!(prompts.load(name).is_err());
        }
        fs::write(place.path().join("empty.md"), " \n").unwrap();
        fs::write(place.path().join("bad.md"), b"\xff").unwrap();
        assert!(prompts.load("empty").unwrap_err().contains("says nothing"));
        assert!(prompts.load("bad").unwrap_err().contains("not UTF-8"));
        let nowhere = Prompts::new(None);
        assert!(nowhere.save("a", "x").unwrap_err().contains("no place"));
    }
}
