//! The log of this run as the screen shows it: the latest records, in a bounded part of memory.
//!
//! A layer of `tracing` puts every record here; whoever shows them waits on a thread of its own and is
//! handed what is new. Nothing is printed.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Most records that are kept.
pub(crate) const MOST_RECORDS: usize = 5_000;
/// Most bytes of text in them.
pub(crate) const MOST_BYTES: usize = 1 << 20;
/// Most bytes of text of one; the rest is cut off.
const MOST_TEXT: usize = 4096;
/// New records are handed on after this time, all at once.
const GATHER: Duration = Duration::from_millis(100);

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Milliseconds since 1970.
    pub(crate) unix_millis: u64,
    pub(crate) level: Level,
    /// The module that wrote it.
    pub(crate) target: String,
    /// The message and its fields, in a line.
    pub(crate) text: String,
}

impl Record {
    /// Bytes of text in it.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + self.target.len()
    }

    /// The module for people: `loader::registry` of `tritone_loader::registry`.
    pub(crate) fn module(&self) -> &str {
        let own = ["tritone_", "tritone::"];
        let mut short = own.iter().filter_map(|own| self.target.strip_prefix(own));
        short.next().unwrap_or(&self.target)
    }

    /// The time of the day (UTC): `07:30:31.125`.
    pub(crate) fn time(&self) -> String {
        let (seconds, millis) = (self.unix_millis / 1000, self.unix_millis % 1000);
        let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
        format!("{hours:02}:{minutes:02}:{:02}.{millis:03}", seconds % 60)
    }

    /// As a line of a log file.
    pub(crate) fn line(&self) -> String {
        format!(
            "{} {} {}: {}",
            self.time(),
            self.level,
            self.module(),
            self.text
        )
    }
}

/// Records, the oldest of which make room for new ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    records: VecDeque<Arc<Record>>,
    bytes: usize,
    /// Records that had to make room.
    pub(crate) dropped: u64,
}

impl Shelf {
    pub(crate) fn push(&mut self, record: Arc<Record>) {
        self.bytes += record.bytes();
        self.records.push_back(record);
        while self.records.len() > MOST_RECORDS || self.bytes > MOST_BYTES {
            let Some(old) = self.records.pop_front() else {
                break;
            };
            self.bytes -= old.bytes();
            self.dropped += 1;
        }
    }

    /// All of them, the oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Record>> {
        self.records.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }
}

/// What a layer writes to and a watcher reads.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    shelf: Mutex<Shelf>,
    more: Condvar,
}

/// The log of this process.
static RING: Ring = Ring {
    shelf: Mutex::new(Shelf {
        records: VecDeque::new(),
        bytes: 0,
        dropped: 0,
    }),
    more: Condvar::new(),
};

impl Ring {
    fn push(&self, record: Record) {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.push(Arc::new(record));
        drop(shelf);
        self.more.notify_all();
    }

    /// Waits until there are records, and takes them.
    fn take(&self) -> Vec<Arc<Record>> {
        let shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = |shelf: &mut Shelf| shelf.records.is_empty();
        let mut shelf = self
            .more
            .wait_while(shelf, empty)
            .unwrap_or_else(PoisonError::into_inner);
        shelf.bytes = 0;
        shelf.records.drain(..).collect()
    }
}

/// Hands everything that is logged, also before now, to `tell`, on a thread of its own, until that
/// returns `false`. There is one watcher at a time.
pub(crate) fn watch(tell: impl FnMut(Vec<Arc<Record>>) -> bool + Send + 'static) {
    let mut tell = tell;
    // Without the thread there is no log on the screen, and nothing else is missing.
    let _ = thread::Builder::new()
        .name("logs".to_owned())
        .spawn(move || {
            loop {
                let mut batch = RING.take();
                thread::sleep(GATHER);
                if !RING.is_empty() {
                    batch.extend(RING.take());
                }
                if !tell(batch) {
                    break;
                }
            }
        });
}

impl Ring {
    fn is_empty(&self) -> bool {
        let shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.records.is_empty()
    }
}

/// The layer that fills the log of this process.
pub(crate) struct Keeper;

impl<S: Subscriber> Layer<S> for Keeper {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        RING.push(record(event));
    }
}

fn record(event: &Event<'_>) -> Record {
    let mut words = Words::default();
    event.record(&mut words);
    let mut text = words.message;
    text.push_str(&words.fields);
    if text.len() > MOST_TEXT {
        text.truncate(text.floor_char_boundary(MOST_TEXT));
        text.push_str(" ...");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |time| time.as_millis());
    Record {
        unix_millis: u64::try_from(now).unwrap_or(u64::MAX),
        level: *event.metadata().level(),
        target: event.metadata().target().to_owned(),
        text,
    }
}

/// The message of a record, and its fields as `name=value`.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value}"),
            name => write!(self.fields, " {name}={value}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use tracing_subscriber::layer::SubscriberExt as _;

    fn record(text: &str) -> Arc<Record> {
        Arc::new(Record {
            unix_millis: 27_031_125,
            level: Level::INFO,
            target: "tritone_loader::registry".to_owned(),
            text: text.to_owned(),
        })
    }

    #[test]
    fn old_records_make_room() {
        let mut shelf = Shelf::default();
        for number in 0..MOST_RECORDS + 7 {
            shelf.push(record(&number.to_string()));
        }
        assert_eq!((shelf.len(), shelf.dropped), (MOST_RECORDS, 7));
        assert_eq!(shelf.iter().next().unwrap().text, "7");
        let mut shelf = Shelf::default();
        for _ in 0..MOST_BYTES / MOST_TEXT + 100 {
            shelf.push(record(&"x".repeat(MOST_TEXT)));
            assert!(shelf.bytes <= MOST_BYTES);
        }
        assert!(shelf.dropped >= 100);
    }

    #[test]
    fn a_record_is_a_line() {
        assert_eq!(
            record("kernel found name=avx2").line(),
            "07:30:31.125 INFO loader::registry: kernel found name=avx2"
        );
    }

    #[test]
    fn what_is_logged_reaches_the_watcher() {
        let (sender, receiver) = mpsc::channel();
        watch(move |batch| sender.send(batch).is_ok());
        let subscriber = tracing_subscriber::registry().with(Keeper);
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "tritone_test", path = %"a b", count = 3, "it {}", "happened");
            tracing::info!(target: "tritone_test", long = "é".repeat(4000), "long");
        });
        let mut found = Vec::new();
        while found.len() < 2 {
            let batch = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
            found.extend(batch.into_iter().filter(|it| it.target == "tritone_test"));
        }
        assert_eq!(found[0].text, "it happened path=a b count=3");
        assert_eq!(found[0].level, Level::WARN);
        assert!(found[1].text.len() < MOST_TEXT + 8 && found[1].text.ends_with(" ..."));
    }
}
