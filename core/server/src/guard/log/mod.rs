//! The record of requests: one JSON object a line, in files of bounded size that only their owner reads.
//!
//! A thread of its own writes them. A request hands its line over and never waits: lines that a slow disk
//! cannot take are dropped and counted, and a full disk costs lines, not answers.

mod entry;
mod files;
mod writer;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use serde::Deserialize;

pub use entry::Entry;

use files::{Disk, Files};
use writer::{Counts, Writer};

/// Lines that wait to be written.
const WAITING: usize = 1024;

/// The log: the table `[server.guard.log]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// The file.
    pub path: PathBuf,
    /// Bytes of a file; then the next is begun.
    #[serde(default = "sixteen_mib")]
    pub max_bytes: u64,
    /// Older files that are kept.
    #[serde(default = "four")]
    pub keep: u32,
    /// Write prompts and answers, too.
    #[serde(default)]
    pub texts: bool,
    /// Bytes of a prompt or an answer in the log.
    #[serde(default = "four_kib")]
    pub text_max: usize,
}

fn sixteen_mib() -> u64 {
    16 << 20
}

fn four() -> u32 {
    4
}

fn four_kib() -> usize {
    4096
}

impl LogConfig {
    /// A log at `path`, without texts.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            max_bytes: sixteen_mib(),
            keep: four(),
            texts: false,
            text_max: four_kib(),
        }
    }
}

enum Task {
    Line(Vec<u8>),
    Reopen,
}

/// What became of the lines of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogCounts {
    /// Lines on disk.
    pub written: u64,
    /// Lines that did not fit into the queue.
    pub dropped: u64,
    /// Lines that the disk did not take.
    pub failed: u64,
}

/// A log that is being written. Dropping it writes what waits.
#[derive(Debug)]
pub struct RequestLog {
    tasks: Mutex<Option<SyncSender<Task>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    counts: Arc<Counts>,
    texts: bool,
    text_max: usize,
}

/// A log that cannot be begun.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the request log {}: {source}", path.display())]
pub struct LogOpenError {
    path: PathBuf,
    source: io::Error,
}

impl RequestLog {
    /// Opens the file and starts the thread.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened: at the start that is a mistake, later it is not.
    pub fn open(config: &LogConfig) -> Result<Self, LogOpenError> {
        let disk = Files::new(config.path.clone(), config.keep);
        Self::start(Box::new(disk), config).map_err(|source| LogOpenError {
            path: config.path.clone(),
            source,
        })
    }

    fn start(disk: Box<dyn Disk>, config: &LogConfig) -> io::Result<Self> {
        let counts = Arc::new(Counts::default());
        let mut writer = Writer::new(disk, config.max_bytes, counts.clone());
        writer.open()?;
        let (tasks, waiting) = sync_channel(WAITING);
        let thread = thread::Builder::new()
            .name("request-log".into())
            .spawn(move || write(&mut writer, &waiting))?;
        Ok(Self {
            tasks: Mutex::new(Some(tasks)),
            thread: Mutex::new(Some(thread)),
            counts,
            texts: config.texts,
            text_max: config.text_max,
        })
    }

    /// Bytes of a prompt or an answer that are wanted, where they are wanted.
    #[must_use]
    pub fn text_room(&self) -> Option<usize> {
        self.texts.then_some(self.text_max)
    }

    /// Hands a line over. Never waits.
    pub fn write(&self, entry: Entry) {
        self.hand_over(Task::Line(entry.line(self.texts, self.text_max)));
    }

    /// Opens the file again, after somebody moved it away.
    pub fn reopen(&self) {
        self.hand_over(Task::Reopen);
    }

    fn hand_over(&self, task: Task) {
        let sender = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let line = matches!(task, Task::Line(_));
        let full = match sender.as_ref().map(|sender| sender.try_send(task)) {
            Some(Ok(())) => false,
            None | Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) => true,
        };
        if line && full {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What became of the lines.
    #[must_use]
    pub fn counts(&self) -> LogCounts {
        LogCounts {
            written: self.counts.written.load(Ordering::Relaxed),
            dropped: self.counts.dropped.load(Ordering::Relaxed),
            failed: self.counts.failed.load(Ordering::Relaxed),
        }
    }

    /// Writes what waits and ends the thread; lines that come later are dropped.
    pub fn close(&self) {
        self.tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // A panic of the writer has been told by its own message.
            let _ = thread.join();
        }
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        self.close();
    }
}

fn write(writer: &mut Writer, waiting: &Receiver<Task>) {
    while let Ok(task) = waiting.recv() {
        match task {
            Task::Line(line) => writer.write(&line),
            Task::Reopen => writer.reopen(),
        }
    }
}

/// The trace id of a `traceparent` header, as W3C writes it.
#[must_use]
pub fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, length| {
        text.len() == length
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let good =
        hex(version, 2) && version != "ff" && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    // Later versions may have more; this one has not.
    let whole = version != "00" || parts.next().is_none();
    let named = |text: &str| text.bytes().any(|byte| byte != b'0');
    (good && whole && named(trace) && named(parent)).then_some(trace)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::channel;

    use super::*;

    fn entry(id: usize) -> Entry {
        Entry {
            request_id: id.to_string(),
            route: "/v1/models",
            status: 200,
            prompt: Some("canary prompt".into()),
            ..Entry::default()
        }
    }

    fn ids(text: &str) -> Vec<String> {
        let line =
            |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["request_id"].clone();
        text.lines()
            .map(|text| line(text).as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn lines_are_on_disk_after_the_end_for_the_owner_only_and_without_texts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/requests.jsonl");
        let log = RequestLog::open(&LogConfig::new(path.clone())).unwrap();
        (0..100).for_each(|id| log.write(entry(id)));
        log.close();
        log.write(entry(100));
        assert_eq!(
            log.counts(),
            LogCounts {
                written: 100,
                dropped: 1,
                failed: 0
            }
        );
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            ids(&text),
            (0..100).map(|id| id.to_string()).collect::<Vec<_>>()
        );
        assert!(!text.contains("canary"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(), 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            drop(RequestLog::open(&LogConfig::new(path.clone())).unwrap());
            assert_eq!(mode(), 0o600);
        }
    }

    #[test]
    fn texts_where_they_are_wanted() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = LogConfig::new(directory.path().join("log"));
        config.texts = true;
        let log = RequestLog::open(&config).unwrap();
        assert_eq!(log.text_room(), Some(4096));
        log.write(entry(1));
        drop(log);
        assert!(
            fs::read_to_string(&config.path)
                .unwrap()
                .contains("canary prompt")
        );
    }

    /// A disk that hangs until it is let go.
    struct Hanging(Receiver<()>);

    impl Disk for Hanging {
        fn open(&mut self) -> io::Result<u64> {
            Ok(0)
        }
        fn append(&mut self, _: &[u8]) -> io::Result<()> {
            let _ = self.0.recv();
            Ok(())
        }
        fn cut(&mut self, _: u64) -> io::Result<()> {
            Ok(())
        }
        fn rotate(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_hangs_costs_lines_and_no_time() {
        let (go, wait) = channel();
        let log =
            RequestLog::start(Box::new(Hanging(wait)), &LogConfig::new("log".into())).unwrap();
        (0..WAITING + 500).for_each(|id| log.write(entry(id)));
        let dropped = log.counts().dropped;
        assert!((499..=500).contains(&dropped), "{dropped}");
        drop(go);
        log.close();
        assert_eq!(log.counts().written + dropped, WAITING as u64 + 500);
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_a_mistake_at_the_start() {
        let directory = tempfile::tempdir().unwrap();
        let error = RequestLog::open(&LogConfig::new(directory.path().to_owned())).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot write the request log"),
            "{error}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_moved_away_is_begun_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let log = RequestLog::open(&LogConfig::new(path.clone())).unwrap();
        fs::rename(&path, directory.path().join("moved")).unwrap();
        log.reopen();
        log.write(entry(7));
        drop(log);
        assert_eq!(ids(&fs::read_to_string(&path).unwrap()), ["7"]);
    }

    #[test]
    fn trace_ids() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(
            trace_id(&format!("00-{trace}-00f067aa0ba902b7-01")),
            Some(trace)
        );
        for wrong in [
            "",
            "00",
            trace,
            "00-4bf9-00f067aa0ba902b7-01",
            &format!("ff-{trace}-00f067aa0ba902b7-01"),
            &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            &format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
        ] {
            assert_eq!(trace_id(wrong), None, "{wrong}");
        }
    }
}
