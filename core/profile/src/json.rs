//! The JSON Schema of profile files, for editors and other programs.

use serde_json::{Map, Value, json};

use crate::keys::{KEYS, Key, Kind};
use crate::parse::BASE;

/// Control characters are refused in text.
const PLAIN: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";

/// The JSON Schema (draft 7) of a profile file, made of [`KEYS`].
pub fn json_schema() -> Value {
    let mut properties = Map::new();
    properties.insert(
        BASE.to_owned(),
        json!({
            "type": "string",
            "description": "Profile that settings left out come from: a preset or a profile of yours.",
            "examples": ["mobile", "edge", "server", "cloud"],
        }),
    );
    for key in KEYS {
        match key.name.split_once('.') {
            None => {
                properties.insert(key.name.to_owned(), property(key));
            }
            Some((table, name)) => {
                let table = properties.entry(table).or_insert_with(
                    || json!({"type": "object", "additionalProperties": false, "properties": {}}),
                );
                if let Some(inner) = table.get_mut("properties").and_then(Value::as_object_mut) {
                    inner.insert(name.to_owned(), property(key));
                }
            }
        }
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Tritone profile",
        "description": "How much of the machine Tritone may use, and what it should be good at.",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

fn property(key: &Key) -> Value {
    let mut property = match key.kind {
        Kind::Whole { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::Number { min, max } => json!({"type": "number", "minimum": min, "maximum": max}),
        Kind::Word(words) => json!({"enum": words}),
        Kind::Switch => json!({"type": "boolean"}),
        Kind::Text { min, max } => text(min, max),
        Kind::Texts { count, max } => {
            json!({"type": "array", "maxItems": count, "items": text(1, max)})
        }
    };
    property["description"] = json!(match key.env {
        Some(variable) => format!("{} Environment: {variable}.", key.help),
        None => key.help.to_owned(),
    });
    property
}

fn text(min: usize, max: usize) -> Value {
    json!({"type": "string", "minLength": min, "maxLength": max, "pattern": PLAIN})
}
