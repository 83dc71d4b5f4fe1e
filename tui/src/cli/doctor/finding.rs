//! What the doctor found.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be, or simply so.
    Ok,
    /// Something could be better.
    Note,
    /// Something costs speed, memory or a part of the program.
    Warning,
    /// Something does not work.
    Problem,
}

impl Level {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What it belongs to.
    pub(super) area: &'static str,
    /// What was looked at.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) value: String,
    /// How bad that is.
    pub(super) level: Level,
    /// What it means, and what to do.
    pub(super) advice: Option<String>,
}

/// Collects findings of one area.
pub(super) struct Area {
    area: &'static str,
    pub(super) findings: Vec<Finding>,
}

impl Area {
    pub(super) fn new(area: &'static str) -> Self {
        Self {
            area,
            findings: Vec::new(),
        }
    }

    /// Something that is as it should be.
    pub(super) fn ok(&mut self, name: &'static str, value: impl Into<String>) {
        self.push(name, value, Level::Ok, None);
    }

    /// Something to say.
    pub(super) fn say(
        &mut self,
        name: &'static str,
        value: impl Into<String>,
        level: Level,
        advice: impl Into<String>,
    ) {
        self.push(name, value, level, Some(advice.into()));
    }

    /// Something that is as it should be unless there is something to say.
    pub(super) fn judge(
        &mut self,
        name: &'static str,
        value: impl Into<String>,
        said: Option<(Level, String)>,
    ) {
        match said {
            Some((level, advice)) => self.say(name, value, level, advice),
            None => self.ok(name, value),
        }
    }

    fn push(
        &mut self,
        name: &'static str,
        value: impl Into<String>,
        level: Level,
        advice: Option<String>,
    ) {
        self.findings.push(Finding {
            area: self.area,
            name,
            value: value.into(),
            level,
            advice,
        });
    }
}
