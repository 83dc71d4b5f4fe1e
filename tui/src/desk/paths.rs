//! Names of files, to complete what is typed.

use std::fs;

use super::attach::expanded;

/// Most names.
const MOST: usize = 200;

/// Most entries of a directory that are looked at.
const MOST_ENTRIES: usize = 20_000;

/// Paths that begin with `typed`, in order; directories end with a slash. Hidden files are named when
/// the dot is typed.
pub(super) fn beginning(typed: &str) -> Vec<String> {
    let (directory, name) = match typed.rfind('/') {
        Some(at) => typed.split_at(at + 1),
        None => ("", typed),
    };
    let place = match directory {
        "" => expanded("."),
        directory => expanded(directory),
    };
    let Ok(entries) = fs::read_dir(place) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.take(MOST_ENTRIES).flatten() {
        // A name that is not text cannot be typed either.
        let Ok(entry_name) = entry.file_name().into_string() else {
            continue;
        };
        let hidden = entry_name.starts_with('.') && !name.starts_with('.');
        if hidden || !entry_name.starts_with(name) || entry_name.contains(char::is_control) {
            continue;
        }
        let slash = match fs::metadata(entry.path()) {
            Ok(kind) if kind.is_dir() => "/",
            Ok(kind) if kind.is_file() => "",
            _ => continue,
        };
        found.push(format!("{directory}{entry_name}{slash}"));
    }
    found.sort();
    found.truncate(MOST);
    found
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn names_by_their_beginning() {
        let place = TempDir::new().unwrap();
        for name in ["notes.txt", "nothing.md", ".hidden", "other"] {
            fs::write(place.path().join(name), "x").unwrap();
        }
        fs::create_dir(place.path().join("nodes")).unwrap();
        let root = format!("{}/", place.path().display());
        let found = |typed: &str| -> Vec<String> {
            let found = beginning(&format!("{root}{typed}"));
            let name = |path: String| path.strip_prefix(&root).unwrap().to_owned();
            found.into_iter().map(name).collect()
        };
        assert_eq!(found("no"), ["nodes/", "notes.txt", "nothing.md"]);
        assert_eq!(found("."), [".hidden"]);
        assert_eq!(found(""), ["nodes/", "notes.txt", "nothing.md", "other"]);
        assert!(found("nodes/").is_empty() && found("no/such/").is_empty());
    }
}
