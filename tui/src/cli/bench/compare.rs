//! Now against earlier.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::report::{Facts, KernelFacts, MachineFacts};
use super::rows::{Document, Row};
use super::stats::Measured;
use crate::cli::console::visible;

/// Medians that lie nearer than this are not told apart, however small the spread: a machine drifts
/// by as much between two runs.
const DRIFT: f64 = 0.02;

/// A report held against an earlier one.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Comparison {
    /// Where the earlier report is, and when it was made.
    pub(super) with: String,
    pub(super) date: String,
    /// What differs and makes the comparison say less, or something else.
    pub(super) differences: Vec<String>,
    pub(super) lines: Vec<Line>,
    /// Numbers that only one of the two has.
    pub(super) only_then: Vec<String>,
    pub(super) only_now: Vec<String>,
}

/// One number, now and then.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) way: String,
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) now: Measured,
    pub(super) then: Measured,
    /// Median now by median then.
    pub(super) ratio: f64,
    /// The smallest and the largest ratio of two samples.
    pub(super) lowest: f64,
    pub(super) highest: f64,
    pub(super) verdict: Verdict,
}

/// What the ratio says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// All samples are better than all earlier ones, and the medians differ by more than 2 %.
    Faster,
    /// The same the other way round.
    Slower,
    /// Neither.
    WithinNoise,
    /// One of the two was measured once: there is no spread to judge by.
    OneSample,
}

impl Verdict {
    fn text(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::WithinNoise => "within noise",
            Self::OneSample => "one sample: no verdict",
        }
    }
}

/// Holds `now` against `then`, which was read from `with`.
pub(super) fn compare<T: Document>(now: &T, then: &T, with: &str) -> Comparison {
    let (new, old) = (now.rows(), then.rows());
    let same = |a: &Row, b: &Row| (&a.way, &a.name) == (&b.way, &b.name);
    let label = |row: &Row| format!("{}: {}", row.way, row.name);
    let missing = |of: &[Row], from: &[Row]| {
        let missing = of
            .iter()
            .filter(|row| !from.iter().any(|other| same(row, other)));
        missing.map(label).collect()
    };
    let pairs = new.iter().filter_map(|row| {
        let other = old.iter().find(|other| same(row, other))?;
        line(row, other)
    });
    Comparison {
        with: with.to_owned(),
        date: then.facts().date.clone(),
        differences: differences(now, then),
        lines: pairs.collect(),
        only_then: missing(&old, &new),
        only_now: missing(&new, &old),
    }
}

/// `None` when one of the two is not a number.
fn line(now: &Row, then: &Row) -> Option<Line> {
    let (
        Measured::Samples {
            median: new,
            min: new_min,
            max: new_max,
            samples: new_samples,
            ..
        },
        Measured::Samples {
            median: old,
            min: old_min,
            max: old_max,
            samples: old_samples,
            ..
        },
    ) = (&now.measured, &then.measured)
    else {
        return None;
    };
    let usable = |x: f64| x.is_finite() && x > 0.0;
    if ![*new, *old, *new_min, *old_min].into_iter().all(usable) {
        return None;
    }
    let ratio = new / old;
    let apart = if ratio > 1.0 {
        new_min > old_max
    } else {
        new_max < old_min
    };
    let verdict = if new_samples.len() < 2 || old_samples.len() < 2 {
        Verdict::OneSample
    } else if !apart || (ratio - 1.0).abs() <= DRIFT {
        Verdict::WithinNoise
    } else if (ratio > 1.0) != now.less_is_better {
        Verdict::Faster
    } else {
        Verdict::Slower
    };
    Some(Line {
        way: now.way.clone(),
        name: now.name.clone(),
        unit: now.unit.to_owned(),
        now: now.measured.clone(),
        then: then.measured.clone(),
        ratio,
        lowest: new_min / old_max,
        highest: new_max / old_min,
        verdict,
    })
}

/// What else differs than the speed.
fn differences<T: Document>(now: &T, then: &T) -> Vec<String> {
    let (new, old) = (now.facts(), then.facts());
    let mut found = machines(&new.machine, &old.machine);
    let mut differ = |what: &str, then: &str, now: &str| {
        if then != now {
            found.push(format!("{what}: {then} then, {now} now"));
        }
    };
    let model = |facts: &Facts| format!("{} ({})", facts.model.name, facts.model.content_id);
    differ("another model", &model(old), &model(new));
    for ((what, now), (_, then)) in now.settings().into_iter().zip(then.settings()) {
        differ(what, &then, &now);
    }
    let pinned = |facts: &Facts| match facts.pinned.is_empty() {
        true => "not pinned",
        false => "pinned",
    };
    differ("threads", pinned(old), pinned(new));
    for kernel in &new.kernels {
        let build = |kernel: &KernelFacts| format!("{} ({})", kernel.version, kernel.build_id);
        if let Some(old) = old.kernels.iter().find(|old| old.name == kernel.name) {
            let what = format!("another build of {}", kernel.name);
            differ(&what, &build(old), &build(kernel));
        }
    }
    found
}

fn machines(now: &MachineFacts, then: &MachineFacts) -> Vec<String> {
    let facts = |machine: &MachineFacts| {
        [
            ("processor", format!("{} ({})", machine.cpu, machine.arch)),
            ("instruction sets", machine.isa.join(" ")),
            (
                "processors",
                format!(
                    "{} cores, {} CPUs",
                    machine.physical_cores, machine.logical_cpus
                ),
            ),
            ("usable threads", machine.usable_threads.to_string()),
            ("caches", machine.caches.join(", ")),
            ("system", machine.os.clone()),
        ]
    };
    let pairs = facts(now).into_iter().zip(facts(then));
    let differing = pairs.filter(|(now, then)| now != then);
    differing
        .map(|((what, now), (_, then))| format!("another machine: {what} {then} then, {now} now"))
        .collect()
}

/// The comparison for people.
pub(super) fn text(comparison: &Comparison) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "\ncompared with {} of {}",
        visible(&comparison.with),
        visible(&comparison.date)
    );
    for difference in &comparison.differences {
        let _ = writeln!(out, "note: {}", visible(difference));
    }
    let mut way = "";
    for line in &comparison.lines {
        if line.way != way {
            way = &line.way;
            let _ = writeln!(
                out,
                "\n{:<32}{:>10}{:>10}{:>8}",
                visible(way),
                "now",
                "then",
                "ratio"
            );
        }
        let median = |measured: &Measured| measured.median().unwrap_or(f64::NAN);
        let _ = writeln!(
            out,
            "  {:<30}{:>10.1}{:>10.1}{:>8.3} ({:.2} to {:.2})  {}",
            visible(&line.name),
            median(&line.now),
            median(&line.then),
            line.ratio,
            line.lowest,
            line.highest,
            line.verdict.text(),
        );
    }
    if comparison.lines.is_empty() {
        out.push_str("nothing was measured in both\n");
    }
    for (when, names) in [
        ("then", &comparison.only_then),
        ("now", &comparison.only_now),
    ] {
        for name in names {
            let _ = writeln!(out, "only {when}: {}", visible(name));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::fixture::report;

    /// The verdict on one number, with samples now and then.
    fn verdict(now: &[f64], then: &[f64], less_is_better: bool) -> Option<Verdict> {
        let row = |samples: &[f64]| Row {
            way: "w".to_owned(),
            name: "n".to_owned(),
            unit: "x",
            less_is_better,
            measured: Measured::new(samples.to_vec()),
        };
        line(&row(now), &row(then)).map(|line| line.verdict)
    }

    #[test]
    fn ranges_that_touch_are_noise() {
        let of = |now: &[f64], then: &[f64]| verdict(now, then, false).unwrap();
        assert_eq!(of(&[11.0, 12.0, 13.0], &[9.0, 10.0, 10.9]), Verdict::Faster);
        assert_eq!(of(&[9.0, 10.0, 10.9], &[11.0, 12.0, 13.0]), Verdict::Slower);
        assert_eq!(
            of(&[10.5, 12.0, 13.0], &[9.0, 10.0, 10.5]),
            Verdict::WithinNoise
        );
        assert_eq!(
            of(&[10.1, 10.1], &[10.0, 10.0]),
            Verdict::WithinNoise,
            "drift"
        );
        assert_eq!(of(&[20.0], &[10.0, 10.0]), Verdict::OneSample);
        let times = |now: &[f64], then: &[f64]| verdict(now, then, true).unwrap();
        assert_eq!(times(&[5.0, 5.0], &[10.0, 10.0]), Verdict::Faster);
        assert_eq!(times(&[10.0, 10.0], &[5.0, 5.0]), Verdict::Slower);
        assert_eq!(verdict(&[], &[1.0], false), None, "not measured");
        assert_eq!(verdict(&[1.0, 1.0], &[0.0, 0.0], false), None, "no ratio");
    }

    #[test]
    fn the_same_report_is_within_noise_of_itself() {
        let report = report();
        let comparison = compare(&report, &report, "x.json");
        assert_eq!(comparison.differences, [""; 0]);
        assert!(comparison.only_now.is_empty() && comparison.only_then.is_empty());
        let measured = report.rows().into_iter();
        let measured = measured.filter(|row| row.measured.median().is_some());
        assert_eq!(comparison.lines.len(), measured.count());
        for line in &comparison.lines {
            assert_eq!((line.ratio, line.verdict), (1.0, Verdict::WithinNoise));
        }
    }

    #[test]
    fn what_differs_is_said() {
        let (now, mut then) = (report(), report());
        then.facts.machine.cpu = "Another One".to_owned();
        then.facts.model.content_id = "0".to_owned();
        then.facts.kernels[0].build_id = "old".to_owned();
        then.facts.pinned = vec![0];
        then.settings.generate = 1;
        for results in &mut then.results {
            results.decode.remove(0);
            for decode in &mut results.decode {
                decode.tokens_per_s = decode.tokens_per_s.scaled(0.5);
            }
        }
        insta::assert_snapshot!(text(&compare(&now, &then, "then\u{1b}.json")));
    }
}
