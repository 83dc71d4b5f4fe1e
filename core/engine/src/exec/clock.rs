//! Where the time of steps goes.
//!
//! Member 0 of the team reads the clock where one kind of work ends; a phase's barrier belongs to the
//! phase. Some ten readings a layer, each of some tens of nanoseconds; nothing of the arithmetic is
//! touched.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::team::Member;
use crate::tally::StepTimes;

/// A kind of work inside a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Ternary products, those of experts included.
    Matmul,
    /// Keys and values into the cache and attention over it; recurrent states.
    Attention,
    /// The output head.
    Head,
    /// Embedding, norms, gates, quantisation, choice of experts.
    Other,
}

/// Time of all steps so far, by kind of work. Written by member 0 alone, read by anybody.
#[derive(Debug)]
pub(crate) struct StepClock {
    start: Instant,
    /// Nanoseconds from `start` to the last border.
    last: AtomicU64,
    /// Nanoseconds of every [`Part`].
    parts: [AtomicU64; 4],
}

impl StepClock {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            last: AtomicU64::new(0),
            parts: Default::default(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A step begins.
    pub(crate) fn begin(&self, m: &Member<'_>) {
        if m.id() == 0 {
            self.last.store(self.now(), Ordering::Relaxed);
        }
    }

    /// What was done since the last border was `part`.
    pub(crate) fn border(&self, m: &Member<'_>, part: Part) {
        if m.id() != 0 {
            return;
        }
        let (now, last) = (self.now(), self.last.load(Ordering::Relaxed));
        let sum = &self.parts[part as usize];
        let before = sum.load(Ordering::Relaxed);
        sum.store(
            before.saturating_add(now.saturating_sub(last)),
            Ordering::Relaxed,
        );
        self.last.store(now, Ordering::Relaxed);
    }

    /// The sums so far.
    pub(crate) fn times(&self) -> StepTimes {
        let of =
            |part: Part| Duration::from_nanos(self.parts[part as usize].load(Ordering::Relaxed));
        StepTimes {
            matmul: of(Part::Matmul),
            attention: of(Part::Attention),
            head: of(Part::Head),
            other: of(Part::Other),
        }
    }
}
