//! Clients that leave: in the queue, while the prompt is read, in the middle of an answer.

use std::net::Shutdown;

use serde_json::{Value, json};

use crate::harness::{Pending, SLOW, Server};

const ADMIN: &str = "sk-admin-0123456789abcdef";

/// How a client leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Close,
    HalfClose,
}

fn server() -> Server {
    let args = [&["--slots", "1"][..], &SLOW].concat();
    Server::start_with(&args, &[("TRITONE_ADMIN_KEY", ADMIN)])
}

fn requests(server: &Server) -> (u64, u64) {
    let key = format!("authorization: Bearer {ADMIN}");
    let status = server.ask("GET /admin/status", &[&key], "").json(200);
    let count = |name: &str| status["requests"][name].as_u64().unwrap();
    (count("running"), count("waiting"))
}

fn ask(server: &Server, content: &str, more: Value) -> Pending {
    let mut body = json!({
        "messages": [{"role": "user", "content": content}],
        "seed": 3,
        "ignore_eos": true,
        "max_tokens": 2000,
    });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    server.send("POST /v1/chat/completions", &[], &body.to_string())
}

/// Leaves; what is left of the client stays until the value is dropped.
fn leave(client: Pending, how: How) -> Option<Pending> {
    match how {
        How::Close => None,
        How::HalfClose => {
            client.socket().shutdown(Shutdown::Write).unwrap();
            Some(client)
        }
    }
}

/// A short answer. A stop that never comes makes it another request each time, so that it is written and not
/// remembered.
fn short(server: &Server, time: usize) -> Pending {
    let stop = format!("\u{1}{time}");
    ask(
        server,
        "Tell me a story.",
        json!({"max_tokens": 40, "stop": stop}),
    )
}

fn text(answer: Pending) -> String {
    let json = answer.whole().json(200);
    json["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn an_answer_ends_with_its_client_in_whatever_state() {
    let server = server();
    let alone = text(short(&server, 0));
    let mut time = 0;
    let long = "word ".repeat(3000);
    for how in [How::Close, How::HalfClose] {
        for stream in [true, false] {
            time += 1;
            let more = json!({"stream": stream, "seed": time});
            // While it is written.
            let mut client = ask(&server, "Tell me a story.", more.clone());
            if stream {
                assert_eq!(client.head().status, 200);
                client.data().unwrap();
            }
            server.until("a slot", |server| requests(server) == (1, 0));
            let rest = leave(client, how);
            server.until("its end", |server| requests(server) == (0, 0));
            drop(rest);

            // While its prompt is read.
            let client = ask(&server, &long, more.clone());
            server.until("a slot", |server| requests(server).0 == 1);
            let rest = leave(client, how);
            server.until("its end", |server| requests(server) == (0, 0));
            drop(rest);

            // In the queue: whoever is before it does not notice.
            let mut before = ask(
                &server,
                "Tell me a story.",
                json!({"stream": true, "seed": 100 + time, "max_tokens": 1200}),
            );
            assert_eq!(before.head().status, 200);
            let client = ask(&server, "Hello", more);
            server.until("the queue", |server| requests(server) == (1, 1));
            let rest = leave(client, how);
            server.until("its end", |server| requests(server).1 == 0);
            drop(rest);
            let frames = before.frames();
            assert_eq!(
                frames.last().unwrap(),
                "[DONE]",
                "{how:?}, stream: {stream}"
            );
            assert_eq!(text(short(&server, time)), alone);
        }
    }
}

#[test]
fn others_do_not_notice_who_leaves() {
    let args = ["--slots", "4", "--profile", "server"];
    let server = Server::start_with(&args, &[("TRITONE_ADMIN_KEY", ADMIN)]);
    // Random answers that are not remembered: whole texts of a seed are compared, streamed and in company.
    let story =
        |seed: u64| json!({"seed": seed, "max_tokens": 200, "stream": true, "temperature": 1.2});
    let read = |mut client: Pending| {
        assert_eq!(client.head().status, 200);
        let frames = client.frames();
        assert_eq!(frames.last().unwrap(), "[DONE]");
        let json = |frame: &String| serde_json::from_str::<Value>(frame).ok();
        let pieces = frames.iter().filter_map(json);
        let content = |frame: Value| {
            frame["choices"][0]["delta"]["content"]
                .as_str()
                .map(str::to_owned)
        };
        pieces.filter_map(content).collect::<String>()
    };
    let staying = [11, 12].map(|seed| ask(&server, "Tell me a story.", story(seed)));
    for seed in 20..28 {
        drop(ask(&server, "Tell me a story.", story(seed)));
    }
    let together = staying.map(read);
    server.until("the end", |server| requests(server) == (0, 0));
    // The answers of a company of two are those of each alone.
    drop(server);
    let alone = Server::start(&["--slots", "1", "--profile", "server"]);
    for (seed, text) in [11, 12].into_iter().zip(together) {
        assert_eq!(read(ask(&alone, "Tell me a story.", story(seed))), text);
    }
}

#[cfg(unix)]
#[test]
fn a_client_that_is_killed_gives_its_slots_back() {
    let server = server();
    let alone = text(short(&server, 0));
    let url = format!("http://{}", server.address);
    let mut client = std::process::Command::new(tritone_tests::tritone())
        .args([
            "load",
            "--users",
            "2",
            "--generate",
            "3000",
            "--duration",
            "60",
        ])
        .args(["--url", &url])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // One of its answers is written, the other waits.
    server.until("both", |server| requests(server) == (1, 1));
    // KILL, which nothing can catch.
    client.kill().unwrap();
    client.wait().unwrap();
    server.until("their end", |server| requests(server) == (0, 0));
    assert_eq!(text(short(&server, 1)), alone);
}

/// An answer of some 4 MB, more than the system takes in for a client that does not read.
fn endless(server: &Server, content: &str, stream: bool) -> Pending {
    let more = if stream {
        json!({"stream": true, "max_tokens": 4000, "logprobs": true, "top_logprobs": 20})
    } else {
        json!({"max_tokens": 200})
    };
    ask(server, content, more)
}

#[test]
fn who_stops_reading_loses_the_answer_and_the_slot() {
    let own = [
        "--slots",
        "1",
        "--unread-timeout",
        "0.2",
        "--max-output-tokens",
        "4096",
    ];
    let args = [&own[..], &SLOW].concat();
    let server = Server::start_with(&args, &[("TRITONE_ADMIN_KEY", ADMIN)]);
    let alone = text(short(&server, 0));
    let long = "word ".repeat(60);
    let mut time = 0;
    for stream in [true, false] {
        // While it is written: the first of it is read, and then no more.
        let mut written = endless(&server, "Tell me a story.", stream);
        if stream {
            assert_eq!(written.head().status, 200);
            written.data().unwrap();
        }
        // In the queue, behind it; and one whose prompt takes its time.
        let queued = endless(&server, "Hello", stream);
        let read = endless(&server, &long, stream);
        let others = short(&server, 50 + time);
        server.until("the queue", |server| requests(server).1 > 0);
        // Whoever comes after them is answered: no slot is held for those who do not read.
        assert_eq!(text(others), alone);
        server.until("their end", |server| requests(server) == (0, 0));
        for mut client in [written, queued, read] {
            if stream {
                let frames = client.frames();
                // The error, and the end.
                let last = &frames[frames.len() - 2];
                assert!(last.contains("unread"), "{last}");
            } else {
                // All of it fits into the connection: nobody had to wait for the client.
                assert_eq!(client.whole().head.status, 200);
            }
        }
        time += 1;
        assert_eq!(text(short(&server, time)), alone);
    }
}
