//! Races of the past, by machine and model, in a file of the user's cache directory.
//!
//! The file is a cache: whatever is in it, the worst that comes of it is a slower kernel. A file that is
//! damaged or of another version is left out, and that is said; the next race replaces it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Standing;
use crate::cli::cache_file;

/// What the file is called inside; the number grows when the meaning of a field changes.
const SCHEMA: &str = "tritone-kernels/1";
/// Races that are kept, the latest ones.
const MOST_RACES: usize = 200;

/// What a race is good for: this processor, so many threads, this model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) cpu: String,
    /// Instruction sets that processor and system support.
    pub(crate) isa: Vec<String>,
    pub(crate) threads: usize,
    /// [`tritone_engine::Model::content_id`].
    pub(crate) model: String,
}

impl Key {
    pub(crate) fn new(machine: &tritone_machine::Machine, threads: usize, model: String) -> Self {
        Self {
            cpu: machine.cpu.clone(),
            isa: machine.isa.iter().map(|&name| name.to_owned()).collect(),
            threads,
            model,
        }
    }
}

/// Speed of one build of a kernel, in tokens a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Speed {
    pub(crate) name: String,
    pub(crate) build_id: String,
    pub(crate) decode: f64,
    pub(crate) prefill: f64,
    /// Seconds since 1970.
    pub(crate) unix_time: u64,
}

impl Speed {
    /// Seconds of the turn that decides; `None` for rates that are none.
    pub(crate) fn turn(&self) -> Option<f64> {
        super::turn(self.decode, self.prefill)
    }
}

/// One race.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Race {
    #[serde(flatten)]
    pub(crate) key: Key,
    pub(crate) kernels: Vec<Speed>,
}

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Store {
    schema: String,
    races: Vec<Race>,
}

/// `$XDG_CACHE_HOME/tritone/kernels.json`, or `~/.cache/tritone/kernels.json`; `None` if neither
/// variable is an absolute path (XDG Base Directory Specification: relative ones are ignored).
pub(crate) fn path(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    Some(directory(env)?.join("kernels.json"))
}

/// The program's own directory among the user's caches (XDG Base Directory Specification; relative
/// paths are to be ignored).
pub(crate) fn directory(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    crate::cli::paths::cache(env)
}

impl Store {
    /// Reads the file; no file is an empty store.
    ///
    /// # Errors
    /// Why the file is left out, for people.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let Some(store) = cache_file::read::<Self>(path)? else {
            return Ok(Self::default());
        };
        cache_file::expect_schema(&store.schema, SCHEMA)?;
        Ok(store)
    }

    /// The latest race under `key`.
    pub(crate) fn find(&self, key: &Key) -> Option<&Race> {
        self.races.iter().rev().find(|race| race.key == *key)
    }

    /// Races in it.
    pub(crate) fn len(&self) -> usize {
        self.races.len()
    }

    /// Adds what a race under `key` found at `unix_time`. Kernels that it did not measure keep what an
    /// earlier race found; a race that measured nothing changes nothing. Says whether it did.
    pub(crate) fn add(&mut self, key: &Key, unix_time: u64, standing: &Standing) -> bool {
        let speed = |entry: &super::Entry| {
            entry.turn()?;
            Some(Speed {
                name: entry.name.clone(),
                build_id: entry.build_id.clone(),
                decode: entry.decode?,
                prefill: entry.prefill?,
                unix_time,
            })
        };
        let mut kernels: Vec<Speed> = standing.entries.iter().filter_map(speed).collect();
        if kernels.is_empty() {
            return false;
        }
        if let Some(old) = self.find(key) {
            let rest = old.kernels.iter();
            let missing = |old: &&Speed| !kernels.iter().any(|new| new.name == old.name);
            let rest: Vec<_> = rest.filter(missing).cloned().collect();
            kernels.extend(rest);
        }
        self.races.retain(|race| race.key != *key);
        let surplus = (self.races.len() + 1).saturating_sub(MOST_RACES);
        self.races.drain(..surplus);
        self.races.push(Race {
            key: key.clone(),
            kernels,
        });
        true
    }

    /// Writes the file, completely or not at all.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let store = Self {
            schema: SCHEMA.to_owned(),
            races: self.races.clone(),
        };
        cache_file::write(path, &store)
    }
}

/// Adds a race to the file at `path`, in place of a file that cannot be used; what is in it now.
///
/// # Errors
/// What the system says.
pub(crate) fn record(
    path: &Path,
    key: &Key,
    unix_time: u64,
    standing: &Standing,
) -> io::Result<Store> {
    // Read again: another program may have added a race meanwhile.
    let mut store = Store::read(path).unwrap_or_default();
    if store.add(key, unix_time, standing) {
        store.write(path)?;
    }
    Ok(store)
}

/// Removes the file; how many races were in it, or `None` when there was none.
///
/// # Errors
/// What the system says.
pub(crate) fn forget(path: &Path) -> io::Result<Option<usize>> {
    let races = Store::read(path).map_or(0, |store| store.len());
    match fs::remove_file(path) {
        Ok(()) => Ok(Some(races)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
