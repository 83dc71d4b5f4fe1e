//! Answers of chat and completion, whole and in chunks.

use serde_json::{Value, json};
use tritone_engine::FinishReason;

use super::likelihood::{TokenLikelihood, of_chat, of_text};
use super::settings::Stream;

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model ended its turn, or a stop string came.
    Stop,
    /// As many tokens as were asked for, or allowed.
    MaxTokens,
    /// The context is full.
    ContextFull,
    /// It took longer than a request may.
    Deadline,
    /// The server is ending.
    Draining,
    /// A rule of the server.
    ContentFilter,
}

impl Finish {
    /// The word that clients know.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::MaxTokens | Self::ContextFull | Self::Deadline | Self::Draining => "length",
            Self::ContentFilter => "content_filter",
        }
    }

    /// What that word leaves out.
    fn detail(self) -> Option<&'static str> {
        match self {
            Self::Stop | Self::MaxTokens | Self::ContentFilter => None,
            Self::ContextFull => Some("context"),
            Self::Deadline => Some("deadline"),
            Self::Draining => Some("draining"),
        }
    }

    /// What the engine says; `None` when somebody cancelled, who knows why.
    #[must_use]
    pub fn of(reason: &FinishReason) -> Option<Self> {
        match reason {
            FinishReason::EndOfTurn | FinishReason::StopString(_) => Some(Self::Stop),
            FinishReason::MaxTokens => Some(Self::MaxTokens),
            FinishReason::ContextFull => Some(Self::ContextFull),
            FinishReason::Cancelled => None,
        }
    }
}

/// Which route answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Completion,
}

/// Counted tokens of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Of the prompt, once, however many answers it got.
    pub prompt: usize,
    /// Of those, known from before.
    pub cached: usize,
    /// Of all answers.
    pub generated: usize,
}

impl Tokens {
    fn usage(self) -> Value {
        json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.generated,
            "total_tokens": self.prompt + self.generated,
            "prompt_tokens_details": {"cached_tokens": self.cached},
        })
    }
}

/// A complete answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// Its text.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// How likely its tokens were, if that was asked for.
    pub likelihoods: Option<Vec<TokenLikelihood>>,
}

/// What all parts of an answer to one request share.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Which route.
    pub kind: Kind,
    /// `chatcmpl-...` or `cmpl-...`.
    pub id: String,
    /// Seconds since 1970.
    pub created: u64,
    /// The model's name.
    pub model: String,
    /// What the answer depends on besides the request.
    pub fingerprint: String,
    /// Tokens that were asked for and tokens that were allowed, where that is less.
    pub capped: Option<(usize, usize)>,
}

impl Reply {
    /// The answer as one object.
    #[must_use]
    pub fn whole(&self, choices: &[Answered], tokens: Tokens) -> Value {
        let (object, choices) = match self.kind {
            Kind::Chat => ("chat.completion", self.chat_choices(choices)),
            Kind::Completion => ("text_completion", self.text_choices(choices)),
        };
        let mut whole = self.object(object, choices);
        whole["usage"] = tokens.usage();
        if let Some((asked, allowed)) = self.capped {
            whole["tritone"] = json!({"max_tokens": {"asked": asked, "allowed": allowed}});
        }
        whole
    }

    fn chat_choices(&self, choices: &[Answered]) -> Vec<Value> {
        let choice = |(index, choice): (usize, &Answered)| {
            let mut value = json!({
                "index": index,
                "message": {"role": "assistant", "content": choice.text, "refusal": null},
                "logprobs": choice.likelihoods.as_deref().map(of_chat),
                "finish_reason": choice.finish.word(),
            });
            say_detail(&mut value, choice.finish);
            value
        };
        choices.iter().enumerate().map(choice).collect()
    }

    fn text_choices(&self, choices: &[Answered]) -> Vec<Value> {
        let choice = |(index, choice): (usize, &Answered)| {
            let mut value = json!({
                "index": index,
                "text": choice.text,
                "logprobs": choice.likelihoods.as_deref().map(|tokens| of_text(tokens, 0)),
                "finish_reason": choice.finish.word(),
            });
            say_detail(&mut value, choice.finish);
            value
        };
        choices.iter().enumerate().map(choice).collect()
    }

    fn object(&self, object: &str, choices: Vec<Value>) -> Value {
        json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "choices": choices,
        })
    }

    fn chunk(&self, choices: Vec<Value>, stream: Stream, tokens: Tokens) -> Value {
        let object = match self.kind {
            Kind::Chat => "chat.completion.chunk",
            Kind::Completion => "text_completion",
        };
        let mut chunk = self.object(object, choices);
        if stream.continuous_usage {
            chunk["usage"] = tokens.usage();
        } else if stream.include_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    /// The first chunk of a choice, which says who speaks; only chats have one.
    #[must_use]
    pub fn role_chunk(&self, choice: usize, stream: Stream, tokens: Tokens) -> Option<Value> {
        let value = json!({
            "index": choice,
            "delta": {"role": "assistant", "content": ""},
            "logprobs": null,
            "finish_reason": null,
        });
        (self.kind == Kind::Chat).then(|| self.chunk(vec![value], stream, tokens))
    }

    /// More text of a choice, whose text so far has `offset` characters.
    #[must_use]
    pub fn text_chunk(
        &self,
        (choice, offset): (usize, usize),
        text: &str,
        likelihoods: Option<&[TokenLikelihood]>,
        stream: Stream,
        tokens: Tokens,
    ) -> Value {
        let value = match self.kind {
            Kind::Chat => json!({
                "index": choice,
                "delta": {"content": text},
                "logprobs": likelihoods.map(of_chat),
                "finish_reason": null,
            }),
            Kind::Completion => json!({
                "index": choice,
                "text": text,
                "logprobs": likelihoods.map(|tokens| of_text(tokens, offset)),
                "finish_reason": null,
            }),
        };
        self.chunk(vec![value], stream, tokens)
    }

    /// The end of a choice.
    #[must_use]
    pub fn finish_chunk(
        &self,
        choice: usize,
        finish: Finish,
        stream: Stream,
        tokens: Tokens,
    ) -> Value {
        let mut value = match self.kind {
            Kind::Chat => json!({"index": choice, "delta": {}}),
            Kind::Completion => json!({"index": choice, "text": ""}),
        };
        value["logprobs"] = Value::Null;
        value["finish_reason"] = json!(finish.word());
        say_detail(&mut value, finish);
        self.chunk(vec![value], stream, tokens)
    }

    /// The last chunk of a stream, if it was asked for: counted tokens, and no choices.
    #[must_use]
    pub fn usage_chunk(&self, stream: Stream, tokens: Tokens) -> Option<Value> {
        stream.include_usage.then(|| {
            let mut chunk = self.chunk(Vec::new(), stream, tokens);
            chunk["usage"] = tokens.usage();
            chunk
        })
    }
}

/// Adds what the finish reason leaves out, where clients look for nothing.
fn say_detail(choice: &mut Value, finish: Finish) {
    if let Some(detail) = finish.detail() {
        choice["tritone"] = json!({"finish": detail});
    }
}
