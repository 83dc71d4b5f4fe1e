//! Whether a strategy can be used here.

use serde::Serialize;

/// One thing that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked for.
    pub what: String,
    /// Whether it is there and good.
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// What to do about it, where it is not good; empty otherwise.
    pub remedy: String,
}

impl Finding {
    /// Something that is there.
    pub fn good(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            ok: true,
            found: found.into(),
            remedy: String::new(),
        }
    }

    /// Something that is missing or wrong, and how to get it.
    pub fn missing(
        what: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            what: what.into(),
            ok: false,
            found: found.into(),
            remedy: remedy.into(),
        }
    }
}

/// What a strategy needs, and whether it is here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Environment {
    /// In the order in which they were looked for.
    pub findings: Vec<Finding>,
}

impl Environment {
    /// Whether nothing is missing.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.findings.iter().all(|finding| finding.ok)
    }

    /// The first thing that is missing.
    #[must_use]
    pub fn missing(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| !finding.ok)
    }
}
