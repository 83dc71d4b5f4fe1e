//! The search: one setting after the other, each value beside the best so far.

use serde::{Deserialize, Serialize};
use tritone_engine::Model;

use super::args::Quality;
use super::point::{Interval, Measured, Point};
use super::session::Session;

/// Rounds of every value of a setting.
const ROUNDS: usize = 3;
/// Rounds of those that are compared in the end.
const LAST: usize = 5;
/// Share of the time for the search; the rest is for the comparison in the end.
const SEARCH: f64 = 0.7;

/// What counts for a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Counts {
    /// Tokens a second of one answer, or of all together.
    Speed,
    /// Prompt tokens a second.
    Prefill,
}

/// One value of a setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tried {
    pub(super) value: String,
    /// What counts, if it was measured.
    pub(super) speed: Option<Interval>,
    /// Why not, otherwise.
    pub(super) skipped: Option<String>,
}

/// A setting whose values were tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) setting: String,
    pub(super) counts: Counts,
    pub(super) tried: Vec<Tried>,
    /// The value that was taken; empty where the profile's own stays.
    pub(super) taken: String,
    /// Why.
    pub(super) why: String,
}

/// What may be set, and to what.
pub(super) struct Space {
    pub(super) threads: Vec<String>,
    pub(super) kernels: Vec<String>,
    pub(super) heads: Vec<String>,
    pub(super) kv: Vec<String>,
    pub(super) chunks: Vec<String>,
    /// Empty where one conversation counts.
    pub(super) batches: Vec<String>,
}

impl Space {
    /// Everything that is worth trying on `usable` threads.
    pub(super) fn new(
        usable: usize,
        kernels: Vec<String>,
        model: &Model,
        quality: Quality,
        together: bool,
    ) -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let heads: &[&str] = match quality {
            Quality::Exact => &["f16"],
            Quality::Greedy => &["f16", "q4+exact"],
            Quality::Any => &["f16", "q8", "q6", "q4", "q4+exact"],
        };
        let mut heads: Vec<String> = words(heads);
        if model.recipe().ternary_head.is_some() {
            heads.insert(0, "ternary".to_owned());
        }
        Self {
            threads: threads(usable),
            kernels,
            heads,
            kv: match quality {
                Quality::Any => words(&["f16", "q8"]),
                _ => words(&["f16"]),
            },
            chunks: words(&["32", "64", "128", "256", "512"]),
            batches: match together {
                true => words(&["1", "2", "4", "8", "16", "32"]),
                false => Vec::new(),
            },
        }
    }
}

/// Every number of threads up to eight, then doubled ones.
fn threads(usable: usize) -> Vec<String> {
    let few = 1..=usable.min(8);
    let many = std::iter::successors(Some(16), |count| Some(count * 2));
    let many = many.take_while(|count| *count < usable);
    let last = (usable > 8).then_some(usable);
    few.chain(many)
        .chain(last)
        .map(|count| count.to_string())
        .collect()
}

/// Walks through the settings, from `start` on; returns the best point and the steps.
pub(super) fn search(
    session: &mut Session<'_>,
    start: &Point,
    space: &Space,
    together: bool,
) -> anyhow::Result<(Point, Vec<Step>)> {
    let mut best = start.clone();
    let mut steps = Vec::new();
    for (setting, values, counts) in [
        ("threads", &space.threads, Counts::Speed),
        ("kernel", &space.kernels, Counts::Speed),
        ("head", &space.heads, Counts::Speed),
        ("kv_type", &space.kv, Counts::Speed),
        ("prefill_chunk", &space.chunks, Counts::Prefill),
        ("batch", &space.batches, Counts::Speed),
    ] {
        if values.len() < 2 {
            continue;
        }
        let points: Vec<Point> = values
            .iter()
            .map(|value| Point {
                name: format!("{setting} {value}"),
                ..best.with(setting, value)
            })
            .collect();
        let mut all = vec![best.clone()];
        all.extend(points.iter().cloned());
        session.measure(setting, &all, ROUNDS, SEARCH)?;
        let number = |point: &Point| match counts {
            Counts::Speed => session.speed(point, together),
            Counts::Prefill => session
                .known(point)
                .and_then(|one| one.interval(|round| round.prefill)),
        };
        let tried: Vec<Tried> = values
            .iter()
            .zip(&points)
            .map(|(value, point)| Tried {
                value: value.clone(),
                speed: number(point),
                skipped: session.known(point).and_then(|one| one.skipped.clone()),
            })
            .collect();
        let (taken, why) = choose(number(&best), &tried);
        if let Some(at) = taken {
            best = Point {
                name: "best".to_owned(),
                ..points[at].clone()
            };
        }
        steps.push(Step {
            setting: setting.to_owned(),
            counts,
            taken: taken.map_or(String::new(), |at| values[at].clone()),
            tried,
            why,
        });
        if session.cut.is_some() {
            break;
        }
    }
    best.name = "best".to_owned();
    Ok((best, steps))
}

/// Which of the values is taken, and why; `None` where what is set already stays.
fn choose(incumbent: Option<Interval>, tried: &[Tried]) -> (Option<usize>, String) {
    let speeds = tried.iter().enumerate();
    let measured = speeds.filter_map(|(at, one)| one.speed.map(|speed| (at, speed)));
    let best = measured.max_by(|a, b| a.1.median.total_cmp(&b.1.median));
    let Some((at, speed)) = best else {
        return (None, "nothing was measured".to_owned());
    };
    let value = &tried[at].value;
    match incumbent {
        Some(now) if now.median >= speed.median => {
            (None, "what is set already is as fast".to_owned())
        }
        Some(now) if now.overlaps(&speed) => (
            None,
            format!(
                "{value} and what is set cannot be told apart: {:.1} ({:.1} to {:.1}) and {:.1} ({:.1} to {:.1})",
                speed.median, speed.low, speed.high, now.median, now.low, now.high
            ),
        ),
        Some(now) => (
            Some(at),
            format!(
                "{value}: {:.1} against {:.1} tok/s, {:.2} times",
                speed.median,
                now.median,
                speed.median / now.median.max(f64::MIN_POSITIVE)
            ),
        ),
        None => (Some(at), format!("{value}: {:.1} tok/s", speed.median)),
    }
}

/// Measures `points` once more, in turn, and returns them, the fastest first.
pub(super) fn compare(
    session: &mut Session<'_>,
    points: &[Point],
    together: bool,
) -> anyhow::Result<Vec<Measured>> {
    session.again("comparing", points, LAST)?;
    let found = points.iter().filter_map(|point| {
        let one = session.known(point)?;
        // Two points may be the same; each is listed under its own name.
        Some(Measured {
            point: point.clone(),
            ..one.clone()
        })
    });
    let mut found: Vec<Measured> = found.collect();
    let speed = |one: &Measured| one.speed(together).map_or(0.0, |speed| speed.median);
    found.sort_by(|a, b| speed(b).total_cmp(&speed(a)));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(median: f64, spread: f64) -> Option<Interval> {
        Some(Interval {
            median,
            low: median - spread,
            high: median + spread,
        })
    }

    fn tried(value: &str, speed: Option<Interval>) -> Tried {
        Tried {
            value: value.to_owned(),
            speed,
            skipped: None,
        }
    }

    #[test]
    fn what_cannot_be_told_apart_changes_nothing() {
        let values = [tried("1", around(10.0, 1.0)), tried("2", around(19.0, 0.5))];
        let (taken, why) = choose(around(10.0, 1.0), &values);
        assert_eq!(taken, Some(1));
        assert_eq!(why, "2: 19.0 against 10.0 tok/s, 1.90 times");
        let (taken, why) = choose(around(18.0, 0.6), &values);
        assert_eq!(taken, None);
        assert!(why.contains("cannot be told apart"), "{why}");
        assert_eq!(choose(around(20.0, 0.1), &values).0, None);
        let skipped = [tried("1", None)];
        assert_eq!(
            choose(None, &skipped),
            (None, "nothing was measured".to_owned())
        );
    }

    #[test]
    fn threads_are_tried_up_to_what_may_be_used() {
        assert_eq!(threads(2), ["1", "2"]);
        assert_eq!(threads(40)[7..], ["8", "16", "32", "40"]);
        assert_eq!(threads(1), ["1"]);
    }
}
