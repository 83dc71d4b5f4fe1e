//! Writes lines, whatever the disk does.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::files::Disk;

/// What became of the lines.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) written: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) failed: AtomicU64,
}

/// The log's writer: a line is either whole in the file or not at all.
pub(super) struct Writer {
    disk: Box<dyn Disk>,
    max: u64,
    /// Length of the file up to its last whole line; `None` while it is not open.
    length: Option<u64>,
    /// Whether something of a line that failed may be behind that.
    torn: bool,
    /// Lines that were lost since the last one that was written.
    lost: u64,
    counts: Arc<Counts>,
}

impl Writer {
    pub(super) fn new(disk: Box<dyn Disk>, max: u64, counts: Arc<Counts>) -> Self {
        Self {
            disk,
            max,
            length: None,
            torn: false,
            lost: 0,
            counts,
        }
    }

    /// Opens the file, so that what is wrong with it is known at the start.
    pub(super) fn open(&mut self) -> io::Result<()> {
        self.length = None;
        self.length = Some(self.disk.open()?);
        Ok(())
    }

    /// Opens the file again, after somebody moved it away. Where that fails, the next line tries again.
    pub(super) fn reopen(&mut self) {
        if self.mend().is_ok() {
            let _ = self.open();
        }
    }

    /// Writes a line, or counts it as lost. That lines are lost is said once, and once when it is over.
    pub(super) fn write(&mut self, line: &[u8]) {
        match self.try_write(line) {
            Ok(()) => {
                self.counts.written.fetch_add(1, Ordering::Relaxed);
                if self.lost > 0 {
                    tracing::warn!(lost = self.lost, "the request log is written again");
                    self.lost = 0;
                }
            }
            Err(error) => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                if self.lost == 0 {
                    tracing::error!(%error, "the request log cannot be written; requests go on without it");
                }
                self.lost += 1;
            }
        }
    }

    fn try_write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.length.is_none() {
            self.open()?;
        }
        let size = line.len() as u64;
        if self
            .length
            .is_some_and(|length| length > 0 && length + size > self.max)
        {
            // The part of a line must not become the end of an older file.
            self.mend()?;
            self.length = None;
            self.disk.rotate()?;
            self.open()?;
        }
        self.mend()?;
        let written = self.disk.append(line);
        match written {
            Ok(()) => self.length = self.length.map(|length| length + size),
            Err(_) => self.torn = true,
        }
        written
    }

    /// Takes away what is left of a line that failed.
    fn mend(&mut self) -> io::Result<()> {
        if self.torn
            && let Some(length) = self.length
        {
            self.disk.cut(length)?;
            self.torn = false;
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Another try to leave whole lines only; the next start takes the file as it is.
        let _ = self.mend();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::atomic::AtomicUsize;

    use super::super::files::Files;
    use super::*;

    /// A disk on which the `fails`th operation fails, and for a full one all after it until `frees`.
    struct Faulty {
        files: Files,
        calls: Arc<AtomicUsize>,
        fails: std::ops::Range<usize>,
    }

    impl Faulty {
        fn fails(&self) -> bool {
            let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
            self.fails.contains(&call)
        }
    }

    fn full() -> io::Error {
        io::ErrorKind::StorageFull.into()
    }

    impl Disk for Faulty {
        fn open(&mut self) -> io::Result<u64> {
            if self.fails() {
                Err(full())
            } else {
                self.files.open()
            }
        }

        fn append(&mut self, line: &[u8]) -> io::Result<()> {
            if self.fails() {
                // As a full disk does: some of it is written.
                self.files.append(&line[..line.len() / 2])?;
                return Err(full());
            }
            self.files.append(line)
        }

        fn cut(&mut self, length: u64) -> io::Result<()> {
            if self.fails() {
                Err(full())
            } else {
                self.files.cut(length)
            }
        }

        fn rotate(&mut self) -> io::Result<()> {
            if self.fails() {
                Err(full())
            } else {
                self.files.rotate()
            }
        }
    }

    /// All lines of the log, the oldest first; panics at one that is not whole.
    fn lines(path: &Path) -> Vec<u32> {
        let mut all = Vec::new();
        for number in (0..20).rev() {
            let name = if number == 0 {
                "log".to_owned()
            } else {
                format!("log.{number}")
            };
            let Ok(text) = fs::read_to_string(path.with_file_name(name)) else {
                continue;
            };
            assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
            all.extend(text.lines().map(|line| {
                let number = line
                    .strip_prefix("line ")
                    .and_then(|rest| rest.strip_suffix('.'));
                number
                    .unwrap_or_else(|| panic!("torn: {line:?}"))
                    .parse::<u32>()
                    .unwrap()
            }));
        }
        all
    }

    fn run(fails: std::ops::Range<usize>, keep: u32, count: u32) -> (Vec<u32>, usize, u64) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let calls = Arc::new(AtomicUsize::new(0));
        let disk = Faulty {
            files: Files::new(path.clone(), keep),
            calls: calls.clone(),
            fails,
        };
        let counts = Arc::new(Counts::default());
        let mut writer = Writer::new(Box::new(disk), 40, counts.clone());
        for number in 0..count {
            writer.write(format!("line {number:04}.\n").as_bytes());
        }
        drop(writer);
        let calls = calls.load(Ordering::Relaxed);
        (lines(&path), calls, counts.failed.load(Ordering::Relaxed))
    }

    #[test]
    fn whatever_fails_at_whatever_call_only_whole_lines_remain_and_the_rest_follows() {
        let (all, calls, failed) = run(0..0, 10, 12);
        assert_eq!((all, failed), ((0..12).collect(), 0));
        for call in 1..=calls {
            let (lines, _, failed) = run(call..call + 1, 10, 12);
            assert_eq!(lines.len() as u64 + failed, 12, "call {call}");
            assert_eq!(failed, 1, "call {call}");
            assert!(
                lines.is_sorted() && lines.last() >= Some(&10),
                "call {call}: {lines:?}"
            );
        }
    }

    #[test]
    fn a_disk_that_is_full_for_a_while() {
        for (from, to) in [(1, 9), (2, 12), (5, 20), (8, 9), (9, 15)] {
            let (lines, _, failed) = run(from..to, 10, 30);
            assert!(failed > 0, "{from}..{to}");
            assert_eq!(lines.len() as u64 + failed, 30, "{from}..{to}");
            assert_eq!(lines.last(), Some(&29), "{from}..{to}");
        }
    }

    #[test]
    fn old_files_go() {
        let (lines, _, failed) = run(0..0, 2, 30);
        assert_eq!(failed, 0);
        // Three lines of eleven bytes fit into forty; two older files and the present one are kept.
        assert_eq!(lines, (21..30).collect::<Vec<_>>());
        let (lines, _, _) = run(0..0, 0, 31);
        assert_eq!(lines, [30]);
    }
}
