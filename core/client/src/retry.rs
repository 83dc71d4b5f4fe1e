//! When to try again.

use std::time::Duration;

use crate::error::ClientError;

/// How often, and after how long, a request that met a busy or unreachable server is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Most repetitions.
    pub most: u32,
    /// Wait before the first; each next one is twice as long. What the server asks for counts instead.
    pub first_wait: Duration,
    /// Longest wait; a server that asks for a longer one is not asked again.
    pub longest_wait: Duration,
}

impl Retries {
    /// None.
    pub const NEVER: Self = Self {
        most: 0,
        first_wait: Duration::ZERO,
        longest_wait: Duration::ZERO,
    };

    /// Twice, as OpenAI's own clients do.
    pub const TWICE: Self = Self {
        most: 2,
        first_wait: Duration::from_millis(500),
        longest_wait: Duration::from_secs(8),
    };

    /// How long to wait after `error`, having repeated `done` times; `None` to give up.
    #[must_use]
    pub fn wait_after(&self, error: &ClientError, done: u32) -> Option<Duration> {
        if done >= self.most || !error.is_passing() {
            return None;
        }
        if let ClientError::Status {
            retry_after: Some(wait),
            ..
        } = error
        {
            return Some(*wait).filter(|wait| *wait <= self.longest_wait);
        }
        let doubled = self.first_wait.saturating_mul(1 << done.min(16));
        Some(doubled.min(self.longest_wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Fault;

    fn status(status: u16, retry_after: Option<u64>) -> ClientError {
        ClientError::Status {
            status,
            fault: Fault::default(),
            retry_after: retry_after.map(Duration::from_millis),
        }
    }

    #[test]
    fn busy_servers_are_asked_again_and_others_are_not() {
        let millis = |error: &ClientError, done| {
            Retries::TWICE
                .wait_after(error, done)
                .map(|wait| wait.as_millis())
        };
        assert_eq!(millis(&status(503, None), 0), Some(500));
        assert_eq!(millis(&status(503, None), 1), Some(1000));
        assert_eq!(millis(&status(503, None), 2), None);
        assert_eq!(millis(&status(429, Some(70)), 0), Some(70));
        assert_eq!(millis(&status(429, Some(9000)), 0), None, "too long a wait");
        assert_eq!(millis(&status(400, Some(70)), 0), None, "the same again");
        assert_eq!(Retries::NEVER.wait_after(&status(503, None), 0), None);
    }
}
