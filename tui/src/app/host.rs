//! What the screen needs of the program around it.

use std::sync::Arc;

use tritone_engine::LoadProgress;

use super::backend::Backend;
use super::profiles::ProfilesCard;

/// What is to be run on; whatever is not named stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// A model: a path or a name of `tritone models`.
    pub model: Option<String>,
    /// A profile: its name or its path.
    pub profile: Option<String>,
    /// A strategy: its name; `auto` for the first that runs the model.
    pub strategy: Option<String>,
    /// Settings of the profile and their values, as on the command line: `("context", "2048")`.
    pub settings: Vec<(String, String)>,
}

impl Order {
    /// This order after `earlier` ones: what it does not name is theirs. A profile takes the settings
    /// that were made before it away.
    #[must_use]
    pub fn after(self, earlier: Self) -> Self {
        let mut settings = match self.profile {
            Some(_) => Vec::new(),
            None => earlier.settings,
        };
        settings.retain(|(key, _)| self.settings.iter().all(|(new, _)| new != key));
        settings.extend(self.settings);
        Self {
            model: self.model.or(earlier.model),
            profile: self.profile.or(earlier.profile),
            strategy: self.strategy.or(earlier.strategy),
            settings,
        }
    }

    /// What it asks for, in a few words.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut parts = Vec::new();
        let file = |path: &String| path.rsplit(['/', '\\']).next().unwrap_or(path).to_owned();
        let model = self.model.as_ref().map(file);
        parts.extend(model.map(|model| format!("model {model}")));
        parts.extend(
            self.profile
                .as_ref()
                .map(|profile| format!("profile {profile}")),
        );
        parts.extend(
            self.strategy
                .as_ref()
                .map(|strategy| format!("strategy {strategy}")),
        );
        let setting = |(key, value): &(String, String)| format!("{key} {value}");
        parts.extend(self.settings.iter().map(setting));
        parts.join(", ")
    }
}

/// A setting that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smaller {
    /// Settings of the profile and their values, for an [`Order`].
    pub settings: Vec<(String, String)>,
    /// The same as flags: `--kv q8 --ctx 2048`.
    pub flags: String,
    /// Bytes it takes.
    pub total: u64,
}

/// A model on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelRow {
    /// Its name, with which it is loaded.
    pub name: String,
    /// What the file calls its architecture, where it can be read.
    pub architecture: Option<String>,
    /// Type of its weights.
    pub format: String,
    /// Number of parameters.
    pub parameters: Option<u64>,
    /// Bytes of its files.
    pub bytes: u64,
    /// Why it does not run; `None` if it does.
    pub why_not: Option<String>,
    /// Which kind of place it was found in: `hugging face`, `built in`, ...
    pub place: String,
    /// Where it is; empty for the built-in one.
    pub path: String,
    /// What it would take in memory under the present profile, and the limit; `None` where it does not
    /// run.
    pub memory: Option<(u64, Option<u64>)>,
    /// Whether that fits.
    pub fits: bool,
    /// A setting with which it does, if it does not.
    pub smaller: Option<Smaller>,
    /// It is the one in use.
    pub active: bool,
}

/// The models that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelList {
    /// Those that run first, then by name.
    pub rows: Vec<ModelRow>,
    /// What could not be looked at.
    pub notes: Vec<String>,
}

/// A way to run a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StrategyRow {
    /// Its name, with which it is chosen.
    pub name: String,
    /// What it is, in a line.
    pub summary: String,
    /// Where it runs the model.
    pub kind: String,
    /// Where it stands: `off`, `ready`, ...
    pub state: String,
    /// Whether it can be used here.
    pub usable: bool,
    /// What was looked for and found; what is missing, and how to get it.
    pub findings: Vec<String>,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// What it was measured at, in a line.
    pub tested: Option<String>,
    /// What is said to it leaves the machine.
    pub leaves_machine: bool,
    /// The chat uses it.
    pub active: bool,
}

/// What is to be done with a strategy, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Run the model with it, beside the one in use.
    Start(String),
    /// End what it runs.
    Stop(String),
    /// Ask it what all are asked.
    Test(String),
    /// See whether it does what it should.
    Health(String),
}

impl Deed {
    /// What goes on, in a few words.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Start(name) => format!("starting {name}"),
            Self::Stop(name) => format!("ending {name}"),
            Self::Test(name) => format!("testing {name}"),
            Self::Health(name) => format!("checking {name}"),
        }
    }
}

/// Where the backend in use has its place.
pub trait Seat: Send + Sync {
    /// Gives it up, so that its memory is free; `false` where that cannot be.
    fn clear(&self) -> bool;

    /// Puts one back.
    fn put(&self, backend: Arc<dyn Backend>);
}

impl NotLoaded {
    /// With the words that what was in use still is, where it is.
    #[must_use]
    pub fn or_stays(mut self, name: &str) -> Self {
        if !self.gave_up {
            self.why.push_str("\nWhat was in use before ");
            self.why.push_str(name);
            self.why.push_str(" still is.");
        }
        self
    }
}

/// Why something was not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotLoaded {
    /// A sentence for the user.
    pub why: String,
    /// What was in use had to be given up first. The sentence says what became of it.
    pub gave_up: bool,
}

impl From<String> for NotLoaded {
    fn from(why: String) -> Self {
        Self {
            why,
            gave_up: false,
        }
    }
}

/// The program around the screen. It knows what was loaded last.
pub trait Host: Send + Sync {
    /// Loads what `order` asks for, and what was loaded last where it asks for nothing, reporting progress; when a report is answered with `false` it gives
    /// up. What is in use on `seat` stays until the new one is ready; where memory does not hold both,
    /// it is given up first, and put back if the new one cannot be loaded.
    ///
    /// # Errors
    /// Why it cannot be loaded; what was in use then still is, unless the error says otherwise.
    fn load(
        &self,
        order: &Order,
        seat: &dyn Seat,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Arc<dyn Backend>, NotLoaded>;

    /// The profiles there are, seen from what was loaded last, which runs on `backend`.
    ///
    /// # Errors
    /// Why they cannot be shown.
    fn profiles(&self, backend: &dyn Backend) -> Result<ProfilesCard, String> {
        let _ = backend;
        Err("there are no profiles here".to_owned())
    }

    /// The strategies there are, and whether they can be used here.
    ///
    /// # Errors
    /// Why they cannot be shown.
    fn strategies(&self) -> Result<Vec<StrategyRow>, String> {
        Err("there are no strategies here".to_owned())
    }

    /// Starts, ends or tests a strategy that the chat does not use; returns what came of it. When a report is answered
    /// with `false` it gives up.
    ///
    /// # Errors
    /// Why nothing came of it, and what to do.
    fn deed(
        &self,
        deed: &Deed,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<String, String> {
        let _ = (deed, progress);
        Err("there are no strategies here".to_owned())
    }

    /// The models on this machine. `report` is told how many were looked at, and of how many; when it
    /// returns `false`, looking ends.
    ///
    /// # Errors
    /// When `report` ended it, or nothing could be looked at.
    fn models(&self, report: &mut dyn FnMut(usize, usize) -> bool) -> Result<ModelList, String>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_orders_win_and_keep_what_they_do_not_name() {
        let set = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let earlier = Order {
            model: Some("a".to_owned()),
            profile: None,
            strategy: None,
            settings: vec![set("context", "1"), set("threads", "2")],
        };
        let later = Order {
            settings: vec![set("context", "9")],
            ..Order::default()
        };
        let both = later.after(earlier.clone());
        assert_eq!(both.summary(), "model a, threads 2, context 9");
        let profile = Order {
            profile: Some("edge".to_owned()),
            ..Order::default()
        };
        assert_eq!(profile.after(earlier).summary(), "model a, profile edge");
    }
}
