//! Rules about what is asked and answered.

use serde_json::{Value, json};

use crate::harness::Server;

struct Ruled {
    server: Server,
    _rules: tempfile::NamedTempFile,
}

fn ruled(rules: &str) -> Ruled {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, rules).unwrap();
    let path = file.path().to_str().unwrap();
    Ruled {
        server: Server::start(&["--slots", "2", "--content-rules", path]),
        _rules: file,
    }
}

fn asked(text: &str) -> Value {
    json!({"messages": [{"role": "user", "content": text}], "max_tokens": 40, "seed": 7})
}

/// Text and finish reason of a whole answer.
fn whole(server: &Server, body: &Value) -> (String, String) {
    let answer = server.post("/v1/chat/completions", body).json(200);
    let choice = &answer["choices"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (
        text(&choice["message"]["content"]),
        text(&choice["finish_reason"]),
    )
}

/// The same of a stream.
fn streamed(server: &Server, body: &Value) -> (String, String) {
    let mut body = body.clone();
    body["stream"] = json!(true);
    let mut pending = server.send("POST /v1/chat/completions", &[], &body.to_string());
    assert_eq!(pending.head().status, 200);
    let (mut text, mut reason) = (String::new(), String::new());
    for frame in pending.frames() {
        let Ok(frame) = serde_json::from_str::<Value>(&frame) else {
            continue;
        };
        let choice = &frame["choices"][0];
        text += choice["delta"]["content"].as_str().unwrap_or_default();
        reason += choice["finish_reason"].as_str().unwrap_or_default();
    }
    (text, reason)
}

#[test]
fn an_answer_is_ruled_alike_whole_and_streamed() {
    let plain = Server::start(&["--slots", "2"]);
    let body = asked("Tell me a story about the sea.");
    let (text, _) = whole(&plain, &body);
    assert_eq!(streamed(&plain, &body).0, text);
    let at = text.find(' ').unwrap();

    // Letters from the text, which tokens may well cut apart.
    let letters: Vec<_> = text[at..]
        .split(|char: char| !char.is_ascii_lowercase())
        .collect();
    let pair = &letters.iter().find(|word| word.len() > 2).unwrap()[1..3];
    let replace = ruled(&format!(
        "[[rule]]\nname = 'pair'\npattern = '{pair}'\naction = 'replace'\nwith = '<P>'"
    ));
    let expected = text.replace(pair, "<P>");
    assert_ne!(expected, text);
    assert_eq!(whole(&replace.server, &body).0, expected);
    assert_eq!(streamed(&replace.server, &body).0, expected);

    let refuse = ruled(
        "[[rule]]\nname = 'space'\npattern = '\\s\\w'\napplies = 'answer'\naction = 'refuse'",
    );
    let expected = (text[..at].to_owned(), "content_filter".to_owned());
    assert_eq!(whole(&refuse.server, &body), expected);
    assert_eq!(streamed(&refuse.server, &body), expected);
    // The answer that was refused holds no slot.
    refuse.server.until("free slots", |server| {
        (0..3).all(|_| whole(server, &body).1 == "content_filter")
    });

    let mut likelihoods = body;
    likelihoods["logprobs"] = json!(true);
    let refused = refuse.server.post("/v1/chat/completions", &likelihoods);
    assert_eq!(refused.json(400)["error"]["param"], "logprobs");
}

#[test]
fn a_prompt_is_refused_wherever_the_text_is() {
    let ruled = ruled(
        "[[rule]]\nname = 'bird'\npattern = '(?i)\\bblue ?bird\\b'\napplies = 'prompt'\naction = 'refuse'",
    );
    let server = &ruled.server;
    let parts = json!([{"type": "text", "text": "blue "}, {"type": "text", "text": "bird"}]);
    let messages = [
        json!([{"role": "system", "content": "x"}, {"role": "user", "content": "Bluebird?"}]),
        json!([{"role": "user", "content": parts}]),
    ];
    for (messages, param) in messages
        .iter()
        .zip(["messages[1].content", "messages[0].content"])
    {
        let body = json!({"messages": messages});
        let refused = server.post("/v1/chat/completions", &body);
        assert_eq!(refused.error(400), "content_filter");
        assert_eq!(refused.json(400)["error"]["param"], param);
    }
    let refused = server.post(
        "/v1/completions",
        &json!({"prompt": ["a", "the blue bird"]}),
    );
    assert_eq!(refused.error(400), "content_filter");
    assert_eq!(refused.json(400)["error"]["param"], "prompt");

    let tokens = server
        .post("/tokenize", &json!({"prompt": "the blue bird"}))
        .json(200);
    let refused = server.post("/v1/completions", &json!({"prompt": tokens["tokens"]}));
    assert_eq!(refused.error(400), "content_filter", "as tokens, too");

    let nul = json!({"messages": [{"role": "user", "content": "a\u{0}b"}]});
    assert_eq!(
        server.post("/v1/chat/completions", &nul).error(400),
        "invalid_text"
    );
    assert_ne!(whole(server, &asked("a black bird")).1, "content_filter");
}

#[test]
fn rules_that_are_wrong_end_the_start() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        &file,
        "[[rule]]\nname = 'a'\npattern = '('\naction = 'flag'",
    )
    .unwrap();
    let home = tempfile::tempdir().unwrap();
    let path = file.path().to_str().unwrap();
    let output = crate::harness::command(&["--port", "0", "--content-rules", path], home.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("line 3, rule \"a\""), "{said}");
}

#[cfg(unix)]
#[test]
fn rules_are_read_again_at_hangup_and_wrong_ones_change_nothing() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let rule = |word: &str| {
        let text = format!("[[rule]]\nname = 'a'\npattern = '{word}'\naction = 'refuse'\n");
        std::fs::write(&file, text).unwrap();
    };
    rule("fox");
    let server = Server::start(&["--content-rules", file.path().to_str().unwrap()]);
    let ask = |word: &str| {
        let chat = json!({"messages": [{"role": "user", "content": word}], "max_tokens": 2});
        server.post("/v1/chat/completions", &chat).head.status
    };
    assert_eq!((ask("a fox"), ask("a bird")), (400, 200));
    rule("bird");
    server.signal("HUP");
    server.until("the new rules", |server| {
        server.errors().contains("rules were read again: 1")
    });
    assert_eq!((ask("a fox"), ask("a bird")), (200, 400));
    rule("(");
    server.signal("HUP");
    server.until("the fault", |server| {
        server.errors().contains("the rules stay as they were")
    });
    assert_eq!((ask("a fox"), ask("a bird")), (200, 400));
}
