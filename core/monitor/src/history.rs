//! Twenty-four hours in bounded memory.
//!
//! The newest [`RAW`] samples are kept as they are. Every sample also goes into a bucket of 10 seconds
//! and one of a minute: least, mean and greatest value of every metric. Time that nothing covers is a
//! gap and stays one.

use std::collections::VecDeque;

use crate::bucket::Bucket;
use crate::event::Event;
use crate::metric::Metric;
use crate::record::Record;
use crate::sample::Sample;

/// Samples that are kept as they are: two minutes of ten a second, twenty of one.
const RAW: usize = 1200;
/// Buckets of ten seconds: two hours without gaps.
const TENS: usize = 720;
/// Buckets of a minute: a day.
const MINUTES: usize = 1440;
/// Events, the newest.
const EVENTS: usize = 1024;

const TEN_SECONDS: u64 = 10_000;
const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

/// Values of a stretch of the axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The least.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// The greatest.
    pub max: f64,
}

/// Samples and events of the last 24 hours.
#[derive(Clone, Debug)]
pub struct History {
    raw: VecDeque<Sample>,
    tens: VecDeque<Bucket>,
    minutes: VecDeque<Bucket>,
    events: VecDeque<Event>,
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

/// What one tier says about a stretch of the axis.
pub(crate) struct Stretch<'h> {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) source: Source<'h>,
}

/// Where a stretch comes from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'h> {
    Sample(&'h Sample),
    Bucket(&'h Bucket),
}

impl Source<'_> {
    /// Least, mean and greatest value, and how many there were.
    pub(crate) fn point(self, metric: Metric) -> Option<(Point, u32)> {
        match self {
            Self::Sample(sample) => sample.get(metric).map(|value| {
                let point = Point {
                    min: value,
                    mean: value,
                    max: value,
                };
                (point, 1)
            }),
            Self::Bucket(bucket) => {
                let spread = bucket.get(metric);
                let point = Point {
                    min: f64::from(spread.min),
                    mean: spread.mean()?,
                    max: f64::from(spread.max),
                };
                Some((point, spread.count))
            }
        }
    }

    /// What was counted in it, of metrics that add up.
    pub(crate) fn total(self, metric: Metric) -> Option<f64> {
        match self {
            Self::Sample(sample) => sample.get(metric),
            Self::Bucket(bucket) => {
                let spread = bucket.get(metric);
                (spread.count > 0).then_some(spread.sum)
            }
        }
    }
}

impl History {
    /// The most bytes a history takes: 2.5 MiB.
    pub const MAX_BYTES: usize = 5 << 19;

    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            raw: VecDeque::new(),
            tens: VecDeque::new(),
            minutes: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Takes a sample, the newest.
    ///
    /// If the clock was set back, everything before is moved back by as much, so that the axis goes on.
    pub fn push(&mut self, sample: Sample) {
        if let Some(last) = self.raw.back()
            && sample.at <= last.at
        {
            let by = last.at.saturating_sub(sample.from());
            self.shift_back(by);
        }
        self.forget(sample.at);
        collect(&mut self.tens, TENS, TEN_SECONDS, &sample);
        collect(&mut self.minutes, MINUTES, MINUTE, &sample);
        push(&mut self.raw, RAW, sample);
    }

    /// Takes an event.
    pub fn mark(&mut self, event: Event) {
        push(&mut self.events, EVENTS, event);
    }

    /// The newest sample.
    #[must_use]
    pub fn latest(&self) -> Option<&Sample> {
        self.raw.back()
    }

    /// The sample as it was taken whose interval holds `at`; `None` in a gap and when it is so long ago
    /// that only buckets are left.
    #[must_use]
    pub fn sample_at(&self, at: u64) -> Option<&Sample> {
        let index = self.raw.partition_point(|sample| sample.at < at);
        self.raw.get(index).filter(|sample| sample.from() <= at)
    }

    /// Events, the oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.events.iter()
    }

    /// The samples that are kept as they were taken, the oldest first.
    pub fn samples(&self) -> impl DoubleEndedIterator<Item = &Sample> {
        self.raw.iter()
    }

    /// Begin of the oldest stretch.
    #[must_use]
    pub fn begin(&self) -> Option<u64> {
        self.stretches().next().map(|stretch| stretch.from)
    }

    /// Values of `metric` in `columns` stretches of equal length from `from` to `to`, from the finest
    /// that is kept; `None` in gaps and where nothing is known.
    #[must_use]
    pub fn series(&self, metric: Metric, from: u64, to: u64, columns: usize) -> Vec<Option<Point>> {
        let mut points = vec![None; columns];
        let mut weights = vec![0.0_f64; columns];
        let length = to.saturating_sub(from);
        if columns == 0 || length == 0 {
            return points;
        }
        let column = |at: u64| {
            let part = u128::from(at.saturating_sub(from)) * columns as u128 / u128::from(length);
            usize::try_from(part).unwrap_or(usize::MAX)
        };
        for stretch in self.stretches_in(from, to, length / columns as u64) {
            let Some((point, count)) = stretch.source.point(metric) else {
                continue;
            };
            let first = column(stretch.from);
            let last = column(stretch.to.saturating_sub(1)).max(first);
            for at in first..=last.min(columns - 1) {
                let (Some(sum), Some(weight)) = (points.get_mut(at), weights.get_mut(at)) else {
                    continue;
                };
                merge(sum, weight, point, f64::from(count));
            }
        }
        points
    }

    /// How much of `metric`, which adds up, there was between `from` and `to`.
    #[must_use]
    pub fn total(&self, metric: Metric, from: u64, to: u64) -> f64 {
        self.stretches_in(from, to, 0)
            .filter(|stretch| stretch.to <= to)
            .filter_map(|stretch| stretch.source.total(metric))
            .fold(0.0, |sum, more| sum + more)
    }

    /// What is kept from `from` on as records in order of time: samples as they were taken, before
    /// them means (sums of what adds up) of 10 seconds or a minute, and events.
    #[must_use]
    pub fn records(&self, from: u64) -> Vec<Record> {
        let mut records: Vec<Record> = self
            .stretches()
            .filter(|stretch| stretch.to > from)
            .map(|stretch| Record::Sample(stretch.sample()))
            .collect();
        let events = self.events.iter().filter(|event| event.at >= from);
        records.extend(events.cloned().map(Record::Event));
        records.sort_by_key(Record::at);
        records
    }

    /// Bytes that it takes now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let cores: usize = self
            .raw
            .iter()
            .map(|sample| sample.bytes() - size_of::<Sample>())
            .sum();
        let texts: usize = self
            .events
            .iter()
            .map(|event| event.bytes() - size_of::<Event>())
            .sum();
        self.raw.capacity() * size_of::<Sample>()
            + cores
            + (self.tens.capacity() + self.minutes.capacity()) * size_of::<Bucket>()
            + self.events.capacity() * size_of::<Event>()
            + texts
    }

    /// Everything that is kept, each moment from the finest that still has it, the oldest first.
    pub(crate) fn stretches(&self) -> impl Iterator<Item = Stretch<'_>> {
        self.stretches_in(0, u64::MAX, 0)
    }

    /// The same between `from` and `to`, with nothing finer than it takes for columns of `column`
    /// milliseconds. Finds its way by halves, so a picture of a minute does not cost what one of a day
    /// does.
    fn stretches_in(&self, from: u64, to: u64, column: u64) -> impl Iterator<Item = Stretch<'_>> {
        // Buckets hold everything up to the newest sample.
        let raw_from = match column {
            TEN_SECONDS.. => u64::MAX,
            _ => self.raw.front().map_or(u64::MAX, Sample::from),
        };
        let tens_from = match column {
            MINUTE.. => u64::MAX,
            _ => self.tens.front().map_or(u64::MAX, |bucket| bucket.from),
        };
        let tens_from = tens_from.min(raw_from);
        let buckets = |tier: &'_ VecDeque<Bucket>, end: u64| {
            let first = tier.partition_point(|bucket| bucket.to <= from);
            let last = tier.partition_point(|bucket| bucket.from < to.min(end));
            first..last.max(first)
        };
        let minutes = buckets(&self.minutes, tens_from);
        let tens = match tens_from {
            u64::MAX => 0..0,
            _ => buckets(&self.tens, raw_from),
        };
        let raw = match raw_from {
            u64::MAX => 0..0,
            _ => {
                let first = self.raw.partition_point(|sample| sample.at <= from);
                let last = self.raw.partition_point(|sample| sample.from() < to);
                first..last.max(first)
            }
        };
        let minutes = self.minutes.range(minutes).map(move |b| (b, tens_from));
        let tens = self.tens.range(tens).map(move |b| (b, raw_from));
        let buckets = minutes.chain(tens).map(|(bucket, end)| Stretch {
            from: bucket.from,
            // What the finer tier has of it is told there.
            to: bucket.to.min(end),
            source: Source::Bucket(bucket),
        });
        let samples = self.raw.range(raw).map(|sample| Stretch {
            from: sample.from(),
            to: sample.at,
            source: Source::Sample(sample),
        });
        buckets.chain(samples)
    }

    fn shift_back(&mut self, by: u64) {
        for sample in &mut self.raw {
            sample.shift_back(by);
        }
        for bucket in self.tens.iter_mut().chain(&mut self.minutes) {
            bucket.shift_back(by);
        }
        for event in &mut self.events {
            event.at = event.at.saturating_sub(by);
        }
    }

    /// Drops what is older than a day.
    fn forget(&mut self, now: u64) {
        let from = now.saturating_sub(DAY);
        while self.raw.front().is_some_and(|sample| sample.at < from) {
            self.raw.pop_front();
        }
        for tier in [&mut self.tens, &mut self.minutes] {
            while tier.front().is_some_and(|bucket| bucket.to < from) {
                tier.pop_front();
            }
        }
        while self.events.front().is_some_and(|event| event.at < from) {
            self.events.pop_front();
        }
    }
}

impl Stretch<'_> {
    /// As one sample: means, and sums of what adds up.
    fn sample(&self) -> Sample {
        if let Source::Sample(sample) = self.source {
            return sample.clone();
        }
        let mut sample = Sample::new(self.to, self.to - self.from);
        for &metric in Metric::ALL {
            let value = if metric.adds_up() {
                self.source.total(metric)
            } else {
                self.source.point(metric).map(|(point, _)| point.mean)
            };
            sample.set_known(metric, value);
        }
        sample
    }
}

/// Adds to a ring that never holds, or has room for, more than `most`.
fn push<T>(ring: &mut VecDeque<T>, most: usize, item: T) {
    if ring.len() >= most {
        ring.pop_front();
    } else if ring.len() == ring.capacity() {
        // A deque doubles; this one must not have room for more than it may hold.
        let more = ring.len().max(16).min(most - ring.len());
        ring.reserve_exact(more);
    }
    ring.push_back(item);
}

fn collect(tier: &mut VecDeque<Bucket>, most: usize, width: u64, sample: &Sample) {
    let start = sample.at - sample.at % width;
    match tier.back_mut() {
        // A gap inside a bucket would be covered by it.
        Some(bucket)
            if bucket.start == start && sample.from() <= bucket.to.saturating_add(width / 4) =>
        {
            bucket.add(sample);
        }
        _ => push(tier, most, Bucket::new(start, sample)),
    }
}

fn merge(sum: &mut Option<Point>, weight: &mut f64, point: Point, count: f64) {
    *sum = Some(match sum {
        None => point,
        Some(sum) => Point {
            min: sum.min.min(point.min),
            max: sum.max.max(point.max),
            mean: (sum.mean * *weight + point.mean * count) / (*weight + count),
        },
    });
    *weight += count;
}

#[cfg(test)]
mod tests;
