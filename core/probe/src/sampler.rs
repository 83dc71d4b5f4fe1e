//! The thread that measures.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tritone_monitor::{Event, Record, Sample};

use crate::journal::Journal;
use crate::probe::{Probe, Subject};

/// How what the model and the machine do is measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// Time between two samples; `None` for that of the profile.
    pub interval: Option<Duration>,
    /// File that samples and events are appended to.
    pub log: Option<PathBuf>,
}

/// What a sampler has to tell.
#[derive(Clone, Debug)]
pub enum Told {
    /// What was measured since the last time.
    Sample(Box<Sample>),
    /// Something happened where the measuring is done, and that is elsewhere.
    Event(Event),
    /// Something the user should know.
    Notice(String),
}

/// The thread that measures; it ends with this.
pub struct Sampler {
    events: Option<Sender<Event>>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Begins to measure `subject`, and tells `tell`, which returns `false` when nobody listens any more: then it
    /// ends. If the log cannot be written that is said, and there is none.
    pub fn start(
        subject: impl Subject,
        watch: Watch,
        tell: impl Fn(Told) -> bool + Send + Sync + 'static,
    ) -> Self {
        let (events, heard) = mpsc::channel();
        let tell: Arc<dyn Fn(Told) -> bool + Send + Sync> = Arc::new(tell);
        let failed = Arc::clone(&tell);
        let work = move || {
            let mut log = Journal::open(&watch, &*tell);
            let mut probe = Probe::new(subject, watch.interval);
            let mut due = Instant::now();
            loop {
                let now = Instant::now();
                if now >= due {
                    // Samples that were missed are not made up for.
                    due = now.max(due + probe.interval());
                    for record in probe.look() {
                        log.append(record.clone(), &*tell);
                        let told = match record {
                            Record::Sample(sample) => Told::Sample(Box::new(sample)),
                            Record::Event(event) => Told::Event(event),
                        };
                        if !tell(told) {
                            return;
                        }
                    }
                    continue;
                }
                match heard.recv_timeout(due - now) {
                    Ok(event) => log.append(Record::Event(event), &*tell),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        let thread = thread::Builder::new()
            .name("monitor".to_owned())
            .spawn(work);
        if let Err(error) = &thread {
            let text = format!("nothing is measured: cannot start a thread: {error}");
            failed(Told::Notice(text));
        }
        Self {
            events: Some(events),
            thread: thread.ok(),
        }
    }

    /// Puts an event into the log.
    pub fn record(&self, event: Event) {
        if let Some(events) = &self.events {
            let _ = events.send(event);
        }
    }
}

impl Drop for Sampler {
    /// What happened last is still written.
    fn drop(&mut self) {
        self.events = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Now, in milliseconds since 1970.
#[must_use]
pub fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
