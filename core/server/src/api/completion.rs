//! `/v1/completions`: what is asked.

use serde_json::Value;
use tritone_engine::Input;
use tritone_engine::sample::Sampling;

use super::chat::estimate;
use super::field::{Fields, Routes};
use super::settings::{Settings, token_ids};
use crate::{ApiError, Limits};

/// What is to be continued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Text.
    Text(String),
    /// Token ids of this model.
    Tokens(Vec<u32>),
}

impl Prompt {
    /// For the engine.
    #[must_use]
    pub fn input(&self) -> Input {
        match self {
            Self::Text(text) => Input::Text(text.clone()),
            Self::Tokens(tokens) => Input::Tokens(tokens.clone()),
        }
    }

    /// As long as its text is, or would be.
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Tokens(tokens) => 3 * tokens.len(),
        }
    }
}

/// A request for the continuation of one or more texts.
#[derive(Clone, Debug)]
pub struct CompletionRequest {
    /// The model's name, if one is given.
    pub model: Option<String>,
    /// What to continue; every one is continued `n` times.
    pub prompts: Vec<Prompt>,
    /// How.
    pub settings: Settings,
}

impl CompletionRequest {
    /// Reads a request; `default` is what holds where it says nothing about sampling.
    ///
    /// # Errors
    /// A 400 that names the field at fault.
    pub fn parse(body: &Value, limits: &Limits, default: &Sampling) -> Result<Self, ApiError> {
        let fields = Fields::of(body)?;
        fields.refuse(Routes::Completion)?;
        let mut settings = Settings::parse(&fields, limits, default)?;
        let best_of = fields.count("best_of", 1, limits.choices)?;
        if best_of.is_some_and(|best_of| best_of != settings.choices) {
            return Err(ApiError::invalid(
                "best_of",
                "'best_of' has to be as 'n': no answers are thrown away",
            ));
        }
        // Old clients say false where newer ones say nothing.
        let told = match fields.get("logprobs") {
            Some(Value::Bool(false)) | None => None,
            Some(_) => fields.count("logprobs", 0, limits.top_logprobs)?,
        };
        settings.sampling.logprobs = told.is_some();
        settings.sampling.top_logprobs = u32::try_from(told.unwrap_or(0)).unwrap_or(u32::MAX);
        let prompts = prompts(&fields)?;
        let answers = prompts.len().saturating_mul(settings.choices);
        if answers > limits.choices {
            let text = format!(
                "prompts times 'n' make {answers} answers; {} are allowed",
                limits.choices
            );
            return Err(ApiError::invalid("prompt", text));
        }
        Ok(Self {
            model: fields.text("model")?.map(str::to_owned),
            prompts,
            settings,
        })
    }

    /// Answers wanted, those of all prompts.
    #[must_use]
    pub fn answers(&self) -> usize {
        self.prompts.len() * self.settings.choices
    }

    /// Tokens that prompts and answers may take, as far as can be said before the text is looked at.
    #[must_use]
    pub fn tokens_estimate(&self) -> u64 {
        self.prompts
            .iter()
            .map(|prompt| estimate(prompt.bytes(), &self.settings))
            .sum()
    }
}

fn prompts(fields: &Fields<'_>) -> Result<Vec<Prompt>, ApiError> {
    let expected =
        "a string, an array of strings, an array of token ids, or an array of such arrays";
    let Some(value) = fields.get("prompt") else {
        return Err(ApiError::invalid(
            "prompt",
            format!("'prompt' is missing: it has to be {expected}"),
        ));
    };
    let one = |value: &Value| match value {
        Value::String(text) => Some(Prompt::Text(text.clone())),
        Value::Array(ids) if !ids.is_empty() => token_ids(ids).map(Prompt::Tokens),
        _ => None,
    };
    let all = match value {
        Value::Array(all) if all.first().is_some_and(|first| !first.is_number()) => {
            all.iter().map(one).collect::<Option<Vec<_>>>()
        }
        value => one(value).map(|prompt| vec![prompt]),
    };
    all.ok_or_else(|| fields.wrong("prompt", expected, value))
}
