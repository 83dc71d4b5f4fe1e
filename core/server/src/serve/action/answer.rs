//! Answers while they are written.

use std::sync::Arc;

use bytes::BytesMut;
use serde_json::Value;
use tritone_engine::Timings;

use crate::api::{Answered, Finish, Reply, Stream, TokenLikelihood, Tokens, sse};
use crate::guard::{Filtered, StreamFilter};
use crate::schedule::Update;
use crate::serve::app::Live;
use crate::serve::charge::Charged;
use crate::serve::record;
use crate::serve::stream::Frames;

/// What all choices of an answer have in common, and hold until its end.
pub(super) struct Told {
    pub(super) reply: Reply,
    /// Answers in all.
    pub(super) answers: usize,
    /// Answers to each prompt.
    pub(super) choices: usize,
    pub(super) live: Arc<Live>,
    pub(super) charged: Charged,
    pub(super) told: record::Told,
}

impl Told {
    /// The tokens of answers: those of a prompt count once.
    pub(super) fn tokens(&self, all: &[Choice]) -> Tokens {
        let mut tokens = Tokens::default();
        for (index, Choice { timings, .. }) in all.iter().enumerate() {
            if index % self.choices == 0 {
                tokens.prompt += timings.prompt_tokens;
                tokens.cached += timings.cached_tokens;
            }
            tokens.generated += timings.generated_tokens;
        }
        tokens
    }

    /// A choice is complete.
    pub(super) fn ended(&self, choice: &Choice, finish: Finish) {
        self.told.usage(&choice.timings, finish.word());
        // What a stream has sent is not here any more.
        self.told.answer(&choice.text);
        if let Some(filter) = &choice.filter {
            self.told.flags(filter.flags());
        }
    }
}

/// A choice.
pub(super) struct Choice {
    /// Text that has not been sent.
    text: String,
    likelihoods: Vec<TokenLikelihood>,
    pub(super) timings: Timings,
    finish: Option<Finish>,
    /// The rules for its text.
    filter: Option<StreamFilter>,
    /// Whether its first piece is out.
    is_begun: bool,
    /// Characters that were sent.
    offset: usize,
}

impl Choice {
    pub(super) fn new(filter: Option<StreamFilter>) -> Self {
        Self {
            text: String::new(),
            likelihoods: Vec::new(),
            timings: Timings::default(),
            finish: None,
            filter,
            is_begun: false,
            offset: 0,
        }
    }

    /// Whether more may come.
    pub(super) fn is_open(&self) -> bool {
        self.finish.is_none()
    }

    /// Takes what comes; the value is why it has ended, once it has. A failure is the caller's.
    pub(super) fn take(&mut self, live: &Live, update: Update) -> Option<Finish> {
        match update {
            Update::Reading | Update::Failed(_) => {}
            Update::Text {
                text,
                token,
                likelihood,
                timings,
            } => {
                self.timings = timings;
                if let Some(likelihood) = likelihood {
                    let tokenizer = live.engine.model().tokenizer();
                    let told = TokenLikelihood::new(tokenizer, token, &likelihood);
                    self.likelihoods.push(told);
                }
                match &mut self.filter {
                    Some(filter) => {
                        let filtered = filter.push(&text);
                        self.add(filtered, None);
                    }
                    None => self.text.push_str(&text),
                }
            }
            Update::Finished(end) => {
                self.timings = end.timings;
                let rest = self.filter.as_mut().map(StreamFilter::finish);
                self.add(rest.unwrap_or_default(), Some(end.finish));
            }
        }
        self.finish
    }

    /// Adds what the rules let through; they may end the answer.
    fn add(&mut self, filtered: Filtered, finish: Option<Finish>) {
        self.text.push_str(&filtered.text);
        self.finish = match filtered.refused {
            Some(_) => Some(Finish::ContentFilter),
            None => finish,
        };
    }

    /// Text that is there and has not been sent; it has been then.
    pub(super) fn more(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// The whole choice; `None` when it did not end.
    pub(super) fn answered(self) -> Option<Answered> {
        Some(Answered {
            text: self.text,
            finish: self.finish?,
            likelihoods: (!self.likelihoods.is_empty()).then_some(self.likelihoods),
        })
    }
}

/// Answers as frames of a stream.
pub(super) struct Written {
    told: Told,
    stream: Stream,
    choices: Vec<Choice>,
    open: usize,
}

impl Written {
    pub(super) fn new(told: Told, stream: Stream, choices: Vec<Choice>) -> Self {
        Self {
            open: told.answers,
            told,
            stream,
            choices,
        }
    }

    fn tokens(&self) -> Tokens {
        self.told.tokens(&self.choices)
    }

    /// The first piece of a choice.
    fn begin(&mut self, index: usize, out: &mut BytesMut) {
        let tokens = self.tokens();
        let Some(choice) = self.choices.get_mut(index) else {
            return;
        };
        if std::mem::replace(&mut choice.is_begun, true) {
            return;
        }
        if let Some(role) = self.told.reply.role_chunk(index, self.stream, tokens) {
            out.extend_from_slice(&sse::data(&role));
        }
    }

    /// The piece with the text and the likelihoods that are there, if any.
    fn piece(&mut self, index: usize) -> Option<Value> {
        let tokens = self.tokens();
        let choice = self.choices.get_mut(index)?;
        if choice.text.is_empty() && (choice.likelihoods.is_empty() || choice.is_open()) {
            // Tokens without whole characters wait for the text they are part of.
            return None;
        }
        let text = std::mem::take(&mut choice.text);
        self.told.told.answer(&text);
        let likelihoods = std::mem::take(&mut choice.likelihoods);
        let offset = choice.offset;
        choice.offset += text.chars().count();
        let likelihoods = (!likelihoods.is_empty()).then_some(likelihoods.as_slice());
        let reply = &self.told.reply;
        Some(reply.text_chunk((index, offset), &text, likelihoods, self.stream, tokens))
    }

    /// The last pieces of a choice; `false` after the last of all.
    fn end(&mut self, index: usize, finish: Finish, out: &mut BytesMut) -> bool {
        if let Some(choice) = self.choices.get(index) {
            self.told.ended(choice, finish);
        }
        let tokens = self.tokens();
        let reply = &self.told.reply;
        let last = reply.finish_chunk(index, finish, self.stream, tokens);
        out.extend_from_slice(&sse::data(&last));
        self.open = self.open.saturating_sub(1);
        if self.open > 0 {
            return true;
        }
        self.told.charged.used(tokens);
        if let Some(usage) = reply.usage_chunk(self.stream, tokens) {
            out.extend_from_slice(&sse::data(&usage));
        }
        out.extend_from_slice(&sse::DONE);
        false
    }
}

impl Frames for Written {
    fn is_complete(&self, index: usize) -> bool {
        self.choices
            .get(index)
            .is_none_or(|choice| !choice.is_open())
    }

    fn update(&mut self, index: usize, update: Update, out: &mut BytesMut) -> bool {
        self.begin(index, out);
        if let Update::Failed(error) = &update {
            // The head went out long ago: only the stream itself can say it.
            self.told.told.failed(error);
            self.told.charged.used(self.tokens());
            out.extend_from_slice(&sse::error(error));
            out.extend_from_slice(&sse::DONE);
            return false;
        }
        let live = Arc::clone(&self.told.live);
        let Some(choice) = self
            .choices
            .get_mut(index)
            .filter(|choice| choice.is_open())
        else {
            return true;
        };
        let finish = choice.take(&live, update);
        if let Some(piece) = self.piece(index) {
            out.extend_from_slice(&sse::data(&piece));
        }
        finish.is_none_or(|finish| self.end(index, finish, out))
    }
}
