//! Notices an engine that stands still while there is work.

use std::time::{Duration, Instant};

/// What was last seen of an engine.
#[derive(Debug)]
pub struct Watchdog {
    steps: u64,
    moved: Instant,
    /// There was work at the last look.
    pending: bool,
    /// Time between two looks that saw it move, smoothed.
    step: Duration,
}

/// An engine may stand still for so long in any case: a large step of a large model takes seconds.
const AT_LEAST: Duration = Duration::from_secs(30);
/// And for so many of its usual steps.
const STEPS: u32 = 20;

impl Watchdog {
    /// Begins to watch.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            steps: 0,
            moved: now,
            pending: false,
            step: Duration::ZERO,
        }
    }

    /// Looks: the engine has done `steps` steps, and `pending` says whether there is work. Whether it is well.
    pub fn look(&mut self, now: Instant, steps: u64, pending: bool) -> bool {
        // An engine that was idle has all its time from when work is first seen.
        let was_pending = std::mem::replace(&mut self.pending, pending);
        let began = pending && !was_pending;
        if steps != self.steps || !pending || began {
            let done = steps.wrapping_sub(self.steps);
            if pending
                && !began
                && let Ok(done @ 1..) = u32::try_from(done)
            {
                let step = now.saturating_duration_since(self.moved) / done;
                self.step = (self.step * 7 + step) / 8;
            }
            self.steps = steps;
            self.moved = now;
            return true;
        }
        now.saturating_duration_since(self.moved) <= AT_LEAST.max(self.step.saturating_mul(STEPS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_with_work_has_to_move() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut dog = Watchdog::new(start);
        assert!(dog.look(at(1000), 0, false), "nothing to do");
        assert!(dog.look(at(1001), 1, true));
        assert!(dog.look(at(1031), 1, true));
        assert!(!dog.look(at(1032), 1, true), "31 s without a step");
        assert!(dog.look(at(1033), 2, true), "it was only slow");
        assert!(dog.look(at(1100), 2, false), "idle again");
        assert!(dog.look(at(1200), 2, true), "work has just come");
        assert!(dog.look(at(1230), 2, true));
        assert!(
            !dog.look(at(1300), 2, true),
            "more than twenty of its steps"
        );
    }

    #[test]
    fn slow_steps_make_it_patient() {
        let start = Instant::now();
        let mut dog = Watchdog::new(start);
        let mut now = start;
        for steps in 1..60 {
            now += Duration::from_secs(5);
            assert!(dog.look(now, steps, true));
        }
        assert!(dog.look(now + Duration::from_secs(90), 59, true));
        assert!(!dog.look(now + Duration::from_secs(110), 59, true));
    }
}
