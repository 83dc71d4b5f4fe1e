//! Answers while they are written.

use std::sync::Arc;

use bytes::BytesMut;
use serde_json::Value;
use tritone_engine::{Likelihood, Timings};

use crate::api::{Answered, Finish, Reply, Stream, TokenLikelihood, Tokens, sse};
use crate::serve::app::Live;
use crate::serve::charge::Charged;
use crate::serve::queue::{Step, Ticket};
use crate::serve::record;
use crate::serve::stream::Frames;

/// What all choices of an answer have in common, and hold until its end.
pub(super) struct Told {
    pub(super) reply: Reply,
    /// Answers to each prompt.
    pub(super) choices: usize,
    pub(super) live: Arc<Live>,
    pub(super) charged: Charged,
    pub(super) told: record::Told,
    /// Room in the queue.
    pub(super) ticket: Ticket,
}

impl Told {
    /// The tokens of answers: those of a prompt count once.
    pub(super) fn tokens<'a>(&self, all: impl Iterator<Item = &'a Timings>) -> Tokens {
        let mut tokens = Tokens::default();
        for (index, timings) in all.enumerate() {
            if index % self.choices == 0 {
                tokens.prompt += timings.prompt_tokens;
                tokens.cached += timings.cached_tokens;
            }
            tokens.generated += timings.generated_tokens;
        }
        tokens
    }

    /// A choice is complete.
    pub(super) fn ended(&self, timings: &Timings, finish: Finish) {
        self.told.usage(
            timings.prompt_tokens,
            timings.generated_tokens,
            finish.word(),
        );
    }
}

/// A choice.
#[derive(Default)]
pub(super) struct Choice {
    pub(super) text: String,
    pub(super) likelihoods: Vec<TokenLikelihood>,
    pub(super) timings: Timings,
    pub(super) finish: Option<Finish>,
    /// Whether its first piece is out.
    is_begun: bool,
    /// Characters that were sent.
    offset: usize,
}

impl Choice {
    /// A token, if its likelihood is wanted.
    pub(super) fn add(&mut self, live: &Live, token: u32, likelihood: Option<&Likelihood>) {
        if let Some(likelihood) = likelihood {
            let tokenizer = live.engine.model().tokenizer();
            self.likelihoods
                .push(TokenLikelihood::new(tokenizer, token, likelihood));
        }
    }

    /// The whole choice; `None` when it did not end.
    pub(super) fn answered(self, logprobs: bool) -> Option<Answered> {
        Some(Answered {
            text: self.text,
            finish: self.finish?,
            likelihoods: logprobs.then_some(self.likelihoods),
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
    pub(super) fn new(told: Told, stream: Stream) -> Self {
        let answers = told.ticket.answers();
        Self {
            told,
            stream,
            choices: (0..answers).map(|_| Choice::default()).collect(),
            open: answers,
        }
    }

    fn tokens(&self) -> Tokens {
        self.told
            .tokens(self.choices.iter().map(|choice| &choice.timings))
    }

    /// The piece with the text and the likelihoods that are there, if any.
    fn piece(&mut self, index: usize) -> Option<Value> {
        let tokens = self.tokens();
        let choice = self.choices.get_mut(index)?;
        if choice.text.is_empty() && (choice.likelihoods.is_empty() || choice.finish.is_none()) {
            // Tokens without whole characters wait for the text they are part of.
            return None;
        }
        let text = std::mem::take(&mut choice.text);
        let likelihoods = std::mem::take(&mut choice.likelihoods);
        let offset = choice.offset;
        choice.offset += text.chars().count();
        let likelihoods = (!likelihoods.is_empty()).then_some(likelihoods.as_slice());
        let reply = &self.told.reply;
        Some(reply.text_chunk((index, offset), &text, likelihoods, self.stream, tokens))
    }
}

impl Frames for Written {
    fn step(&mut self, index: usize, step: Step, out: &mut BytesMut) -> bool {
        if !self
            .choices
            .get(index)
            .is_some_and(|choice| choice.is_begun)
        {
            self.begin(index, out);
        }
        match step {
            Step::Reading => {}
            Step::Text {
                text,
                token,
                likelihood,
                timings,
            } => {
                let live = Arc::clone(&self.told.live);
                if let Some(choice) = self.choices.get_mut(index) {
                    choice.text.push_str(&text);
                    choice.add(&live, token, likelihood.as_deref());
                    choice.timings = timings;
                }
                if let Some(piece) = self.piece(index) {
                    out.extend_from_slice(&sse::data(&piece));
                }
            }
            Step::Ended(finish, timings) => return self.end(index, finish, timings, out),
            Step::Failed(error) => {
                // The head went out long ago: only the stream itself can say it.
                self.told.told.failed(&error);
                self.told.charged.used(self.tokens());
                out.extend_from_slice(&sse::error(&error));
                out.extend_from_slice(&sse::DONE);
                return false;
            }
        }
        true
    }
}

impl Written {
    fn begin(&mut self, index: usize, out: &mut BytesMut) {
        let tokens = self.tokens();
        if let Some(choice) = self.choices.get_mut(index) {
            choice.is_begun = true;
        }
        if let Some(role) = self.told.reply.role_chunk(index, self.stream, tokens) {
            out.extend_from_slice(&sse::data(&role));
        }
    }

    fn end(&mut self, index: usize, finish: Finish, timings: Timings, out: &mut BytesMut) -> bool {
        if let Some(choice) = self.choices.get_mut(index) {
            choice.timings = timings;
            choice.finish = Some(finish);
        }
        self.told.ended(&timings, finish);
        if let Some(piece) = self.piece(index) {
            out.extend_from_slice(&sse::data(&piece));
        }
        let tokens = self.tokens();
        let last = self
            .told
            .reply
            .finish_chunk(index, finish, self.stream, tokens);
        out.extend_from_slice(&sse::data(&last));
        self.open = self.open.saturating_sub(1);
        if self.open > 0 {
            return true;
        }
        self.told.charged.used(tokens);
        if let Some(usage) = self.told.reply.usage_chunk(self.stream, tokens) {
            out.extend_from_slice(&sse::data(&usage));
        }
        out.extend_from_slice(&sse::DONE);
        false
    }
}
