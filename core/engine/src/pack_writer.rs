//! Writes packs to files while the engine has nothing else to do.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::api::LoadProgress;
use crate::plan::human_bytes;
use crate::weights::{Unwritten, WriteError};

/// A thread that writes packs. Dropping it stops it; what is not complete then leaves no file.
pub(crate) struct PackWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    done: AtomicU64,
    total: u64,
    stop: AtomicBool,
    notices: Mutex<Vec<String>>,
}

/// Time between two looks at a busy engine, or at a writer that is waited for.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest time that one pack waits for an engine that is always busy.
const PATIENCE: Duration = Duration::from_secs(60);

impl PackWriter {
    /// Begins to write, whenever `busy` says no.
    pub(crate) fn start(
        unwritten: Vec<Unwritten>,
        busy: impl Fn() -> bool + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            done: AtomicU64::new(0),
            total: unwritten.iter().map(Unwritten::bytes).sum(),
            stop: AtomicBool::new(false),
            notices: Mutex::default(),
        });
        let mut thread = None;
        if !unwritten.is_empty() {
            let writer = Arc::clone(&shared);
            let work = move || {
                for pack in unwritten {
                    writer.write(&pack, &busy);
                }
            };
            let name = "tritone-packs".to_owned();
            match thread::Builder::new().name(name).spawn(work) {
                Ok(handle) => thread = Some(handle),
                Err(error) => shared.say(format!("no packed cache was written: {error}")),
            }
        }
        Self { shared, thread }
    }

    /// Waits until all is written and returns what there is to say, once. `progress` is called
    /// meanwhile; when it returns `false`, writing stops.
    pub(crate) fn wait(&self, progress: &mut dyn FnMut(LoadProgress) -> bool) -> Vec<String> {
        let shared = &self.shared;
        while self.thread.as_ref().is_some_and(|t| !t.is_finished()) {
            let go_on = progress(LoadProgress {
                stage: "writing the packed cache",
                done: shared.done.load(Ordering::Relaxed),
                total: shared.total,
            });
            if !go_on {
                shared.stop.store(true, Ordering::Relaxed);
            }
            thread::sleep(PAUSE);
        }
        let mut notices = shared
            .notices
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *notices)
    }
}

impl Drop for PackWriter {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn write(&self, pack: &Unwritten, busy: &dyn Fn() -> bool) {
        let before = self.done.load(Ordering::Relaxed);
        let mut waited = Duration::ZERO;
        let begin = Instant::now();
        let written = pack.write(&mut |done| {
            self.done.store(before + done, Ordering::Relaxed);
            while busy() && waited < PATIENCE && !self.stop.load(Ordering::Relaxed) {
                thread::sleep(PAUSE);
                waited += PAUSE;
            }
            !self.stop.load(Ordering::Relaxed)
        });
        self.done.store(before + pack.bytes(), Ordering::Relaxed);
        match written {
            Ok(path) => {
                let took = begin.elapsed().saturating_sub(waited);
                tracing::info!(path = %path.display(), ?took, "pack written");
                self.say(format!(
                    "wrote the packed cache ({}) to {}; the next start is faster",
                    human_bytes(pack.bytes()),
                    path.display()
                ));
            }
            Err(WriteError::Cancelled) => {}
            Err(WriteError::Failed(why)) => {
                self.say(format!("no packed cache was written: {why}"));
            }
        }
    }

    fn say(&self, text: String) {
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        notices.push(text);
    }
}
