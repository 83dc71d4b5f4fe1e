//! What a check of health found.

use std::fmt::Write as _;

use serde::Serialize;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// Works, but beyond what the profile's alerts allow, or not all could be looked at.
    Warn,
    /// Does not work, or not within the bounds that were asked for.
    Fail,
}

impl Level {
    /// The word in tables.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Check {
    /// What was looked at: model, answer, first token, speed, memory, kernels.
    pub(crate) name: &'static str,
    /// How it came out.
    pub(crate) level: Level,
    /// What was found, for people.
    pub(crate) text: String,
    /// What was measured, in `unit`.
    pub(crate) number: Option<f64>,
    /// Unit of `number` and `bound`.
    pub(crate) unit: Option<&'static str>,
    /// What the number is held against.
    pub(crate) bound: Option<f64>,
    /// What to do.
    pub(crate) remedy: Option<&'static str>,
}

impl Check {
    fn new(name: &'static str, level: Level, text: impl ToString) -> Self {
        Self {
            name,
            level,
            text: text.to_string(),
            number: None,
            unit: None,
            bound: None,
            remedy: None,
        }
    }

    pub(super) fn ok(name: &'static str, text: impl ToString) -> Self {
        Self::new(name, Level::Ok, text)
    }

    pub(super) fn warn(name: &'static str, text: impl ToString) -> Self {
        Self::new(name, Level::Warn, text)
    }

    pub(super) fn fail(name: &'static str, text: impl ToString) -> Self {
        Self::new(name, Level::Fail, text)
    }

    /// Ok if it `holds`; else a fault if somebody asked for the bound, and a warning if not.
    pub(super) fn within(name: &'static str, holds: bool, asked: bool, text: String) -> Self {
        let level = match (holds, asked) {
            (true, _) => Level::Ok,
            (false, false) => Level::Warn,
            (false, true) => Level::Fail,
        };
        Self::new(name, level, text)
    }

    pub(super) fn number(mut self, number: f64, unit: &'static str) -> Self {
        (self.number, self.unit) = (Some(number), Some(unit));
        self
    }

    pub(super) fn bound(mut self, bound: f64) -> Self {
        self.bound = Some(bound);
        self
    }

    pub(super) fn remedy(mut self, remedy: &'static str) -> Self {
        self.remedy = Some(remedy);
        self
    }

    pub(super) fn remedy_if_bad(self, remedy: &'static str) -> Self {
        match self.level {
            Level::Ok => self,
            Level::Warn | Level::Fail => self.remedy(remedy),
        }
    }
}

/// All that was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Report {
    /// The model; empty if it could not be opened.
    pub(crate) model: String,
    /// The kernel that answered.
    pub(crate) kernel: String,
    /// Threads.
    pub(crate) threads: usize,
    /// SHA-256 of the logits of the probe, the same on every machine.
    pub(crate) logits: Option<String>,
    /// In the order in which they were made.
    pub(crate) checks: Vec<Check>,
}

impl Report {
    pub(super) fn add(&mut self, check: Check) {
        self.checks.push(check);
    }

    /// Whether nothing failed; warnings leave a model healthy.
    pub(crate) fn is_healthy(&self) -> bool {
        self.checks.iter().all(|check| check.level < Level::Fail)
    }

    /// The report for people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for check in &self.checks {
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "{:<5} {:<12} {}",
                check.level.word(),
                check.name,
                check.text
            );
            if let Some(remedy) = check.remedy {
                let _ = writeln!(text, "{:<18} {remedy}", "");
            }
        }
        let word = if self.is_healthy() {
            "healthy"
        } else {
            "unhealthy"
        };
        let _ = writeln!(text, "{word}");
        text
    }
}
