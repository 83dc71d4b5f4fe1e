//! A plugin built for another architecture than its own.

use tritone_abi::{Facts, Kernel, Score};

/// Stands for a kernel where its architecture is not: the plugin builds, and says why it cannot
/// be used.
pub struct Elsewhere {
    facts: fn() -> &'static Facts,
    needs: &'static str,
}

impl Elsewhere {
    /// A kernel with these facts that needs an architecture, named for people.
    #[must_use]
    pub const fn new(facts: fn() -> &'static Facts, needs: &'static str) -> Self {
        Self { facts, needs }
    }
}

impl Kernel for Elsewhere {
    fn facts(&self) -> &Facts {
        (self.facts)()
    }

    fn score(&self) -> Score {
        Score {
            rank: 0,
            reason: format!("needs {}", self.needs),
        }
    }
}
