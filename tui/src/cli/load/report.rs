//! What was measured.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::args::LoadArgs;
use super::send::{Fate, Outcome};
use crate::cli::bench::stats::quantile;
use crate::cli::console::visible;
use crate::cli::date::{date, now};

/// Milliseconds at some percentiles.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) count: usize,
    pub(super) mean: f64,
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p95: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
    /// At 0, 5, 10 ... 100 %.
    pub(super) curve: Vec<f64>,
}

impl Spread {
    fn of(times: impl Iterator<Item = Duration>) -> Self {
        let all: Vec<f64> = times.map(|time| time.as_secs_f64() * 1000.0).collect();
        let at = |q| quantile(&all, q).unwrap_or(0.0);
        Self {
            count: all.len(),
            mean: all.iter().sum::<f64>() / all.len().max(1) as f64,
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            max: at(1.0),
            curve: (0..=20).map(|i| at(f64::from(i) / 20.0)).collect(),
        }
    }

    fn row(&self, name: &str) -> String {
        let Self {
            p50,
            p90,
            p95,
            p99,
            max,
            ..
        } = self;
        format!("  {name:22} {p50:9.1} {p90:9.1} {p95:9.1} {p99:9.1} {max:9.1} ms\n")
    }
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Report {
    pub(super) date: String,
    pub(super) url: String,
    pub(super) model: String,
    /// Requests a second, or users.
    pub(super) rate: Option<f64>,
    pub(super) users: Option<usize>,
    pub(super) seconds: f64,
    pub(super) interrupted: bool,
    pub(super) sent: usize,
    pub(super) answered: usize,
    /// Clients that left, as planned.
    pub(super) left: usize,
    /// Refused as busy, by status.
    pub(super) busy: BTreeMap<u16, usize>,
    /// Everything else, by what was said.
    pub(super) failed: BTreeMap<String, usize>,
    pub(super) prompt_tokens: u64,
    pub(super) cached_tokens: u64,
    pub(super) generated_tokens: u64,
    pub(super) tokens_per_s: f64,
    pub(super) requests_per_s: f64,
    /// Answers within both bounds, a second.
    pub(super) goodput_per_s: f64,
    pub(super) first_token_ms: Spread,
    pub(super) inter_token_ms: Spread,
    pub(super) answer_ms: Spread,
}

impl Report {
    pub(super) fn new(
        args: &LoadArgs,
        model: String,
        outcomes: Vec<Outcome>,
        took: Duration,
        interrupted: bool,
    ) -> Self {
        let seconds = took.as_secs_f64().max(1e-9);
        let (mut busy, mut failed) = (BTreeMap::new(), BTreeMap::new());
        let (mut answered, mut left, mut good) = (0, 0, 0_usize);
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        for outcome in &outcomes {
            match &outcome.fate {
                Fate::Answered => {
                    answered += 1;
                    let gaps: Vec<f64> = outcome.gaps.iter().map(|gap| millis(*gap)).collect();
                    let first = outcome.first_token.map_or(f64::INFINITY, millis);
                    let between = quantile(&gaps, 0.95).unwrap_or(0.0);
                    good += usize::from(
                        first <= args.slo_first_token && between <= args.slo_inter_token,
                    );
                }
                Fate::Left => left += 1,
                Fate::Busy(status) => *busy.entry(*status).or_default() += 1,
                Fate::Failed(why) => *failed.entry(visible(why).into_owned()).or_default() += 1,
            }
        }
        let whole = |outcome: &&Outcome| outcome.fate == Fate::Answered;
        let sum = |count: fn(&Outcome) -> u64| outcomes.iter().map(count).sum::<u64>();
        let generated_tokens = sum(|outcome| outcome.tokens);
        Self {
            date: date(now()),
            url: args.url.clone(),
            model,
            rate: args.users.is_none().then_some(args.rate),
            users: args.users,
            seconds,
            interrupted,
            sent: outcomes.len(),
            answered,
            left,
            busy,
            failed,
            prompt_tokens: sum(|outcome| outcome.prompt_tokens),
            cached_tokens: sum(|outcome| outcome.cached_tokens),
            generated_tokens,
            tokens_per_s: generated_tokens as f64 / seconds,
            requests_per_s: answered as f64 / seconds,
            goodput_per_s: good as f64 / seconds,
            first_token_ms: Spread::of(outcomes.iter().filter_map(|outcome| outcome.first_token)),
            inter_token_ms: Spread::of(
                outcomes
                    .iter()
                    .flat_map(|outcome| outcome.gaps.iter().copied()),
            ),
            answer_ms: Spread::of(outcomes.iter().filter(whole).map(|outcome| outcome.took)),
        }
    }

    /// Requests that failed other than by a busy server.
    pub(super) fn faults(&self) -> usize {
        self.failed.values().sum()
    }

    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        let how = match (self.users, self.rate) {
            (Some(1), _) => "1 user".to_owned(),
            (Some(users), _) => format!("{users} users"),
            (None, rate) => format!("{} requests a second", rate.unwrap_or(0.0)),
        };
        let stopped = if self.interrupted {
            ", interrupted"
        } else {
            ""
        };
        let (url, model) = (visible(&self.url), visible(&self.model));
        let _ = writeln!(
            text,
            "{model} at {url}: {how} for {:.1} s{stopped}",
            self.seconds
        );
        let busy: usize = self.busy.values().sum();
        let _ = writeln!(
            text,
            "{} requests: {} answered, {} left as planned, {busy} refused as busy, {} failed",
            self.sent,
            self.answered,
            self.left,
            self.faults()
        );
        for (why, count) in &self.failed {
            let _ = writeln!(text, "  {count} x {why}");
        }
        let _ = writeln!(
            text,
            "{:25}{:>9} {:>9} {:>9} {:>9} {:>9}",
            "", "p50", "p90", "p95", "p99", "longest"
        );
        text += &self.first_token_ms.row("first token");
        text += &self.inter_token_ms.row("between tokens");
        text += &self.answer_ms.row("whole answer");
        let _ = writeln!(
            text,
            "{:.1} tokens a second, {:.2} answers a second, {:.2} of them within the bounds; prompts of {} tokens, {} of them known before",
            self.tokens_per_s,
            self.requests_per_s,
            self.goodput_per_s,
            self.prompt_tokens / (self.answered.max(1) as u64),
            self.cached_tokens / (self.answered.max(1) as u64),
        );
        text
    }
}
