//! One interval.

use crate::metric::{METRICS, Metric};

/// CPUs whose use is kept; what a machine has beyond these is in the total only.
pub const MAX_CORES: usize = 256;

/// No value is below zero.
const UNKNOWN: f64 = -1.0;

/// What was true of an interval that ended at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// End of the interval, in milliseconds since 1970.
    pub at: u64,
    /// How long it was, in milliseconds. Time that no sample covers is a gap: the program was
    /// stopped, the computer slept, or the clock was set.
    pub span: u64,
    /// [`UNKNOWN`] where nothing is known.
    values: [f64; METRICS],
    /// Use of the allowed CPUs, in whole per cent.
    cores: Vec<u8>,
}

impl Sample {
    /// The interval of `span` milliseconds up to `at`, of which nothing is known yet.
    #[must_use]
    pub fn new(at: u64, span: u64) -> Self {
        Self {
            at,
            span: span.min(at),
            values: [UNKNOWN; METRICS],
            cores: Vec::new(),
        }
    }

    /// The value of `metric`, if it is known.
    #[must_use]
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.values
            .get(metric.index())
            .copied()
            .filter(|value| *value >= 0.0)
    }

    /// Sets `metric`, to a thousandth; what is no finite number, or below zero, is unknown.
    pub fn set(&mut self, metric: Metric, value: f64) {
        let known = value.is_finite() && value >= 0.0;
        if let Some(place) = self.values.get_mut(metric.index()) {
            *place = if known { thousandth(value) } else { UNKNOWN };
        }
    }

    /// Sets `metric` if there is a value.
    pub fn set_known(&mut self, metric: Metric, value: Option<f64>) {
        if let Some(value) = value {
            self.set(metric, value);
        }
    }

    /// Use of the allowed CPUs in per cent, in the order of their numbers.
    #[must_use]
    pub fn cores(&self) -> &[u8] {
        &self.cores
    }

    /// Sets the use of the CPUs in per cent; the first [`MAX_CORES`] are kept.
    pub fn set_cores(&mut self, percent: impl IntoIterator<Item = f64>) {
        // `as` saturates, and makes 0 of NaN.
        self.cores = percent
            .into_iter()
            .take(MAX_CORES)
            .map(|percent| percent.round().clamp(0.0, 100.0) as u8)
            .collect();
        self.cores.shrink_to_fit();
    }

    /// Begin of the interval.
    #[must_use]
    pub fn from(&self) -> u64 {
        self.at.saturating_sub(self.span)
    }

    /// Bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.cores.capacity()
    }

    /// Moves it along the axis.
    pub(crate) fn shift_back(&mut self, by: u64) {
        self.at = self.at.saturating_sub(by);
        self.span = self.span.min(self.at);
    }
}

/// Rounds to a thousandth, where that is finer than the number itself.
fn thousandth(value: f64) -> f64 {
    let rounded = (value * 1000.0).round() / 1000.0;
    if rounded.is_finite() { rounded } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_are_known() {
        let mut sample = Sample::new(10, 1000);
        assert_eq!((sample.from(), sample.span), (0, 10));
        assert_eq!(sample.get(Metric::Cpu), None);
        sample.set(Metric::Cpu, 12.34567);
        assert_eq!(sample.get(Metric::Cpu), Some(12.346));
        for nonsense in [f64::NAN, f64::INFINITY, -1.0] {
            sample.set(Metric::Cpu, nonsense);
            assert_eq!(sample.get(Metric::Cpu), None);
        }
        sample.set(Metric::Resident, f64::MAX);
        assert_eq!(sample.get(Metric::Resident), Some(f64::MAX));
    }

    #[test]
    fn cores_are_whole_per_cents_and_bounded() {
        let mut sample = Sample::new(0, 0);
        sample.set_cores([0.4, 99.6, 250.0, -3.0, f64::NAN]);
        assert_eq!(sample.cores(), [0, 100, 100, 0, 0]);
        sample.set_cores(std::iter::repeat(7.0));
        assert_eq!(sample.cores().len(), MAX_CORES);
    }
}
