//! The quirks of bitnet.cpp's server, out of transcripts.

use serde_json::json;
use tritone_engine::{Event, FinishReason, GenerateError, Input, Request};
use tritone_strategy::{Fault, Strategy as _};

use crate::harness::{Fake, chat, events, until};

#[test]
fn counted_tokens_come_with_the_last_choice() {
    let fake = Fake::deployed(&[]);
    let (text, finished) = fake.ask("Hi").wait(None).unwrap();
    assert_eq!(text, "Hello there.");
    assert_eq!(finished.reason, FinishReason::EndOfTurn);
    assert_eq!(finished.timings.prompt_tokens, 17);
    assert_eq!(finished.timings.generated_tokens, 4);
}

#[test]
fn an_error_in_a_field_of_its_own_is_no_end_of_the_answer() {
    let fake = Fake::deployed(&[]);
    let events = events(fake.ask("fail"));
    let Some(Event::Failed(GenerateError::Text(why))) = events.last() else {
        panic!("{events:?}");
    };
    assert!(why.contains("KV cache is full"), "{why}");
    assert!(matches!(&events[0], Event::Text { text, .. } if text == "Half"));
}

#[test]
fn a_text_is_continued_in_the_servers_own_form() {
    let fake = Fake::deployed(&[]);
    let request = Request {
        max_tokens: Some(2),
        ..Request::new(Input::Text("Once".to_owned()))
    };
    let (text, finished) = fake.strategy.generate(request).unwrap().wait(None).unwrap();
    assert_eq!(text, " upon a time");
    assert_eq!(finished.reason, FinishReason::MaxTokens);
    assert_eq!(finished.timings.prompt_tokens, 5);
    assert_eq!(finished.timings.generated_tokens, 2);
    let body = &fake.bodies("/v1/completions")[0];
    assert_eq!(body["n_predict"], 2);
    assert_eq!(body["prompt"], "Once");
}

#[test]
fn every_request_is_streamed_and_has_an_end() {
    let fake = Fake::deployed(&[]);
    fake.ask("Hi").wait(None).unwrap();
    let endless = Request {
        max_tokens: Some(usize::MAX),
        ..chat("Hi")
    };
    fake.strategy.generate(endless).unwrap().wait(None).unwrap();
    let bodies = fake.bodies("/v1/chat/completions");
    // The first is the probe.
    assert_eq!(bodies.len(), 3);
    let context = fake.strategy.deployed().unwrap().context.unwrap();
    for (body, most) in bodies.iter().zip([1, context, context]) {
        assert_eq!(body["max_tokens"], most);
        assert_eq!(body["stream"], true);
        // The fake refuses whatever is not on its list, such as n_discard.
        assert!(body.get("n").is_none() && body.get("tools").is_none());
    }
}

#[test]
fn stream_options_are_left_out_where_they_are_refused() {
    let fake = Fake::deployed(&["--no-stream-options"]);
    let (text, finished) = fake.ask("Hi").wait(None).unwrap();
    assert_eq!(
        (&*text, finished.timings.generated_tokens),
        ("Hello there.", 4)
    );
    let bodies = fake.bodies("/v1/chat/completions");
    let asked: Vec<bool> = bodies
        .iter()
        .map(|body| body.get("stream_options").is_some())
        .collect();
    assert_eq!(asked, [true, false, false], "tried once, then left out");
    let fake = Fake::deployed(&[]);
    fake.ask("Hi").wait(None).unwrap();
    assert_eq!(
        fake.bodies("/v1/chat/completions")[1]["stream_options"],
        json!({"include_usage": true})
    );
}

#[test]
fn no_more_is_asked_at_once_than_there_are_slots_and_health_asks_nothing() {
    let fake = Fake::deployed(&[]);
    let mut first = fake.ask("slow");
    while !matches!(first.next_event(), Some(Event::Text { .. })) {}
    // Its own /health hangs now.
    let health = fake.strategy.health();
    assert!(health.is_ready(), "{health:?}");
    assert!(health.why.ends_with("1 of 1 answers at once"), "{health:?}");
    let second = fake.ask("Hi");
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(
        fake.bodies("/v1/chat/completions").len(),
        2,
        "probe and the first"
    );
    // Given up, the connection is closed, and the next gets the slot.
    drop(first);
    let (text, finished) = second.wait(None).unwrap();
    assert_eq!(text, "Hello there.");
    assert!(
        finished.timings.queued.as_millis() >= 150,
        "{:?}",
        finished.timings
    );
    until("the server has seen it leave", || {
        fake.record().iter().any(|entry| entry["left"] == true)
    });
}

#[test]
fn what_the_server_cannot_is_refused_here() {
    let fake = Fake::deployed(&[]);
    let tokens = Request::new(Input::Tokens(vec![1]));
    assert_eq!(
        fake.strategy.generate(tokens).unwrap_err().fault,
        Fault::Unsupported
    );
    let error = fake.strategy.embed(&["a".to_owned()]).unwrap_err();
    assert_eq!(error.fault, Fault::Unsupported);
    assert!(error.remedy.contains("embeddings"), "{error}");
    assert!(!fake.strategy.capabilities().embeddings);
    assert_eq!(fake.bodies("/v1/embeddings").len(), 0);
}

#[test]
fn a_queue_without_end_is_refused() {
    let fake = Fake::deployed(&[]);
    let mut waiting = Vec::new();
    let error = loop {
        match fake.strategy.generate(chat("slow")) {
            Ok(answer) => waiting.push(answer),
            Err(error) => break error,
        }
        assert!(waiting.len() < 100);
    };
    assert_eq!(waiting.len(), 65, "one slot, and 64 that wait");
    assert_eq!(error.fault, Fault::Busy);
    drop(waiting);
    until("they have left", || {
        fake.strategy.generate(chat("Hi")).is_ok()
    });
}
