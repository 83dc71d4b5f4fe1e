//! One answer: what a seed gives does not depend on who else asks, nor on the way there.

use std::process::Command;

use serde_json::{Value, json};
use tritone_tests::tritone;

use crate::harness::{Pending, Server};

const PROMPT: &str = "Tell me a story about a fox.";

fn body(content: &str, seed: u64, tokens: u64, stream: bool) -> Value {
    json!({
        "messages": [{"role": "user", "content": content}],
        "seed": seed,
        "temperature": 1.1,
        "top_p": 0.95,
        "max_tokens": tokens,
        "stream": stream,
    })
}

fn send(server: &Server, body: &Value) -> Pending {
    server.send("POST /v1/chat/completions", &[], &body.to_string())
}

/// The text of an answer, whole or streamed.
fn text(mut answer: Pending, stream: bool) -> String {
    if !stream {
        let json = answer.whole().json(200);
        let text = &json["choices"][0]["message"]["content"];
        return text.as_str().unwrap().to_owned();
    }
    assert_eq!(answer.head().status, 200);
    let frames = answer.frames();
    assert_eq!(frames.last().unwrap(), "[DONE]");
    let json = |frame: &String| serde_json::from_str::<Value>(frame).ok();
    let content = |frame: Value| {
        let text = &frame["choices"][0]["delta"]["content"];
        text.as_str().map(str::to_owned)
    };
    frames.iter().filter_map(json).filter_map(content).collect()
}

#[test]
fn a_seeded_request_alone_among_fifteen_and_from_the_command_line_is_one_answer() {
    // Nothing is remembered from one server to the next: every text is computed anew.
    let alone = {
        let server = Server::start(&["--slots", "1", "--profile", "server"]);
        text(send(&server, &body(PROMPT, 7, 120, false)), false)
    };
    assert!(alone.len() > 100, "{alone}");

    let args = ["--slots", "16", "--profile", "server", "--memory", "2048"];
    let server = Server::start(&args);
    let others = [
        "Hello",
        "Count to ten.",
        PROMPT,
        "What is the capital of Peru?",
    ];
    let long = "word ".repeat(200);
    let mut running = Vec::new();
    for i in 0..15_u64 {
        let content = match i % 5 {
            4 => long.as_str(),
            n => others[n as usize],
        };
        let stream = i % 2 == 0;
        let request = body(content, 100 + i, 20 + 10 * i, stream);
        running.push((send(&server, &request), stream));
        if i == 7 {
            running.push((send(&server, &body(PROMPT, 7, 120, true)), true));
        }
    }
    let texts: Vec<String> = running
        .into_iter()
        .map(|(answer, stream)| text(answer, stream))
        .collect();
    assert_eq!(texts[8], alone);
    assert!(texts.iter().all(|text| !text.is_empty()));

    let mut command = Command::new(tritone());
    command.args(["run", PROMPT, "--seed", "7", "--temperature", "1.1"]);
    command.args(["--top-p", "0.95", "--max-tokens", "120", "--threads", "2"]);
    command.args(["--kernel", "scalar"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.trim_end(), alone.trim_end());
}
