//! Requests that mean harm: the right refusal, no crash, no memory without bound.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;

use serde_json::{Map, Value, json};
use tritone_server::api::{FIELDS, FieldKind, Routes};

use crate::harness::Server;

/// Resident memory that a table of small requests may leave behind.
const GROWTH: u64 = 64 << 20;

fn server() -> Server {
    Server::start(&[
        "--slots",
        "2",
        "--max-output-tokens",
        "4",
        "--requests-per-minute",
        "1000000",
    ])
}

/// Bytes of the process in memory.
fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

/// A request that is fine.
fn plain(path: &str) -> Value {
    if path == "/v1/chat/completions" {
        json!({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1})
    } else {
        json!({"prompt": "Hi", "max_tokens": 1})
    }
}

/// Sends a body as it is, over a connection that is kept.
fn post(server: &Server, path: &str, body: &str) -> (u16, Value) {
    let reply = server.ask(&format!("POST {path}"), &[], body);
    let value =
        serde_json::from_str(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", reply.body));
    (reply.head.status, value)
}

#[test]
fn every_number_may_be_anything() {
    let server = server();
    let values = [
        "-1",
        "0",
        "2147483648",
        "9223372036854775808",
        "-9223372036854775809",
        "1e308",
        "-1e308",
        "1e-320",
        "1.5",
        "18446744073709551616",
        "\"NaN\"",
        "\"1\"",
        "null",
        "[]",
        "{}",
        "true",
        "NaN",
        "1e999",
    ];
    for (path, routes) in [
        ("/v1/chat/completions", Routes::Chat),
        ("/v1/completions", Routes::Completion),
    ] {
        // What the first requests touch is no growth.
        assert_eq!(post(&server, path, &plain(path).to_string()).0, 200);
        let before = resident(&server);
        for field in FIELDS
            .iter()
            .filter(|field| [routes, Routes::Both].contains(&field.routes))
        {
            let (least, most, whole) = match field.kind {
                FieldKind::Integer(least, most) => (least as f64, most as f64, true),
                FieldKind::Number(least, most) => (least, most, false),
                _ => continue,
            };
            for value in values {
                let mut body = plain(path);
                if field.name.starts_with("max_") {
                    body.as_object_mut().unwrap().remove("max_tokens");
                }
                body[field.name] = json!("HERE");
                let body = body.to_string().replace("\"HERE\"", value);
                let (status, answer) = post(&server, path, &body);
                let case = format!("{path} {} = {value}: {status} {answer}", field.name);
                let number = value.parse::<f64>().ok().filter(|_| value != "NaN");
                let in_range = number.is_some_and(|number| {
                    (least..=most).contains(&number) && (!whole || number.fract() == 0.0)
                });
                match status {
                    200 => assert!(value == "null" || in_range, "{case}"),
                    400 => {
                        assert_ne!(value, "null", "{case}");
                        let json = !matches!(value, "NaN" | "1e999");
                        assert_eq!(json, answer["error"]["param"].is_string(), "{case}");
                        if json && !in_range {
                            assert_eq!(answer["error"]["param"], field.name, "{case}");
                        }
                    }
                    _ => panic!("{case}"),
                }
            }
        }
        let grown = resident(&server).saturating_sub(before);
        assert!(grown < GROWTH, "{path}: {grown} bytes more");
    }
    assert_eq!(server.get("/health").head.status, 200);
}

/// A schema in a request that is fine otherwise.
fn with_schema(schema: &Value) -> Value {
    let mut body = plain("/v1/chat/completions");
    let named = json!({"name": "x", "schema": schema});
    body["response_format"] = json!({"type": "json_schema", "json_schema": named});
    body
}

/// Requests that are too much, and the field that is.
fn too_much() -> Vec<(Value, &'static str)> {
    let with = |name: &str, value: Value| {
        let mut body = plain("/v1/chat/completions");
        body[name] = value;
        body
    };
    let content = |content: Value| with("messages", json!([{"role": "user", "content": content}]));
    let bias: Map<_, _> = (0..5000)
        .map(|token| (token.to_string(), json!(1)))
        .collect();
    let deep = (0..60).fold(
        json!({}),
        |inner, _| json!({"type": "array", "items": inner}),
    );
    let wide: Map<_, _> = (0..5000)
        .map(|n| (format!("p{n}"), json!({"type": "string"})))
        .collect();
    let mut likely = with("top_logprobs", json!(1_000_000));
    likely["logprobs"] = json!(true);
    let image = json!({"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}});
    vec![
        (with("messages", json!([])), "messages"),
        (
            with(
                "messages",
                json!(vec![json!({"role": "user", "content": "Hi"}); 5000]),
            ),
            "messages",
        ),
        (content(json!("word ".repeat(400_000))), "messages"),
        (content(json!([image])), "messages"),
        (with("n", json!(1_000_000)), "n"),
        (with("stop", json!(vec!["x"; 1000])), "stop"),
        (with("stop", json!("x".repeat(100_000))), "stop"),
        (with("logit_bias", Value::Object(bias)), "logit_bias"),
        (likely, "top_logprobs"),
        (with_schema(&deep), "response_format"),
        (
            with_schema(&json!({"type": "object", "properties": wide})),
            "response_format",
        ),
        (with_schema(&json!({"$ref": "#"})), "response_format"),
        (
            with_schema(&json!({"$ref": "file:///etc/passwd"})),
            "response_format",
        ),
    ]
}

#[test]
fn too_many_of_everything() {
    let server = server();
    let chat = "/v1/chat/completions";
    let before = resident(&server);
    for (body, param) in too_much() {
        let body = body.to_string();
        let (status, answer) = post(&server, chat, &body);
        let shown: String = body.chars().take(200).collect();
        assert_eq!(status, 400, "{shown}: {answer}");
        let named = answer["error"]["param"].as_str().unwrap_or_default();
        assert!(named.starts_with(param), "{shown}: {answer}");
    }
    // A pattern that no machine could hold as a whole is followed as far as the answer goes, or refused.
    let pattern = json!({"type": "string", "pattern": "^(((a{1000}){1000}){1000})+$"});
    let status = post(&server, chat, &with_schema(&pattern).to_string()).0;
    assert!([200, 400].contains(&status), "{status}");
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < 2 * GROWTH, "{grown} bytes more");
    assert_eq!(post(&server, chat, &plain(chat).to_string()).0, 200);
}

#[test]
fn what_is_no_request() {
    let server = server();
    let deep = "[".repeat(200_000);
    let nested = format!("{{\"messages\": {}{}}}", "[".repeat(5000), "]".repeat(5000));
    for body in [
        "[]",
        "null",
        "1",
        "\"x\"",
        "{",
        "{}x",
        "{\"messages\"",
        "\u{feff}{}",
        "{\"messages\": \"\\ud800\"}",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"\\ud800\"}]}",
        "{'messages': []}",
        &deep,
        &nested,
    ] {
        for path in [
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/embeddings",
            "/tokenize",
            "/detokenize",
        ] {
            let (status, answer) = post(&server, path, body);
            let shown: String = body.chars().take(60).collect();
            assert!(
                [400, 501].contains(&status),
                "{path} {shown}: {status} {answer}"
            );
        }
    }
    // No body at all, and one that is no text.
    for body in [&b""[..], &[0xff; 100], b"\0\0\0\0"] {
        let mut stream = server.connect();
        let length = body.len();
        write!(
            stream,
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        )
        .unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{body:?}: {answer}");
    }
    assert_eq!(server.get("/health").head.status, 200);
}

/// The status of the answer to bare bytes; `None` where the connection just ends.
fn raw(server: &Server, bytes: &[u8]) -> Option<u16> {
    let mut stream = server.connect();
    // The server may have enough before all is sent.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
}

#[test]
fn bare_bytes() {
    let server = server();
    let before = resident(&server);
    let post = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n";
    let get = "GET /health HTTP/1.1\r\nhost: localhost\r\n";
    let table: [(String, &[u16]); 16] = [
        // Two ways to say where a body ends: what a proxy and a server could disagree about.
        (
            format!("{post}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
            &[400],
        ),
        (
            format!("{post}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}x"),
            &[400],
        ),
        (format!("{post}content-length: +2\r\n\r\n{{}}"), &[400]),
        (format!("{post}content-length: -1\r\n\r\n"), &[400]),
        (
            format!("{post}content-length: 99999999999999999999\r\n\r\n"),
            &[400, 413],
        ),
        (
            format!("{post}content-length: 18446744073709551615\r\n\r\n"),
            &[400, 413, 431],
        ),
        (
            format!("{post}transfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n"),
            &[400],
        ),
        (
            format!("{post}transfer-encoding: chunked\r\n\r\nxyz\r\n"),
            &[400],
        ),
        (format!("{post}transfer-encoding: gzip\r\n\r\n"), &[400]),
        (format!("{get}bad header: x\r\n\r\n"), &[400]),
        (format!("{get}a: b\0c\r\n\r\n"), &[400]),
        (format!("{get} folded: x\r\n\r\n"), &[400]),
        (
            format!(
                "GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n",
                "x".repeat(1 << 20)
            ),
            &[414, 431],
        ),
        ("GET /health HTTP/1.1\r\n\r\n".into(), &[400]),
        (
            "GET /health HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".into(),
            &[400],
        ),
        (
            "GET http://evil.example/health HTTP/1.1\r\nhost: localhost\r\n\r\n".into(),
            &[403],
        ),
    ];
    for (bytes, expected) in &table {
        let status = raw(&server, bytes.as_bytes());
        let shown: String = bytes.chars().take(160).collect();
        // A connection that ends without an answer is a refusal, too.
        assert!(
            status.is_none_or(|status| expected.contains(&status)),
            "{shown:?}: {status:?}"
        );
    }
    // A body without end, in pieces that never say how long it will be.
    let mut endless =
        format!("{post}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
            .into_bytes();
    for _ in 0..100 {
        endless.extend_from_slice(b"10000\r\n");
        endless.extend_from_slice(&[b' '; 0x10000]);
        endless.extend_from_slice(b"\r\n");
    }
    let status = raw(&server, &endless);
    assert!(status.is_none_or(|status| status == 413), "{status:?}");
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes more");
    assert_eq!(server.get("/health").head.status, 200);
}
