//! The file of keys: one a line.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::{Digest, Key, KeySet, Scope, unfit};
use crate::guard::mode;
use crate::guard::secret::Secret;

const BYTES: u64 = 1 << 20;
const SHORT: usize = 16;
const NAME: usize = 64;

/// Why a file of keys was not taken. None of the messages shows what could be a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("cannot read the keys in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is far longer than keys are.
    #[error("{} is longer than 1 MiB: is it the file of keys?", path.display())]
    Long {
        /// The file.
        path: PathBuf,
    },
    /// A line is wrong.
    #[error("{}, line {line}: {what}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// There is nothing but comments in it.
    #[error("{} has no key in it: expected lines such as name:key or name:sha256:DIGEST", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Adds the keys of a file to a set, and what the user should know to the notices.
///
/// A line is `name:key`, `name:sha256:` and 64 hexadecimal digits, or a key alone; empty lines and lines
/// that begin with `#` are left out.
pub(super) fn read(
    path: &Path,
    scope: Scope,
    set: &mut KeySet,
    notices: &mut Vec<String>,
) -> Result<(), KeyFileError> {
    let text = load(path)?;
    let before = set.keys.len();
    parse(&text, scope, set, |line, what| {
        notices.push(format!("{}, line {line}: {what}", path.display()))
    })
    .map_err(|(line, what)| KeyFileError::Line {
        path: path.to_owned(),
        line,
        what,
    })?;
    if set.keys.len() == before {
        return Err(KeyFileError::Empty {
            path: path.to_owned(),
        });
    }
    if let Some(mode) = mode::open_to_others(path) {
        notices.push(format!(
            "{} is open to others (mode {mode:04o}): whoever reads it can use the server; chmod 600 closes it",
            path.display()
        ));
    }
    Ok(())
}

fn load(path: &Path) -> Result<String, KeyFileError> {
    let failed = |source| KeyFileError::Read {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(BYTES + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > BYTES {
        return Err(KeyFileError::Long {
            path: path.to_owned(),
        });
    }
    Ok(text)
}

/// The keys of a text; the error is a line and what is wrong with it.
fn parse(
    text: &str,
    scope: Scope,
    set: &mut KeySet,
    mut notice: impl FnMut(usize, String),
) -> Result<(), (usize, String)> {
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: String| (number, what);
        let (name, key) = match line.split_once(':') {
            Some((name, key)) => (name.trim().to_owned(), key.trim()),
            None => (format!("line-{number}"), line),
        };
        if !is_name(&name) {
            return Err(wrong(format!(
                "the name before the colon should be 1 to {NAME} of a-z, A-Z, 0-9, '.', '_' and '-'"
            )));
        }
        let digest = if let Some(digest) = key.strip_prefix("sha256:") {
            Digest::parse(digest.trim()).ok_or_else(|| {
                wrong(format!(
                    "the digest of {name} should be 64 hexadecimal digits"
                ))
            })?
        } else {
            let key = Secret::new(key.to_owned());
            if let Some(what) = unfit(&key) {
                return Err(wrong(format!("the key of {name} {what}")));
            }
            if key.reveal().len() < SHORT {
                notice(
                    number,
                    format!(
                        "the key of {name} has fewer than {SHORT} characters and could be guessed"
                    ),
                );
            }
            Digest::of(key.reveal())
        };
        let key = Key {
            name: name.as_str().into(),
            digest,
            scope,
        };
        set.add(key).map_err(|other| {
            wrong(if *other == name {
                format!("the name {name} is there already")
            } else {
                format!("{name} has the same key as {other}")
            })
        })?;
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    (1..=NAME).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> (Result<(), (usize, String)>, KeySet, Vec<String>) {
        let (mut set, mut notices) = (KeySet::default(), Vec::new());
        let result = parse(text, Scope::Api, &mut set, |line, what| {
            notices.push(format!("{line}: {what}"))
        });
        (result, set, notices)
    }

    #[test]
    fn names_keys_digests_and_comments() {
        let text = "\u{feff}# keys of the house\r\n\r\nalice : sk-alice-0123456789\r\n\
                    bob:sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n\
                    with-colon:a:b:c-0123456789abcdef\nsk-nameless-0123456789\n";
        let (result, set, notices) = parsed(text);
        assert_eq!(result, Ok(()));
        assert_eq!(notices, [""; 0]);
        let name = |key: &str| set.find(key.as_bytes()).map(|key| key.name.to_string());
        assert_eq!(name("sk-alice-0123456789").as_deref(), Some("alice"));
        assert_eq!(name("abc").as_deref(), Some("bob"));
        assert_eq!(
            name("a:b:c-0123456789abcdef").as_deref(),
            Some("with-colon")
        );
        assert_eq!(name("sk-nameless-0123456789").as_deref(), Some("line-6"));
        assert_eq!(set.count(Scope::Api), 4);
    }

    #[test]
    fn mistakes_name_the_line_and_never_the_key() {
        let table = [
            (
                "a:canary-0123456789\na:other-canary-0123456",
                2,
                "name a is there",
            ),
            (
                "a:canary-0123456789\nb:canary-0123456789",
                2,
                "same key as a",
            ),
            ("a b:canary-0123456789", 1, "name before the colon"),
            (":canary-0123456789", 1, "name before the colon"),
            ("#\na:", 2, "is empty"),
            ("canary7", 1, "the key of line-1 has fewer than 8"),
            ("a:canary 0123456789", 1, "a space"),
            ("a:canäry-0123456789", 1, "outside ASCII"),
            ("a:sha256:canary", 1, "64 hexadecimal"),
        ];
        for (text, line, what) in table {
            let (number, message) = parsed(text).0.unwrap_err();
            assert_eq!(number, line, "{text}");
            assert!(message.contains(what), "{message}");
            assert!(
                !["canary", "canä", "0123"]
                    .iter()
                    .any(|part| message.contains(part)),
                "{message}"
            );
        }
        let long = format!("a:{}", "x".repeat(513));
        assert!(parsed(&long).0.unwrap_err().1.contains("longer than 512"));
    }

    #[test]
    fn a_short_key_is_said() {
        let (result, _, notices) = parsed("a:not-long");
        assert_eq!(result, Ok(()));
        assert!(
            notices[0].starts_with("1: the key of a has fewer"),
            "{notices:?}"
        );
    }

    #[test]
    fn files_that_are_no_key_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        let read = || super::read(&path, Scope::Api, &mut KeySet::default(), &mut Vec::new());
        assert!(matches!(read(), Err(KeyFileError::Read { .. })));
        std::fs::write(&path, "# nothing\n").unwrap();
        assert!(matches!(read(), Err(KeyFileError::Empty { .. })));
        std::fs::write(&path, "#".repeat(2 << 20)).unwrap();
        assert!(matches!(read(), Err(KeyFileError::Long { .. })));
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(read(), Err(KeyFileError::Read { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_said() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        std::fs::write(&path, "a:0123456789abcdef").unwrap();
        for (mode, said) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let mut notices = Vec::new();
            super::read(&path, Scope::Api, &mut KeySet::default(), &mut notices).unwrap();
            assert_eq!(!notices.is_empty(), said, "{mode:o}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "(?s).{0,200}") {
            let _ = parsed(&text);
        }
    }
}
