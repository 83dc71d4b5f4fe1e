//! A way to run the model, and what was measured of it.

use serde::{Deserialize, Serialize};

/// A way to run the model: a profile and settings over it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Point {
    /// What it is called in tables.
    pub(super) name: String,
    /// The profile below.
    pub(super) profile: String,
    /// Settings over it: keys of profiles and their values.
    pub(super) settings: Vec<(String, String)>,
    /// Conversations at once.
    pub(super) batch: usize,
    /// A prompt that was read before is not read again.
    pub(super) reuse: bool,
}

impl Point {
    /// `profile` as it is.
    pub(super) fn of(name: &str, profile: &str, batch: usize) -> Self {
        Self {
            name: name.to_owned(),
            profile: profile.to_owned(),
            settings: Vec::new(),
            batch: batch.max(1),
            reuse: true,
        }
    }

    /// The same with another value of a setting.
    pub(super) fn with(&self, key: &str, value: &str) -> Self {
        let mut point = self.clone();
        if key == "batch" {
            point.batch = value.parse().unwrap_or(point.batch);
            return point;
        }
        point.settings.retain(|(known, _)| known != key);
        point.settings.push((key.to_owned(), value.to_owned()));
        point
    }

    /// What tells it from other points, however it is called.
    pub(super) fn key(&self) -> String {
        let mut settings = self.settings.clone();
        settings.sort();
        let settings: Vec<String> = settings
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        format!(
            "{} {} batch={} reuse={}",
            self.profile,
            settings.join(" "),
            self.batch,
            self.reuse
        )
    }
}

/// What one round showed: as many answers at once as the point has conversations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Round {
    /// Tokens generated a second by each answer after its first token; the mean of all.
    pub(super) decode: f64,
    /// Tokens generated a second by all together, from asking to the last token.
    pub(super) together: f64,
    /// Prompt tokens read a second.
    pub(super) prefill: f64,
    /// From asking to the first token in seconds; the mean.
    pub(super) first_token_s: f64,
    /// The same when a prompt is asked again.
    pub(super) again_s: f64,
    /// Answers a minute.
    pub(super) per_minute: f64,
    /// Resident memory afterwards, in bytes.
    pub(super) resident: u64,
    /// Energy of a generated token in joules, where the machine tells.
    pub(super) joules_per_token: Option<f64>,
}

/// A number that was measured several times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Interval {
    pub(super) median: f64,
    /// The middle half lies between these.
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Interval {
    /// Of some numbers; `None` of none.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |share: f64| {
            let place = share * last as f64;
            // `as` is exact: the place is in the list.
            let (below, part) = (place.floor() as usize, place.fract());
            let above = (below + 1).min(last);
            values[below] * (1.0 - part) + values[above] * part
        };
        Some(Self {
            median: at(0.5),
            low: at(0.25),
            high: at(0.75),
        })
    }

    /// Whether nothing tells the two apart.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

/// What was measured of a point, or why nothing was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) point: Point,
    /// What it came down to: threads, kernel, head, KV cache, chunk.
    pub(super) runs: String,
    /// Bytes that the memory plan has.
    pub(super) planned: u64,
    pub(super) rounds: Vec<Round>,
    /// Why it cannot be run, if so.
    pub(super) skipped: Option<String>,
}

impl Measured {
    /// A number of all rounds.
    pub(super) fn interval(&self, number: impl Fn(&Round) -> f64) -> Option<Interval> {
        Interval::of(self.rounds.iter().map(number))
    }

    /// What counts: one answer's speed, or that of all together.
    pub(super) fn speed(&self, together: bool) -> Option<Interval> {
        self.interval(|round| match together {
            true => round.together,
            false => round.decode,
        })
    }

    /// The most memory that any round saw.
    pub(super) fn resident(&self) -> u64 {
        let rounds = self.rounds.iter().map(|round| round.resident);
        rounds.max().unwrap_or(0)
    }

    /// (tok/s / 10) x (400 / MB).
    pub(super) fn efficiency(&self, together: bool) -> Option<f64> {
        let megabytes = self.resident() as f64 / 1e6;
        let speed = self.speed(together)?.median;
        (megabytes > 0.0).then(|| speed / 10.0 * (400.0 / megabytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_known_by_what_they_set() {
        let point = Point::of("a", "edge", 1);
        let one = point.with("threads", "2").with("kernel", "avx2");
        let other = point.with("kernel", "avx2").with("threads", "2");
        assert_eq!(one.key(), other.key());
        assert_ne!(one.key(), one.with("threads", "1").key());
        assert_eq!(one.with("batch", "4").batch, 4);
    }

    #[test]
    fn intervals_hold_the_middle_half() {
        let interval = Interval::of([5.0, 1.0, 3.0, 2.0, 4.0].into_iter()).unwrap();
        assert_eq!(
            (interval.median, interval.low, interval.high),
            (3.0, 2.0, 4.0)
        );
        assert_eq!(Interval::of(std::iter::empty()), None);
        let far = Interval::of([9.0].into_iter()).unwrap();
        assert!(!interval.overlaps(&far) && interval.overlaps(&interval));
    }
}
