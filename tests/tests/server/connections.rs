//! Connections that do not behave.

use std::io::{Read as _, Write as _};

use crate::harness::Server;

/// Everything that comes until the connection ends.
fn rest(mut stream: std::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset after the answer is an end, too.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn heads_that_are_too_long_are_refused() {
    let server = Server::start(&["--slots", "1"]);
    let mut stream = server.connect();
    let long = "x".repeat(1 << 20);
    // The server may close before all of it is sent.
    let _ = write!(
        stream,
        "GET /health HTTP/1.1\r\nhost: localhost\r\nx-long: {long}\r\n\r\n"
    );
    let answer = rest(stream);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );

    let mut stream = server.connect();
    let many = "a: b\r\n".repeat(1000);
    let _ = write!(
        stream,
        "GET /health HTTP/1.1\r\nhost: localhost\r\n{many}\r\n"
    );
    let answer = rest(stream);
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");

    assert_eq!(server.get("/health").head.status, 200);
}

#[test]
fn what_is_no_http_is_refused() {
    let server = Server::start(&["--slots", "1"]);
    for text in [
        "\x16\x03\x01\x02\0\x01\0",
        "GET / HTTP/9.9\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = server.connect();
        stream.write_all(text.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = rest(stream);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{answer}"
        );
    }
    assert_eq!(server.get("/health").head.status, 200);
}

#[test]
fn bodies_have_a_length_and_a_time() {
    let server = Server::start(&["--slots", "1", "--max-body", "1", "--body-timeout", "0.2"]);
    let head = |length: usize| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n"
        )
    };
    let mut stream = server.connect();
    stream.write_all(head(1025).as_bytes()).unwrap();
    let answer = rest(stream);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");

    let mut stream = server.connect();
    stream.write_all(head(100).as_bytes()).unwrap();
    stream.write_all(b"{").unwrap();
    let answer = rest(stream);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");

    let reply = server.ask(
        "POST /v1/chat/completions",
        &["content-type: text/plain", "content-length: 2", "x: y"],
        "",
    );
    assert_eq!(reply.head.status, 415);
}

#[test]
fn connections_are_counted() {
    let server = Server::start(&["--slots", "1", "--max-connections", "2"]);
    let held = [server.connect(), server.connect()];
    server.until("a refusal", |server| {
        let mut stream = server.connect();
        let _ = write!(stream, "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
        rest(stream).starts_with("HTTP/1.1 503 ")
    });
    drop(held);
    server.until("room", |server| {
        let mut stream = server.connect();
        let _ = write!(
            stream,
            "GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        );
        rest(stream).starts_with("HTTP/1.1 200 ")
    });
}
