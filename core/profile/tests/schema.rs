//! The committed JSON Schema: it is what the code writes, and it accepts and refuses what the
//! reader does.

#![allow(
    clippy::unwrap_used,
    reason = "a schema that is not as expected fails the test"
)]

use serde_json::Value;
use tritone_profile::{KEYS, Layers, PRESETS, json_schema, resolve};

const COMMITTED: &str = include_str!("../../../profiles/profile.schema.json");

/// Checks `value` against the keywords that the schema uses; a keyword this does not know is a
/// failure of the test.
fn faults(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let number = |name: &str| schema.get(name).and_then(Value::as_f64);
    let size = |name: &str| schema.get(name).and_then(Value::as_u64);
    for keyword in schema.as_object().unwrap().keys() {
        let fault = match keyword.as_str() {
            "$schema" | "title" | "description" | "examples" | "properties" | "items" => None,
            "type" => {
                let fits = match schema["type"].as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    other => panic!("type {other}"),
                };
                (!fits).then_some("type")
            }
            "enum" => (!schema["enum"].as_array().unwrap().contains(value)).then_some("enum"),
            "minimum" => value
                .as_f64()
                .is_some_and(|n| n < number("minimum").unwrap())
                .then_some("minimum"),
            "maximum" => value
                .as_f64()
                .is_some_and(|n| n > number("maximum").unwrap())
                .then_some("maximum"),
            "minLength" | "maxLength" => value.as_str().and_then(|text| {
                let length = text.chars().count() as u64;
                let fits = match keyword.as_str() {
                    "minLength" => length >= size("minLength").unwrap(),
                    _ => length <= size("maxLength").unwrap(),
                };
                (!fits).then_some("length")
            }),
            "pattern" => {
                assert_eq!(schema["pattern"], "^[^\\u0000-\\u001f\\u007f-\\u009f]*$");
                value
                    .as_str()
                    .is_some_and(|text| text.chars().any(char::is_control))
                    .then_some("pattern")
            }
            "maxItems" => value
                .as_array()
                .is_some_and(|items| items.len() as u64 > size("maxItems").unwrap())
                .then_some("maxItems"),
            "additionalProperties" => {
                assert_eq!(schema["additionalProperties"], false);
                let known = schema["properties"].as_object().unwrap();
                value
                    .as_object()
                    .is_some_and(|object| object.keys().any(|key| !known.contains_key(key)))
                    .then_some("additionalProperties")
            }
            other => panic!("keyword {other}"),
        };
        found.extend(fault.map(|fault| format!("{at}: {fault}")));
    }
    if let (Some(object), Some(properties)) = (value.as_object(), schema.get("properties")) {
        for (key, value) in object {
            if let Some(schema) = properties.get(key) {
                faults(schema, value, &format!("{at}/{key}"), found);
            }
        }
    }
    if let (Some(items), Some(schema)) = (value.as_array(), schema.get("items")) {
        for item in items {
            faults(schema, item, at, found);
        }
    }
}

fn judge(text: &str) -> Vec<String> {
    let value: toml::Table = text.parse().unwrap();
    let value = serde_json::to_value(value).unwrap();
    let mut found = Vec::new();
    faults(&json_schema(), &value, "", &mut found);
    found
}

/// Whether the reader takes the text.
fn is_read(text: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.toml");
    std::fs::write(&path, text).unwrap();
    resolve(path.to_str(), &Layers::none()).is_ok()
}

#[test]
fn the_committed_schema_is_what_the_code_writes() {
    let written = format!("{:#}\n", json_schema());
    assert!(
        COMMITTED == written,
        "profiles/profile.schema.json is out of date: `tritone profile schema` prints\n{written}"
    );
}

#[test]
fn the_schema_has_every_setting_and_what_it_is_for() {
    let schema = json_schema();
    for key in KEYS {
        let path = key.name.replace('.', "/properties/");
        let property = schema.pointer(&format!("/properties/{path}"));
        let text = property.and_then(|property| property["description"].as_str());
        assert!(
            text.is_some_and(|text| text.starts_with(key.help)),
            "{}",
            key.name
        );
    }
}

#[test]
fn presets_and_written_profiles_are_valid() {
    for preset in PRESETS {
        assert_eq!(judge(preset.text), Vec::<String>::new());
        assert!(preset.text.starts_with("#:schema ./profile.schema.json\n"));
        let resolved = resolve(Some(preset.name), &Layers::none()).unwrap();
        let written = resolved.to_toml();
        assert_eq!(judge(&written), Vec::<String>::new());
        assert!(is_read(&written), "{written}");
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    for text in [
        "threads = 0",
        "threads = 2.5",
        "threads = \"2\"",
        "memory_mb = 63",
        "context = 15",
        "head = \"q5\"",
        "kv_type = 8",
        "mlock = \"yes\"",
        "name = \"\"",
        "name = \"a\\u001b[2J\"",
        "description = 1",
        "tips = [1]",
        "tips = [\"\"]",
        "tips = \"one\"",
        "base = 1",
        "x = 1",
        "alerts = 1",
        "alert.latency_ms = 1",
        "alerts.cpu_percent = 101",
        "alerts.cpu_percent = -0.5",
        "monitor.interval_ms = 99",
        "admission.latency_ms = 1",
    ] {
        assert_ne!(judge(text), Vec::<String>::new(), "{text}");
        assert!(!is_read(text), "{text}");
    }
    for text in [
        "",
        "base = \"edge\"",
        "alerts.cpu_percent = 90",
        "tips = []",
    ] {
        assert_eq!(judge(text), Vec::<String>::new(), "{text}");
        assert!(is_read(text), "{text}");
    }
}
