//! Text files for a message.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Most bytes of a file that is attached: more than any context holds.
const MOST_BYTES: u64 = 4 << 20;

/// Reads the file that `path` names: its name and its content.
pub(super) fn read(path: &str) -> Result<(String, String), String> {
    if path.is_empty() {
        return Err("which file? /attach PATH".to_owned());
    }
    let place = expanded(path);
    let cannot = |why: &dyn std::fmt::Display| format!("cannot attach {path}: {why}");
    // A pipe would be waited for.
    let kind = std::fs::metadata(&place).map_err(|error| cannot(&error))?;
    if kind.is_dir() {
        return Err(cannot(&"it is a directory; attach the files one by one"));
    }
    if !kind.is_file() {
        return Err(cannot(&"it is not a file with content"));
    }
    let mut bytes = Vec::new();
    File::open(&place)
        .and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| cannot(&error))?;
    if bytes.len() as u64 > MOST_BYTES {
        let size = crate::view::format::bytes(kind.len());
        let most = crate::view::format::bytes(MOST_BYTES);
        return Err(cannot(&format!(
            "it has {size}, and {most} is the most; attach a part of it"
        )));
    }
    if bytes.is_empty() {
        return Err(cannot(&"it is empty"));
    }
    if bytes.contains(&0) {
        return Err(cannot(&"it is not text: it holds zero bytes"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((name(&place), text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            Err(cannot(&format!("it is not UTF-8 text, from byte {at} on")))
        }
    }
}

/// The path with `~/` at its start written out.
pub(crate) fn expanded(path: &str) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => match std::env::var_os("HOME") {
            Some(home) => Path::new(&home).join(rest),
            None => PathBuf::from(path),
        },
        None => PathBuf::from(path),
    }
}

fn name(place: &Path) -> String {
    let name = place.file_name().unwrap_or(place.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn text_is_read_and_everything_else_says_why_not() {
        let place = TempDir::new().unwrap();
        let at = |name: &str| place.path().join(name).display().to_string();
        fs::write(at("a.txt"), "Grüße\n").unwrap();
        assert_eq!(
            read(&at("a.txt")),
            Ok(("a.txt".to_owned(), "Grüße\n".to_owned()))
        );
        fs::write(at("zero"), b"ELF\0").unwrap();
        fs::write(at("latin"), b"Gr\xfc\xdfe").unwrap();
        fs::write(at("empty"), b"").unwrap();
        let big = File::create(at("big")).unwrap();
        big.set_len(5 << 20).unwrap();
        for (name, why) in [
            ("zero", "not text"),
            ("latin", "not UTF-8 text, from byte 2 on"),
            ("empty", "empty"),
            ("big", "5 MiB, and 4 MiB is the most"),
            ("missing", "No such file"),
            ("", "directory"),
        ] {
            let said = read(&at(name)).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        assert!(read("").unwrap_err().contains("which file"));
        assert!(
            read("/dev/null")
                .unwrap_err()
                .contains("not a file with content")
        );
    }
}
