//! The monitor's log on disk.

use tritone_monitor::{Event, EventKind, Log, Record};

use crate::sampler::{Told, Watch, unix_ms};

/// The log, if there is one.
pub(crate) struct Journal(Option<Log>);

impl Journal {
    pub(crate) fn open(watch: &Watch, tell: &dyn Fn(Told) -> bool) -> Self {
        let Some(path) = &watch.log else {
            return Self(None);
        };
        let mut journal = Self(match Log::open(path, Log::MAX_BYTES) {
            Ok(log) => Some(log),
            Err(error) => {
                tell(Told::Notice(format!("{error}; nothing is logged")));
                None
            }
        });
        let text = format!("tritone {}", env!("CARGO_PKG_VERSION"));
        let start = Event::new(unix_ms(), EventKind::Start, &text);
        journal.append(Record::Event(start), tell);
        journal
    }

    /// Says so and stops when it cannot be written any more.
    pub(crate) fn append(&mut self, record: Record, tell: &dyn Fn(Told) -> bool) {
        if let Some(log) = &mut self.0
            && let Err(error) = log.append(&record)
        {
            self.0 = None;
            tell(Told::Notice(format!("{error}; the log ends here")));
        }
    }
}
