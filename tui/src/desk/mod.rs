//! Files of the input: what was sent before, texts to attach, system prompts. A thread of its own
//! reads and writes them, in order, so that the screen never waits for the disk.

pub(crate) mod attach;
pub(crate) mod editor;
mod history;
mod paths;
pub(crate) mod prompts;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use tritone_profile::process_environment;

use crate::app::desk::{Ask, Told};
use crate::cli::paths as places;
use history::History;
use prompts::Prompts;

/// How long the end of the program waits for the disk.
const PATIENCE: Duration = Duration::from_secs(3);

/// Says what came of it.
pub(crate) type Say = Box<dyn Fn(Told) + Send>;

/// The thread. When this is dropped, everything that is to be kept is on disk.
pub(crate) struct Desk {
    asks: Option<Sender<Ask>>,
    done: Receiver<()>,
}

impl Desk {
    /// Begins with reading what earlier sessions sent.
    pub(crate) fn start(say: Say) -> Self {
        let (asks, received) = channel();
        let (finished, done) = channel();
        let thread = thread::Builder::new().name("desk".to_owned());
        let work = move || {
            let state = places::state(&process_environment);
            work(
                &History::new(state.map(|place| place.join("history"))),
                &Prompts::of_user(),
                &received,
                &say,
            );
            let _ = finished.send(());
        };
        // Without a thread nothing is read, and there is nobody who could say so.
        let asks = thread.spawn(work).ok().map(|_| asks);
        Self { asks, done }
    }

    /// Has something done.
    pub(crate) fn ask(&self, ask: Ask) {
        if let Some(asks) = &self.asks {
            let _ = asks.send(ask);
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if self.asks.take().is_some() {
            // A disk that hangs is not waited for.
            let _ = self.done.recv_timeout(PATIENCE);
        }
    }
}

fn work(history: &History, prompts: &Prompts, asks: &Receiver<Ask>, say: &Say) {
    match history.read() {
        Ok(earlier) if earlier.is_empty() => {}
        Ok(earlier) => say(Told::History(earlier)),
        Err(why) => say(Told::Trouble(why)),
    }
    // One complaint is enough.
    let mut silent = false;
    while let Ok(ask) = asks.recv() {
        match ask {
            Ask::Remember(draft) => {
                if let Err(why) = history.add(&draft)
                    && !std::mem::replace(&mut silent, true)
                {
                    say(Told::Trouble(why));
                }
            }
            Ask::Attach { path, typed } => say(Told::Attached {
                typed,
                result: attach::read(&path),
            }),
            Ask::Paths(typed) => say(Told::Paths {
                found: paths::beginning(&typed),
                typed,
            }),
            Ask::Prompts => say(Told::Prompts(prompts.list())),
            Ask::LoadPrompt(name) => say(Told::Prompt(prompts.load(&name))),
            Ask::SavePrompt { name, text } => say(Told::Saved(prompts.save(&name, &text))),
        }
    }
}
