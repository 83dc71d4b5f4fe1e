//! When to draw.

use std::time::{Duration, Instant};

/// Limits how often is drawn, and draws only what changed.
#[derive(Debug)]
pub(super) struct Frames {
    next: Instant,
    /// Shortest time between two pictures.
    interval: Duration,
    drawn: Option<u64>,
}

impl Frames {
    pub(super) fn new(now: Instant, interval: Duration) -> Self {
        Self {
            next: now,
            interval,
            drawn: None,
        }
    }

    /// When to draw, if what is drawn is not `revision`.
    pub(super) fn due(&self, revision: u64) -> Option<Instant> {
        (self.drawn != Some(revision)).then_some(self.next)
    }

    /// `revision` was drawn at `now`.
    pub(super) fn drawn(&mut self, now: Instant, revision: u64) {
        self.next = now + self.interval;
        self.drawn = Some(revision);
    }

    /// What is on the screen is no longer what was drawn.
    pub(super) fn spoiled(&mut self) {
        self.drawn = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(33);

    #[test]
    fn draws_changes_only_and_not_too_often() {
        let start = Instant::now();
        let mut frames = Frames::new(start, INTERVAL);
        assert_eq!(
            frames.due(0),
            Some(start),
            "the first picture comes at once"
        );
        frames.drawn(start, 0);
        assert_eq!(frames.due(0), None, "nothing changed");
        assert_eq!(frames.due(7), Some(start + INTERVAL));
        frames.drawn(start + INTERVAL, 7);
        frames.spoiled();
        assert_eq!(frames.due(7), Some(start + 2 * INTERVAL));
    }
}
