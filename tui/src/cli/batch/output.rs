//! The file of answers: appended to, made sure of, and read when a batch goes on.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek as _, SeekFrom, Write};

use anyhow::Context as _;
use serde_json::Value;

use super::args::BatchArgs;

enum Target {
    Stdout,
    /// Whether it is to be emptied first.
    File(File, bool),
}

/// What every line that this command writes begins with.
const BEGINNING: &[u8] = b"{\"id\":\"line-";

/// Where answers go.
pub(super) struct Output {
    target: Target,
    /// Requests that are answered there already.
    done: HashSet<String>,
    sync: usize,
    unsynced: usize,
    notes: Vec<String>,
}

impl Output {
    /// Opens the output, and reads what is in it.
    pub(super) fn open(args: &BatchArgs) -> anyhow::Result<Self> {
        let mut output = Self {
            target: Target::Stdout,
            done: HashSet::new(),
            sync: args.sync.max(1),
            unsynced: 0,
            notes: Vec::new(),
        };
        let path = &args.output;
        if path.as_os_str() == "-" {
            return Ok(output);
        }
        let cannot = || format!("cannot write '{}'", path.display());
        let same = std::fs::canonicalize(path)
            .ok()
            .zip(std::fs::canonicalize(&args.input).ok());
        anyhow::ensure!(
            same.is_none_or(|(output, input)| output != input),
            "'{}' is the input; answers have to go elsewhere",
            path.display()
        );
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .with_context(cannot)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                anyhow::bail!("another tritone batch is writing '{}'", path.display());
            }
            // Some file systems have no locks.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        if args.force {
            // Emptied when there is something to write: until then it can be thought better of.
            output.target = Target::File(file, true);
            return Ok(output);
        }
        let whole = output.read(&file).with_context(|| {
            format!(
                "'{}' is there, and was not written by tritone batch; --force replaces it",
                path.display()
            )
        })?;
        let length = file.metadata().with_context(cannot)?.len();
        if whole < length {
            output.notes.push(format!(
                "the last line of '{}' was not complete: {} bytes were cut off",
                path.display(),
                length - whole
            ));
            file.set_len(whole).with_context(cannot)?;
        }
        file.seek(SeekFrom::Start(whole)).with_context(cannot)?;
        if !output.done.is_empty() {
            output.notes.push(format!(
                "{} answers are in '{}' already and are not made again",
                output.done.len(),
                path.display()
            ));
        }
        output.target = Target::File(file, false);
        Ok(output)
    }

    /// Reads the answers that are there; gives the length of what is complete.
    fn read(&mut self, file: &File) -> anyhow::Result<u64> {
        let mut reader = BufReader::new(file);
        let (mut whole, mut line, mut number) = (0, Vec::new(), 0);
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)?;
            number += 1;
            let common = line.len().min(BEGINNING.len());
            anyhow::ensure!(
                line[..common] == BEGINNING[..common],
                "line {number} is no answer"
            );
            if length == 0 || !line.ends_with(b"\n") {
                // A line that was being written when the batch ended.
                return Ok(whole);
            }
            let value: Value =
                serde_json::from_slice(&line).with_context(|| format!("line {number}"))?;
            let id = |name: &str| value.get(name).and_then(Value::as_str);
            let name = id("id").with_context(|| format!("line {number} has no id"))?;
            self.done.insert(key(id("custom_id"), name));
            whole += length as u64;
        }
    }

    /// What there is to say.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether a request is answered already: by its `custom_id`, or its line where it has none.
    pub(super) fn is_done(&mut self, custom_id: Option<&str>, line: usize) -> bool {
        self.done.contains(&key(custom_id, &line_id(line)))
    }

    /// Appends an answer.
    pub(super) fn write(&mut self, answer: &str) -> io::Result<()> {
        let line = format!("{answer}\n");
        match &mut self.target {
            Target::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(line.as_bytes())?;
                out.flush()
            }
            Target::File(file, empty) => {
                if std::mem::take(empty) {
                    file.set_len(0)?;
                }
                file.write_all(line.as_bytes())?;
                self.unsynced += 1;
                if self.unsynced >= self.sync {
                    self.sync()
                } else {
                    Ok(())
                }
            }
        }
    }

    /// Makes sure that everything is on disk.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.unsynced = 0;
        match &self.target {
            Target::Stdout => Ok(()),
            Target::File(file, _) => file.sync_data(),
        }
    }
}

/// What a line of the output is called.
pub(super) fn line_id(line: usize) -> String {
    format!("line-{line}")
}

fn key(custom_id: Option<&str>, line: &str) -> String {
    match custom_id {
        Some(id) => format!("id {id}"),
        None => format!("line {line}"),
    }
}
