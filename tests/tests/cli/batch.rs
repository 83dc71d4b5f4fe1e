//! `tritone batch`: files of requests.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{command, pipe, run};

const PERU: &str = "What is the capital of Peru?";

fn chat(id: &str, text: &str, more: Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": text}], "temperature": 0});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body})
}

struct Bed {
    directory: TempDir,
}

impl Bed {
    fn new(lines: &[String]) -> Self {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("in.jsonl"), lines.join("\n")).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn run(&self, more: &[&str]) -> crate::program::Run {
        let (input, output) = (self.path("in.jsonl"), self.path("out.jsonl"));
        run(&[&["batch", &input, "-o", &output][..], more].concat())
    }

    fn answers(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("out.jsonl")).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn text(answer: &Value) -> &str {
    answer["response"]["body"]["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
}

fn lines(requests: &[Value]) -> Vec<String> {
    requests.iter().map(Value::to_string).collect()
}

#[test]
fn every_line_gets_its_answer_or_is_told_what_is_wrong() {
    let mut requests = lines(&[
        chat("a", PERU, json!({})),
        json!({"custom_id": "v", "url": "/v1/embeddings", "body": {"input": ["a fox", "a hen"]}}),
        chat("bad", PERU, json!({"n": 0})),
        chat("a", "Hello", json!({})),
    ]);
    requests.push("nonsense".to_owned());
    let bed = Bed::new(&requests);
    let run = bed.run(&["--ordered"]);
    assert!(run.err.contains("2 answered, 3 refused"), "{}", run.err);
    assert_eq!(run.ok(), "");
    let answers = bed.answers();
    let ids: Vec<_> = answers
        .iter()
        .map(|answer| answer["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["line-1", "line-2", "line-3", "line-4", "line-5"]);
    assert_eq!(text(&answers[0]), "The capital of Peru is Lima.");
    assert_eq!(
        answers[1]["response"]["body"]["data"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(answers[2]["response"]["status_code"], 400);
    assert_eq!(answers[2]["response"]["body"]["error"]["param"], "n");
    assert_eq!(answers[3]["error"]["code"], "duplicate_custom_id");
    assert_eq!(answers[4]["error"]["code"], "invalid_json_line");
    let again = bed.run(&[]);
    assert!(
        again.err.contains("5 had been answered before"),
        "{}",
        again.err
    );
    assert_eq!(bed.answers(), answers);
}

#[test]
fn a_seeded_request_gets_the_answer_of_run() {
    let more = json!({"temperature": 1.3, "top_p": 1, "seed": 11, "max_tokens": 24});
    let mut requests = vec![chat("wanted", "Tell me a story about a fox.", more)];
    for i in 0..7 {
        requests.push(chat(
            &format!("other {i}"),
            PERU,
            json!({"temperature": 1, "seed": i}),
        ));
    }
    let bed = Bed::new(&lines(&requests));
    bed.run(&["--parallel", "8"]).ok();
    let answers = bed.answers();
    let wanted = answers
        .iter()
        .find(|answer| answer["custom_id"] == "wanted")
        .unwrap();
    let alone = run(&[
        "run",
        "--temperature",
        "1.3",
        "--top-p",
        "1",
        "--seed",
        "11",
        "--max-tokens",
        "24",
        "Tell me a story about a fox.",
    ]);
    assert_eq!(text(wanted).trim_end(), alone.ok().trim_end());
}

#[test]
fn what_was_cut_off_is_done_again_and_nothing_twice() {
    let requests: Vec<_> = (0..4)
        .map(|i| chat(&format!("{i}"), PERU, json!({})))
        .collect();
    let bed = Bed::new(&lines(&requests));
    bed.run(&["--ordered"]).ok();
    let whole = fs::read_to_string(bed.path("out.jsonl")).unwrap();
    let cut = whole.len() - whole.lines().last().unwrap().len() / 2;
    fs::write(bed.path("out.jsonl"), &whole[..cut]).unwrap();
    let run = bed.run(&[]);
    assert!(
        run.err.contains("not complete") && run.err.contains("3 answers are in"),
        "{}",
        run.err
    );
    run.ok();
    let mut ids: Vec<_> = bed
        .answers()
        .iter()
        .map(|a| a["custom_id"].to_string())
        .collect();
    ids.sort();
    assert_eq!(ids, ["\"0\"", "\"1\"", "\"2\"", "\"3\""]);
}

#[test]
fn files_of_others_are_not_touched() {
    let bed = Bed::new(&lines(&[chat("a", PERU, json!({}))]));
    fs::write(bed.path("out.jsonl"), "my notes\n").unwrap();
    bed.run(&[])
        .fails(1, &["not written by tritone batch", "--force"]);
    assert_eq!(
        fs::read_to_string(bed.path("out.jsonl")).unwrap(),
        "my notes\n"
    );
    // The beginning of an answer is `{"`, too, and so is a line that was cut off.
    for others in [r#"{"editor":"mine"}"#, "{\"id\":5}\n", "{\"id\":\"x\"}\n"] {
        fs::write(bed.path("out.jsonl"), others).unwrap();
        bed.run(&[]).fails(1, &["not written by tritone batch"]);
        assert_eq!(fs::read_to_string(bed.path("out.jsonl")).unwrap(), others);
    }
    bed.run(&["--force"]).ok();
    assert_eq!(text(&bed.answers()[0]), "The capital of Peru is Lima.");
    // What is there goes when there is something to take its place.
    let missing = bed.run(&["--force", "--model", "/no/such/model.gguf"]);
    assert_ne!(missing.code, Some(0));
    assert_eq!(text(&bed.answers()[0]), "The capital of Peru is Lima.");
    let input = bed.path("in.jsonl");
    run(&["batch", &input, "-o", &input]).fails(1, &["is the input"]);
    run(&["batch", "/no/such/file", "-o", "-"]).fails(1, &["cannot read"]);
}

#[test]
fn requests_come_from_a_pipe_and_answers_go_into_one() {
    let request = chat("a", PERU, json!({})).to_string();
    let out = pipe(request.as_bytes(), &["batch", "-", "-o", "-"]).ok();
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(text(&answer), "The capital of Peru is Lima.");
}

#[test]
fn a_pipe_that_stays_open_is_answered_meanwhile() {
    let mut child = command(&["batch", "-", "-o", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    for id in ["a", "b"] {
        writeln!(input, "{}", chat(id, PERU, json!({}))).unwrap();
        input.flush().unwrap();
        let answer: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
        assert_eq!(answer["custom_id"], id);
        assert_eq!(text(&answer), "The capital of Peru is Lima.");
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

/// However it ends, what is written stays, and the rest is done by the same command.
#[test]
fn a_batch_that_is_ended_goes_on() {
    let long = json!({"max_tokens": 300, "ignore_eos": true, "temperature": 1, "seed": 4});
    let request = |i| {
        chat(
            &format!("{i}"),
            "Tell me a story about a fox.",
            long.clone(),
        )
    };
    let requests: Vec<_> = (0..60).map(request).collect();
    for (signal, code) in [("INT", Some(130)), ("KILL", None)] {
        let bed = Bed::new(&lines(&requests));
        let (input, output) = (bed.path("in.jsonl"), bed.path("out.jsonl"));
        let mut child = command(&["batch", &input, "-o", &output])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while fs::read_to_string(&output)
            .unwrap_or_default()
            .lines()
            .count()
            < 3
        {
            assert!(start.elapsed() < Duration::from_secs(100));
            std::thread::sleep(Duration::from_millis(5));
        }
        let pid = child.id().to_string();
        let killed = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(killed.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), code);
        let before = fs::read_to_string(&output).unwrap().lines().count();
        assert!(before < 60, "it was done before it was ended");
        bed.run(&[]).ok();
        let answers = bed.answers();
        let mut ids: Vec<_> = answers.iter().map(|a| a["custom_id"].to_string()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!((ids.len(), answers.len()), (60, 60));
        assert!(
            answers
                .iter()
                .all(|answer| text(answer) == text(&answers[0]))
        );
    }
}
