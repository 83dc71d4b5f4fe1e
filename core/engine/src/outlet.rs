//! Where the events of a request go, and what its answer has to keep to: code of others, on the engine's thread.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::api::{Cancel, Event, Sink};
use crate::constraint::Constraint;
use crate::sample::TokenMask;
use crate::schedule::VectorSink;

/// A sink, until it wants no more.
pub(crate) struct Outlet {
    sink: Option<Sink>,
    cancel: Cancel,
}

impl Outlet {
    /// Sends to `sink`; what it refuses cancels the request.
    pub(crate) fn new(sink: Sink, cancel: Cancel) -> Self {
        Self {
            sink: Some(sink),
            cancel,
        }
    }

    /// Hands `event` over. A sink that panics wants no more.
    pub(crate) fn send(&mut self, event: Event) {
        let Some(sink) = &mut self.sink else {
            return;
        };
        // Nothing of the engine's is in its hands, so nothing can be left half done.
        let wants_more = catch_unwind(AssertUnwindSafe(|| sink(event))).unwrap_or(false);
        if !wants_more {
            self.sink = None;
            self.cancel.cancel();
        }
    }
}

/// Hands `vector` to `sink`, whose panic is its own affair.
pub(crate) fn hand_over(sink: &mut VectorSink, vector: Vec<f32>) {
    let _ = catch_unwind(AssertUnwindSafe(|| sink(vector)));
}

/// The form of an answer, and what it allows next.
pub(crate) struct Form {
    constraint: Box<dyn Constraint>,
    mask: TokenMask,
}

impl Form {
    pub(crate) fn new(constraint: Box<dyn Constraint>, vocab: usize) -> Self {
        let mask = TokenMask::none(vocab);
        Self { constraint, mask }
    }

    /// Works out what may come next; `None` when only the end may. An answer that is too `early` to end
    /// does so all the same when nothing else may come.
    pub(crate) fn next(
        &mut self,
        stops: &[u32],
        early: bool,
    ) -> Result<Option<&TokenMask>, String> {
        let Self { constraint, mask } = self;
        mask.clear();
        let may_end = guarded(|| {
            constraint.allow(mask)?;
            Ok(constraint.may_end())
        })?;
        stops.iter().for_each(|stop| mask.forbid(*stop));
        if mask.is_empty() {
            let stuck = "nothing may come next, and the answer may not end";
            return may_end.then_some(None).ok_or_else(|| stuck.to_owned());
        }
        if may_end && !early {
            stops.iter().for_each(|stop| mask.allow(*stop));
        }
        Ok(Some(mask))
    }

    /// Takes the chosen token.
    pub(crate) fn take(&mut self, token: u32) -> Result<(), String> {
        guarded(|| self.constraint.take(token))
    }
}

/// `work`, whose panic is an error like any other.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("it panicked".to_owned()))
}
