//! The fields of requests: one table for reading them, for the API's description, and for tests that send
//! nonsense in every one of them.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::ApiError;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A whole number in a range, both ends included.
    Integer(i64, i64),
    /// A number in a range, both ends included.
    Number(f64, f64),
    /// `true` or `false`.
    Bool,
    /// Text.
    Text,
    /// Anything that needs a look of its own.
    Other(&'static str),
    /// Accepted, and of no effect.
    Ignored,
    /// Must be absent, `null`, or mean nothing; else the request is refused. The text says what is accepted.
    Refused(&'static str),
}

/// Routes that a field belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routes {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Completion,
    /// Both.
    Both,
}

/// A field of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Where.
    pub routes: Routes,
    /// What it is for.
    pub about: &'static str,
}

const fn field(name: &'static str, kind: Kind, routes: Routes, about: &'static str) -> Field {
    Field {
        name,
        kind,
        routes,
        about,
    }
}

/// Largest integer that a seed or a limit may be written as.
const MOST: i64 = i64::MAX;

/// All fields that mean something, or are refused.
pub const FIELDS: &[Field] = {
    use Kind::{Bool, Ignored, Integer, Number, Other, Refused, Text};
    use Routes::{Both, Chat, Completion};
    &[
        field(
            "model",
            Text,
            Both,
            "Name of the model; the one there is if left out",
        ),
        field("messages", Other("array"), Chat, "The conversation"),
        field(
            "prompt",
            Other("string or array"),
            Completion,
            "What to continue: text, tokens, or a list",
        ),
        field(
            "max_tokens",
            Integer(1, MOST),
            Both,
            "Most tokens of an answer; the server has a limit of its own",
        ),
        field(
            "max_completion_tokens",
            Integer(1, MOST),
            Both,
            "The same; if both are given they must agree",
        ),
        field(
            "min_tokens",
            Integer(0, MOST),
            Both,
            "Tokens before an answer may end",
        ),
        field(
            "n",
            Integer(1, 128),
            Both,
            "Answers; the server has a limit of its own",
        ),
        field(
            "temperature",
            Number(0.0, 100.0),
            Both,
            "0 for the best token, or 0.001 and more",
        ),
        field(
            "top_p",
            Number(0.0, 1.0),
            Both,
            "Keep the best tokens up to this probability together; above 0",
        ),
        field(
            "top_k",
            Integer(-1, MOST),
            Both,
            "Keep this many of the best tokens; 0 or -1 for all",
        ),
        field(
            "min_p",
            Number(0.0, 1.0),
            Both,
            "Keep tokens at least this probable, relative to the best",
        ),
        field(
            "presence_penalty",
            Number(-2.0, 2.0),
            Both,
            "Taken off the logit of tokens that came before",
        ),
        field(
            "frequency_penalty",
            Number(-2.0, 2.0),
            Both,
            "The same, for every time they came",
        ),
        field(
            "repetition_penalty",
            Number(0.01, 100.0),
            Both,
            "Divides the logits of tokens that came before",
        ),
        field(
            "seed",
            Integer(i64::MIN, MOST),
            Both,
            "The same seed gives the same answer",
        ),
        field(
            "stop",
            Other("string or array"),
            Both,
            "Strings that end an answer",
        ),
        field(
            "logit_bias",
            Other("object"),
            Both,
            "Added to logits: token id to a number from -100 to 100",
        ),
        field(
            "logprobs",
            Other("boolean, or an integer for completions"),
            Both,
            "Tell how likely the tokens were",
        ),
        field(
            "top_logprobs",
            Integer(0, 20),
            Chat,
            "Tell the likeliest tokens as well; needs logprobs",
        ),
        field("stream", Bool, Both, "Send the answer as it is written"),
        field(
            "stream_options",
            Other("object"),
            Both,
            "`include_usage`: count tokens at the end of a stream",
        ),
        field(
            "response_format",
            Other("object"),
            Chat,
            "`text`, `json_object`, or `json_schema`",
        ),
        field(
            "ignore_eos",
            Bool,
            Both,
            "Go on after the end of a turn, for measurements",
        ),
        field(
            "chat_template_kwargs",
            Other("object"),
            Chat,
            "`enable_thinking` only",
        ),
        field(
            "continue_final_message",
            Bool,
            Chat,
            "Go on with the last message instead of answering it",
        ),
        field(
            "tools",
            Refused("tools are not supported: leave them out"),
            Chat,
            "Not supported",
        ),
        field(
            "functions",
            Refused("functions are not supported: leave them out"),
            Chat,
            "Not supported",
        ),
        field(
            "audio",
            Refused("there is no audio here"),
            Chat,
            "Not supported",
        ),
        field(
            "web_search_options",
            Refused("the server searches nothing"),
            Chat,
            "Not supported",
        ),
        field(
            "suffix",
            Refused("text is continued at its end only"),
            Completion,
            "Not supported",
        ),
        field(
            "echo",
            Refused("the prompt is not repeated"),
            Completion,
            "Not supported",
        ),
        field(
            "best_of",
            Other("1, or as n"),
            Completion,
            "As `n`, if at all",
        ),
        field("user", Ignored, Both, "Accepted"),
        field("metadata", Ignored, Both, "Accepted"),
        field("store", Ignored, Both, "Accepted: nothing is kept"),
        field("service_tier", Ignored, Both, "Accepted"),
        field("prompt_cache_key", Ignored, Both, "Accepted"),
        field("safety_identifier", Ignored, Both, "Accepted"),
        field("tool_choice", Ignored, Chat, "Accepted"),
        field("parallel_tool_calls", Ignored, Chat, "Accepted"),
        field("reasoning_effort", Ignored, Chat, "Accepted"),
    ]
};

/// An object whose fields are read.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// Where it stands in the request, such as `stream_options.`.
    at: &'a str,
}

impl<'a> Fields<'a> {
    /// The fields of a whole request.
    ///
    /// # Errors
    /// When it is no object.
    pub fn of(body: &'a Value) -> Result<Self, ApiError> {
        let object = body.as_object().ok_or_else(|| {
            let kind = kind_of(body);
            ApiError::invalid(
                "body",
                format!("the request has to be a JSON object, and is {kind}"),
            )
        })?;
        Ok(Self { object, at: "" })
    }

    /// A field that is there and not `null`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Names of all fields that are not `null`.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let there = self.object.iter().filter(|(_, value)| !value.is_null());
        there.map(|(name, _)| name.as_str())
    }

    fn path(&self, name: &str) -> Cow<'static, str> {
        format!("{}{name}", self.at).into()
    }

    /// A refusal of a field's value.
    pub(super) fn wrong(&self, name: &str, expected: &str, value: &Value) -> ApiError {
        let (path, kind) = (self.path(name), kind_of(value));
        ApiError::invalid(
            path.clone(),
            format!("'{path}' has to be {expected}, and is {kind}"),
        )
    }

    /// A whole number from `least` to `most`.
    pub(super) fn integer(
        &self,
        name: &str,
        least: i64,
        most: i64,
    ) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let found = whole(value).filter(|number| (least..=most).contains(number));
        found.map(Some).ok_or_else(|| {
            let expected = match (least, most) {
                (i64::MIN, i64::MAX) => "a whole number of 64 bits".to_owned(),
                (_, i64::MAX) => format!("a whole number, {least} or more"),
                _ => format!("a whole number from {least} to {most}"),
            };
            self.wrong(name, &expected, value)
        })
    }

    /// As [`integer`](Self::integer), for counts.
    pub(super) fn count(
        &self,
        name: &str,
        least: usize,
        most: usize,
    ) -> Result<Option<usize>, ApiError> {
        let end = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let number = self.integer(name, end(least), end(most))?;
        Ok(number.map(|n| usize::try_from(n).unwrap_or(usize::MAX)))
    }

    /// A number from `least` to `most`.
    pub(super) fn number(
        &self,
        name: &str,
        least: f64,
        most: f64,
    ) -> Result<Option<f32>, ApiError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let found = value
            .as_f64()
            .filter(|number| (least..=most).contains(number));
        found
            .map(|number| Some(number as f32))
            .ok_or_else(|| self.wrong(name, &format!("a number from {least} to {most}"), value))
    }

    /// `true` or `false`.
    pub(super) fn bool(&self, name: &str) -> Result<Option<bool>, ApiError> {
        self.get(name)
            .map(|value| {
                value
                    .as_bool()
                    .ok_or_else(|| self.wrong(name, "true or false", value))
            })
            .transpose()
    }

    /// Text.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, ApiError> {
        self.get(name)
            .map(|value| {
                value
                    .as_str()
                    .ok_or_else(|| self.wrong(name, "a string", value))
            })
            .transpose()
    }

    /// Refuses fields that would change the answer and cannot be followed.
    pub(super) fn refuse(&self, routes: Routes) -> Result<(), ApiError> {
        for field in FIELDS {
            let Kind::Refused(why) = field.kind else {
                continue;
            };
            if (field.routes == routes || field.routes == Routes::Both)
                && self.get(field.name).is_some_and(|value| !is_nothing(value))
            {
                return Err(ApiError::invalid(
                    field.name,
                    format!("'{}': {why}", field.name),
                ));
            }
        }
        Ok(())
    }
}

/// Whether a value asks for nothing.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(object) => object.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// A whole number, however it is written; floats only as far as they are exact.
pub(super) fn whole(value: &Value) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number = value.as_number()?;
    number.as_i64().or_else(|| {
        let float = number.as_f64()?;
        (float.fract() == 0.0 && float.abs() <= EXACT).then_some(float as i64)
    })
}

/// What a value is, for people; never more of it than fits a line.
pub(super) fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
