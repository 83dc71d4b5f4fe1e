//! Which strategy is used: the first that works, and what was wrong with those before it.

use serde::Serialize;
use tritone_engine::LoadProgress;

use crate::config::ORDER;
use crate::deployment::{Deployed, Deployment};
use crate::error::{Fault, StrategyError};
use crate::registry::{Entry, Kind, Registry};
use crate::strategy::Strategy;

/// A strategy that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Its name.
    pub name: String,
    /// A word for what is wrong, for scripts.
    pub fault: &'static str,
    /// What is wrong.
    pub why: String,
    /// What to do about it; empty where nothing is known.
    pub remedy: String,
}

impl Rejected {
    /// The strategy `name` does not do it, and why.
    #[must_use]
    pub fn new(name: &str, error: StrategyError) -> Self {
        Self {
            name: name.to_owned(),
            fault: error.fault.name(),
            why: error.what,
            remedy: error.remedy,
        }
    }
}

impl std::fmt::Display for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, self.why)?;
        match self.remedy.as_str() {
            "" => Ok(()),
            remedy => write!(f, "; {remedy}"),
        }
    }
}

/// What would be taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Selection {
    /// The name of the first that can be used.
    pub chosen: Option<String>,
    /// Why it is the one.
    pub reason: String,
    /// Those before it.
    pub rejected: Vec<Rejected>,
}

/// A model that runs.
pub struct Running<T> {
    /// With which strategy.
    pub entry: Entry,
    /// What runs.
    pub deployed: T,
    /// Those that were tried before, in their order.
    pub rejected: Vec<Rejected>,
}

/// No strategy runs the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoneRuns {
    /// All that were tried, in their order.
    pub rejected: Vec<Rejected>,
    /// It was given up by who asked; the rest was not tried.
    pub cancelled: bool,
}

impl std::fmt::Display for NoneRuns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.rejected.is_empty() {
            return f.write_str("there is no strategy to try");
        }
        if let [only] = self.rejected.as_slice() {
            return write!(f, "{only}");
        }
        f.write_str("no strategy runs the model:")?;
        self.rejected
            .iter()
            .try_for_each(|rejected| write!(f, "\n  {rejected}"))
    }
}

impl std::error::Error for NoneRuns {}

/// Holds the strategies and chooses between them.
pub struct Manager {
    entries: Vec<Entry>,
    /// As the user has it.
    order: Option<Vec<String>>,
}

impl Manager {
    /// With the strategies of `registry`, in the order of the user, or in the usual one: [`ORDER`], then servers.
    #[must_use]
    pub fn new(registry: &Registry, order: Option<Vec<String>>) -> Self {
        Self {
            entries: registry.entries().to_vec(),
            order,
        }
    }

    /// All strategies: those that are tried by themselves first, in that order.
    #[must_use]
    pub fn entries(&self) -> Vec<&Entry> {
        let mut entries = self.line_up(None);
        for entry in &self.entries {
            if entries
                .iter()
                .all(|other| other.strategy.name() != entry.strategy.name())
            {
                entries.push(entry);
            }
        }
        entries
    }

    /// The strategy `name`.
    ///
    /// # Errors
    /// If there is none; it says which there are.
    pub fn get(&self, name: &str) -> Result<&Entry, StrategyError> {
        let found = self
            .entries
            .iter()
            .find(|entry| entry.strategy.name() == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self
                .entries
                .iter()
                .map(|entry| entry.strategy.name())
                .collect();
            StrategyError::new(Fault::Missing, format!("there is no strategy '{name}'"))
                .remedy(format!("choose one of: {}", names.join(", ")))
        })
    }

    /// Names of the order that no strategy has.
    #[must_use]
    pub fn unknown(&self) -> Vec<&str> {
        let order = self.order.iter().flatten();
        order
            .map(String::as_str)
            .filter(|name| self.get(name).is_err())
            .collect()
    }

    /// The strategies in the order in which they are tried, `first` before all others.
    fn line_up(&self, first: Option<&str>) -> Vec<&Entry> {
        let mut names: Vec<&str> = first.into_iter().collect();
        match &self.order {
            Some(order) => names.extend(order.iter().map(String::as_str)),
            None => {
                names.extend(ORDER);
                let servers = self
                    .entries
                    .iter()
                    .filter(|entry| entry.kind == Kind::Server);
                names.extend(servers.map(|entry| entry.strategy.name()));
            }
        }
        let mut line: Vec<&Entry> = Vec::new();
        for entry in names.into_iter().filter_map(|name| self.get(name).ok()) {
            if line
                .iter()
                .all(|other| other.strategy.name() != entry.strategy.name())
            {
                line.push(entry);
            }
        }
        line
    }

    /// Why a strategy is not tried by itself: nothing leaves the machine unless the user has named who gets it.
    fn reserved(&self, entry: &Entry, first: Option<&str>) -> Option<Rejected> {
        let name = entry.strategy.name();
        let named = first == Some(name) || self.order.is_some();
        (!named && entry.strategy.capabilities().leaves_machine).then(|| {
            let text = "what is said would leave this machine, so it is not taken by itself";
            let error = StrategyError::new(Fault::Refused, text).remedy(format!(
                "name it: --strategy {name}, or in the order of [strategies]"
            ));
            Rejected::new(name, error)
        })
    }

    /// What would be taken, by what each strategy says of its environment; nothing is started. `first` is the one that
    /// the user prefers.
    #[must_use]
    pub fn select(&self, first: Option<&str>) -> Selection {
        let mut rejected = Vec::new();
        for entry in self.line_up(first) {
            let name = entry.strategy.name();
            if let Some(reserved) = self.reserved(entry, first) {
                rejected.push(reserved);
                continue;
            }
            let environment = entry.strategy.setup_environment();
            if let Some(missing) = environment.missing() {
                rejected.push(Rejected::new(name, missing.into()));
                continue;
            }
            let found = environment.findings.iter().map(|finding| &*finding.found);
            let found = found.collect::<Vec<_>>().join(", ");
            let reason = match (first == Some(name), rejected.is_empty()) {
                (true, _) => format!("it is preferred and can be used here: {found}"),
                (false, true) => format!("the first of the order can be used here: {found}"),
                (false, false) => format!("the first of the order that can be used here: {found}"),
            };
            return Selection {
                chosen: Some(name.to_owned()),
                reason,
                rejected,
            };
        }
        Selection {
            chosen: None,
            reason: "none can be used here".to_owned(),
            rejected,
        }
    }

    /// Runs a model with the first strategy that runs it; `first` is the one that the user prefers. Each that fails is
    /// remembered with why. When `progress` returns `false`, all is given up.
    ///
    /// # Errors
    /// When none runs it.
    pub fn deploy(
        &self,
        first: Option<&str>,
        deployment: &Deployment,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Running<Deployed>, NoneRuns> {
        self.first_that_runs(first, &mut |entry| {
            deploy_one(&*entry.strategy, deployment, progress)
        })
    }

    /// [`deploy`](Self::deploy) for programs that have a way of their own to run a model with a strategy.
    ///
    /// # Errors
    /// When `run` fails with all of them, or was given up.
    pub fn first_that_runs<T>(
        &self,
        first: Option<&str>,
        run: &mut dyn FnMut(&Entry) -> Result<T, StrategyError>,
    ) -> Result<Running<T>, NoneRuns> {
        let mut rejected = Vec::new();
        let mut cancelled = false;
        for entry in self.line_up(first) {
            let name = entry.strategy.name();
            if let Some(reserved) = self.reserved(entry, first) {
                rejected.push(reserved);
                continue;
            }
            match run(entry) {
                Ok(deployed) => {
                    return Ok(Running {
                        entry: entry.clone(),
                        deployed,
                        rejected,
                    });
                }
                Err(error) => {
                    cancelled = error.fault == Fault::Cancelled;
                    rejected.push(Rejected::new(name, error));
                }
            }
            if cancelled {
                break;
            }
        }
        Err(NoneRuns {
            rejected,
            cancelled,
        })
    }

    /// What to go on with when `failed` has ended in the middle of an answer: the next that can be used, and the words for
    /// it. Nothing is started: that is for the user to say.
    #[must_use]
    pub fn suggest(&self, failed: &str) -> Option<String> {
        self.line_up(None)
            .into_iter()
            .filter(|entry| entry.strategy.name() != failed)
            .filter(|entry| self.reserved(entry, None).is_none())
            .find(|entry| entry.strategy.setup_environment().is_usable())
            .map(|entry| entry.strategy.name().to_owned())
    }

    /// Ends whatever runs.
    pub fn shutdown(&self) {
        for entry in &self.entries {
            entry.strategy.shutdown();
        }
    }
}

/// Runs a model with one strategy, if what it needs is here.
///
/// # Errors
/// What is missing, or why it does not run.
pub fn deploy_one(
    strategy: &dyn Strategy,
    deployment: &Deployment,
    progress: &mut dyn FnMut(LoadProgress) -> bool,
) -> Result<Deployed, StrategyError> {
    let environment = strategy.setup_environment();
    if let Some(missing) = environment.missing() {
        return Err(missing.into());
    }
    strategy.deploy_model(deployment, progress)
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.entries.iter().map(|entry| entry.strategy.name());
        f.debug_struct("Manager")
            .field("entries", &names.collect::<Vec<_>>())
            .field("order", &self.order)
            .finish()
    }
}
