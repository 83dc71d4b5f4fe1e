//! Kernels against each other on the loaded model, and what becomes of the result.
//!
//! A race runs real requests on the running engine, kernel by kernel, and says who answers fastest
//! (`run`). The result is kept for this machine and model (`store`), and the automatic choice of a kernel
//! goes by it (`choose`). `table` shows a race, also while it runs.

pub(crate) mod choose;
pub(crate) mod run;
pub(crate) mod store;
pub(crate) mod table;
#[cfg(test)]
mod tests;

use std::time::Duration;

/// How a kernel stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Its turn has not come.
    Waiting,
    /// The weights are packed for it.
    Packing,
    /// It is being measured.
    Running,
    /// It has been measured, and may be once more.
    Measured,
    /// It is measured no more; why.
    Out(String),
}

/// One kernel in a race. Rates are tokens a second of its fastest request so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Name of the kernel.
    pub name: String,
    /// Which build of it.
    pub build_id: String,
    /// The score it gives itself on this machine.
    pub rank: u32,
    /// Packed bits of a weight.
    pub bits: f64,
    /// From a request to its first token, for a prompt of one token.
    pub first: Option<Duration>,
    /// While writing an answer.
    pub decode: Option<f64>,
    /// While reading a prompt.
    pub prefill: Option<f64>,
    /// Bytes of weights and head a second while decoding, of the read bandwidth measured beside it.
    pub share_of_read: Option<f64>,
    /// How it stands.
    pub state: State,
}

/// Tokens read and tokens written of the turn that decides a race.
pub(crate) const TURN: f64 = 128.0;

impl Entry {
    /// Seconds to read 128 tokens and write 128: what decides a race. A kernel that decodes fastest may
    /// read a prompt slowly, and an answer needs both.
    #[must_use]
    pub fn turn(&self) -> Option<f64> {
        turn(self.decode?, self.prefill?)
    }
}

/// Seconds of a turn at these rates; `None` when one of them is no rate.
pub(crate) fn turn(decode: f64, prefill: f64) -> Option<f64> {
    let seconds = TURN / decode + TURN / prefill;
    (decode > 0.0 && prefill > 0.0 && seconds.is_finite()).then_some(seconds)
}

/// A turn must be shorter by this part to beat a higher score: a machine that does other things meanwhile
/// is no better judge than that.
pub(crate) const MARGIN: f64 = 0.05;

/// Who wins among kernels with turns and scores: the highest score of those that are as fast as the
/// fastest, give or take [`MARGIN`].
pub(crate) fn first<T>(turns: impl Iterator<Item = (T, f64, u32)>) -> Option<T> {
    let turns: Vec<_> = turns.collect();
    let fastest = turns.iter().map(|turn| turn.1).min_by(f64::total_cmp)?;
    let near = turns
        .into_iter()
        .filter(|turn| turn.1 * (1.0 - MARGIN) <= fastest);
    near.min_by(|a, b| b.2.cmp(&a.2).then(a.1.total_cmp(&b.1)))
        .map(|turn| turn.0)
}

/// How a race stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// The kernels, in the order of their turns.
    pub entries: Vec<Entry>,
    /// It is over.
    pub finished: bool,
    /// It was ended before its time.
    pub cancelled: bool,
}

impl Standing {
    /// The kernel that is ahead: of those within 5 % of the fastest the one with the highest score.
    #[must_use]
    pub fn leader(&self) -> Option<&Entry> {
        let turns = self.entries.iter();
        first(turns.filter_map(|entry| Some((entry, entry.turn()?, entry.rank))))
    }

    /// Whether it went to its end, with every kernel measured or out. Only then does it change anything.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let done = |entry: &Entry| entry.turn().is_some() || matches!(entry.state, State::Out(_));
        self.finished && !self.cancelled && self.entries.iter().all(done)
    }
}
