//! What was sent, from one session to the next: a file of JSON lines, to which several programs may
//! append at once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::chat::composer::MOST_SENT;
use crate::chat::composer::draft::Draft;

/// A file of more bytes than this is made shorter.
const MOST_BYTES: u64 = 4 << 20;

/// A message of more bytes than this is kept without the content of its chips.
const LONGEST: usize = 256 << 10;

/// The file.
pub(super) struct History {
    path: Option<PathBuf>,
    most: u64,
}

impl History {
    /// `None` means that there is no place for it: nothing is kept.
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self {
            path,
            most: MOST_BYTES,
        }
    }

    /// What was sent, oldest first. Lines that make no sense are passed over: an older or newer
    /// version may have written them, or a machine that lost power.
    pub(super) fn read(&self) -> Result<Vec<Draft>, String> {
        let Some(path) = &self.path else {
            return Ok(Vec::new());
        };
        let bytes = match read(path, self.most) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(cannot("read", path, &error)),
        };
        let mut drafts: Vec<Draft> = bytes
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice::<Draft>(line).ok())
            .map(Draft::checked)
            .filter(|draft| !draft.text.is_empty())
            .collect();
        drafts.dedup();
        let over = drafts.len().saturating_sub(MOST_SENT);
        drafts.drain(..over);
        Ok(drafts)
    }

    /// Adds what was sent.
    pub(super) fn add(&self, draft: &Draft) -> Result<(), String> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        self.append(path, draft)
            .map_err(|error| cannot("write", path, &error))
    }

    fn append(&self, path: &Path, draft: &Draft) -> io::Result<()> {
        let plain;
        let draft = if draft.bytes() > LONGEST {
            let end = (0..=LONGEST.min(draft.text.len()))
                .rev()
                .find(|at| draft.text.is_char_boundary(*at));
            plain = Draft::plain(&draft.text[..end.unwrap_or(0)]);
            &plain
        } else {
            draft
        };
        let mut line = serde_json::to_vec(draft)?;
        line.push(b'\n');
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut file = private().append(true).create(true).read(true).open(path)?;
        // A program that makes the file shorter must not lose this line.
        file.lock()?;
        let length = file.metadata()?.len();
        if length > 0 && !ends_with_line(&mut file)? {
            // Somebody was stopped in the middle of a line.
            line.insert(0, b'\n');
        }
        file.write_all(&line)?;
        if length > self.most {
            shorten(path, self.most / 2)?;
        }
        Ok(())
    }
}

/// Options of files that are nobody else's business.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}

fn ends_with_line(file: &mut File) -> io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// The last bytes of the file, about twice as many as are kept at most.
fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(
        length.saturating_sub(most.saturating_mul(2)),
    ))?;
    let mut bytes = Vec::new();
    file.take(most.saturating_mul(2)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Keeps the last lines, about `keep` bytes of them. The file stays the same file, as others may
/// wait for its lock.
fn shorten(path: &Path, keep: u64) -> io::Result<()> {
    let bytes = read(path, keep)?;
    let from = bytes
        .len()
        .saturating_sub(usize::try_from(keep).unwrap_or(0));
    let line = bytes[from..].iter().position(|byte| *byte == b'\n');
    let kept = &bytes[line.map_or(bytes.len(), |line| from + line + 1)..];
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(kept)?;
    file.set_len(kept.len() as u64)
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> String {
    format!(
        "cannot {what} {}, which keeps what you send for the next session: {error}",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tempfile::TempDir;

    use super::*;
    use crate::chat::composer::chip::{Chip, Origin, Placed};

    fn texts(history: &History) -> Vec<String> {
        let drafts = history.read().unwrap();
        drafts.into_iter().map(|draft| draft.text).collect()
    }

    #[test]
    fn what_one_session_sends_the_next_one_knows() {
        let place = TempDir::new().unwrap();
        let history = History::new(Some(place.path().join("new/history")));
        assert!(texts(&history).is_empty());
        let chip = Chip {
            origin: Origin::File("f".to_owned()),
            content: "x".to_owned(),
        };
        let draft = Draft {
            text: "two [f]\nlines".to_owned(),
            chips: vec![Placed {
                start: 4,
                end: 7,
                chip: Arc::new(chip),
            }],
        };
        history.add(&Draft::plain("one")).unwrap();
        history.add(&draft).unwrap();
        assert_eq!(history.read().unwrap(), [Draft::plain("one"), draft]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(history.path.unwrap())
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn broken_lines_are_passed_over_and_not_written_on() {
        let place = TempDir::new().unwrap();
        let path = place.path().join("history");
        fs::write(&path, b"{\"text\":\"one\"}\n\xff\xfe\nnull\n{\"text\":\"tw").unwrap();
        let history = History::new(Some(path));
        history.add(&Draft::plain("three")).unwrap();
        assert_eq!(texts(&history), ["one", "three"]);
    }

    #[test]
    fn the_file_stays_small_and_keeps_the_newest() {
        let place = TempDir::new().unwrap();
        let mut history = History::new(Some(place.path().join("history")));
        history.most = 2_000;
        for number in 0..500 {
            history
                .add(&Draft::plain(format!("message {number}")))
                .unwrap();
        }
        let length = fs::metadata(place.path().join("history")).unwrap().len();
        assert!(length < 2_200, "{length}");
        let texts = texts(&history);
        assert_eq!(texts.last().unwrap(), "message 499");
        assert!(texts.len() > 20, "{}", texts.len());
        let numbers: Vec<u32> = texts
            .iter()
            .map(|text| text["message ".len()..].parse().unwrap())
            .collect();
        assert!(numbers.is_sorted_by(|a, b| a + 1 == *b), "{numbers:?}");
    }

    #[test]
    fn several_programs_append_at_once() {
        let place = TempDir::new().unwrap();
        let path = place.path().join("history");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = path.clone();
                scope.spawn(move || {
                    let history = History {
                        path: Some(path),
                        most: 20_000,
                    };
                    for number in 0..200 {
                        let text = format!("{writer}/{number} {}", "x".repeat(50));
                        history.add(&Draft::plain(text)).unwrap();
                    }
                });
            }
        });
        let lines = fs::read_to_string(&path).unwrap();
        for line in lines.lines() {
            serde_json::from_str::<Draft>(line).unwrap();
        }
        assert!(
            lines.ends_with('\n') && lines.len() < 21_000,
            "{}",
            lines.len()
        );
    }

    #[test]
    fn very_long_messages_are_kept_without_what_is_in_their_chips() {
        let place = TempDir::new().unwrap();
        let history = History::new(Some(place.path().join("history")));
        let chip = Chip {
            origin: Origin::Paste,
            content: "x".repeat(LONGEST),
        };
        let draft = Draft {
            text: "[p]".to_owned(),
            chips: vec![Placed {
                start: 0,
                end: 3,
                chip: Arc::new(chip),
            }],
        };
        history.add(&draft).unwrap();
        assert_eq!(history.read().unwrap(), [Draft::plain("[p]")]);
    }

    #[test]
    fn no_place_is_no_failure_and_a_bad_one_is_said() {
        let nowhere = History::new(None);
        nowhere.add(&Draft::plain("x")).unwrap();
        assert_eq!(nowhere.read(), Ok(Vec::new()));
        let place = TempDir::new().unwrap();
        let history = History::new(Some(place.path().to_owned()));
        assert!(
            history
                .add(&Draft::plain("x"))
                .unwrap_err()
                .contains("cannot write")
        );
    }
}
