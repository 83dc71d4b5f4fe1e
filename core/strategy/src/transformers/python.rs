//! Python's part: which interpreter a program runs with, and what is installed there.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::child::asked;

/// Says which libraries are missing and which versions the others have, without loading any of them.
const LOOK: &str = "
import importlib.metadata as m, importlib.util as u, json, sys
missing = [n for n in sys.argv[1:] if u.find_spec(n) is None]
versions = {}
for name in sys.argv[1:]:
    try:
        versions[name] = m.version(name)
    except m.PackageNotFoundError:
        pass
print(json.dumps({'missing': missing, 'versions': versions}))
";

/// What is installed for an interpreter.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Installed {
    /// Libraries that are not there.
    pub(super) missing: Vec<String>,
    versions: std::collections::BTreeMap<String, String>,
}

impl Installed {
    /// The libraries on which the answers depend, with their versions.
    pub(super) fn told(&self) -> String {
        let named = |name: &&str| Some(format!("{name} {}", self.versions.get(*name)?));
        let told: Vec<String> = ["transformers", "torch"].iter().filter_map(named).collect();
        told.join(", ")
    }
}

/// What of `names` is installed for `python`; `None` if that says nothing.
pub(super) fn installed(python: &Path, names: &[&str]) -> Option<Installed> {
    let arguments: Vec<OsString> = ["-c", LOOK]
        .iter()
        .chain(names)
        .map(|argument| OsString::from(*argument))
        .collect();
    let said = asked(python, &arguments)?;
    // Warnings of the interpreter may stand around it.
    let line = said.lines().find(|line| line.starts_with('{'))?;
    serde_json::from_str(line).ok()
}

/// The interpreter in the first line of a script: `#!/usr/bin/python3`, or `#!/usr/bin/env python3`.
pub(super) fn interpreter(script: &Path) -> Option<PathBuf> {
    let mut head = Vec::new();
    File::open(script)
        .ok()?
        .take(512)
        .read_to_end(&mut head)
        .ok()?;
    let line = head
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next()?;
    let line = std::str::from_utf8(line).ok()?.trim();
    let mut words = line.split_whitespace();
    let first = Path::new(words.next()?);
    if first.file_name()? == "env" {
        return crate::child::find(Path::new(words.next()?), &[]);
    }
    Some(first.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_the_interpreter() {
        let place = tempfile::tempdir().unwrap();
        let script = place.path().join("transformers");
        let of = |text: &str| {
            std::fs::write(&script, text).unwrap();
            interpreter(&script)
        };
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(
            of("#!/opt/venv/bin/python3\nimport re\n"),
            path("/opt/venv/bin/python3")
        );
        assert_eq!(of("#! /opt/python -s\n"), path("/opt/python"));
        assert_eq!(of("\u{7f}ELF"), None);
        let found = of("#!/usr/bin/env python3\n").unwrap();
        assert!(found.is_absolute());
        let looked = installed(&found, &["json", "no_such_library"]).unwrap();
        assert_eq!(looked.missing, ["no_such_library"]);
        assert_eq!(looked.told(), "");
    }
}
