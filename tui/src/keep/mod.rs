//! Keeping conversations: a thread that owns the store, so that the screen never waits for the disk.

mod when;
mod writer;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use tritone_profile::process_environment;

pub(crate) use when::ago;

use crate::app::keep::{Keep, Kept, Which};
use crate::cli::paths;
use writer::Writer;

/// How long deleted sessions can be brought back: thirty days, in milliseconds.
pub(crate) const MONTH: u64 = 30 * 24 * 60 * 60 * 1000;

/// How long the end of the program waits for the disk.
const PATIENCE: Duration = Duration::from_secs(3);

/// The file of this user; `None` if nothing says where it is.
pub(crate) fn default_path() -> Option<PathBuf> {
    Some(paths::data(&process_environment)?.join("sessions.db"))
}

/// What keeping begins with.
#[derive(Clone, Debug)]
pub struct Start {
    /// The file.
    pub path: PathBuf,
    /// The session to go on with; `None` for a new one.
    pub open: Option<i64>,
    /// What was named for this start, and comes before what that session was held under.
    pub named: Named,
    /// What the user should know from the start.
    pub notes: Vec<String>,
}

/// What the command line names.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// How tokens are chosen.
    pub sampling: bool,
    /// Most tokens of an answer.
    pub max_tokens: bool,
    /// The system prompt.
    pub system: Option<String>,
}

/// Says what came of it.
pub(crate) type Say = Box<dyn Fn(Kept) + Send>;

/// The thread that keeps. When this is dropped, everything that was said is on disk.
pub(crate) struct Keeper {
    orders: Option<Sender<Keep>>,
    done: Receiver<()>,
}

impl Keeper {
    /// Begins to keep.
    pub(crate) fn start(start: Start, say: Say) -> Self {
        let (orders, received) = channel();
        let (finished, done) = channel();
        let thread = thread::Builder::new().name("keep".to_owned());
        let work = move || {
            let mut writer = Writer::open(&start.path, say, start.named);
            match start.open {
                Some(id) => writer.carry_out(Keep::Open(Which::Id(id))),
                None => writer.hint(),
            }
            writer.work(&received);
            drop(writer);
            let _ = finished.send(());
        };
        // Without a thread nothing is kept; `order` says nothing, as there is nobody to say it.
        let orders = thread.spawn(work).ok().map(|_| orders);
        Self { orders, done }
    }

    /// Has something done.
    pub(crate) fn order(&self, keep: Keep) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(keep);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if self.orders.take().is_some() {
            // A disk that hangs is not waited for.
            let _ = self.done.recv_timeout(PATIENCE);
        }
    }
}

#[cfg(test)]
mod tests;
