//! A server that plays its part, and what a strategy makes of it.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tritone_client::{Address, Retries, Times};
use tritone_engine::text::{Message, Role};
use tritone_engine::{Event, FinishReason, GenerateError, Input, Request};
use tritone_strategy::{
    Deployment, Dialect, Endpoint, Fault, ModelRef, Remote, State, Strategy as _,
};

/// What a request was: its path, its head, its body.
type Heard = (String, String, Value);

/// Answers every request by `reply`, which writes a whole answer and may close the connection by returning `false`.
fn server(
    reply: impl Fn(&Heard, &mut TcpStream) -> bool + Send + Sync + Clone + 'static,
) -> (Address, Receiver<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (heard, hears) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (reply, heard) = (reply.clone(), heard.clone());
            thread::spawn(move || serve(stream, &reply, &heard));
        }
    });
    (address.parse().unwrap(), hears)
}

fn serve(
    mut stream: TcpStream,
    reply: &impl Fn(&Heard, &mut TcpStream) -> bool,
    heard: &Sender<Heard>,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
            head += &line;
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let all = (path, head, body);
        let go_on = reply(&all, &mut stream);
        let _ = heard.send(all);
        if !go_on {
            return;
        }
    }
}

fn whole(stream: &mut TcpStream, status: &str, body: &Value) -> bool {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).is_ok()
}

fn models(stream: &mut TcpStream, owner: &str) -> bool {
    let data = json!([{"id": "first", "owned_by": owner, "max_model_len": 512}, {"id": "second"}]);
    whole(stream, "200 OK", &json!({"data": data}))
}

const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

fn word(text: &str) -> String {
    let chunk = json!({"choices": [{"index": 0, "delta": {"content": text}}]});
    format!("data: {chunk}\n\n")
}

fn deployed(address: Address) -> Remote {
    let endpoint = Endpoint {
        key: Some("secret-key".to_owned()),
        retries: Retries::NEVER,
        times: Times {
            connect: Duration::from_secs(2),
            answer: Duration::from_secs(2),
            silence: Duration::from_millis(500),
        },
        ..Endpoint::new("shed", address)
    };
    assert!(!format!("{endpoint:?}").contains("secret"));
    let remote = Remote::new(endpoint).unwrap();
    remote
        .deploy_model(&Deployment::of(ModelRef::Embedded), &mut |_| true)
        .unwrap();
    remote
}

fn chat() -> Request {
    Request::new(Input::Chat(vec![Message::new(Role::User, "hi")]))
}

#[test]
fn an_answer_comes_as_events() {
    let (address, heard) = server(|(path, ..), stream| {
        if path == "/v1/models" {
            return models(stream, "llamacpp");
        }
        let last = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 2}});
        let all = format!(
            "{STREAM}: alive\n\n{}{}data: {last}\n\ndata: [DONE]\n\n",
            word("Grü"),
            word("ße")
        );
        stream.write_all(all.as_bytes()).unwrap();
        false
    });
    let remote = deployed(address);
    let card = remote.deployed().unwrap();
    assert_eq!((&*card.model, card.context), ("first", Some(512)));
    assert_eq!(remote.dialect(), Some(Dialect::LlamaCpp));
    assert!(!remote.capabilities().leaves_machine);
    let (text, finished) = remote.generate(chat()).unwrap().wait(None).unwrap();
    assert_eq!(text, "Grüße");
    assert_eq!(finished.reason, FinishReason::MaxTokens);
    assert_eq!(finished.timings.prompt_tokens, 9);
    assert_eq!(finished.timings.generated_tokens, 2);
    assert_eq!(remote.performance_metrics().answers, 1);
    let (_, head, body) = heard
        .iter()
        .find(|(path, ..)| path == "/v1/chat/completions")
        .unwrap();
    assert!(
        head.to_ascii_lowercase()
            .contains("authorization: bearer secret-key")
    );
    assert_eq!(body["model"], "first");
    assert_eq!(body["top_k"], 0);
}

#[test]
fn texts_are_continued_and_become_vectors() {
    let (address, heard) = server(|(path, ..), stream| match path.as_str() {
        "/v1/models" => models(stream, ""),
        "/v1/embeddings" => {
            let data = json!([
                {"index": 1, "embedding": [[1.0, 2.0], [3.0, 6.0]]},
                {"index": 0, "embedding": [1.0, 5.0]}
            ]);
            whole(stream, "200 OK", &json!({"data": data}))
        }
        _ => {
            let chunk = json!({"choices": [{"text": " time", "finish_reason": "stop"}]});
            let all = format!("{STREAM}data: {chunk}\n\ndata: [DONE]\n\n");
            stream.write_all(all.as_bytes()).unwrap();
            false
        }
    });
    let remote = deployed(address);
    let request = Request::new(Input::Text("Once upon a".to_owned()));
    let (text, _) = remote.generate(request).unwrap().wait(None).unwrap();
    assert_eq!(text, " time");
    let asked = heard.iter().find(|(path, ..)| path == "/v1/completions");
    let body = asked.unwrap().2;
    assert_eq!(body["prompt"], "Once upon a");
    assert!(body.get("messages").is_none());
    let vectors = remote.embed(&["a".to_owned(), "b".to_owned()]).unwrap();
    // The second came as a vector for each token.
    assert_eq!(vectors, [vec![1.0, 5.0], vec![2.0, 4.0]]);
}

/// The last event of an answer of a server that does `then` when it is asked.
fn last(then: fn(&mut TcpStream) -> bool) -> (Remote, Event) {
    let (address, _) = server(move |(path, ..), stream| match path.as_str() {
        "/v1/models" => models(stream, "vllm"),
        _ => then(stream),
    });
    let remote = deployed(address);
    let mut answer = remote.generate(chat()).unwrap();
    let last = std::iter::from_fn(|| answer.next_event()).last();
    (remote, last.unwrap())
}

fn failure(then: fn(&mut TcpStream) -> bool) -> String {
    let (remote, event) = last(then);
    let Event::Failed(GenerateError::Text(why)) = event else {
        panic!("{event:?}");
    };
    assert_eq!(remote.performance_metrics().failed, 1);
    why
}

#[test]
fn what_goes_wrong_is_the_last_event() {
    let refused = failure(|stream| {
        let error = json!({"error": {"message": "no such thing", "type": "invalid_request_error"}});
        whole(stream, "400 Bad Request", &error)
    });
    assert!(
        refused.contains("400") && refused.contains("no such thing"),
        "{refused}"
    );
    let keyless = failure(|stream| whole(stream, "401 Unauthorized", &json!({"error": {}})));
    assert!(keyless.contains("give the key"), "{keyless}");
    let broken = failure(|stream| {
        let _ = stream.write_all((STREAM.to_owned() + &word("half")).as_bytes());
        false
    });
    assert!(broken.contains("ended before the answer did"), "{broken}");
    let silent = failure(|stream| {
        let _ = stream.write_all((STREAM.to_owned() + &word("half")).as_bytes());
        thread::sleep(Duration::from_secs(3));
        false
    });
    assert!(silent.contains("took longer than 0.5 s"), "{silent}");
    let ruled = failure(|stream| {
        let chunk = json!({"choices": [{"delta": {}, "finish_reason": "content_filter"}]});
        let all = format!("{STREAM}{}data: {chunk}\n\ndata: [DONE]\n\n", word("half"));
        let _ = stream.write_all(all.as_bytes());
        false
    });
    assert!(ruled.contains("a rule of the server"), "{ruled}");
    let mad = failure(|stream| {
        let _ = stream.write_all((STREAM.to_owned() + "data: nonsense\n\n").as_bytes());
        false
    });
    assert!(mad.contains("not understood"), "{mad}");
}

#[test]
fn an_answer_that_is_given_up_closes_the_connection() {
    let (closed, closes) = channel();
    let (address, _) = server(move |(path, ..), stream| {
        if path == "/v1/models" {
            return models(stream, "vllm");
        }
        stream.write_all(STREAM.as_bytes()).unwrap();
        while stream.write_all(word("more ").as_bytes()).is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
        closed.send(()).unwrap();
        false
    });
    let remote = deployed(address);
    let mut answer = remote.generate(chat()).unwrap();
    while !matches!(answer.next_event(), Some(Event::Text { .. })) {}
    answer.cancel_handle().cancel();
    let end = std::iter::from_fn(|| answer.next_event()).last();
    assert!(
        matches!(&end, Some(Event::Finished(end)) if end.reason == FinishReason::Cancelled),
        "{end:?}"
    );
    closes.recv_timeout(Duration::from_secs(10)).unwrap();
    // Dropped without a word, too.
    drop(remote.generate(chat()).unwrap());
    assert_eq!(remote.performance_metrics().cancelled, 2);
}

#[test]
fn servers_without_the_model_and_none_at_all_are_told() {
    let (address, _) = server(|_, stream| models(stream, "library"));
    let remote = Remote::new(Endpoint::new("shed", address)).unwrap();
    assert!(remote.setup_environment().is_usable());
    let wanted = Deployment::of(ModelRef::Named("third".to_owned()));
    let error = remote.deploy_model(&wanted, &mut |_| true).unwrap_err();
    assert_eq!(error.fault, Fault::Model);
    assert!(error.to_string().contains("first, second"), "{error}");
    assert_eq!(remote.health().state, State::Off);
    let wanted = Deployment::of(ModelRef::Named("second".to_owned()));
    remote.deploy_model(&wanted, &mut |_| true).unwrap();
    assert_eq!(remote.health().state, State::Ready);

    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let gone = Endpoint {
        retries: Retries::NEVER,
        ..Endpoint::new("gone", format!("http://{free}").parse().unwrap())
    };
    let remote = Remote::new(gone).unwrap();
    let environment = remote.setup_environment();
    assert!(
        environment
            .missing()
            .unwrap()
            .remedy
            .contains("server runs")
    );
    let error = remote
        .deploy_model(&Deployment::of(ModelRef::Embedded), &mut |_| true)
        .unwrap_err();
    assert_eq!(error.fault, Fault::Unreachable);
}
