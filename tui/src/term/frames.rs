//! When to draw.
//!
//! A picture takes time of a processor, and while an answer is written with all of them, time that
//! is taken from it: every thread of the team waits for the one that had to stand aside. So what
//! moves by itself is drawn less often then, by what a picture was measured to cost; what somebody
//! typed is always drawn at once.

use std::time::{Duration, Instant};

/// Shortest time between two pictures, whoever asks for them: 60 a second.
const QUICKEST: Duration = Duration::from_nanos(1_000_000_000 / 60);

/// A picture may take one part in so many of the time, while the engine needs all processors: 2 %.
const SHARE: u32 = 50;

/// Time between two pictures while the engine needs all processors: at most 10 a second, and at
/// least 5.
const SLOW: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(200));

/// Limits how often is drawn, and draws only what changed.
#[derive(Debug)]
pub(super) struct Frames {
    next: Instant,
    /// When the last picture was drawn.
    last: Option<Instant>,
    /// Shortest time between two pictures that nobody asked for.
    interval: Duration,
    /// What a picture takes, smoothed.
    cost: Duration,
    drawn: Option<u64>,
}

impl Frames {
    pub(super) fn new(now: Instant, interval: Duration) -> Self {
        Self {
            next: now,
            last: None,
            interval,
            cost: Duration::ZERO,
            drawn: None,
        }
    }

    /// When to draw, if what is drawn is not `revision`.
    pub(super) fn due(&self, revision: u64) -> Option<Instant> {
        (self.drawn != Some(revision)).then_some(self.next)
    }

    /// `revision` was drawn from `start` to `end`; `crowded` says that the engine needs every
    /// processor.
    pub(super) fn drawn(&mut self, start: Instant, end: Instant, revision: u64, crowded: bool) {
        let cost = end.saturating_duration_since(start);
        self.cost = match self.last {
            Some(_) => (self.cost * 3 + cost) / 4,
            None => cost,
        };
        let interval = if crowded {
            let (least, most) = SLOW;
            (self.cost * SHARE).clamp(least, most).max(self.interval)
        } else {
            self.interval
        };
        self.next = start + interval;
        self.last = Some(start);
        self.drawn = Some(revision);
    }

    /// Somebody did something and wants to see it.
    pub(super) fn hurry(&mut self, now: Instant) {
        let soon = self.last.map_or(now, |last| last + QUICKEST);
        self.next = self.next.min(soon.max(now));
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

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn draws_changes_only_and_not_too_often() {
        let start = Instant::now();
        let mut frames = Frames::new(start, INTERVAL);
        assert_eq!(
            frames.due(0),
            Some(start),
            "the first picture comes at once"
        );
        frames.drawn(start, start, 0, false);
        assert_eq!(frames.due(0), None, "nothing changed");
        assert_eq!(frames.due(7), Some(start + INTERVAL));
        frames.drawn(start + INTERVAL, start + INTERVAL, 7, false);
        frames.spoiled();
        assert_eq!(frames.due(7), Some(start + 2 * INTERVAL));
    }

    #[test]
    fn while_the_engine_needs_every_processor_a_picture_has_two_per_cent_of_one() {
        let start = Instant::now();
        for (cost, interval) in [(1, 100), (3, 150), (50, 200)] {
            let mut frames = Frames::new(start, INTERVAL);
            frames.drawn(start, start + millis(cost), 0, true);
            assert_eq!(frames.due(1), Some(start + millis(interval)), "{cost} ms");
        }
        // Whoever wants fewer pictures gets fewer.
        let mut frames = Frames::new(start, millis(500));
        frames.drawn(start, start + millis(3), 0, true);
        assert_eq!(frames.due(1), Some(start + millis(500)));
        // One slow picture is no habit.
        let mut frames = Frames::new(start, INTERVAL);
        frames.drawn(start, start + millis(1), 0, true);
        frames.drawn(start, start + millis(9), 1, true);
        assert_eq!(frames.due(2), Some(start + millis(150)));
    }

    #[test]
    fn what_is_typed_is_drawn_at_once_but_not_more_often_than_screens_show() {
        let start = Instant::now();
        let mut frames = Frames::new(start, INTERVAL);
        frames.drawn(start, start + millis(4), 0, true);
        frames.hurry(start + millis(50));
        assert_eq!(frames.due(1), Some(start + millis(50)));
        frames.drawn(start + millis(50), start + millis(54), 1, true);
        frames.hurry(start + millis(55));
        assert_eq!(frames.due(2), Some(start + millis(50) + QUICKEST));
        // It never makes anything later.
        frames.hurry(start + millis(500));
        assert_eq!(frames.due(2), Some(start + millis(50) + QUICKEST));
    }
}
