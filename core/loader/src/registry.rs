//! All kernels this process knows, and which of them can be used.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::{debug, info, warn};
use tritone_abi::host::facts_of;
use tritone_abi::table::{KernelTable, text_of};
use tritone_abi::{Facts, Kernel, Score};

use crate::file::{self, CheckedFile};
use crate::inspect::inspect_file;
use crate::open;
use crate::options::Options;
use crate::reason::{RefusedReason, SelectError};
use crate::search::{Candidate, Search, kernel_part};
use crate::settle::{Entry, settle};

/// Where a kernel comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Linked into this program.
    BuiltIn,
    /// A plugin file; the path without symbolic links.
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            // Quoted and escaped: a file's name may hold anything.
            Self::File(path) => write!(f, "{path:?}"),
        }
    }
}

/// What can be done with a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It can be selected.
    Usable,
    /// This machine cannot run it, for the reason given.
    CannotRun(String),
    /// Another kernel of the same name has a higher score, or the same score and precedence.
    Shadowed {
        /// Where the other one comes from.
        by: Origin,
    },
    /// Switched off by [`Options::disable`]; if it is a plugin, it was not opened.
    Disabled,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usable => f.write_str("usable"),
            Self::CannotRun(reason) => write!(f, "cannot run: {reason}"),
            Self::Shadowed { by } => write!(f, "shadowed by {by}"),
            Self::Disabled => f.write_str("disabled"),
        }
    }
}

/// A kernel in the registry.
#[derive(Clone)]
pub struct Found {
    /// What the kernel says of itself. For a partial kernel these are its own facts; those of the
    /// composed kernel are `kernel().facts()`.
    pub facts: Facts,
    /// What the kernel said of this machine; rank 0 when it is disabled.
    pub score: Score,
    /// Where it comes from.
    pub origin: Origin,
    /// What can be done with it.
    pub state: State,
    /// Name of the complete kernel that a usable partial kernel takes its other operations from.
    pub base: Option<String>,
    pub(crate) kernel: Option<Arc<dyn Kernel>>,
}

impl Found {
    /// The kernel, complete (a partial one is [`Layered`](crate::Layered)), if it is usable.
    #[must_use]
    pub fn kernel(&self) -> Option<&Arc<dyn Kernel>> {
        self.kernel.as_ref()
    }

    /// Whether the kernel can be selected.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.kernel.is_some()
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found")
            .field("facts", &self.facts)
            .field("score", &self.score)
            .field("origin", &self.origin)
            .field("state", &self.state)
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// A plugin, or a directory of plugins, that was not taken.
#[derive(Debug)]
pub struct Refused {
    /// The file as it was found, or the directory that could not be searched. For a table linked
    /// into this program, the path is empty.
    pub path: PathBuf,
    /// Why.
    pub reason: RefusedReason,
    /// Name of the kernel, as the file's name (or the built-in table) has it.
    pub name: Option<String>,
}

/// All kernels this process knows. See the [crate's documentation](crate) for what is checked.
#[derive(Debug, Default)]
pub struct Registry {
    kernels: Vec<Found>,
    refused: Vec<Refused>,
}

impl Registry {
    /// Takes the built-in kernels and the plugins in the directories of `search`.
    ///
    /// Kernels are unique by name: the highest score wins; of equal scores a built-in kernel
    /// comes first, then plugins in the order of the search. Partial kernels are put over the
    /// best complete one.
    ///
    /// `builtins` are the tables that [`export_kernel!`](tritone_abi::export_kernel) makes
    /// (`TABLE` of a plugin crate); the functions in them must keep the contract of the ABI.
    ///
    /// This runs code of every plugin that passes the checks: its initialisers, and its score
    /// function. It may be called again later, for example when a plugin was added.
    #[must_use]
    pub fn discover(builtins: &[&'static KernelTable], search: &Search, options: &Options) -> Self {
        let mut refused = Vec::new();
        let mut entries = Vec::new();
        for table in builtins {
            match open::built_in(table) {
                Ok(kernel) if options.disables(&kernel.facts().name) => {
                    entries.push(Entry::disabled(kernel.facts().clone(), Origin::BuiltIn));
                }
                Ok(kernel) => entries.push(Entry::new(kernel, Origin::BuiltIn)),
                Err(error) => refused.push(Refused {
                    path: PathBuf::new(),
                    reason: error.into(),
                    name: text_of(&table.header.name).map(str::to_owned),
                }),
            }
        }
        let (candidates, unreadable) = search.candidates();
        refused.extend(unreadable.into_iter().map(|u| Refused {
            path: u.directory,
            reason: u.reason,
            name: None,
        }));
        let mut seen = HashSet::new();
        for candidate in candidates {
            match examine(&candidate, &mut seen, options) {
                Ok(Some(entry)) => entries.push(entry),
                Ok(None) => debug!(path = ?candidate.path, "the same file again"),
                Err(reason) => refused.push(Refused {
                    name: kernel_part(&candidate.path),
                    path: candidate.path,
                    reason,
                }),
            }
        }
        let registry = Self {
            kernels: settle(entries),
            refused,
        };
        registry.log(options);
        registry
    }

    /// All kernels: the usable ones first, best first.
    #[must_use]
    pub fn kernels(&self) -> &[Found] {
        &self.kernels
    }

    /// What was not taken, and why.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// The usable kernel with the highest score.
    ///
    /// # Errors
    /// [`SelectError::Nothing`] with all reasons when no kernel is usable.
    pub fn best(&self) -> Result<Arc<dyn Kernel>, SelectError> {
        if let Some(kernel) = self.kernels.iter().find_map(Found::kernel) {
            return Ok(Arc::clone(kernel));
        }
        let kernels = self.kernels.iter();
        let kernels = kernels.map(|f| format!("{} ({}): {}", f.facts.name, f.origin, f.state));
        let refused = self.refused.iter();
        let refused = refused.map(|r| format!("{:?} was refused: {}", r.path, r.reason));
        Err(SelectError::Nothing {
            reasons: kernels.chain(refused).collect(),
        })
    }

    /// The kernel of this name.
    ///
    /// # Errors
    /// Says whether the kernel is unknown, cannot run, is disabled, or was refused; and which
    /// names would work.
    pub fn by_name(&self, name: &str) -> Result<Arc<dyn Kernel>, SelectError> {
        let namesakes = || self.kernels.iter().filter(|f| f.facts.name == name);
        if let Some(kernel) = namesakes().find_map(Found::kernel) {
            return Ok(Arc::clone(kernel));
        }
        let name = name.to_owned();
        let usable = self.kernels.iter().filter(|f| f.is_usable());
        let available = usable.map(|f| f.facts.name.clone()).collect();
        if namesakes().any(|f| f.state == State::Disabled) {
            return Err(SelectError::Disabled { name });
        }
        if let Some(found) = namesakes().next() {
            let reason = match &found.state {
                State::CannotRun(reason) => reason.clone(),
                other => other.to_string(),
            };
            return Err(SelectError::CannotRun {
                name,
                reason,
                available,
            });
        }
        let mut refused = self.refused.iter();
        match refused.find(|r| r.name.as_deref() == Some(&name)) {
            Some(refused) => Err(SelectError::Refused {
                name,
                path: refused.path.clone(),
                reason: refused.reason.to_string(),
            }),
            None => Err(SelectError::Unknown { name, available }),
        }
    }

    fn log(&self, options: &Options) {
        for found in &self.kernels {
            info!(
                kernel = found.facts.name,
                origin = %found.origin,
                score = found.score.rank,
                reason = found.score.reason,
                state = %found.state,
                "kernel"
            );
        }
        for refused in &self.refused {
            warn!(path = ?refused.path, reason = %refused.reason, "plugin refused");
        }
        for name in &options.disable {
            if !self.kernels.iter().any(|f| f.facts.name == *name) {
                warn!(name, "no kernel of this name to disable");
            }
        }
    }
}

/// Checks one candidate and opens it; `None` for a file that was taken before.
fn examine(
    candidate: &Candidate,
    seen: &mut HashSet<PathBuf>,
    options: &Options,
) -> Result<Option<Entry>, RefusedReason> {
    let path = file::resolve(&candidate.path)?;
    if seen.contains(&path) {
        return Ok(None);
    }
    let checked = CheckedFile::open(candidate, path.clone())?;
    let inspected = inspect_file(&checked.bytes)?;
    let facts = facts_of(&inspected.header);
    // Only now: a file refused because of the directory it was found through may be found again
    // through a better one.
    seen.insert(path.clone());
    let origin = Origin::File(path);
    if options.disables(&facts.name) {
        return Ok(Some(Entry::disabled(facts, origin)));
    }
    let kernel = open::open(checked, &inspected)?;
    Ok(Some(Entry::new(kernel, origin)))
}
