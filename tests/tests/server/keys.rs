//! Who may use a server, and what changes that.

use crate::harness::{Server, command};

const FIRST: &str = "sk-first-0123456789abcdef";
const SECOND: &str = "sk-second-0123456789abcdef";

fn status(server: &Server, key: &str) -> u16 {
    let header = format!("x-api-key: {key}");
    server.ask("GET /v1/models", &[&header], "").head.status
}

#[test]
fn an_address_that_others_reach_needs_a_key() {
    for host in ["0.0.0.0", "::"] {
        let home = tempfile::tempdir().unwrap();
        let output = command(&["--host", host, "--port", "0"], home.path())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(
            said.contains("TRITONE_API_KEY") && said.contains("--insecure-no-auth"),
            "{said}"
        );
        assert_eq!(output.stdout, b"");
    }
}

#[test]
fn a_broken_key_ends_the_start_and_is_not_shown() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("keys");
    std::fs::write(&path, "alice:sk canary 0123456789\n").unwrap();
    let output = command(
        &["--port", "0", "--api-key-file", path.to_str().unwrap()],
        home.path(),
    )
    .output()
    .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("line 1") && said.contains("alice"), "{said}");
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn keys_are_read_again_at_a_signal_and_stay_when_the_file_is_broken() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("keys");
    std::fs::write(&path, format!("a:{FIRST}\n")).unwrap();
    let server = Server::start(&["--slots", "1", "--api-key-file", path.to_str().unwrap()]);
    assert_eq!(
        (status(&server, FIRST), status(&server, SECOND)),
        (200, 401)
    );

    std::fs::write(&path, format!("b:{SECOND}\n")).unwrap();
    server.signal("HUP");
    server.until("the new key", |server| status(server, SECOND) == 200);
    assert_eq!(
        status(&server, FIRST),
        401,
        "what is not in the file any more opens nothing"
    );

    for broken in ["b:sk with spaces\n", "# none is left\n"] {
        let before = server
            .errors()
            .matches("the keys stay as they were")
            .count();
        std::fs::write(&path, broken).unwrap();
        server.signal("HUP");
        server.until("the complaint", |server| {
            server
                .errors()
                .matches("the keys stay as they were")
                .count()
                > before
        });
        assert_eq!(status(&server, SECOND), 200);
    }
    assert!(!server.errors().contains("sk "), "{}", server.errors());
}

#[test]
fn the_host_is_looked_at_on_every_route() {
    use std::io::{Read as _, Write as _};

    let server = Server::start(&["--slots", "1", "--allow-host", "box.lan"]);
    let status = |host: &str, path: &str| {
        let mut stream = server.connect();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(
            !text.to_ascii_lowercase().contains("access-control"),
            "{text}"
        );
        assert!(!text.contains("evil"), "nothing is reflected: {text}");
        text.split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    for path in ["/health", "/v1/models", "/no/such/path"] {
        assert_eq!(status("evil.example", path), 403, "{path}");
    }
    for host in ["localhost", "127.0.0.1:9", "[::1]", "box.lan"] {
        assert_eq!(status(host, "/health"), 200, "{host}");
    }
}

#[test]
fn a_page_of_another_origin_is_told_nothing_unless_it_is_configured() {
    let server = Server::start(&["--slots", "1", "--allow-origin", "https://chat.example"]);
    let ask = |line: &str, origin: &str| {
        let origin = format!("origin: {origin}");
        server.ask(line, &[&origin, "access-control-request-method: POST"], "")
    };
    let foreign = ask("GET /v1/models", "https://evil.example");
    assert_eq!(foreign.error(403), "origin_not_allowed");
    assert_eq!(foreign.head.header("access-control-allow-origin"), None);
    let preflight = ask("OPTIONS /v1/chat/completions", "https://evil.example");
    assert_ne!(preflight.head.status, 204);
    assert_eq!(preflight.head.header("access-control-allow-origin"), None);

    let preflight = ask("OPTIONS /v1/chat/completions", "https://chat.example");
    assert_eq!(preflight.head.status, 204);
    let allowed = preflight.head.header("access-control-allow-origin");
    assert_eq!(allowed, Some("https://chat.example"));
    let answer = ask("GET /v1/models", "https://chat.example");
    assert_eq!(answer.head.status, 200);
    let allowed = answer.head.header("access-control-allow-origin");
    assert_eq!(allowed, Some("https://chat.example"));
}

#[test]
fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    let keys = [("TRITONE_API_KEY", FIRST)];
    let server = Server::start_with(&["--slots", "1", "--requests-per-minute", "3"], &keys);
    for left in ["2", "1", "0"] {
        let header = format!("authorization: Bearer {FIRST}");
        let reply = server.ask("GET /v1/models", &[&header], "");
        assert_eq!(reply.head.status, 200);
        assert_eq!(
            reply.head.header("x-ratelimit-remaining-requests"),
            Some(left)
        );
    }
    let reply = server.ask("GET /v1/models", &[&format!("api-key: {FIRST}")], "");
    assert_eq!(reply.error(429), "rate_limit_exceeded");
    let wait: u64 = reply
        .head
        .header("retry-after-ms")
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=64_000).contains(&wait), "{wait}");
    assert_eq!(
        status(&server, SECOND),
        401,
        "a wrong key is not slowed down into another answer"
    );
    assert_eq!(server.get("/health").head.status, 200);
}

#[test]
fn settings_come_from_a_file_and_arguments_come_before_it() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("guard.toml");
    let path = path.to_str().unwrap();
    let text = "[server.guard]\nhosts = ['box.lan']\nrate.requests_per_minute = 5\n\
                [server.guard.content.input]\nbidi = 'refuse'\n";
    std::fs::write(path, text).unwrap();
    let args = [
        "--slots",
        "1",
        "--guard-config",
        path,
        "--requests-per-minute",
        "9",
    ];
    let server = Server::start(&args);
    let reply = server.get("/v1/models");
    assert_eq!(reply.head.header("x-ratelimit-limit-requests"), Some("9"));
    let body = serde_json::json!({"prompt": "a\u{202e}b", "max_tokens": 1});
    assert_eq!(
        server.post("/v1/completions", &body).error(400),
        "invalid_text"
    );

    std::fs::write(path, "[server.guard]\nhost = 'box.lan'\n").unwrap();
    let output = command(&["--port", "0", "--guard-config", path], home.path()).output();
    let output = output.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("line 2") && said.contains("hosts"), "{said}");
}
