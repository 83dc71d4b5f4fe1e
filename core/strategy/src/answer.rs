//! An answer as it is written, whoever writes it.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc::Receiver;
use tritone_engine::{Cancel, Event, GenerateError, Generation};

use crate::ledger::Ledger;

/// The token of [`Event::Text`] where a strategy is told the text only.
pub const UNKNOWN_TOKEN: u32 = u32::MAX;

/// An answer as it is written. Its events are those of the engine: `Prefill`, then `Text`, then one `Finished` or
/// `Failed`. Dropping it gives the answer up.
#[derive(Debug)]
pub struct Answer {
    source: Source,
    cancel: Cancel,
    ledger: Arc<Ledger>,
    ended: bool,
}

#[derive(Debug)]
enum Source {
    /// The engine of this process.
    Engine(Generation),
    /// A task that listens to a server.
    Task(Receiver<Event>),
}

impl Answer {
    /// An answer of the engine.
    pub(crate) fn of_engine(generation: Generation, ledger: Arc<Ledger>) -> Self {
        Self {
            cancel: generation.cancel_handle(),
            source: Source::Engine(generation),
            ledger,
            ended: false,
        }
    }

    /// An answer of a server, as a task hears it.
    pub(crate) fn of_task(events: Receiver<Event>, cancel: Cancel, ledger: Arc<Ledger>) -> Self {
        Self {
            source: Source::Task(events),
            cancel,
            ledger,
            ended: false,
        }
    }

    /// Waits for the next event; `None` after the last.
    pub fn next_event(&mut self) -> Option<Event> {
        if self.ended {
            return None;
        }
        let event = match &mut self.source {
            Source::Engine(generation) => generation.next_event(),
            Source::Task(events) => events.blocking_recv(),
        };
        // Whoever was to say it is gone.
        let event = event.unwrap_or(Event::Failed(GenerateError::Stopped));
        match &event {
            Event::Finished(finished) => {
                self.ended = true;
                self.ledger.finished(finished);
            }
            Event::Failed(GenerateError::Cancelled) => {
                self.ended = true;
                self.ledger.left();
            }
            Event::Failed(_) => {
                self.ended = true;
                self.ledger.failed();
            }
            Event::Prefill { .. } | Event::Text { .. } => {}
        }
        Some(event)
    }

    /// A handle that ends the answer early.
    #[must_use]
    pub fn cancel_handle(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Waits for the end and returns the whole text and the closing event's content; gives up at `deadline`, looking at
    /// the time with every event.
    ///
    /// # Errors
    /// What made the request fail.
    pub fn wait(
        mut self,
        deadline: Option<Instant>,
    ) -> Result<(String, tritone_engine::Finished), GenerateError> {
        let mut text = String::new();
        while let Some(event) = self.next_event() {
            match event {
                Event::Prefill { .. } => {}
                Event::Text { text: more, .. } => text.push_str(&more),
                Event::Finished(finished) => return Ok((text, finished)),
                Event::Failed(error) => return Err(error),
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(GenerateError::Cancelled);
            }
        }
        Err(GenerateError::Stopped)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.cancel.cancel();
        if !self.ended {
            self.ledger.left();
        }
    }
}
