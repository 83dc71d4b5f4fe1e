//! The conversation of a chat request.

use serde_json::Value;
use tritone_engine::text::{Message, Role};

use super::field::{Fields, kind_of};
use crate::{ApiError, Limits};

/// Reads `messages`.
pub(super) fn messages(fields: &Fields<'_>, limits: &Limits) -> Result<Vec<Message>, ApiError> {
    let expected = "an array with at least one message";
    let Some(value) = fields.get("messages") else {
        return Err(ApiError::invalid(
            "messages",
            format!("'messages' is missing: it has to be {expected}"),
        ));
    };
    let all = value.as_array().filter(|all| !all.is_empty());
    let all = all
        .ok_or_else(|| ApiError::invalid("messages", format!("'messages' has to be {expected}")))?;
    if all.len() > limits.messages {
        let text = format!(
            "there are {} messages; {} are allowed",
            all.len(),
            limits.messages
        );
        return Err(ApiError::invalid("messages", text));
    }
    all.iter()
        .enumerate()
        .map(|(i, message)| read(i, message))
        .collect()
}

fn read(i: usize, message: &Value) -> Result<Message, ApiError> {
    let wrong = |field: &str, what: String| {
        let path = format!("messages[{i}]{field}");
        Err(ApiError::invalid(path.clone(), format!("'{path}' {what}")))
    };
    let Some(object) = message.as_object() else {
        return wrong(
            "",
            format!("has to be an object, and is {}", kind_of(message)),
        );
    };
    let role = match object.get("role").and_then(Value::as_str) {
        // The newer word for the same thing.
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("tool" | "function") => {
            return wrong(".role", "is 'tool': tools are not supported".to_owned());
        }
        _ => {
            return wrong(
                ".role",
                "has to be system, developer, user or assistant".to_owned(),
            );
        }
    };
    let is_call = |name: &str| {
        let value = object.get(name);
        value.is_some_and(|value| {
            !value.is_null() && value.as_array().is_none_or(|calls| !calls.is_empty())
        })
    };
    for name in ["tool_calls", "function_call"] {
        if is_call(name) {
            return wrong(
                &format!(".{name}"),
                "is there: tools are not supported".to_owned(),
            );
        }
    }
    let content = match object.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let mut text = String::new();
            for (p, part) in parts.iter().enumerate() {
                let kind = part.get("type").and_then(Value::as_str).unwrap_or("text");
                if !matches!(kind, "text" | "input_text" | "output_text") {
                    let kind = kind
                        .chars()
                        .take(40)
                        .collect::<String>()
                        .escape_debug()
                        .to_string();
                    return wrong(
                        &format!(".content[{p}]"),
                        format!("is of type '{kind}': only text can be read"),
                    );
                }
                match part.get("text").and_then(Value::as_str) {
                    Some(piece) => text += piece,
                    None => {
                        return wrong(
                            &format!(".content[{p}].text"),
                            "has to be a string".to_owned(),
                        );
                    }
                }
            }
            text
        }
        Some(Value::Null) | None if role == Role::Assistant => String::new(),
        _ => {
            return wrong(
                ".content",
                "has to be a string, or an array of text parts".to_owned(),
            );
        }
    };
    Ok(Message::new(role, content))
}
