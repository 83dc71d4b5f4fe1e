//! `/tokenize` and `/detokenize`.

use serde_json::{Value, json};
use tritone_engine::text::Message;

use super::field::Fields;
use super::messages::messages;
use super::settings::token_ids;
use crate::{ApiError, Limits};

/// What is to be cut into tokens.
#[derive(Clone, Debug)]
pub enum TokenizeRequest {
    /// Text, in which control tokens are text.
    Text(String),
    /// A conversation, as the model would read it.
    Chat(Vec<Message>),
}

impl TokenizeRequest {
    /// Reads `content` (or `prompt`), or `messages`.
    ///
    /// # Errors
    /// A 400 that names the field at fault.
    pub fn parse(body: &Value, limits: &Limits) -> Result<Self, ApiError> {
        let fields = Fields::of(body)?;
        if fields.get("messages").is_some() {
            return messages(&fields, limits).map(Self::Chat);
        }
        let text = match fields.text("content")? {
            Some(text) => Some(text),
            None => fields.text("prompt")?,
        };
        let missing = || {
            ApiError::invalid(
                "content",
                "'content' is missing: send a string, or 'messages'",
            )
        };
        text.map(|text| Self::Text(text.to_owned()))
            .ok_or_else(missing)
    }
}

/// Tokens that are to become text again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetokenizeRequest {
    /// Their ids.
    pub tokens: Vec<u32>,
}

impl DetokenizeRequest {
    /// Reads `tokens`.
    ///
    /// # Errors
    /// A 400 that names the field at fault, also for an id outside of `vocab`.
    pub fn parse(body: &Value, vocab: usize) -> Result<Self, ApiError> {
        let fields = Fields::of(body)?;
        let value = fields.get("tokens").unwrap_or(&Value::Null);
        let tokens = value.as_array().and_then(|values| token_ids(values));
        let tokens =
            tokens.ok_or_else(|| fields.wrong("tokens", "an array of token ids", value))?;
        match tokens.iter().find(|token| **token as usize >= vocab) {
            Some(token) => Err(ApiError::invalid(
                "tokens",
                format!("token {token} is outside the vocabulary of {vocab}"),
            )),
            None => Ok(Self { tokens }),
        }
    }
}

/// The answer to a [`TokenizeRequest`].
#[must_use]
pub fn tokenized(tokens: &[u32], context: usize) -> Value {
    json!({"tokens": tokens, "count": tokens.len(), "max_model_len": context})
}

/// The answer to a [`DetokenizeRequest`].
#[must_use]
pub fn detokenized(text: &str) -> Value {
    json!({"content": text, "prompt": text})
}
