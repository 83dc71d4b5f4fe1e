//! The files of the tree.

use std::fs;
use std::path::{Path, PathBuf};

/// A text file of the tree.
pub(crate) struct Source {
    /// From the root, with `/`.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
}

impl Source {
    /// Whether the file lies in the directory `room`, or is that file.
    pub(crate) fn is_in(&self, room: &str) -> bool {
        self.path
            .strip_prefix(room)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || room.ends_with('/'))
    }

    /// Whether it is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The lines, counted from 1, that are not comments as a whole.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        lines
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(index, line)| (index + 1, line))
    }
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Everything that people write: sources, manifests, documents and scripts. Left out are what
/// builds leave behind (cargo marks its directories), and models, corpora and lock files, which
/// programs write.
pub(crate) fn read() -> Vec<Source> {
    let mut files = Vec::new();
    walk(&root(), "", &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn walk(directory: &Path, prefix: &str, files: &mut Vec<Source>) {
    let entries = fs::read_dir(directory).unwrap_or_else(|err| panic!("{prefix}: {err}"));
    for entry in entries {
        let entry = entry.unwrap_or_else(|err| panic!("{prefix}: {err}"));
        let Ok(name) = entry.file_name().into_string() else {
            panic!("{prefix}: a file name that is not UTF-8");
        };
        let path = format!("{prefix}{name}");
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let built = entry.path().join("CACHEDIR.TAG").exists();
            let left_out = [
                ".git",
                "target",
                "fuzz/corpus",
                "fuzz/artifacts",
                "fuzz/target",
            ];
            if !built && !left_out.contains(&path.as_str()) {
                walk(&entry.path(), &format!("{path}/"), files);
            }
        } else if is_text(&path) {
            let text =
                fs::read_to_string(entry.path()).unwrap_or_else(|err| panic!("{path}: {err}"));
            files.push(Source { path, text });
        }
    }
}

fn is_text(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    ["rs", "toml", "md", "sh", "py", "c", "h", "yml"]
        .iter()
        .any(|ending| {
            name.rsplit_once('.')
                .is_some_and(|(_, found)| found == *ending)
        })
        || matches!(
            path,
            ".ci/run" | "justfile" | ".gitignore" | ".editorconfig"
        )
}
