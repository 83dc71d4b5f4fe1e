//! The log of requests.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::Server;

const PROMPT: &str = "zanzibar marmalade";

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn asked() -> Value {
    json!({"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 3, "ignore_eos": true})
}

/// A server with a log, the requests of `ask`, and the lines after its end.
fn logged(more: &[&str], ask: impl Fn(&Server)) -> Vec<Value> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("requests.jsonl");
    let mut args = vec!["--slots", "1", "--request-log", path.to_str().unwrap()];
    args.extend(more);
    let mut server = Server::start(&args);
    ask(&server);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    lines(&path)
}

#[test]
fn every_request_leaves_a_line_and_no_text() {
    let lines = logged(&[], |server| {
        let trace = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let id = "x-request-id: mine.1";
        server
            .ask(
                "POST /v1/chat/completions",
                &[trace, id],
                &asked().to_string(),
            )
            .json(200);
        let mut stream = asked();
        stream["stream"] = json!(true);
        let reply = server.post("/v1/chat/completions", &stream);
        assert!(reply.body.ends_with("data: [DONE]\n\n") || reply.body.contains("[DONE]"));
        server
            .get(&format!("/no/{}/route", PROMPT.replace(' ', "-")))
            .error(404);
        server
            .post("/v1/chat/completions", &json!({"messages": PROMPT}))
            .json(400);
    });
    assert_eq!(lines.len(), 4, "{lines:?}");
    let first = &lines[0];
    assert_eq!(first["request_id"], "mine.1");
    assert_eq!(first["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(
        (&first["route"], &first["status"]),
        (&json!("/v1/chat/completions"), &json!(200))
    );
    assert_eq!(
        (&first["completion_tokens"], &first["finish_reason"]),
        (&json!(3), &json!("length"))
    );
    assert_eq!(
        (&first["stream"], &lines[1]["stream"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(first["client"].as_str().unwrap().len(), 12);
    assert_eq!(first["client"], lines[1]["client"]);
    for name in [
        "prompt_tokens",
        "queue_ms",
        "prefill_ms",
        "decode_ms",
        "total_ms",
    ] {
        assert!(
            first[name].is_u64() && lines[1][name].is_u64(),
            "{name}: {lines:?}"
        );
    }
    assert!(first["strategy"].is_string());
    assert!(first["time"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        (&lines[2]["route"], &lines[2]["error"]),
        (&json!("other"), &json!("unknown_route"))
    );
    assert_eq!(lines[3]["status"], 400);
    assert!(!format!("{lines:?}").contains("zanzibar"));
}

#[test]
fn texts_are_there_where_they_are_asked_for() {
    let lines = logged(&["--log-texts"], |server| {
        server.post("/v1/chat/completions", &asked()).json(200);
    });
    assert!(
        lines[0]["prompt"].as_str().unwrap().contains(PROMPT),
        "{lines:?}"
    );
    assert!(lines[0]["answer"].is_string(), "{lines:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_lines_and_no_answers() {
    let mut server = Server::start(&["--slots", "1", "--request-log", "/dev/full"]);
    for _ in 0..5 {
        server.post("/v1/chat/completions", &asked()).json(200);
    }
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_limit_of_file_sizes_costs_lines_and_no_answers() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("requests.log");
    let mut server = Server::start(&["--slots", "1", "--request-log", path.to_str().unwrap()]);
    let pid = server.pid().to_string();
    let limited = std::process::Command::new("prlimit")
        .args(["--pid", &pid, "--fsize=1000"])
        .status();
    assert!(limited.unwrap().success());
    for _ in 0..10 {
        server.post("/v1/chat/completions", &asked()).json(200);
    }
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert!(std::fs::metadata(&path).unwrap().len() <= 1000);
}

#[test]
fn a_log_that_cannot_be_opened_ends_the_start() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().to_str().unwrap().to_owned();
    let output = crate::harness::command(&["--port", "0", "--request-log", &path], home.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("cannot write the request log"), "{said}");
}
