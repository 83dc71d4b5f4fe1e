//! `/v1/chat/completions`: what is asked.

use serde_json::Value;
use tritone_engine::sample::Sampling;
use tritone_engine::text::{Message, Role};

use super::field::{Fields, Routes};
use super::format::Format;
use super::messages::messages;
use super::settings::Settings;
use crate::{ApiError, Limits};

/// A request for the next message of a chat.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    /// The model's name, if one is given.
    pub model: Option<String>,
    /// The conversation.
    pub messages: Vec<Message>,
    /// How to answer.
    pub settings: Settings,
    /// The form of the answer.
    pub format: Format,
    /// Whether the model is to think first, where it can be told.
    pub thinking: Option<bool>,
    /// Go on with the last message.
    pub continue_last: bool,
}

impl ChatRequest {
    /// Reads a request; `default` is what holds where it says nothing about sampling.
    ///
    /// # Errors
    /// A 400 that names the field at fault.
    pub fn parse(body: &Value, limits: &Limits, default: &Sampling) -> Result<Self, ApiError> {
        let fields = Fields::of(body)?;
        fields.refuse(Routes::Chat)?;
        let model = fields.text("model")?.map(str::to_owned);
        let messages = messages(&fields, limits)?;
        let mut settings = Settings::parse(&fields, limits, default)?;
        let top = fields.count("top_logprobs", 0, limits.top_logprobs)?;
        settings.sampling.logprobs = fields.bool("logprobs")?.unwrap_or(false);
        if top.is_some_and(|top| top > 0) && !settings.sampling.logprobs {
            return Err(ApiError::invalid(
                "top_logprobs",
                "'top_logprobs' needs 'logprobs' to be true",
            ));
        }
        settings.sampling.top_logprobs = u32::try_from(top.unwrap_or(0)).unwrap_or(u32::MAX);
        let continue_last = fields.bool("continue_final_message")?.unwrap_or(false);
        if continue_last
            && messages
                .last()
                .is_none_or(|last| last.role != Role::Assistant)
        {
            return Err(ApiError::invalid(
                "continue_final_message",
                "'continue_final_message' needs the last message to be the assistant's",
            ));
        }
        modalities(&fields)?;
        Ok(Self {
            model,
            format: Format::parse(&fields, limits)?,
            thinking: thinking(&fields)?,
            messages,
            settings,
            continue_last,
        })
    }

    /// Tokens that prompt and answers may take, as far as can be said before the text is looked at: a
    /// token is three bytes or more, as a rule.
    #[must_use]
    pub fn tokens_estimate(&self) -> u64 {
        let bytes: usize = self
            .messages
            .iter()
            .map(|message| message.content.len() + 16)
            .sum();
        estimate(bytes, &self.settings)
    }
}

/// Tokens of a prompt of `bytes` bytes and its answers.
pub(super) fn estimate(bytes: usize, settings: &Settings) -> u64 {
    let one = (bytes / 3).saturating_add(settings.max_tokens);
    (one as u64).saturating_mul(settings.choices as u64)
}

/// Only text is written.
fn modalities(fields: &Fields<'_>) -> Result<(), ApiError> {
    let Some(value) = fields.get("modalities") else {
        return Ok(());
    };
    let only_text = value
        .as_array()
        .is_some_and(|all| all.iter().all(|kind| kind == "text"));
    if only_text {
        return Ok(());
    }
    Err(ApiError::invalid(
        "modalities",
        "'modalities' may only be [\"text\"]",
    ))
}

/// The one switch of a template that a request may set. Templates see nothing else of a request: other names
/// could take the place of what the server sets.
fn thinking(fields: &Fields<'_>) -> Result<Option<bool>, ApiError> {
    let name = "chat_template_kwargs";
    let Some(value) = fields.get(name) else {
        return Ok(None);
    };
    let object = value
        .as_object()
        .ok_or_else(|| fields.wrong(name, "an object", value))?;
    if let Some(other) = object.keys().find(|key| *key != "enable_thinking") {
        let shown: String = other.chars().take(40).collect();
        let text = format!(
            "'{name}' may only have 'enable_thinking', and has '{}'",
            shown.escape_debug()
        );
        return Err(ApiError::invalid(name, text));
    }
    match object.get("enable_thinking") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(on)) => Ok(Some(*on)),
        Some(_) => Err(ApiError::invalid(
            name,
            "'enable_thinking' has to be true or false",
        )),
    }
}
