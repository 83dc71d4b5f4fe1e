//! Which kernel to use when nobody named one.
//!
//! A score is what a kernel's author thinks of a processor; a race is what this machine did with this
//! model. So a race decides, if it measured the kernel with the highest score as it is built now: a
//! faster kernel than any of the measured ones may have come since.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use tritone_abi::Kernel;
use tritone_loader::{Found, Origin, Registry, SelectError};

use super::Standing;
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

    /// Whether there was a race, of another build.
    pub(crate) fn is_outdated(&self) -> bool {
        matches!(self.why, Why::Score { unmeasured, .. } if unmeasured == ANOTHER_BUILD)
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
    /// Which build of which file it is: what a race measured holds for no other.
    pub(crate) build: String,
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
            let kernel = Arc::clone(found.kernel()?);
            Some(Candidate {
                build: build(found, &kernel.facts().build_id, registry),
                kernel,
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

    /// A race with the builds by which its result is found again.
    pub(crate) fn stamped(&self, standing: &Standing) -> Standing {
        let mut standing = standing.clone();
        for entry in &mut standing.entries {
            if let Some(candidate) = self.iter().find(|known| known.name() == entry.name) {
                entry.build_id.clone_from(&candidate.build);
            }
        }
        standing
    }
}

/// The build a kernel announces, and the file it lies in: that of the plugin, or the program for one
/// that is built in. A partial kernel is also what it is laid over.
fn build(found: &Found, announced: &str, registry: &Registry) -> String {
    let mut build = format!("{announced} {}", file(&found.origin));
    let base = found.base.as_deref();
    let base = base.and_then(|name| {
        let mut kernels = registry.kernels().iter();
        kernels.find(|other| other.is_usable() && other.facts.name == name)
    });
    if let Some(base) = base {
        build = format!("{build} over {}", file(&base.origin));
    }
    build
}

/// What changes when a file is built again: its length and the time it was written. Reading all of it
/// would slow the start.
fn file(origin: &Origin) -> String {
    let stamp = |path: &Path| {
        let found = fs::metadata(path).ok()?;
        let written = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(format!("{:x}-{:x}", found.len(), written.as_nanos()))
    };
    let stamp = match origin {
        Origin::BuiltIn => std::env::current_exe().ok().and_then(|path| stamp(&path)),
        Origin::File(path) => stamp(path),
    };
    stamp.unwrap_or_else(|| "unknown".to_owned())
}

impl Candidate {
    fn name(&self) -> &str {
        &self.kernel.facts().name
    }

    /// What a race says of the kernel as it is built now.
    pub(crate) fn speed<'a>(&self, race: &'a Race) -> Option<&'a Speed> {
        let mut speeds = race.kernels.iter();
        speeds.find(|speed| speed.name == self.name() && speed.build_id == self.build)
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
    let turns = measured.iter().enumerate();
    let turns = turns.map(|(at, (turn, candidate, _))| (at, *turn, candidate.rank));
    let Some(at) = super::first(turns) else {
        return by_score(NOT_MEASURED);
    };
    let (_, winner, speed) = measured.remove(at);
    let rate =
        |(_, other, speed): &(f64, &Candidate, &Speed)| (other.name().to_owned(), speed.decode);
    Choice {
        kernel: Arc::clone(&winner.kernel),
        why: Why::Measured {
            decode: speed.decode,
            date: date(speed.unix_time),
            others: measured.iter().map(rate).collect(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_built_again_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plugin.so");
        let origin = Origin::File(path.clone());
        assert_eq!(file(&origin), "unknown");
        fs::write(&path, "one").unwrap();
        let first = file(&origin);
        assert_eq!(file(&origin), first);
        let later =
            fs::metadata(&path).unwrap().modified().unwrap() + std::time::Duration::from_secs(1);
        let open = fs::File::options().append(true).open(&path).unwrap();
        open.set_modified(later).unwrap();
        let second = file(&origin);
        assert_ne!(second, first);
        fs::write(&path, "three").unwrap();
        open.set_modified(later).unwrap();
        assert_ne!(file(&origin), second);
        assert_ne!(file(&Origin::BuiltIn), "unknown");
    }

    #[test]
    fn built_in_kernels_are_known_by_the_program() {
        let registry = crate::cli::setup::registry(&Default::default());
        let candidates = Candidates::new(&registry).unwrap();
        let program = file(&Origin::BuiltIn);
        for candidate in candidates.iter() {
            // One that is laid over another is also what that is.
            let announced = &candidate.kernel.facts().build_id;
            let expected = format!("{announced} {program}");
            let over = format!("{expected} over {program}");
            assert!(
                [expected, over].contains(&candidate.build),
                "{}",
                candidate.build
            );
        }
    }
}
