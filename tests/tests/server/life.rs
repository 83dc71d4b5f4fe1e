//! From the start to the end.

use std::net::TcpListener;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::{Pending, SLOW, Server, command};

#[test]
fn a_server_ends_in_order() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&["--slots", "1"]);
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0), "{}", server.errors());
        // All that it leaves behind.
        let kept = server.home.path().join("STATE/tritone/client-secret");
        assert!(kept.is_file());
    }
}

#[test]
fn a_port_in_use_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let home = tempfile::tempdir().unwrap();
    let output = command(&["--port", &port], home.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains("in use") && said.contains("--port"), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn an_open_address_needs_a_key() {
    let home = tempfile::tempdir().unwrap();
    let output = command(&["--host", "0.0.0.0", "--port", "0"], home.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("TRITONE_API_KEY"), "{said}");
}

#[test]
fn a_model_that_is_not_there_ends_the_start() {
    let home = tempfile::tempdir().unwrap();
    let mut command = command(&["--port", "0", "--model", "/nothing.gguf"], home.path());
    let output = command.stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
}

#[test]
fn keys_are_read_again() {
    let keys = tempfile::NamedTempFile::new().unwrap();
    let path = keys.path().to_str().unwrap().to_owned();
    std::fs::write(&path, "one:sk-first-0123456789\n").unwrap();
    let server = Server::start(&["--slots", "1", "--api-key-file", &path]);
    let status = |key: &str| {
        let header = format!("authorization: Bearer {key}");
        server.ask("GET /v1/models", &[&header], "").head.status
    };
    assert_eq!(status("sk-first-0123456789"), 200);
    std::fs::write(&path, "two:sk-second-0123456789\n").unwrap();
    server.signal("HUP");
    server.until("the new key", |_| status("sk-second-0123456789") == 200);
    assert_eq!(status("sk-first-0123456789"), 401);
    // No keys at all would open the server: that changes nothing.
    std::fs::write(&path, "").unwrap();
    server.signal("HUP");
    server.until("a refusal", |server| {
        server.errors().contains("the keys stay as they were")
    });
    assert_eq!(status("sk-second-0123456789"), 200);
}

/// A long answer.
fn long(stream: bool) -> String {
    let body = json!({
        "messages": [{"role": "user", "content": "Tell me a story."}],
        "max_tokens": 1500,
        "ignore_eos": true,
        "stream": stream,
    });
    body.to_string()
}

/// A server with an admin key, and what it says of its requests: running, waiting.
fn watched(args: &[&str]) -> Server {
    Server::start_with(args, &[("TRITONE_ADMIN_KEY", ADMIN)])
}

fn requests(server: &Server) -> (u64, u64) {
    let key = format!("authorization: Bearer {ADMIN}");
    let status = server.ask("GET /admin/status", &[&key], "").json(200);
    let count = |name: &str| status["requests"][name].as_u64().unwrap();
    (count("running"), count("waiting"))
}

/// Streams that have begun.
fn streams(server: &Server, count: usize) -> Vec<Pending> {
    let mut all: Vec<_> = (0..count)
        .map(|_| server.send("POST /v1/chat/completions", &[], &long(true)))
        .collect();
    for stream in &mut all {
        assert_eq!(stream.head().status, 200);
        stream.data().unwrap();
    }
    all
}

const ADMIN: &str = "sk-admin-0123456789abcdef";

#[test]
fn running_streams_are_finished_and_those_that_wait_are_refused() {
    // Long enough that none is over before all others are there.
    let mut server = watched(&[&["--slots", "3"][..], &SLOW].concat());
    let mut running = streams(&server, 3);
    let waiting: Vec<_> = [true, false, true, false, true]
        .into_iter()
        .map(|stream| server.send("POST /v1/chat/completions", &[], &long(stream)))
        .collect();
    server.until("the queue", |server| requests(server) == (3, 5));
    server.signal("TERM");
    for pending in waiting {
        let reply = pending.whole();
        assert_eq!(reply.error(503), "draining");
        assert_eq!(reply.head.header("connection"), Some("close"));
        assert!(reply.head.header("retry-after-ms").is_some());
    }
    for stream in &mut running {
        let frames = stream.frames();
        assert_eq!(frames.last().unwrap(), "[DONE]");
        let last: Value = serde_json::from_str(&frames[frames.len() - 2]).unwrap();
        assert_eq!(last["choices"][0]["finish_reason"], "length");
        let cut = &last["choices"][0]["tritone"];
        assert_eq!(cut, &Value::Null, "it was not cut");
    }
    assert_eq!(server.wait().code(), Some(0), "{}", server.errors());
}

#[test]
fn a_server_that_drains_says_so() {
    let mut server = watched(&["--slots", "1"]);
    let mut running = streams(&server, 1);
    server.signal("TERM");
    server.until("draining", |server| server.get("/ready").head.status == 503);
    let health = server.get("/health").json(200);
    assert_eq!(health["phase"], "draining");
    let refused = server.ask("POST /v1/chat/completions", &[], &long(false));
    assert_eq!(refused.error(503), "draining");
    assert_eq!(refused.head.header("connection"), Some("close"));
    assert_eq!(running[0].frames().last().unwrap(), "[DONE]");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn answers_that_take_too_long_to_drain_get_a_proper_end() {
    let mut server = watched(&["--slots", "1", "--drain-timeout", "0"]);
    let mut running = streams(&server, 1);
    server.signal("TERM");
    let frames = running[0].frames();
    assert_eq!(frames.last().unwrap(), "[DONE]");
    let last: Value = serde_json::from_str(&frames[frames.len() - 2]).unwrap();
    let choice = &last["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["tritone"]["finish"]),
        (&json!("length"), &json!("draining"))
    );
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut server = watched(&["--slots", "1"]);
    let _running = streams(&server, 1);
    server.signal("TERM");
    server.until("draining", |server| server.get("/ready").head.status == 503);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(143));
}

#[test]
fn a_full_queue_says_when_to_come_back() {
    let server = watched(&["--slots", "1", "--queue", "1"]);
    let running = streams(&server, 1);
    let waiting = server.send("POST /v1/chat/completions", &[], &long(false));
    server.until("the queue", |server| requests(server) == (1, 1));
    let refused = server.ask("POST /v1/chat/completions", &[], &long(false));
    assert_eq!(refused.error(503), "queue_full");
    let wait: u64 = refused
        .head
        .header("retry-after-ms")
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=30_000).contains(&wait));
    assert_eq!(server.get("/ready").error(503), "not_ready");
    assert_eq!(server.get("/health").head.status, 200);
    // Clients that leave, in the queue and in the middle of an answer, make room.
    drop((running, waiting));
    server.until("room", |server| requests(server) == (0, 0));
    assert_eq!(server.get("/ready").head.status, 200);
}
