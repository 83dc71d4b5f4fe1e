//! Requests as clients send them, and as nobody should.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

use proptest::prelude::*;
use serde_json::{Value, json};
use tritone_engine::sample::Sampling;
use tritone_server::api::{
    Answered, ChatRequest, CompletionRequest, EmbeddingsRequest, Encoding, FIELDS, FieldKind,
    Finish, Format, Kind, Prompt, Reply, ResponsesRequest, Routes, Stream, Tokens, embeddings,
    openapi, sse,
};
use tritone_server::{ApiError, ErrorKind, Limits};

fn with(mut body: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn chat(more: Value) -> Result<ChatRequest, ApiError> {
    let body = json!({"messages": [{"role": "user", "content": "Hello"}]});
    ChatRequest::parse(&with(body, &more), &Limits::default(), &Sampling::default())
}

fn completion(more: Value) -> Result<CompletionRequest, ApiError> {
    let body = with(json!({"prompt": "Once"}), &more);
    CompletionRequest::parse(&body, &Limits::default(), &Sampling::default())
}

fn refused(more: Value) -> String {
    let error = chat(more.clone()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    error.param.unwrap().into_owned()
}

#[test]
fn null_is_absent_and_unknown_fields_are_accepted() {
    let mut body = json!({"reasoning": {"x": 1}, "never_heard_of": [1, 2]});
    for field in FIELDS {
        if field.name != "messages" && field.routes != Routes::Completion {
            body[field.name] = Value::Null;
        }
    }
    let settings = chat(body).unwrap().settings;
    assert_eq!(settings, chat(json!({})).unwrap().settings);
    assert_eq!(settings.max_tokens, Limits::default().output_tokens);
    assert_eq!(settings.sampling, Sampling::default());
    assert!(!settings.is_repeatable());
}

#[test]
fn numbers_come_as_clients_write_them() {
    let body = json!({"max_tokens": 5.0, "seed": -1, "temperature": 0, "n": 2, "top_k": -1});
    let settings = chat(body).unwrap().settings;
    assert_eq!((settings.max_tokens, settings.choices), (5, 2));
    assert_eq!(settings.seed, Some(u64::MAX));
    assert_eq!(settings.sampling_of(1, 7).seed, 0, "one behind the first");
    assert_eq!(settings.sampling.temperature, 0.0);
    assert_eq!(settings.sampling.top_k, 0);
    assert!(settings.is_repeatable());
    let capped = chat(json!({"max_completion_tokens": 1_u64 << 31}));
    let capped = capped.unwrap().settings;
    assert_eq!(
        (capped.max_tokens, capped.asked_tokens),
        (2048, Some(1 << 31))
    );
    let both = chat(json!({"max_tokens": 3, "max_completion_tokens": 3})).unwrap();
    assert_eq!(both.settings.max_tokens, 3);
}

#[test]
fn what_is_out_of_range_is_refused_by_name() {
    for (more, param) in [
        (json!({"max_tokens": 0}), "max_tokens"),
        (json!({"max_tokens": 1.5}), "max_tokens"),
        (json!({"max_tokens": "5"}), "max_tokens"),
        (
            json!({"max_tokens": 1, "max_completion_tokens": 2}),
            "max_tokens",
        ),
        (json!({"min_tokens": 6, "max_tokens": 5}), "min_tokens"),
        (json!({"n": 0}), "n"),
        (json!({"n": 1_000_000}), "n"),
        (json!({"temperature": -0.1}), "temperature"),
        (json!({"temperature": "NaN"}), "temperature"),
        (json!({"top_p": 0}), "top_p"),
        (json!({"top_p": 1.1}), "top_p"),
        (json!({"seed": 1e300}), "seed"),
        (json!({"stop": ["a", ""]}), "stop"),
        (json!({"stop": 5}), "stop"),
        (json!({"stop": vec!["x"; 17]}), "stop"),
        (json!({"stop": "x".repeat(257)}), "stop"),
        (json!({"logit_bias": {"x": 1}}), "logit_bias"),
        (json!({"logit_bias": {"5": 101}}), "logit_bias"),
        (json!({"logit_bias": [1]}), "logit_bias"),
        (json!({"top_logprobs": 2}), "top_logprobs"),
        (
            json!({"logprobs": true, "top_logprobs": 21}),
            "top_logprobs",
        ),
        (json!({"stream": "yes"}), "stream"),
        (
            json!({"stream_options": {"include_usage": 1}}),
            "stream_options.include_usage",
        ),
        (
            json!({"response_format": {"type": "xml"}}),
            "response_format.type",
        ),
        (
            json!({"response_format": {"type": "json_schema"}}),
            "response_format.json_schema.schema",
        ),
        (json!({"tools": [{"type": "function"}]}), "tools"),
        (json!({"functions": [{}]}), "functions"),
        (json!({"modalities": ["text", "audio"]}), "modalities"),
        (
            json!({"chat_template_kwargs": {"messages": []}}),
            "chat_template_kwargs",
        ),
        (
            json!({"continue_final_message": true}),
            "continue_final_message",
        ),
        (json!({"model": 5}), "model"),
    ] {
        assert_eq!(refused(more.clone()), param, "{more}");
    }
    // Asking for nothing is no reason to refuse.
    chat(json!({"tools": [], "tool_choice": "auto", "modalities": ["text"]})).unwrap();
}

#[test]
fn every_numeric_field_is_read_or_refused_whatever_it_holds() {
    let nonsense = [
        json!(-1),
        json!(0),
        json!(1_u64 << 31),
        json!(1_u64 << 63),
        json!(u64::MAX),
        json!(1e308),
        json!(-1e308),
        json!(0.5),
        json!("NaN"),
        json!([]),
        json!({}),
        json!(true),
    ];
    let numeric = |kind| matches!(kind, FieldKind::Integer(..) | FieldKind::Number(..));
    for field in FIELDS.iter().filter(|field| numeric(field.kind)) {
        for value in &nonsense {
            let body = json!({field.name: value});
            let errors = match field.routes {
                Routes::Chat => vec![chat(body).err()],
                Routes::Completion => vec![completion(body).err()],
                Routes::Both => vec![chat(body.clone()).err(), completion(body).err()],
            };
            for error in errors.into_iter().flatten() {
                assert_eq!(error.kind, ErrorKind::Invalid);
                assert_eq!(error.param.as_deref(), Some(field.name), "{value}");
                assert!(error.message.len() < 300, "{}", error.message);
            }
        }
    }
}

#[test]
fn messages_are_text_in_one_piece_or_in_several() {
    let parts = json!([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]);
    let request = chat(json!({"messages": [
        {"role": "developer", "content": "Be short."},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": null, "tool_calls": []},
        {"role": "user", "content": "x", "name": "ann"},
    ]}))
    .unwrap();
    let contents: Vec<_> = request
        .messages
        .iter()
        .map(|m| m.content.as_str())
        .collect();
    assert_eq!(contents, ["Be short.", "Hello", "", "x"]);
    let image = json!([{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]);
    for (message, param) in [
        (json!(5), "messages[0]"),
        (json!({"role": "king", "content": "x"}), "messages[0].role"),
        (json!({"content": "x"}), "messages[0].role"),
        (json!({"role": "tool", "content": "x"}), "messages[0].role"),
        (json!({"role": "user"}), "messages[0].content"),
        (json!({"role": "user", "content": 5}), "messages[0].content"),
        (
            json!({"role": "user", "content": image}),
            "messages[0].content[0]",
        ),
        (
            json!({"role": "user", "content": [{"type": "text"}]}),
            "messages[0].content[0].text",
        ),
        (
            json!({"role": "assistant", "tool_calls": [{"id": "x"}]}),
            "messages[0].tool_calls",
        ),
    ] {
        assert_eq!(refused(json!({"messages": [message]})), param);
    }
    assert_eq!(refused(json!({"messages": []})), "messages");
    let many = vec![json!({"role": "user", "content": ""}); 1025];
    assert_eq!(refused(json!({"messages": many})), "messages");
}

#[test]
fn schemas_have_bounds() {
    let format = |schema: Value| {
        let schema = json!({"name": "x", "schema": schema});
        json!({"response_format": {"type": "json_schema", "json_schema": schema}})
    };
    let small = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let request = chat(format(small.clone())).unwrap();
    assert_eq!(request.format, Format::Schema(small));
    let request = chat(json!({"response_format": {"type": "json_object"}})).unwrap();
    assert_eq!(request.format, Format::Schema(json!({"type": "object"})));
    let mut deep = json!({});
    for _ in 0..100 {
        deep = json!({"items": deep});
    }
    assert_eq!(refused(format(deep)), "response_format");
    assert_eq!(
        refused(format(json!({"enum": vec![1; 3000]}))),
        "response_format"
    );
}

#[test]
fn completions_continue_text_tokens_and_lists() {
    let prompts = |prompt: Value| completion(json!({"prompt": prompt})).map(|r| r.prompts);
    let text = |text: &str| Prompt::Text(text.to_owned());
    let ids = |ids: &[u32]| Prompt::Tokens(ids.to_vec());
    assert_eq!(prompts(json!("a")).unwrap(), [text("a")]);
    assert_eq!(prompts(json!(["a", "b"])).unwrap(), [text("a"), text("b")]);
    assert_eq!(prompts(json!([1, 2])).unwrap(), [ids(&[1, 2])]);
    assert_eq!(prompts(json!([[1], [2]])).unwrap(), [ids(&[1]), ids(&[2])]);
    for wrong in [
        json!([]),
        json!(5),
        json!([-1]),
        json!([[]]),
        json!(["a", 5]),
        json!({}),
        json!([1_u64 << 40]),
    ] {
        let error = prompts(wrong).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("prompt"));
    }
    let many = completion(json!({"prompt": ["a", "b", "c"], "n": 2})).unwrap_err();
    assert_eq!(many.param.as_deref(), Some("prompt"));
    for (more, param) in [
        (json!({"echo": true}), "echo"),
        (json!({"suffix": "x"}), "suffix"),
        (json!({"best_of": 2}), "best_of"),
    ] {
        let error = completion(more).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param));
    }
    let nothing = json!({"echo": false, "suffix": "", "best_of": 1, "logprobs": false});
    completion(nothing).unwrap();
    let told = completion(json!({"logprobs": 0}))
        .unwrap()
        .settings
        .sampling;
    assert!(told.logprobs && told.top_logprobs == 0);
}

#[test]
fn embeddings_take_text_and_give_numbers_or_base64() {
    let parse = |body: Value| EmbeddingsRequest::parse(&body, &Limits::default());
    let request = parse(json!({"input": "a", "encoding_format": "base64"})).unwrap();
    assert_eq!(request.texts, ["a"]);
    assert_eq!(request.encoding, Encoding::Base64);
    let foreign = parse(json!({"input": [[1, 2]]})).unwrap_err();
    assert!(foreign.message.contains("check_embedding_ctx_length"));
    for wrong in [
        json!({}),
        json!({"input": []}),
        json!({"input": [""]}),
        json!({"input": 5}),
    ] {
        assert_eq!(parse(wrong).unwrap_err().param.as_deref(), Some("input"));
    }
    let answer = embeddings("m", &[vec![1.0, -2.0]], Encoding::Base64, 3);
    assert_eq!(answer["data"][0]["embedding"], "AACAPwAAAMA=");
    let answer = embeddings("m", &[vec![1.0, -2.0]], Encoding::Float, 3);
    assert_eq!(answer["data"][0]["embedding"], json!([1.0, -2.0]));
}

#[test]
fn responses_are_chats_in_other_words() {
    let parse =
        |body: Value| ResponsesRequest::parse(&body, &Limits::default(), &Sampling::default());
    let request = parse(json!({
        "input": "Hello",
        "instructions": "Be short.",
        "max_output_tokens": 5,
        "store": false,
        "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}}},
    }));
    let chat = request.unwrap().chat;
    let contents: Vec<_> = chat.messages.iter().map(|m| m.content.as_str()).collect();
    assert_eq!(contents, ["Be short.", "Hello"]);
    assert_eq!(chat.settings.max_tokens, 5);
    assert_eq!(chat.format, Format::Schema(json!({"type": "object"})));
    let items = json!([
        {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b"}]},
    ]);
    assert_eq!(
        parse(json!({"input": items})).unwrap().chat.messages.len(),
        2
    );
    for (body, param) in [
        (json!({}), "input"),
        (json!({"input": 5}), "input"),
        (json!({"input": []}), "input"),
        (
            json!({"input": [{"role": "king", "content": ""}]}),
            "input[0].role",
        ),
        (
            json!({"input": [{"type": "function_call"}]}),
            "input[0].type",
        ),
        (json!({"input": "x", "store": true}), "store"),
        (json!({"input": "x", "background": true}), "background"),
        (
            json!({"input": "x", "previous_response_id": "resp_1"}),
            "previous_response_id",
        ),
        (
            json!({"input": "x", "max_output_tokens": 0}),
            "max_output_tokens",
        ),
        (
            json!({"input": "x", "tools": [{"type": "web_search"}]}),
            "tools",
        ),
        (
            json!({"input": "x", "text": {"format": {"type": "xml"}}}),
            "text.format.type",
        ),
    ] {
        let error = parse(body.clone()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{body}");
        assert!(!error.message.contains("messages[") && !error.message.contains("response_format"));
    }
}

fn reply(kind: Kind) -> Reply {
    Reply {
        kind,
        id: "x-1".to_owned(),
        created: 7,
        model: "m".to_owned(),
        fingerprint: "f".to_owned(),
        capped: None,
    }
}

#[test]
fn answers_have_the_shape_that_clients_read() {
    let tokens = Tokens {
        prompt: 5,
        cached: 2,
        generated: 3,
    };
    let answered = Answered {
        text: "Hi".to_owned(),
        finish: Finish::Deadline,
        likelihoods: None,
    };
    let whole = reply(Kind::Chat).whole(&[answered], tokens);
    assert_eq!(whole["object"], "chat.completion");
    assert_eq!(whole["choices"][0]["message"]["content"], "Hi");
    assert_eq!(whole["choices"][0]["finish_reason"], "length");
    assert_eq!(whole["choices"][0]["tritone"]["finish"], "deadline");
    assert_eq!(whole["usage"]["total_tokens"], 8);
    assert_eq!(whole["usage"]["prompt_tokens_details"]["cached_tokens"], 2);
    for include_usage in [false, true] {
        let stream = Stream {
            include_usage,
            continuous_usage: false,
        };
        let chunk = reply(Kind::Chat).text_chunk((0, 0), "Hi", None, stream, tokens);
        assert_eq!(chunk["choices"][0]["delta"]["content"], "Hi");
        assert_eq!(chunk.get("usage"), include_usage.then_some(&Value::Null));
        let last = reply(Kind::Chat).usage_chunk(stream, tokens);
        assert_eq!(last.is_some(), include_usage);
        if let Some(last) = last {
            assert_eq!(last["choices"], json!([]));
            assert_eq!(last["usage"]["completion_tokens"], 3);
        }
    }
    let stream = Stream::default();
    assert!(
        reply(Kind::Completion)
            .role_chunk(0, stream, tokens)
            .is_none()
    );
    let role = reply(Kind::Chat).role_chunk(1, stream, tokens).unwrap();
    assert_eq!(role["choices"][0]["index"], 1);
    let delta = json!({"role": "assistant", "content": ""});
    assert_eq!(role["choices"][0]["delta"], delta);
}

#[test]
fn the_description_has_every_field() {
    let routes = [
        ("POST", "/v1/chat/completions", "Chat", true),
        ("POST", "/v1/completions", "Complete", true),
        ("GET", "/v1/models/{id}", "A model", true),
        ("GET", "/health", "Alive", false),
    ];
    let document = openapi(routes, "1.2.3");
    let of = |path: &str| {
        let body = &document["paths"][path]["post"]["requestBody"]["content"];
        body["application/json"]["schema"]["properties"].clone()
    };
    assert_eq!(of("/v1/chat/completions")["max_tokens"]["minimum"], 1);
    assert!(of("/v1/completions").get("messages").is_none());
    let model = &document["paths"]["/v1/models/{id}"]["get"];
    assert_eq!(model["parameters"][0]["name"], "id");
    assert!(
        document["paths"]["/health"]["get"]
            .get("security")
            .is_none()
    );
}

/// Any JSON, with names that mean something.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
        Just(json!("user")),
        Just(json!("text")),
        Just(json!("json_schema")),
    ];
    let others = [
        "role",
        "content",
        "type",
        "text",
        "schema",
        "json_schema",
        "input",
        "5",
    ];
    let names = FIELDS.iter().map(|field| field.name).chain(others);
    let names: Vec<String> = names.map(str::to_owned).collect();
    leaf.prop_recursive(5, 60, 8, move |inner| {
        let names = proptest::sample::select(names.clone());
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::hash_map(names, inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_accepted_is_within_bounds(body in anything()) {
        let limits = Limits::default();
        if let Ok(request) = ChatRequest::parse(&body, &limits, &Sampling::default()) {
            let settings = &request.settings;
            prop_assert!((1..=limits.choices).contains(&settings.choices));
            prop_assert!((1..=limits.output_tokens).contains(&settings.max_tokens));
            prop_assert!(settings.min_tokens <= settings.max_tokens);
            prop_assert!(settings.stop.len() <= limits.stops);
            prop_assert!(settings.sampling.validate().is_ok());
            let _ = request.tokens_estimate();
        }
        if let Ok(request) = CompletionRequest::parse(&body, &limits, &Sampling::default()) {
            prop_assert!((1..=limits.choices).contains(&request.answers()));
            prop_assert!(request.settings.sampling.validate().is_ok());
        }
        let _ = EmbeddingsRequest::parse(&body, &limits);
    }

    #[test]
    fn a_frame_is_one_line_whatever_it_holds(text in any::<String>()) {
        let frame = sse::data(&json!({"text": text}));
        let frame = std::str::from_utf8(&frame).unwrap();
        let line = frame.strip_suffix("\n\n").unwrap();
        prop_assert!(!line.contains(['\n', '\r']));
        let value: Value = serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
        prop_assert_eq!(value["text"].as_str(), Some(text.as_str()));
    }
}
