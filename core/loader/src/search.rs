//! Where plugins are looked for.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tracing::debug;

use crate::reason::RefusedReason;

/// The directories of a search, in order of precedence. The default searches nowhere.
///
/// The current directory is never searched, and file names never reach the dynamic linker's own
/// search path. Subdirectories are not searched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Directories the user named (`--plugin-dir`). One that cannot be read is reported; the
    /// other directories may be missing.
    pub plugin_dirs: Vec<PathBuf>,
    /// Directory of the executable. Searched are the directory itself, `plugins` in it, and
    /// `../lib/tritone/plugins` (which serves `bin` and `lib` side by side under one prefix).
    pub exe_dir: Option<PathBuf>,
    /// The user's own plugins: `$XDG_DATA_HOME/tritone/plugins`.
    pub user_dir: Option<PathBuf>,
    /// Plugins installed for everybody.
    pub system_dirs: Vec<PathBuf>,
}

/// A file that is called like a plugin.
pub(crate) struct Candidate {
    /// The directory as it was searched.
    pub(crate) directory: PathBuf,
    /// The file in it.
    pub(crate) path: PathBuf,
}

/// A directory that could not be searched.
pub(crate) struct Unreadable {
    pub(crate) directory: PathBuf,
    pub(crate) reason: RefusedReason,
}

impl Search {
    /// The usual directories after `plugin_dirs`: next to the executable (symbolic links
    /// resolved), the user's data directory, and `tritone/plugins` in `/usr/local/lib` and
    /// `/usr/lib`.
    ///
    /// `XDG_DATA_HOME` and `HOME` count only when they hold absolute paths.
    #[must_use]
    pub fn from_environment(plugin_dirs: Vec<PathBuf>) -> Self {
        let exe = env::current_exe().and_then(fs::canonicalize);
        let system_dirs: &[&str] = if cfg!(unix) {
            &["/usr/local/lib/tritone/plugins", "/usr/lib/tritone/plugins"]
        } else {
            &[]
        };
        Self {
            plugin_dirs,
            exe_dir: exe.ok().and_then(|p| p.parent().map(Path::to_owned)),
            user_dir: user_dir(env::var_os("XDG_DATA_HOME"), env::var_os("HOME")),
            system_dirs: system_dirs.iter().map(PathBuf::from).collect(),
        }
    }

    /// All directories in the order in which they are searched.
    #[must_use]
    pub fn directories(&self) -> Vec<PathBuf> {
        let mut all = self.plugin_dirs.clone();
        if let Some(exe) = &self.exe_dir {
            all.extend([exe.clone(), exe.join("plugins")]);
            all.extend(
                exe.parent()
                    .map(|prefix| prefix.join("lib/tritone/plugins")),
            );
        }
        all.extend(self.user_dir.clone());
        all.extend(self.system_dirs.iter().cloned());
        all
    }

    /// The candidates of all directories, those of one directory by name.
    pub(crate) fn candidates(&self) -> (Vec<Candidate>, Vec<Unreadable>) {
        let mut candidates = Vec::new();
        let mut unreadable = Vec::new();
        for (i, directory) in self.directories().into_iter().enumerate() {
            match list(&directory) {
                Ok(found) => {
                    debug!(?directory, candidates = found.len(), "searched for plugins");
                    candidates.extend(found);
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound && i >= self.plugin_dirs.len() => {
                    debug!(?directory, "no plugin directory");
                }
                Err(source) => {
                    let action = "search the directory";
                    let reason = RefusedReason::Io { action, source };
                    unreadable.push(Unreadable { directory, reason });
                }
            }
        }
        (candidates, unreadable)
    }
}

fn user_dir(data_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |p: Option<OsString>| p.map(PathBuf::from).filter(|p| p.is_absolute());
    let data = absolute(data_home).or_else(|| Some(absolute(home)?.join(".local/share")))?;
    Some(data.join("tritone/plugins"))
}

fn list(directory: &Path) -> io::Result<Vec<Candidate>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if kernel_part(&path).is_some() {
            let directory = directory.to_owned();
            found.push(Candidate { directory, path });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// `avx2` of `libtritone_avx2.so`: what a file's name says of the kernel in it, or `None` when the
/// file is not called like a plugin.
pub(crate) fn kernel_part(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    let part = name
        .strip_prefix(env::consts::DLL_PREFIX)?
        .strip_prefix("tritone_")?
        .strip_suffix(env::consts::DLL_SUFFIX)?;
    (!part.is_empty()).then(|| part.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_user_executable_data_system() {
        let search = Search {
            plugin_dirs: vec!["/a".into(), "/b".into()],
            exe_dir: Some("/opt/t/bin".into()),
            user_dir: Some("/home/u/plugins".into()),
            system_dirs: vec!["/usr/lib/tritone/plugins".into()],
        };
        let expected = [
            "/a",
            "/b",
            "/opt/t/bin",
            "/opt/t/bin/plugins",
            "/opt/t/lib/tritone/plugins",
            "/home/u/plugins",
            "/usr/lib/tritone/plugins",
        ];
        assert_eq!(search.directories(), expected.map(PathBuf::from));
        assert!(Search::default().directories().is_empty());
    }

    #[test]
    fn the_environment_never_gives_the_current_directory() {
        let search = Search::from_environment(Vec::new());
        assert!(search.directories().iter().all(|d| d.is_absolute()));
        assert!(!search.directories().contains(&env::current_dir().unwrap()));
    }

    #[test]
    fn the_data_directory_follows_the_xdg_rules() {
        let dir = |data: &str, home: &str| user_dir(Some(data.into()), Some(home.into()));
        let at = |p: &str| Some(PathBuf::from(p));
        assert_eq!(dir("/d", "/h"), at("/d/tritone/plugins"));
        assert_eq!(dir("", "/h"), at("/h/.local/share/tritone/plugins"));
        assert_eq!(dir("d", "/h"), at("/h/.local/share/tritone/plugins"));
        assert_eq!(dir("d", "h"), None);
        assert_eq!(user_dir(None, None), None);
    }

    #[test]
    fn only_plugin_names_are_candidates() {
        let file = |name: &str| {
            let (prefix, suffix) = (env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
            kernel_part(Path::new(&format!("/x/{prefix}{name}{suffix}")))
        };
        assert_eq!(file("tritone_avx2").as_deref(), Some("avx2"));
        assert_eq!(file("tritone_"), None);
        assert_eq!(file("other_avx2"), None);
        assert_eq!(kernel_part(Path::new("/x/libtritone_avx2.so.bak")), None);
        assert_eq!(kernel_part(Path::new("/x/tritone_avx2.txt")), None);
    }

    #[test]
    fn a_named_directory_must_exist_the_others_may_be_missing() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        let search = Search {
            plugin_dirs: vec![missing.clone()],
            exe_dir: Some(dir.path().join("bin")),
            ..Search::default()
        };
        let (candidates, unreadable) = search.candidates();
        assert!(candidates.is_empty());
        assert_eq!(unreadable.len(), 1);
        assert_eq!(unreadable[0].directory, missing);
        let text = unreadable[0].reason.to_string();
        assert!(text.starts_with("cannot search the directory: "), "{text}");
    }
}
