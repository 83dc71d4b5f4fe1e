//! The files as they are.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::config::Ids;

/// `tokenizer.json`.
#[derive(Debug, Deserialize)]
pub(super) struct Raw {
    pub(super) model: Model,
    #[serde(default)]
    pub(super) added_tokens: Vec<Added>,
    pub(super) normalizer: Option<Value>,
    pub(super) pre_tokenizer: Option<Value>,
    pub(super) post_processor: Option<Value>,
    pub(super) decoder: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Model {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    /// An object of ids by token in BPE; what other kinds have here is not read.
    #[serde(default)]
    vocab: Value,
    #[serde(default)]
    pub(super) merges: Vec<Merge>,
    pub(super) dropout: Option<f64>,
    pub(super) unk_token: Option<String>,
    pub(super) continuing_subword_prefix: Option<String>,
    pub(super) end_of_word_suffix: Option<String>,
    #[serde(default)]
    pub(super) byte_fallback: bool,
    #[serde(default)]
    pub(super) ignore_merges: bool,
}

impl Model {
    /// Tokens and their ids.
    pub(super) fn take_vocab(&mut self) -> Result<HashMap<String, u32>, serde_json::Error> {
        serde_json::from_value(self.vocab.take())
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Merge {
    Text(String),
    Pair(String, String),
}

#[derive(Debug, Deserialize)]
pub(super) struct Added {
    pub(super) id: u32,
    pub(super) content: String,
    #[serde(default)]
    pub(super) special: bool,
    #[serde(default)]
    pub(super) lstrip: bool,
    #[serde(default)]
    pub(super) rstrip: bool,
    #[serde(default)]
    pub(super) single_word: bool,
    #[serde(default)]
    pub(super) normalized: bool,
}

/// A token as text, or as an object with its text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Name {
    Text(String),
    Object { content: String },
}

impl Name {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Object { content } => content,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Template {
    One(String),
    Named(Vec<NamedTemplate>),
}

#[derive(Debug, Deserialize)]
pub(super) struct NamedTemplate {
    pub(super) name: String,
    pub(super) template: String,
}

/// `tokenizer_config.json`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Companion {
    pub(super) bos_token: Option<Name>,
    pub(super) eos_token: Option<Name>,
    pub(super) pad_token: Option<Name>,
    pub(super) add_bos_token: Option<bool>,
    pub(super) add_eos_token: Option<bool>,
    pub(super) chat_template: Option<Template>,
}

/// `generation_config.json`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Generation {
    pub(super) eos_token_id: Option<Ids>,
}

/// The steps of a part of `tokenizer.json`: those of a `Sequence`, or the part itself, or none. Its
/// list has another name in every part.
pub(super) fn steps<'a>(part: Option<&'a Value>, list: &str) -> Vec<&'a Value> {
    match part {
        None | Some(Value::Null) => Vec::new(),
        Some(one) => match one.get(list) {
            Some(Value::Array(steps)) => steps.iter().collect(),
            _ => vec![one],
        },
    }
}

/// The `type` of a step.
pub(super) fn kind(step: &Value) -> &str {
    step.get("type").and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn text<'a>(step: &'a Value, name: &str) -> &'a str {
    step.get(name).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn flag(step: &Value, name: &str) -> Option<bool> {
    step.get(name).and_then(Value::as_bool)
}
