//! Models by name: what `--model` accepts besides paths.

use std::path::Path;

use tritone_engine::ModelSource;

use super::BUILT_IN;
use super::facts::{Runs, facts};
use super::places::{Env, places};
use super::scan::{Entry, scan};
use crate::cli::failure::Usage;

/// Most names in a message.
const MOST_NAMES: usize = 8;

/// A model that was found by its name.
pub(crate) struct Resolved {
    pub(crate) source: ModelSource,
    /// What was taken, where the name was not the whole one.
    pub(crate) note: Option<String>,
}

/// The name in `path`, if it is not a path of something that is there.
pub(crate) fn name(path: &Path) -> Option<&str> {
    let text = path.to_str()?;
    let explicit = text.is_empty() || text.starts_with('.') || path.is_absolute();
    (!explicit && path.symlink_metadata().is_err()).then_some(text)
}

/// The model of this name among those on this machine; `None` if no name is like it.
///
/// # Errors
/// When several are.
pub(crate) fn resolve(name: &str, env: Env<'_>) -> anyhow::Result<Option<Resolved>> {
    if name.eq_ignore_ascii_case(BUILT_IN) {
        let source = crate::cli::setup::source(None);
        return Ok(Some(Resolved { source, note: None }));
    }
    let (entries, _) = scan(&places(env, std::env::current_dir().ok()));
    let mut found = matching(&entries, name);
    if found.len() > 1 {
        // What does not run is not meant.
        let runs = |entry: &&Entry| facts(entry).runs == Runs::Yes;
        let running: Vec<_> = found.iter().copied().filter(runs).collect();
        if !running.is_empty() {
            found = running;
        }
    }
    match found[..] {
        [] => Ok(None),
        [entry] => {
            let exact = entry.id.eq_ignore_ascii_case(name);
            let note = format!("model '{name}' is {} ({})", entry.id, entry.path.display());
            Ok(Some(Resolved {
                source: ModelSource::File(entry.path.clone()),
                note: (!exact).then_some(note),
            }))
        }
        _ => {
            let names = found.iter().take(MOST_NAMES).map(|entry| entry.id.as_str());
            let mut names = names.collect::<Vec<_>>().join(", ");
            if let Some(more @ 1..) = found.len().checked_sub(MOST_NAMES) {
                names += &format!(" and {more} more");
            }
            let why = format!("'{name}' fits more than one model: {names}");
            Err(Usage(why).into())
        }
    }
}

/// Entries whose id or repository is `name`, else those that begin with it, else those that have it
/// inside.
fn matching<'a>(entries: &'a [Entry], name: &str) -> Vec<&'a Entry> {
    let name = name.to_lowercase();
    let tests: [fn(&str, &str) -> bool; 3] = [
        |text, name| text == name || text.strip_suffix(".gguf") == Some(name),
        |text, name| text.starts_with(name),
        |text, name| text.contains(name),
    ];
    for test in tests {
        let fits = |entry: &&Entry| {
            let repo = entry.repo.as_deref().unwrap_or("").to_lowercase();
            let file = entry.path.file_name().unwrap_or_default();
            let file = file.to_string_lossy().to_lowercase();
            [&entry.id, &repo, &file]
                .iter()
                .any(|text| test(text, &name))
        };
        let found: Vec<_> = entries.iter().filter(fits).collect();
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}
