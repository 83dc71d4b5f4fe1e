//! `/openapi.json`: the API's description, made of the table of fields.

use serde_json::{Map, Value, json};

use super::field::{FIELDS, Kind, Routes};

fn schema(kind: Kind) -> Option<Value> {
    Some(match kind {
        Kind::Integer(i64::MIN, i64::MAX) => json!({"type": ["integer", "null"]}),
        Kind::Integer(least, i64::MAX) => json!({"type": ["integer", "null"], "minimum": least}),
        Kind::Integer(least, most) => {
            json!({"type": ["integer", "null"], "minimum": least, "maximum": most})
        }
        Kind::Number(least, most) => {
            json!({"type": ["number", "null"], "minimum": least, "maximum": most})
        }
        Kind::Bool => json!({"type": ["boolean", "null"]}),
        Kind::Text => json!({"type": ["string", "null"]}),
        Kind::Other(_) | Kind::Ignored => json!({}),
        Kind::Refused(_) => return None,
    })
}

fn body(routes: Routes, required: &str) -> Value {
    let mut properties = Map::new();
    for field in FIELDS
        .iter()
        .filter(|field| field.routes == routes || field.routes == Routes::Both)
    {
        if let Some(mut schema) = schema(field.kind) {
            schema["description"] = json!(field.about);
            properties.insert(field.name.to_owned(), schema);
        }
    }
    json!({
        "required": true,
        "content": {"application/json": {"schema": {
            "type": "object",
            "required": [required],
            "properties": properties,
            "additionalProperties": true,
        }}},
    })
}

/// The description. `routes` are method, path and what the route is for, as the server has them; `keyed` tells
/// those that need a key.
#[must_use]
pub fn openapi<'a>(
    routes: impl IntoIterator<Item = (&'a str, &'a str, &'a str, bool)>,
    version: &str,
) -> Value {
    let mut paths = Map::new();
    for (method, path, about, keyed) in routes {
        let mut operation = json!({
            "summary": about,
            "responses": {
                "200": {"description": "The answer"},
                "default": {
                    "description": "A refusal, or a failure",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                },
            },
        });
        if path.ends_with("/chat/completions") {
            operation["requestBody"] = body(Routes::Chat, "messages");
        } else if path.ends_with("/completions") {
            operation["requestBody"] = body(Routes::Completion, "prompt");
        }
        if keyed {
            operation["security"] = json!([{"key": []}]);
        }
        if let Some(name) = path
            .split('{')
            .nth(1)
            .and_then(|rest| rest.split('}').next())
        {
            operation["parameters"] = json!([
                {"name": name, "in": "path", "required": true, "schema": {"type": "string"}},
            ]);
        }
        let entry = paths.entry(path.to_owned()).or_insert_with(|| json!({}));
        entry[method.to_ascii_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Tritone", "version": version},
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {
                    "type": "object",
                    "required": ["message", "type", "param", "code"],
                    "properties": {
                        "message": {"type": "string"},
                        "type": {"type": "string"},
                        "param": {"type": ["string", "null"]},
                        "code": {"type": ["string", "null"]},
                    },
                }},
            }},
        },
    })
}
