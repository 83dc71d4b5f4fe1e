//! Answers of a chat, whole and streamed.

use std::collections::VecDeque;

use crate::connection::{Reply, fault_of};
use crate::error::ClientError;
use crate::sse::{SseEvent, SseParser};
use crate::types::{Chunk, Completion, Finish, Native, Usage};

/// What a stream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// More text of an answer; one event, and so with most servers one token.
    Text {
        /// Which answer, from 0; there is one unless `n` asked for more.
        choice: u32,
        /// The text; may be empty.
        text: String,
    },
    /// An answer is complete.
    Finished {
        /// Which answer.
        choice: u32,
        /// Why it ended.
        finish: Finish,
    },
    /// Counted tokens.
    Usage(Usage),
    /// A sign of life.
    Alive,
}

/// An answer that is being written. Dropping it closes the connection, which ends the answer.
#[derive(Debug)]
pub struct ChatStream {
    reply: Reply,
    parser: SseParser,
    updates: VecDeque<Update>,
    /// What ended it; said after the updates that came before.
    failed: Option<ClientError>,
    /// `[DONE]` has come.
    done: bool,
    /// Answers that were complete.
    finished: bool,
}

impl ChatStream {
    pub(crate) fn of(reply: Reply) -> Self {
        Self {
            reply,
            parser: SseParser::new(),
            updates: VecDeque::new(),
            failed: None,
            done: false,
            finished: false,
        }
    }

    /// A header of the server's answer.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.reply.headers.get(name)?.to_str().ok()
    }

    /// What comes next; `None` when the answer is complete.
    ///
    /// # Errors
    /// When the connection breaks before that, or the server gives the answer up.
    pub async fn next(&mut self) -> Result<Option<Update>, ClientError> {
        loop {
            if let Some(update) = self.updates.pop_front() {
                return Ok(Some(update));
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            if self.done {
                // The end of the body is read, so that the connection can serve again.
                while self.reply.piece().await?.is_some() {}
                return Ok(None);
            }
            match self.reply.piece().await? {
                Some(bytes) => {
                    let events = self.parser.push(&bytes)?;
                    let taken = events.into_iter().try_for_each(|event| self.take(event));
                    self.failed = taken.err();
                }
                // Some servers leave the last line out.
                None if self.finished => self.done = true,
                None => {
                    return Err(ClientError::Broken(
                        "the stream ended before the answer did".to_owned(),
                    ));
                }
            }
        }
    }

    fn take(&mut self, event: SseEvent) -> Result<(), ClientError> {
        let data = match event {
            SseEvent::Comment => {
                self.updates.push_back(Update::Alive);
                return Ok(());
            }
            SseEvent::Error(text) => return Err(given_up(&text)),
            SseEvent::Data(data) => data,
        };
        if data.trim() == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        if is_error(&data) {
            return Err(given_up(&data));
        }
        let chunk: Chunk = serde_json::from_str(&data)
            .map_err(|error| ClientError::Protocol(format!("a chunk of the stream: {error}")))?;
        if chunk.choices.is_empty() {
            self.take_native(&chunk.native);
        }
        for choice in chunk.choices {
            let (index, text) = (choice.index, choice.delta.content.or(choice.text));
            if let Some(text) = text {
                self.updates.push_back(Update::Text {
                    choice: index,
                    text,
                });
            }
            if let Some(finish) = choice.finish_reason {
                self.finished = true;
                self.updates.push_back(Update::Finished {
                    choice: index,
                    finish: Finish::from(&*finish),
                });
            }
        }
        self.updates.extend(chunk.usage.map(Update::Usage));
        Ok(())
    }

    /// A piece in the form of llama.cpp's own routes. Their streams end without `[DONE]`.
    fn take_native(&mut self, native: &Native) {
        if let Some(text) = &native.content {
            self.updates.push_back(Update::Text {
                choice: 0,
                text: text.clone(),
            });
        }
        if let Some(finish) = native.finish() {
            self.finished = true;
            self.updates
                .push_back(Update::Finished { choice: 0, finish });
            self.updates.push_back(Update::Usage(native.usage()));
        }
    }
}

/// Whether a chunk is an error: its `error` is neither missing nor null.
fn is_error(data: &str) -> bool {
    let value: serde_json::Value = serde_json::from_str(data).unwrap_or_default();
    value.get("error").is_some_and(|error| !error.is_null())
}

fn given_up(text: &str) -> ClientError {
    ClientError::Stream(fault_of(text.as_bytes(), "no reason given"))
}

/// The first choice of a whole answer.
pub(crate) fn completion_of(chunk: Chunk) -> Result<Completion, ClientError> {
    let usage = chunk.usage.unwrap_or_default();
    if let ([], Some(text)) = (chunk.choices.as_slice(), &chunk.native.content) {
        return Ok(Completion {
            text: text.clone(),
            finish: chunk.native.finish().unwrap_or(Finish::Stop),
            usage: chunk.native.usage(),
            model: chunk.model,
        });
    }
    let choice = chunk
        .choices
        .into_iter()
        .next()
        .ok_or_else(|| ClientError::Protocol("an answer without choices".to_owned()))?;
    Ok(Completion {
        text: choice.delta.content.or(choice.text).unwrap_or_default(),
        finish: Finish::from(choice.finish_reason.as_deref().unwrap_or("stop")),
        usage,
        model: chunk.model,
    })
}
