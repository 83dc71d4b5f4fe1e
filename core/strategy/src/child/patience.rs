//! How often, and after how long, a program that ends by itself is started again.

use std::time::Duration;

/// When a program that ends by itself is started again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Wait after the first end; each next one is twice as long.
    pub(super) first: Duration,
    /// Longest wait.
    pub(super) longest: Duration,
    /// It is given up when it has ended so often within `window`.
    pub(super) most: usize,
    pub(super) window: Duration,
}

/// For all servers.
pub(super) const PATIENCE: Patience = Patience {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(30),
    most: 5,
    window: Duration::from_secs(600),
};

impl Patience {
    /// How long to wait when it has ended `ends` times lately; `None` to give it up.
    pub(super) fn wait(&self, ends: usize) -> Option<Duration> {
        if ends >= self.most {
            return None;
        }
        let doublings = u32::try_from(ends.saturating_sub(1)).unwrap_or(16).min(16);
        Some(self.first.saturating_mul(1 << doublings).min(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_then_it_is_given_up() {
        let seconds: Vec<_> = (1..=6)
            .map(|ends| PATIENCE.wait(ends).map(|wait| wait.as_secs()))
            .collect();
        assert_eq!(seconds, [Some(1), Some(2), Some(4), Some(8), None, None]);
        let patient = Patience {
            most: 100,
            ..PATIENCE
        };
        assert_eq!(patient.wait(99), Some(patient.longest));
    }
}
