//! What the user says: lines of standard input, read while answers are written.

use std::io::{self, BufRead, Read as _};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};

use anyhow::Context as _;

/// The longest message that is read; no context holds that much text.
const MAX_BYTES: u64 = 16 << 20;

/// Begins and ends a message of several lines.
const FENCE: &str = "\"\"\"";

/// What comes from the user.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A message or command.
    Line(String),
    /// Something that is no message, and why.
    Wrong(String),
    /// There is no more.
    End,
    /// Ctrl+C while nothing runs.
    Interrupt,
}

/// Lines as they come.
pub(super) struct Input(Receiver<Heard>);

impl Input {
    /// Reads standard input from now on; `channel` also carries Ctrl+C.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn listen(channel: (Sender<Heard>, Receiver<Heard>)) -> anyhow::Result<Self> {
        let (sender, receiver) = channel;
        std::thread::Builder::new()
            .name("tritone-input".to_owned())
            .spawn(move || {
                let mut stdin = io::stdin().lock();
                loop {
                    let heard = message(&mut stdin);
                    let ended = heard == Heard::End;
                    if sender.send(heard).is_err() || ended {
                        break;
                    }
                }
            })
            .context("cannot start a thread")?;
        Ok(Self(receiver))
    }

    /// What has come already.
    pub(super) fn waiting(&self) -> Option<Heard> {
        match self.0.try_recv() {
            Ok(heard) => Some(heard),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Heard::End),
        }
    }

    /// Waits for what comes next.
    pub(super) fn wait(&self) -> Heard {
        self.0.recv().unwrap_or(Heard::End)
    }
}

/// Reads a message: a line, or the lines between two fences.
fn message(input: &mut impl BufRead) -> Heard {
    let first = match line(input) {
        Ok(Some(line)) => line,
        Ok(None) => return Heard::End,
        Err(why) => return Heard::Wrong(why),
    };
    let Some(rest) = first.trim().strip_prefix(FENCE) else {
        return Heard::Line(first);
    };
    if let Some(whole) = rest.strip_suffix(FENCE) {
        return Heard::Line(whole.to_owned());
    }
    let mut text = rest.to_owned();
    loop {
        let next = match line(input) {
            Ok(Some(line)) => line,
            Ok(None) => return Heard::Line(text),
            Err(why) => return Heard::Wrong(why),
        };
        let end = next.trim_end().strip_suffix(FENCE);
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(end.unwrap_or(&next));
        if end.is_some() {
            return Heard::Line(text.trim_end_matches('\n').to_owned());
        }
        if text.len() as u64 > MAX_BYTES {
            return Heard::Wrong(too_long());
        }
    }
}

/// Reads a line without its end; `None` after the last.
fn line(input: &mut impl BufRead) -> Result<Option<String>, String> {
    let mut bytes = Vec::new();
    let read = input
        .by_ref()
        .take(MAX_BYTES + 1)
        .read_until(b'\n', &mut bytes)
        .map_err(|error| format!("cannot read standard input: {error}"));
    // What cannot be read does not end: there is nothing more to come.
    if !matches!(read, Ok(n) if n > 0) {
        return Ok(None);
    }
    if bytes.len() as u64 > MAX_BYTES {
        skip(input);
        return Err(too_long());
    }
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("that line is not UTF-8 text: byte {at} is not part of a character")
    })
}

fn too_long() -> String {
    format!("that message is longer than {} MiB", MAX_BYTES >> 20)
}

/// Leaves out the rest of a line.
fn skip(input: &mut impl BufRead) {
    loop {
        let Ok(bytes) = input.fill_buf() else {
            return;
        };
        let (used, done) = match bytes.iter().position(|&byte| byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (bytes.len(), bytes.is_empty()),
        };
        input.consume(used);
        if done {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(mut text: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        loop {
            match message(&mut text) {
                Heard::End => return heard,
                other => heard.push(other),
            }
        }
    }

    fn says(text: &str) -> Heard {
        Heard::Line(text.to_owned())
    }

    #[test]
    fn messages_are_lines_or_stand_between_fences() {
        assert_eq!(
            all(b"one\r\ntwo\n\nlast"),
            [says("one"), says("two"), says(""), says("last")]
        );
        assert_eq!(
            all(b"\"\"\"a\n  b\n\n\"\"\"\nnext\n"),
            [says("a\n  b"), says("next")]
        );
        assert_eq!(all(b"\"\"\"\na\nb\"\"\"\n"), [says("a\nb")]);
        assert_eq!(all(b"\"\"\"one line\"\"\"\n"), [says("one line")]);
        assert_eq!(all(b"\"\"\"\nunended\n"), [says("unended")]);
        assert_eq!(all(b"say \"\"\"x\"\"\"\n"), [says("say \"\"\"x\"\"\"")]);
    }

    #[test]
    fn what_is_no_text_is_left_out_and_said() {
        let heard = all(b"caf\xe9\nok\n");
        assert!(
            matches!(&heard[0], Heard::Wrong(why) if why.contains("byte 3")),
            "{heard:?}"
        );
        assert_eq!(heard[1], says("ok"));
        let mut long = vec![b'x'; (MAX_BYTES + 10) as usize];
        long.extend(b"\nok\n");
        let heard = all(&long);
        assert!(matches!(&heard[0], Heard::Wrong(why) if why.contains("16 MiB")));
        assert_eq!(heard[1..], [says("ok")]);
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let lines = bytes.iter().filter(|&&byte| byte == b'\n').count() + 1;
            prop_assert!(all(&bytes).len() <= lines);
        }
    }
}
