//! A response while it is written.

use std::sync::Arc;

use bytes::BytesMut;
use serde_json::{Value, json};

use super::answer::{Choice, Told};
use crate::api::{Answered, Finish, ResponseReply, Tokens, sse};
use crate::schedule::Update;
use crate::serve::stream::Frames;

/// A response as events with names and numbers.
pub(super) struct Responded {
    told: Told,
    reply: ResponseReply,
    choice: Choice,
    /// All text so far: the last events repeat it.
    text: String,
    number: u64,
    begun: bool,
}

impl Responded {
    pub(super) fn new(told: Told, reply: ResponseReply, choice: Choice) -> Self {
        Self {
            told,
            reply,
            choice,
            text: String::new(),
            number: 0,
            begun: false,
        }
    }

    fn tokens(&self) -> Tokens {
        self.told.tokens(std::slice::from_ref(&self.choice))
    }

    fn say(&mut self, (name, mut value): (&'static str, Value), out: &mut BytesMut) {
        value["type"] = json!(name);
        value["sequence_number"] = json!(self.number);
        self.number += 1;
        out.extend_from_slice(&sse::event(name, &value));
    }

    fn end(&mut self, finish: Finish, out: &mut BytesMut) {
        self.told.ended(&self.choice, finish);
        let tokens = self.tokens();
        self.told.charged.used(tokens);
        let answered = Answered {
            text: std::mem::take(&mut self.text),
            finish,
            likelihoods: None,
        };
        for event in self.reply.end(&answered, tokens) {
            self.say(event, out);
        }
    }
}

impl Frames for Responded {
    fn update(&mut self, _: usize, update: Update, out: &mut BytesMut) -> bool {
        if !std::mem::replace(&mut self.begun, true) {
            for event in self.reply.begin() {
                self.say(event, out);
            }
        }
        if let Update::Failed(error) = &update {
            self.told.told.failed(error);
            self.told.charged.used(self.tokens());
            let event = self.reply.failed(error);
            self.say(event, out);
            return false;
        }
        let live = Arc::clone(&self.told.live);
        let finish = self.choice.take(&live, update);
        let more = self.choice.more();
        if !more.is_empty() {
            self.text.push_str(&more);
            let event = self.reply.delta(&more);
            self.say(event, out);
        }
        match finish {
            // No `[DONE]` here: the last event has a name.
            Some(finish) => {
                self.end(finish, out);
                false
            }
            None => true,
        }
    }

    fn is_complete(&self, _: usize) -> bool {
        !self.choice.is_open()
    }
}
