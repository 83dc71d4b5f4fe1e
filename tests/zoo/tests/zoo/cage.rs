//! Plugin directories for tests.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tritone_loader::{Options, Registry, Search};

use crate::base;

/// The built plugin `examples/<name>.rs`.
pub(crate) fn specimen(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let path = profile.join(format!("examples/{DLL_PREFIX}zoo_{name}{DLL_SUFFIX}"));
    assert!(
        path.exists(),
        "{path:?} is missing; build it with `cargo build -p tritone-zoo --examples`"
    );
    path
}

/// A directory that only this user can write.
pub(crate) struct Cage {
    dir: TempDir,
}

impl Cage {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        set_mode(dir.path(), 0o755);
        Self { dir }
    }

    /// A cage with copies of specimens, each under its own name.
    pub(crate) fn with(names: &[&str]) -> Self {
        let cage = Self::new();
        for name in names {
            cage.plant(name, name);
        }
        cage
    }

    /// Path without symbolic links.
    pub(crate) fn path(&self) -> PathBuf {
        fs::canonicalize(self.dir.path()).unwrap()
    }

    /// Where the plugin `name` lies, or would lie.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path()
            .join(format!("{DLL_PREFIX}tritone_{name}{DLL_SUFFIX}"))
    }

    pub(crate) fn plant(&self, specimen_name: &str, name: &str) -> PathBuf {
        self.write(name, &fs::read(specimen(specimen_name)).unwrap())
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, bytes).unwrap();
        set_mode(&path, 0o644);
        path
    }

    pub(crate) fn discover(&self) -> Registry {
        discover(&[self], "")
    }

    /// The reason why the only plugin here is refused.
    pub(crate) fn refusal(&self) -> String {
        let registry = self.discover();
        let plugins = registry.kernels().iter().filter(|k| k.facts.name != "base");
        assert_eq!(plugins.count(), 0, "{registry:?}");
        assert_eq!(registry.refused().len(), 1, "{registry:?}");
        // Whatever happens to plugins, the built-in kernel is there.
        assert_eq!(registry.best().unwrap().facts().name, "base");
        registry.refused()[0].reason.to_string()
    }
}

/// Discovers the built-in base and the plugins in the cages, without those in `disable`.
pub(crate) fn discover(cages: &[&Cage], disable: &str) -> Registry {
    let search = Search {
        plugin_dirs: cages.iter().map(|c| c.path()).collect(),
        ..Search::default()
    };
    Registry::discover(&[base::TABLE], &search, &Options::disabling(disable))
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}
