//! Directories below another, within limits.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A directory and the files in it, sorted.
pub(super) struct Dir {
    pub(super) path: PathBuf,
    pub(super) files: Vec<OsString>,
}

/// How far a walk goes.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Levels below the first directory.
    pub(super) depth: usize,
    /// Directory entries that are looked at.
    pub(super) entries: usize,
}

/// The directories from `root` on, each one once, whatever links lead to it. Hidden entries are left
/// out; a root that is not there has none. What could not be read is said in `notes`.
pub(super) fn walk(root: &Path, limits: Limits, notes: &mut Vec<String>) -> Vec<Dir> {
    let mut walk = Walk {
        left: limits.entries,
        seen: HashSet::new(),
        found: Vec::new(),
        notes,
    };
    walk.enter(root.to_owned(), limits.depth);
    if walk.left == 0 {
        walk.notes.push(format!(
            "'{}' holds more than {} entries; the rest was not looked at",
            root.display(),
            limits.entries
        ));
    }
    walk.found
}

struct Walk<'a> {
    left: usize,
    /// By their true paths.
    seen: HashSet<PathBuf>,
    found: Vec<Dir>,
    notes: &'a mut Vec<String>,
}

impl Walk<'_> {
    fn enter(&mut self, path: PathBuf, depth: usize) {
        let entries = match path.canonicalize().map(|real| self.seen.insert(real)) {
            Ok(true) => self.entries(&path),
            Ok(false) => return,
            Err(error) => Err(error),
        };
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => {
                let first = self.found.is_empty() && self.seen.len() <= 1;
                if !(first && error.kind() == io::ErrorKind::NotFound) {
                    let path = path.display();
                    self.notes.push(format!("cannot read '{path}': {error}"));
                }
                return;
            }
        };
        let (mut files, mut directories) = (Vec::new(), Vec::new());
        for name in entries {
            // Follows links. One that leads nowhere is not there.
            match fs::metadata(path.join(&name)) {
                Ok(meta) if meta.is_dir() => directories.push(name),
                Ok(meta) if meta.is_file() => files.push(name),
                _ => {}
            }
        }
        self.found.push(Dir {
            path: path.clone(),
            files,
        });
        if depth > 0 {
            for name in directories {
                self.enter(path.join(name), depth - 1);
            }
        }
    }

    /// Names in a directory, sorted.
    fn entries(&mut self, path: &Path) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            let Some(left) = self.left.checked_sub(1) else {
                break;
            };
            self.left = left;
            let name = entry?.file_name();
            if !name.as_encoded_bytes().starts_with(b".") {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn loops_and_limits_end_a_walk() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("a/b/c/d")).unwrap();
        fs::write(at("a/b/x.gguf"), "").unwrap();
        fs::write(at("a/.hidden.gguf"), "").unwrap();
        std::os::unix::fs::symlink(root.path(), at("a/b/loop")).unwrap();
        std::os::unix::fs::symlink(at("nowhere"), at("a/b/dead")).unwrap();
        std::os::unix::fs::symlink(at("a/b/x.gguf"), at("a/link.gguf")).unwrap();
        let walked = |depth, entries| {
            let mut notes = Vec::new();
            let found = walk(root.path(), Limits { depth, entries }, &mut notes);
            let names = |dir: &Dir| {
                let below = dir.path.strip_prefix(root.path()).unwrap();
                let files = dir.files.iter().map(|name| name.to_string_lossy());
                let files: Vec<_> = files.collect();
                format!("{}[{}]", below.display(), files.join(" "))
            };
            (found.iter().map(names).collect::<Vec<_>>().join(" "), notes)
        };
        let all = "[] a[link.gguf] a/b[x.gguf] a/b/c[] a/b/c/d[]";
        assert_eq!(walked(9, 99), (all.to_owned(), vec![]));
        assert_eq!(walked(1, 99).0, "[] a[link.gguf]");
        let (few, notes) = walked(9, 2);
        assert!(few.len() < all.len(), "{few}");
        assert!(notes[0].contains("more than 2 entries"), "{notes:?}");
        let mut notes = Vec::new();
        let limits = Limits {
            depth: 1,
            entries: 9,
        };
        assert!(walk(&at("none"), limits, &mut notes).is_empty() && notes.is_empty());
        assert!(walk(&at("a/b/x.gguf"), limits, &mut notes).is_empty());
        assert!(notes[0].contains("cannot read"), "{notes:?}");
    }
}
