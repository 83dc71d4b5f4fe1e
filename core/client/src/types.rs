//! What goes over the wire, as far as it is of use here. Servers differ, so answers are read leniently.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One message of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Text.
    pub content: String,
}

impl Message {
    /// A message of a role.
    #[must_use]
    pub fn new(role: &str, content: impl Into<String>) -> Self {
        let role = role.to_owned();
        let content = content.into();
        Self { role, content }
    }

    /// What the person says.
    #[must_use]
    pub fn user(content: impl Into<String>) -> Self {
        Self::new("user", content)
    }
}

/// A request for an answer in a chat, or for the continuation of a text; `None` leaves a setting to the server.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ChatRequest {
    /// Name of the model; empty for the one that the server has.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// The conversation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
    /// The text to continue, instead of a conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Most tokens of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Nucleus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// Seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Strings that end the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Go on after the end of a turn, for measurements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_eos: Option<bool>,
    /// Whatever else the server takes.
    #[serde(flatten)]
    pub more: serde_json::Map<String, Value>,
}

impl ChatRequest {
    /// A request that leaves everything to the server.
    #[must_use]
    pub fn new(messages: Vec<Message>) -> Self {
        Self {
            messages,
            ..Self::default()
        }
    }

    /// A request to continue `prompt` as it stands.
    #[must_use]
    pub fn continuing(prompt: impl Into<String>) -> Self {
        Self {
            prompt: Some(prompt.into()),
            ..Self::default()
        }
    }
}

/// Tokens that were counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Of the prompt.
    pub prompt_tokens: u64,
    /// Of the answer.
    pub completion_tokens: u64,
    /// More about the prompt.
    #[serde(deserialize_with = "nothing_is_default")]
    prompt_tokens_details: PromptDetails,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: u64,
}

impl Usage {
    /// Tokens of the prompt that the server still knew.
    #[must_use]
    pub fn cached_tokens(&self) -> u64 {
        self.prompt_tokens_details.cached_tokens
    }
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// `stop`: the model ended its turn, or a stop string came.
    Stop,
    /// `length`: no more tokens were allowed.
    Length,
    /// `content_filter`: a rule of the server ended it.
    ContentFilter,
    /// Anything else.
    Other(String),
}

impl From<&str> for Finish {
    fn from(word: &str) -> Self {
        match word {
            "stop" => Self::Stop,
            "length" => Self::Length,
            "content_filter" => Self::ContentFilter,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Text of the first choice.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// Counted tokens.
    pub usage: Usage,
    /// Name of the model that answered.
    pub model: String,
}

/// A model of `/v1/models`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ModelEntry {
    /// Its name.
    pub id: String,
    /// Positions of one conversation, where the server says so.
    #[serde(default)]
    pub max_model_len: Option<u64>,
    /// Whose it is: most servers name themselves here.
    #[serde(default, deserialize_with = "nothing_is_default")]
    pub owned_by: String,
    /// What Tritone and llama.cpp say besides.
    #[serde(default)]
    pub meta: Option<ModelMeta>,
}

/// What some servers say about a model besides its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ModelMeta {
    /// Positions of one conversation at this server.
    pub n_ctx: Option<u64>,
    /// Positions it was trained for.
    pub n_ctx_train: Option<u64>,
    /// Weights.
    pub n_params: Option<u64>,
    /// Bytes of its file.
    pub size: Option<u64>,
    /// Whether its chat template asks if it is to think.
    pub asks_for_thinking: bool,
}

impl ModelEntry {
    /// Positions of one conversation, as far as the server says so.
    #[must_use]
    pub fn context(&self) -> Option<u64> {
        let meta = self.meta.unwrap_or_default();
        self.max_model_len.or(meta.n_ctx).or(meta.n_ctx_train)
    }
}

/// A list of models.
#[derive(Deserialize)]
pub(crate) struct Models {
    pub(crate) data: Vec<ModelEntry>,
}

/// Vectors of texts.
#[derive(Deserialize)]
pub(crate) struct Vectors {
    pub(crate) data: Vec<Vector>,
}

#[derive(Deserialize)]
pub(crate) struct Vector {
    #[serde(default)]
    pub(crate) index: usize,
    pub(crate) embedding: Numbers,
}

/// Numbers of a vector, or of one for each token: some servers of llama.cpp's family give these where a model does not
/// say how they become one.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Numbers {
    Whole(Vec<f32>),
    OfTokens(Vec<Vec<f32>>),
}

impl Numbers {
    /// One vector: the mean of those of the tokens.
    pub(crate) fn mean(self) -> Vec<f32> {
        let tokens = match self {
            Self::Whole(vector) => return vector,
            Self::OfTokens(tokens) => tokens,
        };
        let width = tokens.iter().map(Vec::len).min().unwrap_or(0);
        let of = |at: usize| {
            let sum: f64 = tokens.iter().map(|token| f64::from(token[at])).sum();
            (sum / tokens.len() as f64) as f32
        };
        (0..width).map(of).collect()
    }
}

/// A chunk of a stream, or a whole answer: both have `choices`, with a `delta` or a `message`.
#[derive(Deserialize)]
pub(crate) struct Chunk {
    #[serde(default, deserialize_with = "nothing_is_default")]
    pub(crate) model: String,
    /// Some servers send `null` beside the usage.
    #[serde(default, deserialize_with = "nothing_is_default")]
    pub(crate) choices: Vec<Choice>,
    #[serde(default)]
    pub(crate) usage: Option<Usage>,
    /// Instead of choices, what llama.cpp's own route for the continuation of a text says. Older servers of that
    /// family, bitnet.cpp's among them, answer so at `/v1/completions` too.
    #[serde(flatten)]
    pub(crate) native: Native,
}

/// A piece of an answer in the form of llama.cpp's own routes.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Native {
    /// Text.
    pub(crate) content: Option<String>,
    /// It is the last piece. In the requests of other routes, and so in what some servers repeat of them, this
    /// name stands for the strings that end an answer.
    pub(crate) stop: Value,
    /// The last piece: the most tokens were written (older servers).
    pub(crate) stopped_limit: bool,
    /// The last piece: what ended it, `eos`, `word` or `limit` (newer servers).
    pub(crate) stop_type: String,
    /// The last piece: tokens of the prompt.
    pub(crate) tokens_evaluated: u64,
    /// The last piece: tokens of the answer.
    pub(crate) tokens_predicted: u64,
}

impl Native {
    /// Why the answer ended, if this is the last piece.
    pub(crate) fn finish(&self) -> Option<Finish> {
        let limit = self.stopped_limit || self.stop_type == "limit";
        let last = self.stop == Value::Bool(true);
        last.then_some(if limit { Finish::Length } else { Finish::Stop })
    }

    /// Counted tokens of the whole answer.
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            prompt_tokens: self.tokens_evaluated,
            completion_tokens: self.tokens_predicted,
            ..Usage::default()
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Choice {
    #[serde(default)]
    pub(crate) index: u32,
    #[serde(default, alias = "message", deserialize_with = "nothing_is_default")]
    pub(crate) delta: Delta,
    /// Where a text is continued.
    #[serde(default)]
    pub(crate) text: Option<String>,
    #[serde(default)]
    pub(crate) finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
pub(crate) struct Delta {
    #[serde(default)]
    pub(crate) content: Option<String>,
}

/// `null` where something is expected.
fn nothing_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
