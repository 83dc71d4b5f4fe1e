//! Profiles as the screen shows them.

use tritone_profile::{Change, Entry, Selection};

/// Every profile, and what would become of the model under it.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfilesCard {
    /// `auto` first, then the presets, then the user's own.
    pub rows: Vec<ProfileCard>,
    /// What suits the machine now, and why.
    pub selection: Option<Selection>,
    /// Where the user's own profiles are, if there is a place for them.
    pub directory: Option<String>,
}

/// A profile.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileCard {
    /// Its name, under which it is asked for.
    pub name: String,
    /// Whether it is in use.
    pub used: bool,
    /// What it says, or why it cannot be used.
    pub says: Result<Says, String>,
}

/// What a profile says.
#[derive(Clone, Debug, PartialEq)]
pub struct Says {
    /// The preset and the profiles above it, the lowest first.
    pub lineage: Vec<String>,
    /// Why it is this preset.
    pub because: String,
    /// Every value and its origin.
    pub values: Vec<Entry>,
    /// Advice.
    pub tips: Vec<String>,
    /// What is another value now.
    pub changes: Vec<Change>,
    /// What the model would take.
    pub plan: Option<PlanCard>,
}

impl Says {
    /// The value of a setting, as text.
    #[must_use]
    pub fn value(&self, key: &str) -> &str {
        let entry = self.values.iter().find(|entry| entry.key == key);
        entry.map_or("", |entry| entry.value.as_str())
    }
}

/// A memory plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanCard {
    /// Its parts in bytes: weights, head, KV cache, and so on.
    pub parts: Vec<(&'static str, u64)>,
    /// All together.
    pub total: u64,
    /// The limit in bytes.
    pub limit: u64,
    /// Context in tokens, as the model has it.
    pub context: usize,
    /// Threads, as the machine has them.
    pub threads: usize,
    /// The nearest setting that would fit, if this one does not: as flags of the command line.
    pub nearest: Option<String>,
    /// What there is to say about the limit.
    pub note: Option<String>,
}

impl PlanCard {
    /// Whether the model fits.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.total <= self.limit
    }
}
