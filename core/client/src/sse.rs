//! Server-sent events out of bytes (WHATWG HTML, section 9.2), in whatever pieces they come.

use crate::error::ClientError;

/// Longest line, and longest data of one event.
const MOST_BYTES: usize = 4 << 20;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SseEvent {
    /// The data lines of an event, joined by line feeds.
    Data(String),
    /// The value of a field named `error`. No such field exists; the server of bitnet.cpp writes one where it
    /// should write data, and everybody else loses it.
    Error(String),
    /// A comment, which servers send so that a silent connection stays open.
    Comment,
}

/// Takes bytes, gives events.
#[derive(Debug, Default)]
pub struct SseParser {
    line: Vec<u8>,
    data: String,
    /// A data line has come since the last event.
    any: bool,
    /// The last byte was a carriage return, which a line feed may belong to.
    after_return: bool,
    started: bool,
}

impl SseParser {
    /// A parser at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `bytes` and gives the events that are complete with them. Bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// When a line or an event is longer than 4 MiB.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, ClientError> {
        let mut events = Vec::new();
        for &byte in bytes {
            if std::mem::take(&mut self.after_return) && byte == b'\n' {
                continue;
            }
            match byte {
                b'\r' => {
                    self.after_return = true;
                    events.extend(self.end_line()?);
                }
                b'\n' => events.extend(self.end_line()?),
                _ if self.line.len() == MOST_BYTES => return Err(too_long()),
                _ => self.line.push(byte),
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Result<Option<SseEvent>, ClientError> {
        let line = std::mem::take(&mut self.line);
        let mut line = &*String::from_utf8_lossy(&line);
        if !std::mem::replace(&mut self.started, true) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return Ok(std::mem::take(&mut self.any).then_some(SseEvent::Data(data)));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => Ok(Some(SseEvent::Comment)),
            "error" => Ok(Some(SseEvent::Error(value.to_owned()))),
            "data" => {
                if self.data.len() + value.len() >= MOST_BYTES {
                    return Err(too_long());
                }
                if std::mem::replace(&mut self.any, true) {
                    self.data.push('\n');
                }
                self.data.push_str(value);
                Ok(None)
            }
            // Names, numbers and waits of events are for browsers; unknown fields are to be ignored.
            _ => Ok(None),
        }
    }
}

fn too_long() -> ClientError {
    ClientError::Protocol(format!("an event of more than {} MiB", MOST_BYTES >> 20))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Vec<SseEvent> {
        SseParser::new().push(text.as_bytes()).unwrap()
    }

    fn data(text: &str) -> SseEvent {
        SseEvent::Data(text.to_owned())
    }

    #[test]
    fn events_end_with_an_empty_line() {
        assert_eq!(all("data: a\n\ndata:b\n\n"), [data("a"), data("b")]);
        assert_eq!(all("data: a\r\n\r\ndata: b\r\r"), [data("a"), data("b")]);
        assert_eq!(all("data: a\ndata:  b\n\n"), [data("a\n b")]);
        assert_eq!(all("data\n\n"), [data("")]);
        assert_eq!(all("\u{feff}data: a\n\n"), [data("a")]);
        assert_eq!(all("data: a\n"), []);
        assert_eq!(all("\n\n\n"), []);
    }

    #[test]
    fn other_fields_are_no_data() {
        assert_eq!(
            all(": still here\n\nevent: x\nid: 7\nretry: 10\nnonsense\ndata: a\n\n"),
            [SseEvent::Comment, data("a")]
        );
        let said = SseEvent::Error(r#"{"message":"x"}"#.to_owned());
        assert_eq!(all("error: {\"message\":\"x\"}\n\n"), [said]);
    }

    #[test]
    fn a_line_without_an_end_is_not_kept_for_ever() {
        let mut parser = SseParser::new();
        let piece = vec![b'x'; 1 << 20];
        let mut fed = 0;
        while parser.push(&piece).is_ok() {
            fed += 1;
            assert!(fed <= 4);
        }
        let mut parser = SseParser::new();
        let line = format!("data: {}\n", "x".repeat(1 << 20));
        let mut fed = 0;
        while parser.push(line.as_bytes()).is_ok() {
            fed += 1;
            assert!(fed <= 4);
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            text in "(data: ?[a-zß☃]{0,4}|:|error: e|x|\r|\n|\r\n|data){0,40}",
            cuts in proptest::collection::vec(1usize..7, 0..60),
        ) {
            let whole = all(&text);
            let (mut parser, mut rest, mut events) = (SseParser::new(), text.as_bytes(), Vec::new());
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                events.extend(parser.push(head).unwrap());
                rest = tail;
            }
            events.extend(parser.push(rest).unwrap());
            prop_assert_eq!(events, whole);
        }

        #[test]
        fn no_bytes_are_a_fault(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(SseParser::new().push(&bytes).is_ok());
        }
    }
}
