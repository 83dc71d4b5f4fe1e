//! One message.

use serde::{Deserialize, Serialize};

/// The number of a message within its session; later messages have greater ones.
pub type Number = u32;

/// Who a message is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// `user` or `assistant`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }

    pub(crate) fn of(name: &str) -> Option<Self> {
        [Self::User, Self::Assistant]
            .into_iter()
            .find(|role| role.name() == name)
    }
}

/// How a message came to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It says what was to be said.
    #[default]
    Complete,
    /// It is being written.
    Partial,
    /// The person stopped it.
    Stopped,
    /// The limit of tokens was reached.
    Length,
    /// The context was full.
    Context,
    /// Writing it failed.
    Failed,
    /// The program ended while it was being written.
    Interrupted,
}

impl State {
    const ALL: [Self; 7] = [
        Self::Complete,
        Self::Partial,
        Self::Stopped,
        Self::Length,
        Self::Context,
        Self::Failed,
        Self::Interrupted,
    ];

    /// `complete`, `partial`, `stopped`, `length`, `context`, `failed` or `interrupted`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Stopped => "stopped",
            Self::Length => "length",
            Self::Context => "context",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Counts and times of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timings {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Of those, found in the KV cache.
    pub cached_tokens: u64,
    /// Tokens written.
    pub generated_tokens: u64,
    /// Milliseconds of reading the prompt.
    pub prefill_ms: u64,
    /// Milliseconds of writing.
    pub decode_ms: u64,
    /// Milliseconds until the first token was there.
    pub first_token_ms: u64,
}

/// A message, or an answer that is being written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its number.
    pub number: Number,
    /// The message it follows; `None` for the first of a branch.
    #[serde(default)]
    pub parent: Option<Number>,
    /// Who it is from.
    pub role: Role,
    /// What it says.
    pub text: String,
    /// How it ended.
    #[serde(default)]
    pub state: State,
    /// The model that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The kernel the model ran on at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// The seed it was drawn with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,
    /// When it was begun, in milliseconds since 1970; 0 for now.
    #[serde(default)]
    pub created: u64,
}

impl Message {
    /// A message of the person.
    #[must_use]
    pub fn user(number: Number, parent: Option<Number>, text: impl Into<String>) -> Self {
        Self {
            number,
            parent,
            role: Role::User,
            text: text.into(),
            state: State::Complete,
            model: None,
            kernel: None,
            seed: None,
            timings: None,
            created: 0,
        }
    }

    /// An answer that begins now.
    #[must_use]
    pub fn answer(number: Number, parent: Option<Number>) -> Self {
        Self {
            role: Role::Assistant,
            state: State::Partial,
            ..Self::user(number, parent, "")
        }
    }
}
