//! Many samples in one.

use crate::metric::{METRICS, Metric};
use crate::sample::Sample;

/// Least, greatest, sum and number of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) min: f32,
    pub(crate) max: f32,
    /// Weighted by nothing: each sample counts once.
    pub(crate) sum: f64,
    pub(crate) count: u32,
}

impl Spread {
    const NONE: Self = Self {
        min: f32::INFINITY,
        max: f32::NEG_INFINITY,
        sum: 0.0,
        count: 0,
    };

    fn add(&mut self, value: f64) {
        // `as` rounds to the nearest, infinity for what is too large.
        self.min = self.min.min(value as f32);
        self.max = self.max.max(value as f32);
        self.sum += value;
        self.count = self.count.saturating_add(1);
    }

    /// The mean; `None` of nothing.
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }
}

/// The samples whose intervals ended within a stretch of the axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bucket {
    /// Begin of the stretch.
    pub(crate) start: u64,
    /// Begin of the first interval.
    pub(crate) from: u64,
    /// End of the last interval.
    pub(crate) to: u64,
    values: [Spread; METRICS],
}

impl Bucket {
    pub(crate) fn new(start: u64, first: &Sample) -> Self {
        let mut bucket = Self {
            start,
            from: first.from(),
            to: first.at,
            values: [Spread::NONE; METRICS],
        };
        bucket.add(first);
        bucket
    }

    pub(crate) fn add(&mut self, sample: &Sample) {
        self.to = self.to.max(sample.at);
        for &metric in Metric::ALL {
            if let (Some(value), Some(spread)) =
                (sample.get(metric), self.values.get_mut(metric.index()))
            {
                spread.add(value);
            }
        }
    }

    pub(crate) fn get(&self, metric: Metric) -> Spread {
        self.values
            .get(metric.index())
            .copied()
            .unwrap_or(Spread::NONE)
    }

    pub(crate) fn shift_back(&mut self, by: u64) {
        self.start = self.start.saturating_sub(by);
        self.from = self.from.saturating_sub(by);
        self.to = self.to.saturating_sub(by);
    }
}
