//! What was measured of a strategy's answers.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tritone_engine::{FinishReason, Finished, Timings};

/// Answers whose times are remembered: the last ones.
const REMEMBERED: usize = 64;

/// What was measured of a strategy's answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Performance {
    /// Answers that were completed.
    pub answers: u64,
    /// Answers that failed.
    pub failed: u64,
    /// Answers that were given up by who asked.
    pub cancelled: u64,
    /// Tokens generated.
    pub generated_tokens: u64,
    /// From asking to the first token, in seconds: the median of the last answers.
    pub first_token_s: Option<f64>,
    /// Tokens a second after the first: the median of the last answers.
    pub decode_rate: Option<f64>,
    /// Resident memory of what runs the model, in bytes, where it can be known.
    pub resident_bytes: Option<u64>,
}

/// Remembers how answers went.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    answers: u64,
    failed: u64,
    cancelled: u64,
    generated_tokens: u64,
    last: Vec<Timings>,
}

impl Ledger {
    fn with<T>(&self, look: impl FnOnce(&mut Book) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An answer is complete.
    pub(crate) fn finished(&self, finished: &Finished) {
        self.with(|book| {
            book.generated_tokens += finished.timings.generated_tokens as u64;
            if finished.reason == FinishReason::Cancelled {
                book.cancelled += 1;
                return;
            }
            book.answers += 1;
            if book.last.len() == REMEMBERED {
                book.last.remove(0);
            }
            book.last.push(finished.timings);
        });
    }

    /// An answer failed.
    pub(crate) fn failed(&self) {
        self.with(|book| book.failed += 1);
    }

    /// Nobody waits for an answer any more.
    pub(crate) fn left(&self) {
        self.with(|book| book.cancelled += 1);
    }

    /// What was measured so far.
    pub(crate) fn performance(&self, resident_bytes: Option<u64>) -> Performance {
        self.with(|book| {
            let first = |timings: &Timings| timings.first_token;
            let all = book.last.iter();
            Performance {
                answers: book.answers,
                failed: book.failed,
                cancelled: book.cancelled,
                generated_tokens: book.generated_tokens,
                first_token_s: median(all.clone().map(first).map(|time| time.as_secs_f64())),
                decode_rate: median(
                    all.filter(|timings| timings.decode > Duration::ZERO)
                        .map(Timings::decode_rate),
                ),
                resident_bytes,
            }
        })
    }
}

/// The middle of some numbers.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answers_are_remembered() {
        let ledger = Ledger::default();
        for i in 1..=100 {
            ledger.finished(&Finished {
                reason: FinishReason::EndOfTurn,
                timings: Timings {
                    generated_tokens: 11,
                    first_token: Duration::from_secs(i),
                    decode: Duration::from_secs(2),
                    ..Timings::default()
                },
            });
        }
        ledger.failed();
        ledger.left();
        let found = ledger.performance(None);
        assert_eq!((found.answers, found.failed, found.cancelled), (100, 1, 1));
        assert_eq!(found.generated_tokens, 1100);
        // 37 to 100.
        assert_eq!(found.first_token_s, Some(68.5));
        assert_eq!(found.decode_rate, Some(5.0));
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median(std::iter::empty()), None);
    }
}
