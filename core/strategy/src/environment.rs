//! Whether a strategy can be used here.

use serde::Serialize;

use crate::error::{Fault, StrategyError};

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

impl Finding {
    /// What was found, or why it was not.
    pub(crate) fn of(what: impl Into<String>, looked: Result<String, StrategyError>) -> Self {
        match looked {
            Ok(found) => Self::good(what, found),
            Err(error) => Self::missing(what, error.what, error.remedy),
        }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.found)?;
        match self.ok {
            true => Ok(()),
            false => write!(f, "; {}", self.remedy),
        }
    }
}

impl From<&Finding> for StrategyError {
    /// Something is missing.
    fn from(missing: &Finding) -> Self {
        let text = format!("{}: {}", missing.what, missing.found);
        Self::new(Fault::Missing, text).remedy(&missing.remedy)
    }
}

impl From<Finding> for Environment {
    fn from(finding: Finding) -> Self {
        Self {
            findings: vec![finding],
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
