//! Which kernel to use when nobody named one.
//!
//! A score is what a kernel's author thinks of a processor; a race is what this machine did with this
//! model. So a race decides, if it measured the kernel with the highest score as it is built now: a
//! faster kernel than any of the measured ones may have come since.

use std::sync::Arc;

use tritone_abi::Kernel;
use tritone_loader::{Found, Registry, SelectError};

use super::store::{Race, Speed};
use crate::cli::date::date;

/// A kernel, and why this one.
#[derive(Clone)]
pub(crate) struct Choice {
    pub(crate) kernel: Arc<dyn Kernel>,
    pub(crate) why: Why,
}

/// Why a kernel was chosen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Why {
    /// It was named, there.
    Named(String),
    /// It won a race.
    Measured {
        /// Tokens a second while decoding.
        decode: f64,
        /// Day of the race.
        date: String,
        /// The others, by speed.
        others: Vec<(String, f64)>,
    },
    /// It has the highest score.
    Score {
        rank: u32,
        reason: String,
        /// Why no race decided.
        unmeasured: &'static str,
    },
}

/// No race with this model on this machine.
pub(crate) const NOT_MEASURED: &str = "not measured with this model here";
/// There was a race, without this build.
pub(crate) const ANOTHER_BUILD: &str = "this build was not measured with this model here";

impl Choice {
    /// Why, in a line: `avx2: measured 6.2 tok/s on this machine and model on 2026-11-23; scalar 1.1`.
    pub(crate) fn explanation(&self) -> String {
        let name = &self.kernel.facts().name;
        match &self.why {
            Why::Named(place) => format!("{name}: named by {place}"),
            Why::Measured {
                decode,
                date,
                others,
            } => {
                let mut text = format!(
                    "{name}: measured {decode:.1} tok/s on this machine and model on {date}"
                );
                for (name, decode) in others {
                    text.push_str(&format!("; {name} {decode:.1}"));
                }
                text
            }
            Why::Score {
                rank,
                reason,
                unmeasured,
            } => format!(
                "{name}: highest score, {rank} ({reason}); {unmeasured}, `tritone kernels --race` \
                 does that"
            ),
        }
    }

    /// Whether a race decided.
    pub(crate) fn is_measured(&self) -> bool {
        matches!(self.why, Why::Measured { .. })
    }

    /// Whether nobody named it.
    pub(crate) fn is_automatic(&self) -> bool {
        !matches!(self.why, Why::Named(_))
    }
}

/// A kernel that can be used.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) kernel: Arc<dyn Kernel>,
    pub(crate) rank: u32,
    pub(crate) reason: String,
}

/// The kernels that can be used; there is at least one.
#[derive(Clone)]
pub(crate) struct Candidates {
    /// The one with the highest score.
    pub(crate) best: Candidate,
    /// The others, by score.
    pub(crate) others: Vec<Candidate>,
}

impl Candidates {
    /// The usable kernels of `registry`.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn new(registry: &Registry) -> Result<Self, SelectError> {
        let candidate = |found: &Found| {
            Some(Candidate {
                kernel: Arc::clone(found.kernel()?),
                rank: found.score.rank,
                reason: found.score.reason.clone(),
            })
        };
        let mut all = registry.kernels().iter().filter_map(candidate);
        match all.next() {
            Some(best) => Ok(Self {
                best,
                others: all.collect(),
            }),
            None => Err(registry.best().err().unwrap_or(SelectError::Nothing {
                reasons: Vec::new(),
            })),
        }
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Candidate> {
        std::iter::once(&self.best).chain(&self.others)
    }
}

impl Candidate {
    fn name(&self) -> &str {
        &self.kernel.facts().name
    }

    /// What a race says of the kernel as it is built now.
    pub(crate) fn speed<'a>(&self, race: &'a Race) -> Option<&'a Speed> {
        let facts = self.kernel.facts();
        let mut speeds = race.kernels.iter();
        speeds.find(|speed| speed.name == facts.name && speed.build_id == facts.build_id)
    }
}

/// The best of `candidates` by `race`, or by score.
pub(crate) fn choose(candidates: &Candidates, race: Option<&Race>) -> Choice {
    let first = &candidates.best;
    let by_score = |unmeasured| Choice {
        why: Why::Score {
            rank: first.rank,
            reason: first.reason.clone(),
            unmeasured,
        },
        kernel: Arc::clone(&first.kernel),
    };
    let Some(race) = race else {
        return by_score(NOT_MEASURED);
    };
    let measured = candidates.iter().filter_map(|candidate| {
        let speed = candidate.speed(race)?;
        Some((speed.turn()?, candidate, speed))
    });
    let mut measured: Vec<_> = measured.collect();
    if !measured
        .iter()
        .any(|(_, candidate, _)| std::ptr::eq(*candidate, first))
    {
        return by_score(ANOTHER_BUILD);
    }
    measured.sort_by(|a, b| a.0.total_cmp(&b.0));
    let Some(((_, winner, speed), others)) = measured.split_first() else {
        return by_score(NOT_MEASURED);
    };
    let rate =
        |(_, other, speed): &(f64, &Candidate, &Speed)| (other.name().to_owned(), speed.decode);
    Choice {
        kernel: Arc::clone(&winner.kernel),
        why: Why::Measured {
            decode: speed.decode,
            date: date(speed.unix_time),
            others: others.iter().map(rate).collect(),
        },
    }
}

/// The kernels worth a race that nobody asked for: those that share the layout of `now`, so that nothing
/// is packed again, and have at least half the highest score. Fewer than two are none.
pub(crate) fn plausible(candidates: &Candidates, now: &dyn Kernel) -> Vec<Arc<dyn Kernel>> {
    let highest = candidates
        .iter()
        .map(|candidate| candidate.rank)
        .max()
        .unwrap_or(0);
    let layout = now.facts().layout;
    let near = candidates.iter().filter(|candidate| {
        candidate.rank.saturating_mul(2) >= highest && candidate.kernel.facts().layout == layout
    });
    let kernels: Vec<_> = near
        .map(|candidate| Arc::clone(&candidate.kernel))
        .collect();
    if kernels.len() < 2 {
        Vec::new()
    } else {
        kernels
    }
}
