//! What tuning found, as tables and JSON.

use std::fmt::Write as _;

use serde::Serialize;
use tritone_engine::human_bytes;

use super::args::{Quality, Scenario};
use super::point::{Interval, Measured};
use super::search::{Counts, Step};
use super::session::Cut;

/// What tuning found.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) version: &'static str,
    pub(super) date: String,
    pub(super) cpu: String,
    pub(super) usable_threads: usize,
    pub(super) memory_bytes: Option<u64>,
    pub(super) model: String,
    pub(super) profile: String,
    pub(super) scenario: Option<Scenario>,
    pub(super) quality: Quality,
    /// All answers together count instead of one.
    pub(super) together: bool,
    pub(super) prompt_tokens: usize,
    pub(super) generate: usize,
    pub(super) seconds: f64,
    /// Rounds that were known from earlier runs.
    pub(super) known_rounds: usize,
    /// Why it ended early, if it did.
    pub(super) cut: Option<Cut>,
    /// The search, setting by setting.
    pub(super) steps: Vec<Step>,
    /// What was compared in the end, the fastest first.
    pub(super) compared: Vec<Measured>,
    /// Everything that was measured.
    pub(super) measured: Vec<Measured>,
    /// The name of the best in `compared`.
    pub(super) best: Option<String>,
    /// What speaks for it, in sentences.
    pub(super) reasons: Vec<String>,
    /// Conversations at once that are advised.
    pub(super) batch: usize,
    /// Advice of the profile.
    pub(super) tips: Vec<String>,
    /// What contexts take in memory at the best point: tokens and bytes.
    pub(super) contexts: Vec<(usize, u64)>,
    /// Why there are no joules, if so.
    pub(super) no_energy: Option<String>,
    /// The profile that was written.
    pub(super) written: Option<String>,
}

impl Report {
    /// The best point.
    pub(super) fn winner(&self) -> Option<&Measured> {
        let name = self.best.as_deref()?;
        self.compared.iter().find(|one| one.point.name == name)
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "{} on {}, {} usable thread{}; {}, profile {}",
            self.model,
            self.cpu,
            self.usable_threads,
            if self.usable_threads == 1 { "" } else { "s" },
            self.date,
            self.profile
        );
        let _ = writeln!(
            out,
            "prompts of {} tokens, answers of {}; {} counts; answers may change: {}",
            self.prompt_tokens,
            self.generate,
            if self.together {
                "the speed of all answers together"
            } else {
                "the speed of one answer"
            },
            match self.quality {
                Quality::Exact => "not at all",
                Quality::Greedy => "not in their likeliest tokens",
                Quality::Any => "a little",
            }
        );
        for step in &self.steps {
            let _ = writeln!(out, "\n{}", step.setting);
            for tried in &step.tried {
                let mark = if tried.value == step.taken { '*' } else { ' ' };
                let what = match (&tried.speed, &tried.skipped) {
                    (Some(speed), _) => rate(speed, step.counts),
                    (None, Some(why)) => why.clone(),
                    (None, None) => "not measured".to_owned(),
                };
                let _ = writeln!(out, "{mark} {:10} {what}", tried.value);
            }
            let _ = writeln!(out, "  {}", step.why);
        }
        let _ = writeln!(
            out,
            "\n  {:12} {:>8} {:>8} {:>9} {:>8} {:>8} {:>8} {:>7} {:>6}",
            "", "tok/s", "together", "prefill", "first", "again", "ans/min", "memory", "score"
        );
        for one in &self.compared {
            let mark = if Some(&one.point.name) == self.best.as_ref() {
                '*'
            } else {
                ' '
            };
            let _ = match &one.skipped {
                Some(why) => writeln!(out, "{mark} {:12} {why}", one.point.name),
                None => writeln!(out, "{mark} {}", row(one, self.together)),
            };
        }
        if let Some((best, others)) = self.reasons.split_first() {
            let _ = writeln!(out, "\n{best}\n{}", others.join("; "));
        }
        if let Some(why) = &self.no_energy {
            let _ = writeln!(out, "\nno joules a token: {why}");
        }
        if !self.tips.is_empty() {
            let _ = writeln!(out, "\nadvised: {} at once", self.batch);
            for tip in &self.tips {
                let _ = writeln!(out, "- {tip}");
            }
        }
        if let Some(cut) = self.cut {
            let _ = writeln!(
                out,
                "\n{}",
                match cut {
                    Cut::Time =>
                        "the time was over before everything was measured; the same command goes on (--minutes gives it more)",
                    Cut::Interrupted => "interrupted; the same command goes on from here",
                }
            );
        }
        if let Some(name) = &self.written {
            let _ = writeln!(
                out,
                "\nprofile {name} is written: `tritone --profile {name}`"
            );
        }
        out
    }
}

fn rate(speed: &Interval, counts: Counts) -> String {
    let what = match counts {
        Counts::Speed => "tok/s",
        Counts::Prefill => "tok/s of prompt",
    };
    format!(
        "{:.1} {what} ({:.1} to {:.1})",
        speed.median, speed.low, speed.high
    )
}

fn row(one: &Measured, together: bool) -> String {
    let median = |number: &dyn Fn(&super::point::Round) -> f64| {
        one.interval(number).map_or(0.0, |interval| interval.median)
    };
    format!(
        "{:12} {:>8.1} {:>8.1} {:>9.1} {:>6.0}ms {:>6.0}ms {:>8.1} {:>7} {:>6.1}  {}{}",
        one.point.name,
        median(&|round| round.decode),
        median(&|round| round.together),
        median(&|round| round.prefill),
        1000.0 * median(&|round| round.first_token_s),
        1000.0 * median(&|round| round.again_s),
        median(&|round| round.per_minute),
        human_bytes(one.resident()),
        one.efficiency(together).unwrap_or(0.0),
        one.runs,
        match one.point.batch {
            1 => String::new(),
            batch => format!(", {batch} at once"),
        }
    )
}
