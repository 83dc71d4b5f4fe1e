//! From the start to the end.

use std::net::TcpListener;
use std::process::Stdio;

use crate::harness::{Server, command};

#[test]
fn a_server_ends_in_order() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&["--slots", "1"]);
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0), "{}", server.errors());
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
    // Broken keys change nothing.
    std::fs::write(&path, "short\n").unwrap();
    server.signal("HUP");
    server.until("a refusal", |server| {
        server.errors().contains("the keys stay as they were")
    });
    assert_eq!(status("sk-second-0123456789"), 200);
}
