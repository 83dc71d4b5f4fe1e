//! Thresholds, and when crossing one is worth a word.
//!
//! An alert is raised when a value has been beyond its threshold for some samples in a row and some
//! time, and is over when it has been back behind a *second*, easier threshold for some samples in a
//! row. Between the two nothing changes, so a value that trembles around a threshold raises one alert.

use std::collections::VecDeque;
use std::fmt;

use crate::metric::Metric;
use crate::sample::Sample;

/// Samples in a row that raise or end an alert.
const IN_A_ROW: u32 = 3;
/// A computed answer uses all CPUs it may; only what lasts is worth a word.
const CPU_LASTS: u64 = 30_000;
/// What nobody has measured for so long is over.
const STALE: u64 = 5 * 60_000;
/// How far back failed requests are counted.
const ERROR_WINDOW: u64 = 5 * 60_000;
/// Fewer requests than this have no rate of errors.
const LEAST_REQUESTS: f64 = 5.0;
/// Moments with requests that are remembered.
const MAX_MOMENTS: usize = 4096;
/// Share of the memory limit, in per cent, from which on it is an alert, and below which it is over.
const NEAR_LIMIT: (f64, f64) = (90.0, 85.0);

/// Thresholds; those of a profile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Resident memory in bytes; more is an alert.
    pub memory_bytes: u64,
    /// Whether more than 90 % of the memory limit is an alert.
    pub near_limit: bool,
    /// CPU use of the allowed processors in per cent; more is an alert.
    pub cpu_percent: f64,
    /// Tokens a second of an answer; less is an alert, while something is decoded.
    pub min_tokens_per_second: f64,
    /// Failed requests in per cent of the last five minutes'; more is an alert.
    pub error_rate_percent: f64,
    /// Time to the first token in milliseconds; more is an alert.
    pub latency_ms: f64,
}

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertKind {
    /// Resident memory above 90 % of the limit.
    MemoryLimit,
    /// Resident memory above the threshold.
    Memory,
    /// Failed requests above the threshold.
    Errors,
    /// Decode speed below the threshold.
    Speed,
    /// Time to the first token above the threshold.
    Latency,
    /// CPU use above the threshold.
    Cpu,
}

impl AlertKind {
    /// Every kind, the most pressing first.
    pub const ALL: &'static [Self] = &[
        Self::MemoryLimit,
        Self::Memory,
        Self::Errors,
        Self::Speed,
        Self::Latency,
        Self::Cpu,
    ];
}

/// A threshold that is crossed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alert {
    /// What it is about.
    pub kind: AlertKind,
    /// When the value went beyond the threshold, in milliseconds since 1970.
    pub since: u64,
    /// The newest value.
    pub value: f64,
    /// The threshold.
    pub threshold: f64,
    /// Of a CPU alert, what other programs use; `None` where that is not known.
    pub others: Option<f64>,
}

impl Alert {
    /// What it is in a word or two, where there is little room.
    #[must_use]
    pub fn short(&self) -> String {
        let value = self.value;
        match self.kind {
            AlertKind::MemoryLimit => format!("mem {value:.0} %"),
            AlertKind::Memory => format!("mem {:.0} MiB", value / MIB),
            AlertKind::Errors => format!("errors {value:.0} %"),
            AlertKind::Speed => "slow".to_owned(),
            AlertKind::Latency => format!("first {:.0} s", value / 1000.0),
            AlertKind::Cpu if self.is_of_others() => "CPU: others".to_owned(),
            AlertKind::Cpu => format!("CPU {value:.0} %"),
        }
    }

    /// Whether other programs use more of the CPUs than this one.
    #[must_use]
    pub fn is_of_others(&self) -> bool {
        self.others.is_some_and(|others| 2.0 * others > self.value)
    }
}

const MIB: f64 = (1 << 20) as f64;

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, threshold) = (self.value, self.threshold);
        match self.kind {
            AlertKind::MemoryLimit => write!(f, "memory {value:.0} % of the limit"),
            AlertKind::Memory => write!(
                f,
                "memory {:.0} MiB (alert above {:.0})",
                value / MIB,
                threshold / MIB
            ),
            AlertKind::Errors => {
                write!(
                    f,
                    "{value:.0} % of requests failed (alert above {threshold:.0})"
                )
            }
            AlertKind::Speed => write!(f, "{value:.1} tok/s (alert below {threshold})"),
            AlertKind::Latency => write!(
                f,
                "first token after {:.1} s (alert above {:.1})",
                value / 1000.0,
                threshold / 1000.0
            ),
            AlertKind::Cpu => {
                write!(f, "CPU {value:.0} %")?;
                if let Some(others) = self.others {
                    write!(f, ", {others:.0} % other programs")?;
                }
                write!(f, " (alert above {threshold:.0})")
            }
        }
    }
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AlertChange {
    /// It was raised.
    Raised(Alert),
    /// It is over, with the last value there was.
    Over(Alert),
}

/// One threshold being watched.
#[derive(Clone, Copy, Debug, Default)]
struct Watch {
    active: Option<Alert>,
    /// Samples in a row beyond the threshold, or behind the second one if there is an alert.
    row: u32,
    /// When the first of them was.
    since: u64,
    /// When there last was a value.
    heard: u64,
}

/// Beyond which value something is raised, and behind which it is over.
#[derive(Clone, Copy, Debug)]
struct Rule {
    raise: f64,
    over: f64,
    /// Too little is the trouble.
    falls: bool,
    samples: u32,
    lasts: u64,
}

impl Rule {
    fn above(raise: f64, over: f64) -> Self {
        Self {
            raise,
            over,
            falls: false,
            samples: IN_A_ROW,
            lasts: 0,
        }
    }

    fn beyond(self, value: f64) -> bool {
        if self.falls {
            value < self.raise
        } else {
            value > self.raise
        }
    }

    fn behind(self, value: f64) -> bool {
        if self.falls {
            value >= self.over
        } else {
            value <= self.over
        }
    }
}

/// The thresholds, and which of them are crossed.
#[derive(Clone, Debug)]
pub struct Alerts {
    limits: Limits,
    watches: [Watch; 6],
    /// When requests ended: failed ones, and all.
    requests: VecDeque<(u64, f64, f64)>,
}

impl Alerts {
    /// Watches `limits`.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            watches: [Watch::default(); 6],
            requests: VecDeque::new(),
        }
    }

    /// The thresholds.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Other thresholds from now on. What they are not crossed by is over as soon as samples say so.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// What is crossed now, the most pressing first.
    pub fn active(&self) -> impl Iterator<Item = &Alert> {
        self.watches
            .iter()
            .filter_map(|watch| watch.active.as_ref())
    }

    /// Looks at the newest sample and says what changed.
    pub fn look(&mut self, sample: &Sample) -> Vec<AlertChange> {
        let errors = self.error_rate(sample);
        AlertKind::ALL
            .iter()
            .zip(&mut self.watches)
            .filter_map(|(&kind, watch)| {
                let value = match kind {
                    AlertKind::Errors => errors,
                    // An alert that was raised ends as any other.
                    AlertKind::MemoryLimit if !self.limits.near_limit => None,
                    _ => measured(kind, sample),
                };
                let others = others(kind, sample);
                watch.look(kind, rule(kind, &self.limits), (value, others), sample.at)
            })
            .collect()
    }

    /// Failed requests in per cent of those that ended lately.
    fn error_rate(&mut self, sample: &Sample) -> Option<f64> {
        let count = |metric| sample.get(metric).unwrap_or(0.0);
        let failed = count(Metric::Failed);
        let all = failed + count(Metric::Finished) + count(Metric::Cancelled);
        // Moments after now are from before the clock was set.
        self.requests
            .retain(|(at, _, _)| *at <= sample.at && sample.at - at <= ERROR_WINDOW);
        if all > 0.0 {
            if self.requests.len() >= MAX_MOMENTS {
                self.requests.pop_front();
            }
            self.requests.push_back((sample.at, failed, all));
        }
        let failed: f64 = self.requests.iter().map(|(_, failed, _)| failed).sum();
        let all: f64 = self.requests.iter().map(|(_, _, all)| all).sum();
        (all >= LEAST_REQUESTS).then(|| 100.0 * failed / all)
    }
}

fn measured(kind: AlertKind, sample: &Sample) -> Option<f64> {
    let get = |metric| sample.get(metric);
    match kind {
        AlertKind::MemoryLimit => {
            let limit = get(Metric::ResidentLimit).filter(|limit| *limit > 0.0)?;
            Some(100.0 * get(Metric::Resident)? / limit)
        }
        AlertKind::Memory => get(Metric::Resident),
        AlertKind::Errors => None,
        // The speed of one answer: a step serves all sequences, and waits for a prompt beside them.
        AlertKind::Speed => {
            let alone = get(Metric::PrefillTokens).is_none_or(|tokens| tokens == 0.0);
            let rate = get(Metric::DecodeRate).filter(|_| alone)?;
            Some(rate / get(Metric::Active).unwrap_or(1.0).max(1.0))
        }
        AlertKind::Latency => get(Metric::FirstToken),
        AlertKind::Cpu => get(Metric::Cpu),
    }
}

/// What others use of the CPUs.
fn others(kind: AlertKind, sample: &Sample) -> Option<f64> {
    let own = sample.get(Metric::CpuProcess)?;
    let all = sample.get(Metric::Cpu).filter(|_| kind == AlertKind::Cpu)?;
    Some((all - own).max(0.0))
}

fn rule(kind: AlertKind, limits: &Limits) -> Rule {
    match kind {
        AlertKind::MemoryLimit => Rule::above(NEAR_LIMIT.0, NEAR_LIMIT.1),
        AlertKind::Memory => {
            let bytes = limits.memory_bytes as f64;
            Rule::above(bytes, 0.95 * bytes)
        }
        // The window smooths it already.
        AlertKind::Errors => Rule {
            samples: 1,
            ..Rule::above(limits.error_rate_percent, 0.5 * limits.error_rate_percent)
        },
        AlertKind::Speed => Rule {
            falls: true,
            ..Rule::above(
                limits.min_tokens_per_second,
                1.1 * limits.min_tokens_per_second,
            )
        },
        // There is one value an answer.
        AlertKind::Latency => Rule {
            samples: 1,
            ..Rule::above(limits.latency_ms, 0.8 * limits.latency_ms)
        },
        AlertKind::Cpu => Rule {
            lasts: CPU_LASTS,
            ..Rule::above(limits.cpu_percent, 0.9 * limits.cpu_percent)
        },
    }
}

impl Watch {
    fn look(
        &mut self,
        kind: AlertKind,
        rule: Rule,
        (value, others): (Option<f64>, Option<f64>),
        now: u64,
    ) -> Option<AlertChange> {
        let Some(value) = value else {
            let stale = now.saturating_sub(self.heard) > STALE;
            if stale {
                self.row = 0;
            }
            return self.active.take_if(|_| stale).map(AlertChange::Over);
        };
        self.heard = now;
        if let Some(alert) = &mut self.active {
            alert.value = value;
            alert.threshold = rule.raise;
            alert.others = others;
        }
        let counts = match self.active {
            None => rule.beyond(value),
            Some(_) => rule.behind(value),
        };
        if !counts {
            self.row = 0;
            return None;
        }
        if self.row == 0 {
            self.since = now;
        }
        self.row = self.row.saturating_add(1);
        let lasted = now.saturating_sub(self.since) >= rule.lasts;
        match self.active {
            None if self.row >= rule.samples && lasted => {
                let alert = Alert {
                    kind,
                    since: self.since,
                    value,
                    threshold: rule.raise,
                    others,
                };
                self.active = Some(alert);
                self.row = 0;
                Some(AlertChange::Raised(alert))
            }
            Some(alert) if self.row >= rule.samples => {
                self.active = None;
                self.row = 0;
                Some(AlertChange::Over(alert))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
