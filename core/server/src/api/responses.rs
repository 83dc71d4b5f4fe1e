//! `/v1/responses`, as far as it needs no memory: text in and out. What it asks is a chat request in other words,
//! and is read as one.

use serde_json::{Map, Value, json};
use tritone_engine::sample::Sampling;

use super::answer::{Answered, Finish, Tokens};
use super::chat::ChatRequest;
use super::field::Fields;
use crate::{ApiError, Limits};

/// A request for a response.
#[derive(Clone, Debug)]
pub struct ResponsesRequest {
    /// What it asks, as a chat.
    pub chat: ChatRequest,
    /// What the answer repeats.
    pub echo: Echo,
}

/// What an answer repeats of its request.
#[derive(Clone, Debug, PartialEq)]
pub struct Echo {
    instructions: Value,
    max_output_tokens: Value,
    temperature: f32,
    top_p: f32,
    format: Value,
    metadata: Value,
}

/// Fields that a chat has under the same name.
const SAME: [&str; 6] = ["model", "temperature", "top_p", "stream", "seed", "tools"];

/// Names of a chat's fields, and what they are called here.
const NAMES: [(&str, &str); 5] = [
    ("messages", "input"),
    ("max_tokens", "max_output_tokens"),
    ("max_completion_tokens", "max_output_tokens"),
    ("response_format.json_schema", "text.format"),
    ("response_format", "text.format"),
];

impl ResponsesRequest {
    /// Reads a request; `default` is what holds where it says nothing about sampling.
    ///
    /// # Errors
    /// A 400 that names the field at fault, among others for what would need the server to remember.
    pub fn parse(body: &Value, limits: &Limits, default: &Sampling) -> Result<Self, ApiError> {
        let fields = Fields::of(body)?;
        for name in ["previous_response_id", "conversation", "prompt"] {
            if fields.get(name).is_some() {
                let text =
                    format!("'{name}': this server remembers nothing; send the whole conversation");
                return Err(ApiError::invalid(name, text));
            }
        }
        for (name, what) in [
            ("store", "nothing is stored"),
            ("background", "answers come at once"),
        ] {
            if fields.bool(name)?.unwrap_or(false) {
                let text = format!("'{name}' has to be false or left out: {what}");
                return Err(ApiError::invalid(name, text));
            }
        }
        let mut chat = Map::new();
        for name in SAME {
            if let Some(value) = fields.get(name) {
                chat.insert(name.to_owned(), value.clone());
            }
        }
        let limit = fields.get("max_output_tokens");
        chat.extend(limit.map(|limit| ("max_tokens".to_owned(), limit.clone())));
        chat.insert("messages".to_owned(), messages(&fields)?);
        let format = fields.get("text").and_then(|text| text.get("format"));
        let format = format.filter(|format| !format.is_null());
        if let Some(format) = format {
            // The same, without the wrapping.
            chat.insert("response_format".to_owned(), format.clone());
        }
        let chat = ChatRequest::parse(&Value::Object(chat), limits, default).map_err(renamed)?;
        let or_null = |name| fields.get(name).cloned().unwrap_or_default();
        let echo = Echo {
            instructions: or_null("instructions"),
            max_output_tokens: or_null("max_output_tokens"),
            temperature: chat.settings.sampling.temperature,
            top_p: chat.settings.sampling.top_p,
            format: format.cloned().unwrap_or_else(|| json!({"type": "text"})),
            metadata: fields.get("metadata").cloned().unwrap_or_else(|| json!({})),
        };
        Ok(Self { chat, echo })
    }
}

/// `instructions` and `input` as the messages of a chat.
fn messages(fields: &Fields<'_>) -> Result<Value, ApiError> {
    let mut messages = Vec::new();
    if let Some(instructions) = fields.text("instructions")? {
        messages.push(json!({"role": "system", "content": instructions}));
    }
    let expected = "a string, or an array of messages";
    match fields.get("input") {
        Some(Value::String(text)) => messages.push(json!({"role": "user", "content": text})),
        Some(Value::Array(items)) => {
            for (i, item) in items.iter().enumerate() {
                let kind = item
                    .get("type")
                    .and_then(Value::as_str)
                    .unwrap_or("message");
                if kind != "message" {
                    let path = format!("input[{i}].type");
                    return Err(ApiError::invalid(
                        path.clone(),
                        format!("'{path}': only messages can be read"),
                    ));
                }
                messages.push(item.clone());
            }
        }
        Some(other) => return Err(fields.wrong("input", expected, other)),
        None => {
            return Err(ApiError::invalid(
                "input",
                format!("'input' is missing: it has to be {expected}"),
            ));
        }
    }
    Ok(Value::Array(messages))
}

/// An error about a chat in the words of this route.
fn renamed(mut error: ApiError) -> ApiError {
    let Some(param) = error.param.as_deref() else {
        return error;
    };
    let found = NAMES.iter().find(|(chat, _)| param.starts_with(chat));
    if let Some((chat, here)) = found {
        error.message = error.message.replace(chat, here);
        error.param = Some(param.replacen(chat, here, 1).into());
    }
    error
}

/// What all parts of a response share.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseReply {
    /// `resp_...`.
    pub id: String,
    /// `msg_...`.
    pub item: String,
    /// Seconds since 1970.
    pub created: u64,
    /// The model's name.
    pub model: String,
    /// What is repeated of the request.
    pub echo: Echo,
}

/// An event: its name and what it holds.
pub type Event = (&'static str, Value);

impl ResponseReply {
    /// The response as one object.
    #[must_use]
    pub fn whole(&self, answered: &Answered, tokens: Tokens) -> Value {
        let mut whole = self.object(status(answered.finish));
        whole["output"] = json!([self.message(&answered.text, status(answered.finish))]);
        whole["usage"] = usage(tokens);
        if let Some(why) = incomplete(answered.finish) {
            whole["incomplete_details"] = json!({"reason": why});
        }
        whole
    }

    fn object(&self, status: &str) -> Value {
        let echo = &self.echo;
        json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": false,
            "error": null,
            "incomplete_details": null,
            "instructions": echo.instructions,
            "max_output_tokens": echo.max_output_tokens,
            "model": self.model,
            "output": [],
            "parallel_tool_calls": false,
            "previous_response_id": null,
            "reasoning": {"effort": null, "summary": null},
            "store": false,
            "temperature": echo.temperature,
            "text": {"format": echo.format},
            "tool_choice": "auto",
            "tools": [],
            "top_p": echo.top_p,
            "truncation": "disabled",
            "usage": null,
            "metadata": echo.metadata,
        })
    }

    fn message(&self, text: &str, status: &str) -> Value {
        json!({
            "type": "message",
            "id": self.item,
            "status": status,
            "role": "assistant",
            "content": [part(text)],
        })
    }

    /// The first events of a stream.
    #[must_use]
    pub fn begin(&self) -> Vec<Event> {
        let response = self.object("in_progress");
        let item = json!({
            "type": "message", "id": self.item, "status": "in_progress", "role": "assistant", "content": [],
        });
        vec![
            ("response.created", json!({"response": response})),
            ("response.in_progress", json!({"response": response})),
            (
                "response.output_item.added",
                json!({"output_index": 0, "item": item}),
            ),
            (
                "response.content_part.added",
                self.placed(json!({"part": part("")})),
            ),
        ]
    }

    /// More text.
    #[must_use]
    pub fn delta(&self, text: &str) -> Event {
        let value = self.placed(json!({"delta": text, "logprobs": []}));
        ("response.output_text.delta", value)
    }

    /// The last events of a stream.
    #[must_use]
    pub fn end(&self, answered: &Answered, tokens: Tokens) -> Vec<Event> {
        let (text, status) = (&answered.text, status(answered.finish));
        let name = if status == "completed" {
            "response.completed"
        } else {
            "response.incomplete"
        };
        vec![
            (
                "response.output_text.done",
                self.placed(json!({"text": text, "logprobs": []})),
            ),
            (
                "response.content_part.done",
                self.placed(json!({"part": part(text)})),
            ),
            (
                "response.output_item.done",
                json!({"output_index": 0, "item": self.message(text, status)}),
            ),
            (name, json!({"response": self.whole(answered, tokens)})),
        ]
    }

    /// The last event of a stream that cannot go on.
    #[must_use]
    pub fn failed(&self, error: &ApiError) -> Event {
        let mut response = self.object("failed");
        let code = error.code.unwrap_or("server_error");
        response["error"] = json!({"code": code, "message": error.message});
        ("response.failed", json!({"response": response}))
    }

    /// A value with the place of the one text there is.
    fn placed(&self, mut value: Value) -> Value {
        value["item_id"] = json!(self.item);
        value["output_index"] = json!(0);
        value["content_index"] = json!(0);
        value
    }
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn usage(tokens: Tokens) -> Value {
    json!({
        "input_tokens": tokens.prompt,
        "input_tokens_details": {"cached_tokens": tokens.cached},
        "output_tokens": tokens.generated,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens.prompt + tokens.generated,
    })
}

fn status(finish: Finish) -> &'static str {
    match incomplete(finish) {
        None => "completed",
        Some(_) => "incomplete",
    }
}

fn incomplete(finish: Finish) -> Option<&'static str> {
    match finish {
        Finish::Stop => None,
        Finish::ContentFilter => Some("content_filter"),
        Finish::MaxTokens | Finish::ContextFull | Finish::Deadline | Finish::Draining => {
            Some("max_output_tokens")
        }
    }
}
