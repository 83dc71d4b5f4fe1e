//! A log: one record a line, in a file that is appended to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::record::Record;

/// Longest line that is read; ours have less than 3 KiB.
const MAX_LINE: u64 = 1 << 16;

/// A log that cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} the monitor log {}: {error}", path.display())]
pub struct LogError {
    /// What was tried.
    what: &'static str,
    /// The file.
    path: PathBuf,
    /// What the system says.
    #[source]
    error: io::Error,
}

/// A log that is being written.
///
/// When it would grow beyond its bound it is renamed to `NAME.1`, in place of the one before, and begun
/// anew; both together take at most twice the bound.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
    most: u64,
}

impl Log {
    /// Bound of a log if nobody says otherwise: 64 MiB, more than a day of samples every second in both files.
    pub const MAX_BYTES: u64 = 64 << 20;

    /// Opens the log at `path`, which is made if it is not there, and goes on behind what it holds; a
    /// last line that was cut stays as it is.
    ///
    /// # Errors
    /// When the file cannot be opened or written.
    pub fn open(path: &Path, most: u64) -> Result<Self, LogError> {
        let fail = |error| LogError {
            what: "open",
            path: path.to_owned(),
            error,
        };
        let mut file = append(path).map_err(fail)?;
        let mut bytes = file.metadata().map_err(fail)?.len();
        if bytes > 0 && !ends_line(path).map_err(fail)? {
            file.write_all(b"\n").map_err(fail)?;
            bytes += 1;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            bytes,
            most,
        })
    }

    /// Appends `record`, with one write.
    ///
    /// # Errors
    /// When the file cannot be written or exchanged.
    pub fn append(&mut self, record: &Record) -> Result<(), LogError> {
        let mut line = record.to_json();
        line.push('\n');
        self.write(line.as_bytes()).map_err(|error| LogError {
            what: "write",
            path: self.path.clone(),
            error,
        })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let length = line.len() as u64;
        if self.bytes > 0 && self.bytes.saturating_add(length) > self.most {
            fs::rename(&self.path, earlier(&self.path))?;
            self.file = append(&self.path)?;
            self.bytes = self.file.metadata()?.len();
        }
        self.file.write_all(line)?;
        self.bytes = self.bytes.saturating_add(length);
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn ends_line(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Where the file goes when it is full.
fn earlier(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

/// How reading a log went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogContent {
    /// Records that were read.
    pub records: u64,
    /// Lines that are no records: cut by a crash, or not ours.
    pub damaged: u64,
    /// Where the first of them is and what is wrong with it.
    pub first_damage: Option<String>,
}

/// Reads the log at `path`, and before it what was moved to `NAME.1`, and hands on each record. Lines
/// that are none are counted and left out.
///
/// # Errors
/// When the file cannot be read.
pub fn read_log(path: &Path, mut take: impl FnMut(Record)) -> Result<LogContent, LogError> {
    let mut content = LogContent::default();
    let fail = |error| LogError {
        what: "read",
        path: path.to_owned(),
        error,
    };
    // What is asked for has to be there, even if what went before it is.
    let newest = File::open(path).map_err(fail)?;
    let before = earlier(path);
    if let Ok(file) = File::open(&before) {
        read_file(file, &before, &mut content, &mut take).map_err(fail)?;
    }
    read_file(newest, path, &mut content, &mut take).map_err(fail)?;
    Ok(content)
}

fn read_file(
    file: File,
    path: &Path,
    content: &mut LogContent,
    take: &mut impl FnMut(Record),
) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut number = 0_u64;
    while let Some(whole) = next_line(&mut reader, &mut line)? {
        number += 1;
        if whole && line.trim_ascii().is_empty() {
            continue;
        }
        let record = if whole {
            std::str::from_utf8(&line)
                .map_err(|error| error.to_string())
                .and_then(Record::from_json)
        } else {
            Err(format!("longer than {MAX_LINE} bytes"))
        };
        match record {
            Ok(record) => {
                content.records += 1;
                take(record);
            }
            Err(why) => {
                content.damaged += 1;
                content
                    .first_damage
                    .get_or_insert_with(|| format!("{}:{number}: {why}", path.display()));
            }
        }
    }
    Ok(())
}

/// Reads a line without its end into `line`; `None` after the last, `false` if it is too long, of which
/// the rest is skipped.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    if reader.take(MAX_LINE).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Some(true));
    }
    if (line.len() as u64) < MAX_LINE {
        // The last line, cut or not.
        return Ok(Some(true));
    }
    reader.skip_until(b'\n')?;
    Ok(Some(false))
}

/// A log that is followed while it is written.
#[derive(Debug)]
pub struct LogTail {
    path: PathBuf,
    reader: BufReader<File>,
    /// Bytes that were read.
    position: u64,
    /// A line whose end has not been written yet.
    partial: Vec<u8>,
}

impl LogTail {
    /// Begins at the end of what is there.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn at_end(path: &Path) -> Result<Self, LogError> {
        let mut tail = Self::open(path)?;
        let end = tail.reader.seek(SeekFrom::End(0));
        tail.position = end.map_err(|error| tail.failed(error))?;
        Ok(tail)
    }

    fn open(path: &Path) -> Result<Self, LogError> {
        let file = File::open(path).map_err(|error| LogError {
            what: "read",
            path: path.to_owned(),
            error,
        })?;
        Ok(Self {
            path: path.to_owned(),
            reader: BufReader::new(file),
            position: 0,
            partial: Vec::new(),
        })
    }

    fn failed(&self, error: io::Error) -> LogError {
        LogError {
            what: "read",
            path: self.path.clone(),
            error,
        }
    }

    /// What was written since the last time; lines that are no records are left out. A log that was begun
    /// anew is read from its beginning.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn more(&mut self) -> Result<Vec<Record>, LogError> {
        let mut records = Vec::new();
        self.drain(&mut records)
            .map_err(|error| self.failed(error))?;
        // While it is exchanged there is none for a moment.
        let length = fs::metadata(&self.path).map_or(u64::MAX, |meta| meta.len());
        if length < self.position {
            *self = Self::open(&self.path)?;
            self.drain(&mut records)
                .map_err(|error| self.failed(error))?;
        }
        Ok(records)
    }

    fn drain(&mut self, records: &mut Vec<Record>) -> io::Result<()> {
        loop {
            let room = MAX_LINE.saturating_sub(self.partial.len() as u64);
            let read = (&mut self.reader)
                .take(room.max(1))
                .read_until(b'\n', &mut self.partial)?;
            self.position = self.position.saturating_add(read as u64);
            if read == 0 {
                return Ok(());
            }
            if self.partial.last() == Some(&b'\n') {
                let line = std::str::from_utf8(&self.partial).ok();
                records.extend(line.and_then(|line| Record::from_json(line.trim()).ok()));
                self.partial.clear();
            } else if self.partial.len() as u64 >= MAX_LINE {
                // No line of ours; its rest is none either.
                self.partial.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::tempdir;

    use super::*;
    use crate::event::{Event, EventKind};
    use crate::metric::Metric;
    use crate::record::tests::any_record;
    use crate::sample::Sample;

    fn event(at: u64) -> Record {
        Record::Event(Event::new(at, EventKind::Kernel, "lut"))
    }

    fn read(path: &Path) -> (Vec<Record>, LogContent) {
        let mut records = Vec::new();
        let content = read_log(path, |record| records.push(record)).unwrap();
        (records, content)
    }

    #[test]
    fn a_log_goes_on_after_a_restart_and_a_cut_line() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("log");
        for at in 0..3 {
            let mut log = Log::open(&path, Log::MAX_BYTES).unwrap();
            log.append(&event(at)).unwrap();
        }
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 10]).unwrap();
        Log::open(&path, Log::MAX_BYTES)
            .unwrap()
            .append(&event(3))
            .unwrap();
        let (records, content) = read(&path);
        assert_eq!(records, [event(0), event(1), event(3)]);
        assert_eq!(content.damaged, 1);
        assert!(content.first_damage.unwrap().contains("log:3: "));
    }

    #[test]
    fn a_log_keeps_its_bound() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("log");
        let most = 1000;
        let mut log = Log::open(&path, most).unwrap();
        for at in 0..200 {
            log.append(&event(at)).unwrap();
            let size = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
            assert!(size(&path) <= most && size(&earlier(&path)) <= most);
        }
        let (records, content) = read(&path);
        assert_eq!(content.damaged, 0);
        assert!(records.len() > 20, "{}", records.len());
        let expected: Vec<Record> = (200 - records.len() as u64..200).map(event).collect();
        assert_eq!(records, expected, "the newest, in order");
    }

    #[test]
    fn a_day_of_seconds_fits_both_files() {
        let mut sample = Sample::new(1_764_142_231_250, 1000);
        for &metric in Metric::ALL {
            sample.set(metric, 1234.567);
        }
        sample.set_cores([100.0; 8]);
        let line = Record::Sample(sample).to_json().len() as u64 + 1;
        assert!(line * 86_400 <= 2 * Log::MAX_BYTES, "{line} bytes a line");
    }

    #[test]
    fn files_that_cannot_be_opened_are_named() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("no").join("log");
        let error = Log::open(&path, 10).unwrap_err().to_string();
        assert!(error.starts_with("cannot open the monitor log "), "{error}");
        let error = read_log(&path, |_| {}).unwrap_err().to_string();
        assert!(error.starts_with("cannot read the monitor log "), "{error}");
    }

    #[test]
    fn a_log_is_followed_across_halves_of_lines_and_new_files() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Log::open(&path, 300).unwrap();
        log.append(&event(0)).unwrap();
        let mut tail = LogTail::at_end(&path).unwrap();
        assert_eq!(tail.more().unwrap(), []);
        log.append(&event(1)).unwrap();
        assert_eq!(tail.more().unwrap(), [event(1)]);
        let line = event(2).to_json();
        let (first, second) = line.split_at(9);
        let mut file = append(&path).unwrap();
        file.write_all(first.as_bytes()).unwrap();
        assert_eq!(tail.more().unwrap(), []);
        file.write_all(format!("{second}\nnonsense\n").as_bytes())
            .unwrap();
        assert_eq!(tail.more().unwrap(), [event(2)]);
        // The bound is reached; the file is exchanged.
        let mut seen = Vec::new();
        for at in 3..12 {
            log.append(&event(at)).unwrap();
            seen.extend(tail.more().unwrap());
        }
        assert!(earlier(&path).exists());
        assert_eq!(seen, (3..12).map(event).collect::<Vec<_>>());
    }

    #[test]
    fn a_line_without_end_is_skipped() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("log");
        let mut text = vec![b'x'; 3 << 16];
        text.extend(b"\n\n\xff\xfe\n");
        text.extend(event(7).to_json().bytes());
        fs::write(&path, text).unwrap();
        let (records, content) = read(&path);
        assert_eq!(records, [event(7)]);
        assert_eq!(content.damaged, 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn hostile_lines_cost_only_themselves(
            records in prop::collection::vec(any_record(), 1..6),
            garbage in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..6),
        ) {
            let dir = tempdir().unwrap();
            let path = dir.path().join("log");
            let mut log = Log::open(&path, Log::MAX_BYTES).unwrap();
            for (record, garbage) in records.iter().zip(garbage.iter().cycle()) {
                log.append(record).unwrap();
                let mut file = append(&path).unwrap();
                file.write_all(garbage).unwrap();
                file.write_all(b"\n").unwrap();
            }
            let (read, content) = read(&path);
            prop_assert_eq!(content.records as usize, read.len());
            let ours: Vec<&Record> = read.iter().filter(|record| records.contains(record)).collect();
            prop_assert!(ours.len() >= records.len());
        }
    }
}
