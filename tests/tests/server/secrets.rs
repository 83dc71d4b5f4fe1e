//! A key and a prompt that are known, looked for wherever they must not be.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::harness::{Reply, Server};

const KEY: &str = "sk-canary-4f1c9a77e2d04b6f";
const ADMIN: &str = "sk-admin-canary-83be0a51c9";
const WRONG: &str = "sk-wrong-canary-1177aa33ee";
const PROMPT: &str = "zanzibar marmalade canary";

/// All bytes in a directory.
fn all(directory: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all(&path, found);
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

fn chat(server: &Server, key: &str, body: &serde_json::Value) -> Reply {
    let header = format!("authorization: Bearer {key}");
    server.ask("POST /v1/chat/completions", &[&header], &body.to_string())
}

#[test]
fn keys_and_prompts_are_in_no_log_metric_command_line_or_file() {
    let keys = [("TRITONE_API_KEY", KEY), ("TRITONE_ADMIN_KEY", ADMIN)];
    // The most talkative log there is, of this program and of all it is made of.
    let mut server = Server::start_with(&["--slots", "1", "--log", "trace"], &keys);
    let message = json!([{"role": "user", "content": PROMPT}]);
    let good = json!({"messages": message, "max_tokens": 2});
    assert_eq!(chat(&server, KEY, &good).head.status, 200);
    let stream = json!({"messages": message, "max_tokens": 2, "stream": true, "user": PROMPT});
    assert_eq!(chat(&server, KEY, &stream).head.status, 200);
    assert_eq!(chat(&server, WRONG, &good).head.status, 401);
    for body in [
        json!({"messages": message, "model": PROMPT}),
        json!({"messages": message, "temperature": PROMPT}),
        json!({"messages": message, "stop": vec![PROMPT; 100]}),
        json!({"messages": [{"role": PROMPT, "content": PROMPT}]}),
        json!({"messages": PROMPT}),
    ] {
        let reply = chat(&server, KEY, &body);
        assert!(
            (400..500).contains(&reply.head.status),
            "{body}: {}",
            reply.body
        );
    }
    let cut_off = format!("{{\"messages\": \"{PROMPT}");
    let header = format!("authorization: Bearer {KEY}");
    let reply = server.ask("POST /v1/chat/completions", &[&header], &cut_off);
    assert_eq!(reply.head.status, 400);
    assert_eq!(
        server
            .ask(&format!("GET /{WRONG}"), &[&header], "")
            .head
            .status,
        404
    );

    let mut places = Vec::new();
    let admin = format!("authorization: Bearer {ADMIN}");
    for path in [
        "/metrics",
        "/version",
        "/openapi.json",
        "/v1/models",
        "/health",
        "/ready",
        "/admin/status",
        "/admin/monitor?since=0",
    ] {
        let reply = server.ask(&format!("GET {path}"), &[&admin], "");
        places.push((path.to_owned(), reply.body.into_bytes()));
    }
    let process = format!("/proc/{}/cmdline", server.pid());
    places.push((process.clone(), fs::read(process).unwrap()));
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    places.push(("standard error".into(), server.errors().into_bytes()));
    all(server.home.path(), &mut places);

    for (place, bytes) in &places {
        let text = String::from_utf8_lossy(bytes);
        for secret in [KEY, ADMIN, WRONG, PROMPT] {
            assert!(!text.contains(secret), "{secret:?} is in {place}");
        }
    }
    assert!(server.errors().contains("request_id"), "the log was on");
}
