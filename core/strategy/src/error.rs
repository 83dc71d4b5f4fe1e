//! Why a strategy did not do what it was asked.

use tritone_client::ClientError;
use tritone_engine::GenerateError;

/// What kind of thing went wrong; what is done next depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Something it needs is not here.
    Missing,
    /// Nothing is deployed.
    NotDeployed,
    /// It cannot do that at all.
    Unsupported,
    /// The model is not one it can run.
    Model,
    /// It does not fit into memory.
    Memory,
    /// A port could not be had.
    Port,
    /// It took too long.
    TimedOut,
    /// The program that runs the model ended.
    Crashed,
    /// There is no way to the server.
    Unreachable,
    /// The server refused the request, or said what no such server says.
    Refused,
    /// The server is busy: the same may go well a moment later.
    Busy,
    /// The caller gave it up.
    Cancelled,
    /// Anything else.
    Other,
}

impl Fault {
    /// A word for it, for scripts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::NotDeployed => "not-deployed",
            Self::Unsupported => "unsupported",
            Self::Model => "model",
            Self::Memory => "memory",
            Self::Port => "port",
            Self::TimedOut => "timed-out",
            Self::Crashed => "crashed",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Busy => "busy",
            Self::Cancelled => "cancelled",
            Self::Other => "other",
        }
    }
}

/// Why a strategy did not do what it was asked, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}{remedy}", if remedy.is_empty() { "" } else { "; " })]
pub struct StrategyError {
    /// What kind of thing it is.
    pub fault: Fault,
    /// What happened, for people.
    pub what: String,
    /// What to do; empty where nothing is known.
    pub remedy: String,
}

impl StrategyError {
    /// An error without a remedy.
    pub fn new(fault: Fault, what: impl Into<String>) -> Self {
        Self {
            fault,
            what: what.into(),
            remedy: String::new(),
        }
    }

    /// With what to do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// Nothing is deployed with the strategy `name`.
    pub(crate) fn not_deployed(name: &str) -> Self {
        Self::new(Fault::NotDeployed, format!("{name} runs no model yet"))
            .remedy("deploy one first")
    }

    /// The strategy `name` does not do `what`.
    pub(crate) fn unsupported(name: &str, what: &str) -> Self {
        Self::new(Fault::Unsupported, format!("{name} does not have {what}"))
    }
}

impl From<ClientError> for StrategyError {
    fn from(error: ClientError) -> Self {
        let (fault, remedy) = match &error {
            ClientError::Address(_) => (Fault::Refused, ""),
            ClientError::Connect { .. } => (
                Fault::Unreachable,
                "check that the server runs and that the address is right",
            ),
            ClientError::Timeout { .. } => (
                Fault::TimedOut,
                "the server may be loading a model or be busy: try again, or raise the time-out",
            ),
            ClientError::Broken(_) => (
                Fault::Unreachable,
                "the server may have ended: look at its log, and try again",
            ),
            ClientError::Status { status, .. } => match status {
                401 | 403 => (Fault::Refused, "give the key that the server wants"),
                404 => (
                    Fault::Model,
                    "ask for a model that the server lists at /v1/models",
                ),
                429 | 503 => (Fault::Busy, "try again in a moment"),
                _ => (Fault::Refused, ""),
            },
            ClientError::Stream(_) | ClientError::Protocol(_) => (Fault::Refused, ""),
        };
        Self::new(fault, error.to_string()).remedy(remedy)
    }
}

impl From<GenerateError> for StrategyError {
    fn from(error: GenerateError) -> Self {
        let fault = match &error {
            GenerateError::Cancelled => Fault::Cancelled,
            GenerateError::Stopped => Fault::Crashed,
            _ => Fault::Refused,
        };
        Self::new(fault, error.to_string())
    }
}

impl From<StrategyError> for GenerateError {
    fn from(error: StrategyError) -> Self {
        match error.fault {
            Fault::Cancelled => Self::Cancelled,
            _ => Self::Text(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_follows_what_happened() {
        let error = StrategyError::new(Fault::Port, "port 80 is taken");
        assert_eq!(error.to_string(), "port 80 is taken");
        let error = error.remedy("choose another");
        assert_eq!(error.to_string(), "port 80 is taken; choose another");
        let busy = ClientError::Status {
            status: 503,
            fault: tritone_client::Fault::default(),
            retry_after: None,
        };
        assert_eq!(StrategyError::from(busy).fault, Fault::Busy);
    }
}
