//! Model files and directories, by their names alone.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::ollama;
use super::places::{Kind, Place};
use super::walk::{Dir, Limits, walk};

/// Most models that are listed.
const MOST_MODELS: usize = 2000;

/// Most things that are said to be unreadable.
const MOST_NOTES: usize = 10;

/// A model that lies somewhere.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Short, unique, without spaces.
    pub(crate) id: String,
    pub(crate) kind: Kind,
    /// `ORG/NAME`, or Ollama's name.
    pub(crate) repo: Option<String>,
    /// The file to open (the first of several), or the directory.
    pub(crate) path: PathBuf,
    pub(crate) is_directory: bool,
    /// Files of weights.
    pub(crate) files: usize,
    /// Bytes of those.
    pub(crate) bytes: u64,
}

/// Everything that looks like a model in `places`, sorted by id, and what could not be looked at.
pub(crate) fn scan(places: &[Place]) -> (Vec<Entry>, Vec<String>) {
    let (mut entries, mut notes) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    for place in places {
        for entry in models_of(place, &mut notes) {
            // Snapshots of one repository share blobs, and a place may lie within another.
            let real = entry.path.canonicalize();
            if !seen.insert(real.unwrap_or_else(|_| entry.path.clone())) {
                continue;
            }
            if entries.len() == MOST_MODELS {
                notes.push(format!(
                    "there are more than {MOST_MODELS} models; the rest is left out"
                ));
                break;
            }
            entries.push(entry);
        }
    }
    entries.sort_by(|a: &Entry, b| (&a.id, a.kind, &a.path).cmp(&(&b.id, b.kind, &b.path)));
    make_unique(&mut entries);
    if let Some(more @ 1..) = notes.len().checked_sub(MOST_NOTES) {
        notes.truncate(MOST_NOTES);
        notes.push(format!(
            "{more} more directories or files could not be read"
        ));
    }
    (entries, notes)
}

fn models_of(place: &Place, notes: &mut Vec<String>) -> Vec<Entry> {
    let root = &place.path;
    if place.kind == Kind::Ollama {
        let models = ollama::models(root, notes);
        return models
            .into_iter()
            .filter_map(|(name, blob)| {
                let meta = fs::metadata(&blob).ok().filter(fs::Metadata::is_file)?;
                Some(Entry {
                    id: plain(name.rsplit('/').next()?),
                    kind: place.kind,
                    repo: Some(name),
                    path: blob,
                    is_directory: false,
                    files: 1,
                    bytes: meta.len(),
                })
            })
            .collect();
    }
    let (depth, entries) = match place.kind {
        Kind::Here => (1, 5_000),
        Kind::LlamaCpp => (1, 20_000),
        _ => (5, 50_000),
    };
    let mut directories = walk(root, Limits { depth, entries }, notes);
    if place.kind == Kind::HuggingFace {
        directories.retain(|dir| snapshot(root, &dir.path).is_some());
        // The revision that is called main comes first, so that its names are taken.
        directories.sort_by_key(|dir| !is_main(root, &dir.path));
    }
    let found = directories.iter().flat_map(|dir| models_in(dir, place));
    found.collect()
}

/// `ORG/NAME` of a directory `models--ORG--NAME/snapshots/REV/...` of the hub's cache.
fn snapshot(root: &Path, path: &Path) -> Option<String> {
    let mut parts = path.strip_prefix(root).ok()?.iter();
    let repo = parts.next()?.to_str()?.strip_prefix("models--")?;
    let snapshots = parts.next()? == "snapshots" && parts.next().is_some();
    snapshots.then(|| repo.replacen("--", "/", 1))
}

/// Whether `path` lies in the revision that `refs/main` names.
fn is_main(root: &Path, path: &Path) -> bool {
    let Ok(below) = path.strip_prefix(root) else {
        return false;
    };
    let mut parts = below.iter();
    let (Some(repo), Some(revision)) = (parts.next(), parts.nth(1)) else {
        return false;
    };
    let main = fs::read_to_string(root.join(repo).join("refs/main"));
    main.is_ok_and(|main| OsStr::new(main.trim()) == revision)
}

/// `ORG/NAME` of a directory, as far as the place has such.
fn repo_of(place: &Place, path: &Path) -> Option<String> {
    match place.kind {
        Kind::HuggingFace => snapshot(&place.path, path),
        Kind::Store | Kind::LmStudio => {
            let mut parts = path.strip_prefix(&place.path).ok()?.iter();
            let (org, name) = (parts.next()?.to_str()?, parts.next()?.to_str()?);
            Some(format!("{org}/{name}"))
        }
        _ => None,
    }
}

/// The models in one directory.
fn models_in(dir: &Dir, place: &Place) -> Vec<Entry> {
    let repo = repo_of(place, &dir.path);
    let size = |name: &OsStr| fs::metadata(dir.path.join(name)).map_or(0, |meta| meta.len());
    // Files by what is left of their name without the number of a part.
    let mut files: BTreeMap<String, Vec<&OsStr>> = BTreeMap::new();
    let mut weights = Vec::new();
    for name in &dir.files {
        let Some(text) = name.to_str() else { continue };
        let lower = text.to_ascii_lowercase();
        if let Some(stem) = lower.strip_suffix(".gguf") {
            let stem = split_stem(stem).map_or(stem, |(stem, _)| stem);
            files.entry(stem.to_owned()).or_default().push(name);
        } else if lower.ends_with(".safetensors") {
            weights.push(name.as_os_str());
        }
    }
    let mut found = Vec::new();
    for (stem, names) in files {
        let Some(first) = names.first() else { continue };
        found.push(Entry {
            id: id_of(&stem, repo.as_deref()),
            kind: place.kind,
            repo: repo.clone(),
            path: dir.path.join(first),
            is_directory: false,
            files: names.len(),
            bytes: names.iter().map(|name| size(name)).sum(),
        });
    }
    if !weights.is_empty() && dir.files.iter().any(|name| name == "config.json") {
        let own = dir.path.file_name().map(|name| name.to_string_lossy());
        let name = match &repo {
            Some(repo) => repo.rsplit('/').next().unwrap_or(repo).to_owned(),
            None => own.unwrap_or_default().into_owned(),
        };
        found.push(Entry {
            id: plain(&name),
            kind: place.kind,
            repo,
            path: dir.path.clone(),
            is_directory: true,
            files: weights.len(),
            bytes: weights.iter().map(|name| size(name)).sum(),
        });
    }
    found
}

/// Name and number of parts of `NAME-00001-of-00003`.
pub(crate) fn split_stem(stem: &str) -> Option<(&str, usize)> {
    let (rest, count) = stem.rsplit_once("-of-")?;
    let (name, number) = rest.rsplit_once('-')?;
    let digits = |text: &str| text.len() == 5 && text.bytes().all(|c| c.is_ascii_digit());
    if !(digits(number) && digits(count)) || name.is_empty() {
        return None;
    }
    Some((name, count.parse().ok()?))
}

/// An id out of a file's name, or where that says nothing, of the repository's.
fn id_of(stem: &str, repo: Option<&str>) -> String {
    let rest = stem.strip_prefix("ggml-model").or_else(|| {
        let generic = stem == "model" || stem == "pytorch_model";
        generic.then_some("")
    });
    match (rest, repo) {
        (Some(rest), Some(repo)) => {
            let name = repo.rsplit('/').next().unwrap_or(repo).to_lowercase();
            let name = name.strip_suffix("-gguf").unwrap_or(&name);
            plain(&format!("{name}{}", rest.replace('.', "-")))
        }
        _ => plain(stem),
    }
}

/// A name in small letters that needs no quotes in a shell.
fn plain(name: &str) -> String {
    let kept = |c: char| c.is_alphanumeric() || "-_.:+".contains(c);
    let name = name.to_lowercase();
    let plain: String = name
        .chars()
        .map(|c| if kept(c) { c } else { '-' })
        .collect();
    let plain = plain.trim_matches('-');
    if plain.is_empty() {
        "model".to_owned()
    } else {
        plain.to_owned()
    }
}

/// Ids that several entries have get the place behind them, and a number where that is the same.
fn make_unique(entries: &mut [Entry]) {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for entry in &*entries {
        *count.entry(entry.id.clone()).or_default() += 1;
    }
    let mut taken: HashSet<String> = HashSet::new();
    for entry in entries {
        let shared = count.get(&entry.id).is_some_and(|count| *count > 1);
        let base = match shared {
            true => format!("{}@{}", entry.id, entry.kind.word()),
            false => entry.id.clone(),
        };
        let mut id = base.clone();
        for number in 2.. {
            if taken.insert(id.clone()) {
                break;
            }
            id = format!("{base}-{number}");
        }
        entry.id = id;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_say_what_it_is() {
        let repo = Some("microsoft/bitnet-b1.58-2B-4T-gguf");
        assert_eq!(id_of("ggml-model-i2_s", repo), "bitnet-b1.58-2b-4t-i2_s");
        assert_eq!(id_of("ggml-model-i2_s", None), "ggml-model-i2_s");
        assert_eq!(id_of("Bonsai 4B (new)", repo), "bonsai-4b--new");
        assert_eq!(plain("\u{1b}[2J"), "2j");
        assert_eq!(plain("//"), "model");
        assert_eq!(split_stem("a-b-00001-of-00012"), Some(("a-b", 12)));
        for no in ["a-1-of-2", "-00001-of-00002", "a-00001-of-0000x", "a"] {
            assert_eq!(split_stem(no), None, "{no}");
        }
    }
}
