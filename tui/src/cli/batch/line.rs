//! Lines of requests.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use anyhow::Context as _;
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, channel};

/// Longest line.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// Routes that a line may name.
const ROUTES: [&str; 3] = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"];

/// Longest `custom_id`.
const MOST_ID: usize = 512;

/// A request of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) custom_id: String,
    pub(super) url: String,
    pub(super) body: Bytes,
}

/// What is wrong with a line; its `custom_id`, as far as it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) custom_id: Option<String>,
    pub(super) code: &'static str,
    pub(super) message: String,
}

/// A line's number from 1, and what it asks.
pub(super) type Numbered = (usize, Result<Request, Fault>);

/// Lines that are read before they are wanted.
const AHEAD: usize = 4;

/// A file of requests.
pub(super) struct Lines {
    reader: Box<dyn BufRead + Send>,
    /// Lines of the file, if it can be read twice.
    pub(super) count: Option<usize>,
    number: usize,
}

impl Lines {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::of(Box::new(BufReader::new(io::stdin())), None));
        }
        let open = || File::open(path).with_context(|| format!("cannot read '{}'", path.display()));
        let file = open()?;
        let plain = file.metadata().is_ok_and(|data| data.is_file());
        let count = plain.then(|| count(BufReader::new(file))).transpose();
        let count = count.with_context(|| format!("cannot read '{}'", path.display()))?;
        Ok(Self::of(Box::new(BufReader::new(open()?)), count))
    }

    fn of(reader: Box<dyn BufRead + Send>, count: Option<usize>) -> Self {
        Self {
            reader,
            count,
            number: 0,
        }
    }

    /// Reads on a thread of its own, for callers that cannot wait; some lines ahead.
    pub(super) fn ahead(mut self) -> Receiver<io::Result<Numbered>> {
        let (sender, lines) = channel(AHEAD);
        // It ends with the input, or when nobody wants more; a pipe that stays open keeps nobody from ending.
        std::thread::spawn(move || {
            loop {
                let line = match self.next() {
                    Ok(None) => return,
                    Ok(Some(line)) => Ok(line),
                    Err(error) => Err(error),
                };
                let failed = line.is_err();
                if sender.blocking_send(line).is_err() || failed {
                    return;
                }
            }
        });
        lines
    }

    /// The next line that is not empty: its number from 1, and what it asks.
    fn next(&mut self) -> io::Result<Option<Numbered>> {
        loop {
            let mut line = Vec::new();
            let most = MOST_BYTES as u64 + 1;
            if (&mut self.reader).take(most).read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if line.len() > MOST_BYTES && !line.ends_with(b"\n") {
                self.skip_line()?;
                let message = format!("the line is longer than {} MiB", MOST_BYTES >> 20);
                return Ok(Some((
                    self.number,
                    Err(fault(None, "line_too_long", message)),
                )));
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some((self.number, parse(&line))));
            }
        }
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let piece = self.reader.fill_buf()?;
            let end = piece.iter().position(|byte| *byte == b'\n');
            let (used, over) = (
                end.map_or(piece.len(), |end| end + 1),
                end.is_some() || piece.is_empty(),
            );
            self.reader.consume(used);
            if over {
                return Ok(());
            }
        }
    }
}

/// Lines that are not empty.
fn count(mut reader: impl BufRead) -> io::Result<usize> {
    let (mut lines, mut begun) = (0, false);
    loop {
        let piece = reader.fill_buf()?;
        if piece.is_empty() {
            return Ok(lines + usize::from(begun));
        }
        for byte in piece {
            if *byte == b'\n' {
                lines += usize::from(std::mem::take(&mut begun));
            } else if !byte.is_ascii_whitespace() {
                begun = true;
            }
        }
        let used = piece.len();
        reader.consume(used);
    }
}

fn fault(custom_id: Option<String>, code: &'static str, message: impl Into<String>) -> Fault {
    Fault {
        custom_id,
        code,
        message: message.into(),
    }
}

fn parse(line: &[u8]) -> Result<Request, Fault> {
    let value: Value = serde_json::from_slice(line).map_err(|error| {
        fault(
            None,
            "invalid_json_line",
            format!("the line is no JSON: {error}"),
        )
    })?;
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let id = text("custom_id").filter(|id| !id.is_empty() && id.len() <= MOST_ID);
    let Some(id) = id.map(str::to_owned) else {
        let message = format!("'custom_id' has to be a string of 1 to {MOST_ID} bytes");
        return Err(fault(None, "missing_custom_id", message));
    };
    let wrong = |code, message: String| Err(fault(Some(id.clone()), code, message));
    match text("method") {
        Some("POST") | None => {}
        Some(_) => return wrong("invalid_method", "'method' has to be POST".to_owned()),
    }
    let url = match text("url") {
        Some(url) if ROUTES.contains(&url) => url.to_owned(),
        _ => {
            return wrong(
                "invalid_url",
                format!("'url' has to be one of {}", ROUTES.join(", ")),
            );
        }
    };
    let Some(body) = value.get("body").filter(|body| body.is_object()) else {
        return wrong("missing_body", "'body' has to be an object".to_owned());
    };
    if body.get("stream").is_some_and(|stream| stream == true) {
        return wrong(
            "stream",
            "'body.stream' has to be false: a line has one answer".to_owned(),
        );
    }
    Ok(Request {
        body: Bytes::from(body.to_string()),
        custom_id: id,
        url,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Vec<Numbered> {
        let mut lines = Lines::of(Box::new(io::Cursor::new(text.as_bytes().to_vec())), None);
        std::iter::from_fn(|| lines.next().unwrap()).collect()
    }

    #[test]
    fn lines_are_requests_or_say_what_is_wrong() {
        let good =
            r#"{"custom_id":"a","method":"POST","url":"/v1/completions","body":{"prompt":"x"}}"#;
        let text = format!("{good}\n\n  \nnonsense\n{{}}\n{good}");
        let found = all(&text);
        let numbers: Vec<_> = found.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 4, 5, 6]);
        assert_eq!(count(text.as_bytes()).unwrap(), 4);
        assert_eq!(found[0].1.as_ref().unwrap().custom_id, "a");
        assert_eq!(found[1].1.as_ref().unwrap_err().code, "invalid_json_line");
        for (line, code) in [
            (r#"{"custom_id":5}"#, "missing_custom_id"),
            (r#"{"custom_id":"a","method":"GET"}"#, "invalid_method"),
            (r#"{"custom_id":"a","url":"/admin/kernel"}"#, "invalid_url"),
            (
                r#"{"custom_id":"a","url":"/v1/completions"}"#,
                "missing_body",
            ),
            (
                r#"{"custom_id":"a","url":"/v1/completions","body":{"stream":true}}"#,
                "stream",
            ),
        ] {
            assert_eq!(all(line)[0].1.as_ref().unwrap_err().code, code, "{line}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_left_out_and_the_next_is_read() {
        let mut text = "x".repeat(MOST_BYTES + 5);
        text.push_str("\nnonsense\n");
        let found = all(&text);
        assert_eq!(found[0].1.as_ref().unwrap_err().code, "line_too_long");
        assert_eq!((found[1].0, found.len()), (2, 2));
    }

    proptest! {
        #[test]
        fn no_line_is_a_fault(line in "\\PC{0,60}") {
            let _ = parse(line.as_bytes());
        }
    }
}
