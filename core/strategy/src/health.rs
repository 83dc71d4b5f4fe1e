//! How a strategy is.

use serde::Serialize;

/// Where a strategy stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It runs nothing.
    #[default]
    Off,
    /// It is being started.
    Starting,
    /// It answers.
    Ready,
    /// It should answer and does not.
    Unhealthy,
}

impl State {
    /// A word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// Where a strategy stands, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Where it stands.
    pub state: State,
    /// Why, or what it runs; a line for people.
    pub why: String,
}

impl Health {
    /// A state and its reason.
    pub fn new(state: State, why: impl Into<String>) -> Self {
        Self {
            state,
            why: why.into(),
        }
    }

    /// Whether it can answer.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state == State::Ready
    }
}
