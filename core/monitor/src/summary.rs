//! Hours in a table.

use crate::history::{History, Point};
use crate::metric::Metric;
use crate::sample::Sample;

/// One metric over a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Which.
    pub metric: Metric,
    /// Mean of the samples in which it is known.
    pub mean: f64,
    /// The least of them.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Half of them are at most this.
    pub p50: f64,
    /// 95 of 100 are at most this.
    pub p95: f64,
    /// 99 of 100 are at most this.
    pub p99: f64,
    /// All of them together, of metrics that add up.
    pub total: Option<f64>,
}

/// What a while was like.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Begin of the first interval, in milliseconds since 1970.
    pub from: u64,
    /// End of the last.
    pub to: u64,
    /// Time that samples cover, in milliseconds.
    pub covered: u64,
    /// Samples.
    pub samples: u64,
    /// Percentiles are those of means over stretches up to this long, in milliseconds; least and
    /// greatest values are exact.
    pub resolution: u64,
    /// Metrics that were known at some time.
    pub lines: Vec<Line>,
}

impl Summary {
    /// The line of `metric`, if it was known at some time.
    #[must_use]
    pub fn line(&self, metric: Metric) -> Option<&Line> {
        self.lines.iter().find(|line| line.metric == metric)
    }
}

/// The values of a metric, as they come.
#[derive(Clone, Debug, Default)]
struct Values {
    /// Values, and how many samples each stands for.
    weighted: Vec<(f64, u32)>,
    min: Option<f64>,
    max: Option<f64>,
    total: f64,
}

impl Values {
    fn add(&mut self, point: Point, count: u32, total: f64) {
        self.weighted.push((point.mean, count));
        self.min = Some(self.min.map_or(point.min, |min| min.min(point.min)));
        self.max = Some(self.max.map_or(point.max, |max| max.max(point.max)));
        self.total += total;
    }

    fn line(mut self, metric: Metric) -> Option<Line> {
        let (min, max) = (self.min?, self.max?);
        self.weighted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let count: u64 = self.weighted.iter().map(|(_, n)| u64::from(*n)).sum();
        let sum: f64 = self.weighted.iter().map(|(v, n)| v * f64::from(*n)).sum();
        let percentile = |percent| percentile(&self.weighted, count, percent);
        Some(Line {
            metric,
            mean: sum / count as f64,
            min,
            max,
            p50: percentile(50)?,
            p95: percentile(95)?,
            p99: percentile(99)?,
            total: metric.adds_up().then_some(self.total),
        })
    }
}

/// The smallest of the sorted values that `percent` of all are not above (nearest rank).
fn percentile(sorted: &[(f64, u32)], count: u64, percent: u64) -> Option<f64> {
    let rank = (u128::from(count) * u128::from(percent))
        .div_ceil(100)
        .max(1);
    let mut seen = 0_u128;
    for (value, weight) in sorted {
        seen += u128::from(*weight);
        if seen >= rank {
            return Some(*value);
        }
    }
    None
}

/// Gathers samples for a summary.
#[derive(Clone, Debug, Default)]
struct Gather {
    from: Option<u64>,
    to: u64,
    covered: u64,
    samples: u64,
    resolution: u64,
    values: Vec<Values>,
}

impl Gather {
    fn cover(&mut self, from: u64, to: u64, samples: u64) {
        self.from = Some(self.from.map_or(from, |first| first.min(from)));
        self.to = self.to.max(to);
        self.covered = self.covered.saturating_add(to.saturating_sub(from));
        self.samples = self.samples.saturating_add(samples);
    }

    fn add(&mut self, metric: Metric, point: Point, count: u32, total: f64) {
        self.values
            .resize_with(Metric::ALL.len().max(self.values.len()), Values::default);
        if let Some(values) = self.values.get_mut(metric.index()) {
            values.add(point, count, total);
        }
    }

    fn finish(self) -> Option<Summary> {
        Some(Summary {
            from: self.from?,
            to: self.to,
            covered: self.covered,
            samples: self.samples,
            resolution: self.resolution,
            lines: Metric::ALL
                .iter()
                .zip(self.values)
                .filter_map(|(&metric, values)| values.line(metric))
                .collect(),
        })
    }
}

/// Summarises samples; `None` if there are none.
pub fn of_samples<'s>(samples: impl IntoIterator<Item = &'s Sample>) -> Option<Summary> {
    let mut gather = Gather::default();
    for sample in samples {
        gather.cover(sample.from(), sample.at, 1);
        for &metric in Metric::ALL {
            if let Some(value) = sample.get(metric) {
                let point = Point {
                    min: value,
                    mean: value,
                    max: value,
                };
                gather.add(metric, point, 1, value);
            }
        }
    }
    gather.finish()
}

/// Summarises what `history` keeps from `from` on; `None` if there is nothing.
#[must_use]
pub fn of_history(history: &History, from: u64) -> Option<Summary> {
    let mut gather = Gather::default();
    for stretch in history.stretches().filter(|stretch| stretch.to > from) {
        let mut samples = 0;
        for &metric in Metric::ALL {
            if let Some((point, count)) = stretch.source.point(metric) {
                let total = stretch.source.total(metric).unwrap_or(0.0);
                gather.add(metric, point, count, total);
                samples = samples.max(count);
            }
        }
        if samples > 1 {
            let length = stretch.to.saturating_sub(stretch.from);
            gather.resolution = gather.resolution.max(length);
        }
        gather.cover(stretch.from, stretch.to, u64::from(samples));
    }
    gather.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn samples(values: &[f64]) -> Vec<Sample> {
        let sample = |(index, value): (usize, &f64)| {
            let mut sample = Sample::new(1_000_000 + 1000 * (index as u64 + 1), 1000);
            sample.set(Metric::DecodeRate, *value);
            sample.set(Metric::Finished, 1.0);
            sample
        };
        values.iter().enumerate().map(sample).collect()
    }

    #[test]
    fn a_hundred_values() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        let summary = of_samples(&samples(&values)).unwrap();
        assert_eq!((summary.samples, summary.covered), (100, 100_000));
        let line = summary.line(Metric::DecodeRate).unwrap();
        assert_eq!((line.p50, line.p95, line.p99), (50.0, 95.0, 99.0));
        assert_eq!((line.mean, line.min, line.max), (50.5, 1.0, 100.0));
        assert_eq!(line.total, None);
        let finished = summary.line(Metric::Finished).unwrap();
        assert_eq!(finished.total, Some(100.0));
        assert_eq!(summary.line(Metric::Power), None);
    }

    #[test]
    fn nothing_has_no_summary() {
        assert_eq!(of_samples([]), None);
        assert_eq!(of_history(&History::new(), 0), None);
    }

    #[test]
    fn hours_from_buckets_keep_extremes_and_totals() {
        let values: Vec<f64> = (0..20_000).map(|i| f64::from(i % 97)).collect();
        let samples = samples(&values);
        let mut history = History::new();
        for sample in &samples {
            history.push(sample.clone());
        }
        let (exact, kept) = (
            of_samples(&samples).unwrap(),
            of_history(&history, 0).unwrap(),
        );
        let (exact, line) = (
            exact.line(Metric::DecodeRate).unwrap(),
            kept.line(Metric::DecodeRate).unwrap(),
        );
        assert_eq!((line.min, line.max), (exact.min, exact.max));
        assert!((line.mean - exact.mean).abs() < 0.5, "{line:?}");
        assert!(kept.resolution > 9_000 && kept.resolution <= 60_000);
        let total = kept.line(Metric::Finished).unwrap().total.unwrap();
        assert!((total - 20_000.0).abs() <= 70.0, "{total}");
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_a_sort(values in prop::collection::vec(0.0..1e6_f64, 1..200)) {
            let samples = samples(&values);
            let mut sorted: Vec<f64> = samples
                .iter()
                .filter_map(|sample| sample.get(Metric::DecodeRate))
                .collect();
            sorted.sort_by(f64::total_cmp);
            let rank = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
            let line = *of_samples(&samples).unwrap().line(Metric::DecodeRate).unwrap();
            prop_assert_eq!((line.p50, line.p95, line.p99), (rank(50), rank(95), rank(99)));
            let mut history = History::new();
            for sample in &samples {
                history.push(sample.clone());
            }
            let kept = of_history(&history, 0).unwrap();
            prop_assert_eq!(kept.line(Metric::DecodeRate), Some(&line));
        }
    }
}
