//! Rates over a short moving window.

use std::collections::VecDeque;
use std::time::Duration;

use tritone_engine::LoadProgress;

/// How far back a rate looks.
const WINDOW: Duration = Duration::from_secs(2);

/// A count that grows with time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    samples: VecDeque<(Duration, u64)>,
}

impl Meter {
    /// At time `at` the count was `count`.
    pub(crate) fn record(&mut self, at: Duration, count: u64) {
        self.samples.push_back((at, count));
        // One sample older than the window stays, so that slow counts have a rate, too.
        while self.samples.len() > 2 && self.samples[1].0 + WINDOW < at {
            self.samples.pop_front();
        }
    }

    /// Counts a second within the window; `None` before two moments are known.
    pub(crate) fn rate(&self) -> Option<f64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let time = last.0.checked_sub(first.0).filter(|time| !time.is_zero())?;
        Some(last.1.saturating_sub(first.1) as f64 / time.as_secs_f64())
    }

    /// Time until the count is `total`, at the present rate.
    pub(crate) fn remaining(&self, total: u64) -> Option<Duration> {
        let left = total.saturating_sub(self.samples.back()?.1);
        let rate = self.rate().filter(|rate| *rate > 0.0)?;
        Duration::try_from_secs_f64(left as f64 / rate).ok()
    }
}

/// How far loading has come, and how fast its present stage is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// What was reported last, if anything was.
    pub(crate) last: Option<LoadProgress>,
    /// Bytes of this stage.
    pub(crate) meter: Meter,
}

impl Progress {
    /// At time `at` it has come as far as `new` says.
    pub(crate) fn record(&mut self, at: Duration, new: LoadProgress) {
        if self.last.is_none_or(|old| old.stage != new.stage) {
            self.meter = Meter::default();
        }
        self.meter.record(at, new.done);
        self.last = Some(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_rate_follows_the_last_two_seconds() {
        let mut meter = Meter::default();
        assert_eq!(meter.rate(), None);
        meter.record(Duration::ZERO, 0);
        assert_eq!(meter.rate(), None);
        for tenth in 1..=20 {
            meter.record(SECOND * tenth / 10, u64::from(tenth) * 10);
        }
        assert_eq!(meter.rate(), Some(100.0));
        for tenth in 21..=60 {
            meter.record(SECOND * tenth / 10, 200 + u64::from(tenth - 20));
        }
        let rate = meter.rate().unwrap();
        assert!(
            (rate - 10.0).abs() < 0.1,
            "{rate} still remembers the fast part"
        );
    }

    #[test]
    fn a_slow_count_has_a_rate() {
        let mut meter = Meter::default();
        meter.record(Duration::ZERO, 0);
        meter.record(SECOND * 10, 5);
        assert_eq!(meter.rate(), Some(0.5));
        assert_eq!(meter.remaining(10), Some(SECOND * 10));
    }

    #[test]
    fn nothing_moves_means_no_end_in_sight() {
        let mut meter = Meter::default();
        meter.record(Duration::ZERO, 3);
        meter.record(SECOND, 3);
        assert_eq!((meter.rate(), meter.remaining(10)), (Some(0.0), None));
    }
}
