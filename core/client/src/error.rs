//! What can go wrong between a client and a server.

use std::time::Duration;

/// What a server says of a request that it refuses or cannot finish: the `error` object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// For people.
    pub message: String,
    /// The class, such as `invalid_request_error`; empty when there is none.
    pub kind: String,
    /// The field at fault.
    pub param: Option<String>,
    /// A word for programs.
    pub code: Option<String>,
}

/// Why there is no answer, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not the address of a server.
    #[error("{0}")]
    Address(String),
    /// There is no way to the server.
    #[error("no connection to {address}: {source}")]
    Connect {
        /// Server.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The server took too long.
    #[error("{what} took longer than {} s", limit.as_secs_f64())]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// How long.
        limit: Duration,
    },
    /// The server refused.
    #[error("the server answers {status}: {}", fault.message)]
    Status {
        /// Status code.
        status: u16,
        /// What it says.
        fault: Fault,
        /// When to come back, if it says so.
        retry_after: Option<Duration>,
    },
    /// The server gave up in the middle of an answer.
    #[error("the server ends the answer: {}", .0.message)]
    Stream(Fault),
    /// The connection broke.
    #[error("the connection to the server broke: {0}")]
    Broken(String),
    /// The server said what no such server says.
    #[error("the server's answer is not understood: {0}")]
    Protocol(String),
}

impl ClientError {
    /// Whether the same request may go well a moment later: the server was busy, or could not be reached.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Timeout { .. } | Self::Broken(_) => true,
            Self::Status { status, .. } => matches!(status, 408 | 409 | 429 | 500..),
            Self::Address(_) | Self::Stream(_) | Self::Protocol(_) => false,
        }
    }
}
