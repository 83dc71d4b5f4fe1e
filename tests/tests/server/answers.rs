//! Answers, whole and streamed.

use serde_json::{Value, json};

use crate::harness::Server;

fn chat(more: Value) -> Value {
    let mut body = json!({
        "model": "tritone-tiny",
        "messages": [{"role": "user", "content": "What is the capital of Peru?"}],
        "max_tokens": 12,
        "seed": 7,
    });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// The frames of a stream as JSON, which has to end as streams do.
fn frames(server: &Server, path: &str, body: &Value) -> Vec<Value> {
    let mut pending = server.send(&format!("POST {path}"), &[], &body.to_string());
    let head = pending.head();
    assert_eq!(head.status, 200);
    assert_eq!(
        head.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    let mut frames = pending.frames();
    assert_eq!(frames.pop().as_deref(), Some("[DONE]"));
    let json = |frame: &String| serde_json::from_str(frame).unwrap();
    frames.iter().map(json).collect()
}

#[test]
fn an_answer_is_the_same_whole_streamed_and_from_the_command_line() {
    let server = Server::start(&["--slots", "2"]);
    let whole = server.post("/v1/chat/completions", &chat(json!({})));
    assert!(
        whole
            .head
            .header("server-timing")
            .unwrap()
            .contains("decode;dur=")
    );
    let whole = whole.json(200);
    assert_eq!(whole["object"], "chat.completion");
    let choice = &whole["choices"][0];
    let text = choice["message"]["content"].as_str().unwrap();
    assert!(!text.is_empty());
    let usage = &whole["usage"];
    let (prompt, completion) = (
        usage["prompt_tokens"].as_u64().unwrap(),
        usage["completion_tokens"].as_u64().unwrap(),
    );
    assert_eq!(usage["total_tokens"], prompt + completion);

    let options = json!({"stream": true, "stream_options": {"include_usage": true}});
    let frames = frames(&server, "/v1/chat/completions", &chat(options));
    let (first, last) = (&frames[0], &frames[frames.len() - 2]);
    assert_eq!(
        first["choices"][0]["delta"],
        json!({"role": "assistant", "content": ""})
    );
    assert_eq!(first["usage"], Value::Null);
    assert_eq!(last["choices"][0]["delta"], json!({}));
    assert_eq!(last["choices"][0]["finish_reason"], choice["finish_reason"]);
    let took = frames.last().unwrap();
    assert_eq!(
        (&took["choices"], &took["usage"]["completion_tokens"]),
        (&json!([]), &usage["completion_tokens"])
    );
    let pieces = frames
        .iter()
        .filter_map(|frame| frame["choices"][0]["delta"]["content"].as_str());
    assert_eq!(pieces.collect::<String>(), text);

    let run = std::process::Command::new(tritone_tests::tritone())
        .args([
            "run",
            "--json",
            "--seed",
            "7",
            "--max-tokens",
            "12",
            "What is the capital of Peru?",
        ])
        .env_remove("TRITONE_MODEL")
        .output()
        .unwrap();
    let run: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(run["text"], text);
}

#[test]
fn several_choices_differ_by_their_seeds() {
    let server = Server::start(&["--slots", "2"]);
    let ask = |more: Value| server.post("/v1/chat/completions", &chat(more)).json(200);
    let all = ask(json!({"n": 3, "temperature": 1.5}));
    assert_eq!(all["choices"].as_array().unwrap().len(), 3);
    for index in 0..3_u64 {
        let alone = ask(json!({"seed": 7 + index, "temperature": 1.5}));
        let text = &all["choices"][index as usize]["message"]["content"];
        assert_eq!(text, &alone["choices"][0]["message"]["content"]);
    }
    let one = ask(json!({}));
    assert!(
        all["usage"]["prompt_tokens"] == one["usage"]["prompt_tokens"],
        "a prompt counts once"
    );

    let frames = frames(
        &server,
        "/v1/chat/completions",
        &chat(json!({"n": 3, "temperature": 1.5, "stream": true})),
    );
    for index in 0..3 {
        let mine = frames
            .iter()
            .filter(|frame| frame["choices"][0]["index"] == index);
        let text: String = mine
            .filter_map(|frame| frame["choices"][0]["delta"]["content"].as_str())
            .collect();
        assert_eq!(all["choices"][index]["message"]["content"], text);
    }
}

#[test]
fn texts_are_continued() {
    let server = Server::start(&["--slots", "2"]);
    let body = json!({"prompt": "Once upon a time", "max_tokens": 8, "seed": 1, "logprobs": 2});
    let whole = server.post("/v1/completions", &body).json(200);
    let text = whole["choices"][0]["text"].as_str().unwrap();
    let logprobs = &whole["choices"][0]["logprobs"];
    let tokens = logprobs["tokens"].as_array().unwrap();
    assert_eq!(
        tokens.len() as u64,
        whole["usage"]["completion_tokens"].as_u64().unwrap()
    );
    assert_eq!(
        logprobs["top_logprobs"].as_array().unwrap().len(),
        tokens.len()
    );
    let mut streamed = body.clone();
    streamed["stream"] = json!(true);
    let frames = frames(&server, "/completions", &streamed);
    let pieces = frames
        .iter()
        .filter_map(|frame| frame["choices"][0]["text"].as_str());
    assert_eq!(pieces.collect::<String>(), text);
    let streamed: Vec<_> = frames
        .iter()
        .filter_map(|frame| frame["choices"][0]["logprobs"]["tokens"].as_array())
        .flatten()
        .collect();
    assert_eq!(streamed, tokens.iter().collect::<Vec<_>>());
}

#[test]
fn tokens_and_texts_are_each_others() {
    let server = Server::start(&["--slots", "1"]);
    let tokens = server
        .post("/tokenize", &json!({"content": "Hello there"}))
        .json(200);
    let ids = &tokens["tokens"];
    assert_eq!(tokens["count"], ids.as_array().unwrap().len());
    let text = server
        .post("/detokenize", &json!({"tokens": ids}))
        .json(200);
    assert!(
        text["content"].as_str().unwrap().ends_with("Hello there"),
        "{text}"
    );
    assert_eq!(
        server
            .post("/detokenize", &json!({"tokens": [1 << 30]}))
            .json(400)["error"]["param"],
        "tokens"
    );
}

#[test]
fn vectors_come_as_numbers_and_as_base64() {
    let server = Server::start(&["--slots", "1"]);
    let ask = |format: Value| {
        let body = json!({"input": ["a cat", "a dog"], "encoding_format": format});
        server.post("/v1/embeddings", &body).json(200)
    };
    let (numbers, text) = (ask(json!("float")), ask(json!("base64")));
    assert_eq!(numbers["data"].as_array().unwrap().len(), 2);
    let vector = numbers["data"][1]["embedding"].as_array().unwrap();
    let length = text["data"][1]["embedding"].as_str().unwrap().len();
    assert_eq!(length, (vector.len() * 4).div_ceil(3) * 4);
    assert_eq!(numbers["usage"], text["usage"]);
    let ids = server.post("/v1/embeddings", &json!({"input": [[1, 2]]}));
    assert_eq!(ids.json(400)["error"]["param"], "input");
}

#[test]
fn what_cannot_be_answered_is_refused_before_the_stream_begins() {
    let server = Server::start(&["--slots", "1", "--ctx", "64"]);
    let long = "word ".repeat(400);
    for stream in [false, true] {
        let body = json!({"messages": [{"role": "user", "content": long}], "stream": stream});
        let reply = server.post("/v1/chat/completions", &body);
        assert_eq!(reply.error(400), "context_length_exceeded");
        let body = chat(json!({"model": "gpt-5", "stream": stream}));
        assert_eq!(
            server.post("/v1/chat/completions", &body).error(404),
            "model_not_found"
        );
        let reply = server.post(
            "/v1/chat/completions",
            &chat(json!({"n": 1_000_000, "stream": stream})),
        );
        assert_eq!(reply.json(400)["error"]["param"], "n");
    }
    let reply = server.ask("POST /v1/chat/completions", &[], "{");
    assert_eq!(reply.error(400), "invalid_json");
}

#[test]
fn answers_keep_to_a_schema() {
    let server = Server::start(&["--slots", "1"]);
    let schema = json!({
        "type": "object",
        "properties": {"age": {"type": "integer", "minimum": 0, "maximum": 30}},
        "required": ["age"],
        "additionalProperties": false,
    });
    let format = json!({"type": "json_schema", "json_schema": {"name": "fox", "schema": schema}});
    let body = chat(json!({"response_format": format, "max_tokens": 60}));
    let reply = server.post("/v1/chat/completions", &body).json(200);
    let choice = &reply["choices"][0];
    assert_eq!(choice["finish_reason"], "stop", "{reply}");
    let fox: Value = serde_json::from_str(choice["message"]["content"].as_str().unwrap()).unwrap();
    assert!(fox["age"].as_u64().unwrap() <= 30);
}

#[test]
fn what_happened_is_counted() {
    let server = Server::start(&["--slots", "1"]);
    let body = chat(json!({}));
    for _ in 0..2 {
        server.post("/v1/chat/completions", &body).json(200);
    }
    server.post("/v1/chat/completions", &json!({})).json(400);
    // A request is counted when its answer has been sent, which is a moment after it came.
    server.until("the counts", |server| {
        let text = server.get("/metrics").body;
        let ok = r#"tritone_requests_total{route="/v1/chat/completions",status="200""#;
        let count = |line: &str| line.rsplit(' ').next().and_then(|n| n.parse::<f64>().ok());
        text.lines()
            .any(|line| line.starts_with(ok) && count(line) == Some(2.0))
    });
    let text = server.get("/metrics").body;
    for name in [
        "tritone_time_to_first_token_seconds_count",
        "tritone_slots",
        "vllm:num_requests_running",
    ] {
        assert!(text.contains(name), "{name} in {text}");
    }
    let json = server
        .ask("GET /metrics", &["accept: application/json"], "")
        .json(200);
    assert!(json.to_string().contains("gen_ai."), "{json}");
}
