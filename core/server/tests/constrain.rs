//! Answers in the form of a schema.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

use std::sync::Arc;

use serde_json::{Value, json};
use tritone_engine::sample::Sampling;
use tritone_engine::text::{Message, Role};
use tritone_engine::{Engine, EngineOptions, FinishReason, Input, ModelSource, Request};
use tritone_server::Grammars;

fn engine() -> Engine {
    let mut options = EngineOptions::new(Arc::new(tritone_scalar::Scalar));
    options.batch = 2;
    let tiny = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../models/tritone-tiny/tritone-tiny-i2_s.gguf"
    );
    Engine::load(&ModelSource::File(tiny.into()), &options, &mut |_| true).unwrap()
}

fn answers(
    engine: &Engine,
    grammars: &Grammars,
    schema: &Value,
    temperature: f32,
) -> Vec<(String, FinishReason)> {
    let grammar = grammars.schema(schema).unwrap();
    let answer = |seed| {
        let text = "Describe a fox as JSON.";
        let request = Request {
            sampling: Sampling {
                temperature,
                seed,
                ..Sampling::greedy()
            },
            max_tokens: Some(200),
            grammar: Some(Arc::clone(&grammar)),
            ..Request::new(Input::Chat(vec![Message::new(Role::User, text)]))
        };
        let (text, end) = engine.generate(request).unwrap().wait().unwrap();
        (text, end.reason)
    };
    (0..4).map(answer).collect()
}

#[test]
fn every_answer_fits_its_schema() {
    let engine = engine();
    let grammars = Grammars::new(engine.shared_model());
    let schema = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 12},
            "age": {"type": "integer", "minimum": 0, "maximum": 30},
            "colour": {"enum": ["red", "grey"]},
        },
        "required": ["name", "age", "colour"],
        "additionalProperties": false,
    });
    for temperature in [0.0, 1.5] {
        for (text, reason) in answers(&engine, &grammars, &schema, temperature) {
            assert_eq!(reason, FinishReason::EndOfTurn, "{text}");
            let value: Value =
                serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
            let object = value.as_object().unwrap();
            assert_eq!(object.len(), 3);
            assert!(object["name"].as_str().unwrap().chars().count() <= 12);
            assert!(object["age"].as_u64().unwrap() <= 30);
            assert!(["red", "grey"].contains(&object["colour"].as_str().unwrap()));
        }
    }
    for (text, reason) in answers(&engine, &grammars, &json!({"type": "object"}), 1.0) {
        // Free text may be longer than allowed; what is complete is an object.
        if reason == FinishReason::EndOfTurn {
            assert!(
                serde_json::from_str::<Value>(&text).unwrap().is_object(),
                "{text}"
            );
        }
        assert!(text.trim_start().starts_with('{'), "{text}");
    }
}

#[test]
fn hostile_schemas_are_refused_or_followed() {
    let engine = engine();
    let grammars = Grammars::new(engine.shared_model());
    let mut deep = json!({"type": "string"});
    for _ in 0..30 {
        deep = json!({"type": "array", "items": deep});
    }
    let schemas = [
        json!({"$ref": "#/definitions/nothing"}),
        json!({"$ref": "http://example.org/schema.json"}),
        json!({"$ref": "file:///etc/passwd"}),
        json!({"$ref": "#"}),
        json!({"type": "string", "pattern": "(a+)+$"}),
        json!({"type": "string", "pattern": "(((((a{1,100}){1,100}){1,100}){1,100}){1,100}"}),
        json!({"type": "string", "pattern": "("}),
        json!({"type": "string", "minLength": 100_000_000_000_u64}),
        json!({"type": "integer", "minimum": 5, "maximum": 1}),
        json!({"type": "integer", "minimum": -1e300}),
        json!({"type": "array", "items": {"type": "number", "exclusiveMaximum": 1e17}}),
        json!({"type": "nonsense"}),
        json!({"x-guidance": {"whitespace_pattern": "("}}),
        json!({"allOf": [{"$ref": "#/allOf/0"}]}),
        json!({"if": {"type": "string"}, "then": {"minLength": 5}}),
        json!({"type": "integer", "multipleOf": 999_983}),
        json!({"type": "string", "pattern": "(\\p{L}{1,50}[^a]{1,50}){1,50}"}),
        json!({"enum": (0..1500).collect::<Vec<_>>()}),
        json!(false),
        json!(true),
        deep,
    ];
    for schema in schemas {
        match grammars.schema(&schema) {
            // Whatever is accepted has to begin, and must not take the engine with it.
            Ok(grammar) => {
                let request = Request {
                    max_tokens: Some(20),
                    grammar: Some(grammar),
                    ..Request::new(Input::Text("x".to_owned()))
                };
                let _ = engine.generate(request).map(|answer| answer.wait());
            }
            Err(error) => {
                assert_eq!(error.param.as_deref(), Some("response_format"));
                assert!(
                    error.message.len() < 400 && !error.message.contains('\n'),
                    "{error}"
                );
            }
        }
    }
    let request = Request {
        sampling: Sampling::greedy(),
        ..Request::new(Input::Chat(vec![Message::new(
            Role::User,
            "What is the capital of Peru?",
        )]))
    };
    let (text, _) = engine.generate(request).unwrap().wait().unwrap();
    assert_eq!(text, "The capital of Peru is Lima.");
}
