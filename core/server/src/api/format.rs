//! `response_format`: what form an answer has to have.

use serde_json::{Value, json};

use super::field::Fields;
use crate::{ApiError, Limits};

/// The form of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Format {
    /// Any text.
    #[default]
    Text,
    /// A JSON value that fits this schema.
    Schema(Value),
}

impl Format {
    pub(super) fn parse(fields: &Fields<'_>, limits: &Limits) -> Result<Self, ApiError> {
        let at = "response_format";
        let Some(value) = fields.get(at) else {
            return Ok(Self::Text);
        };
        let kind = value.get("type").and_then(Value::as_str);
        match kind {
            Some("text") => Ok(Self::Text),
            Some("json_object") => Ok(Self::Schema(json!({"type": "object"}))),
            Some("json_schema") => {
                // Some clients leave the wrapping out.
                let wrapped = value.get("json_schema");
                let schema = wrapped
                    .and_then(|w| w.get("schema"))
                    .or_else(|| value.get("schema"));
                let schema = schema.filter(|schema| schema.is_object() || schema.is_boolean());
                let schema = schema.ok_or_else(|| {
                    let path = "response_format.json_schema.schema";
                    ApiError::invalid(path, format!("'{path}' has to be a JSON schema: an object"))
                })?;
                check_size(schema, limits)?;
                Ok(Self::Schema(schema.clone()))
            }
            _ => {
                let text = "'response_format.type' has to be text, json_object or json_schema";
                Err(ApiError::invalid("response_format.type", text))
            }
        }
    }
}

/// Refuses schemas that are deep or large: what they are turned into grows with them.
fn check_size(schema: &Value, limits: &Limits) -> Result<(), ApiError> {
    let mut nodes = 0;
    let mut open = vec![(schema, 1)];
    while let Some((value, depth)) = open.pop() {
        nodes += 1;
        let (what, found, most) = if depth > limits.schema_depth {
            ("levels", depth, limits.schema_depth)
        } else if nodes > limits.schema_nodes {
            ("values", nodes, limits.schema_nodes)
        } else {
            match value {
                Value::Array(values) => open.extend(values.iter().map(|value| (value, depth + 1))),
                Value::Object(object) => {
                    open.extend(object.values().map(|value| (value, depth + 1)))
                }
                _ => {}
            }
            continue;
        };
        return Err(ApiError::invalid(
            "response_format",
            format!("the schema has {found} {what} or more; {most} are allowed"),
        ));
    }
    Ok(())
}
