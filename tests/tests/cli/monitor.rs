//! `tritone monitor`, over a log that a conversation wrote.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tritone_monitor::{Event, EventKind, Log, Metric, Record, Sample};

use crate::program::{command, run};

/// A log of two hours, a sample a minute, that ends with half a line.
fn log(dir: &Path) -> PathBuf {
    let path = dir.join("monitor.jsonl");
    let begin = 1_764_142_200_000;
    let mut log = Log::open(&path, Log::MAX_BYTES).unwrap();
    let event = |at, kind, text| Record::Event(Event::new(at, kind, text));
    log.append(&event(begin, EventKind::Start, "tritone 0.1.0"))
        .unwrap();
    for minute in 1..=120_u32 {
        let at = begin + 60_000 * u64::from(minute);
        let mut sample = Sample::new(at, 60_000);
        sample.set(Metric::DecodeRate, f64::from(minute));
        sample.set(Metric::Resident, 212.0 * 1_048_576.0);
        sample.set(Metric::Finished, 1.0);
        sample.set_cores([50.0, 7.0]);
        log.append(&Record::Sample(sample)).unwrap();
        if minute == 90 {
            log.append(&event(at, EventKind::Kernel, "lut, \u{1b}[31mred"))
                .unwrap();
        }
    }
    drop(log);
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"at\":17641").unwrap();
    path
}

fn monitor(what: &[&str]) -> crate::program::Run {
    let mut args = vec!["monitor"];
    args.extend(what);
    run(&args)
}

#[test]
fn a_summary_says_what_the_hours_were_like() {
    let dir = TempDir::new().unwrap();
    let path = log(dir.path());
    let path = path.to_str().unwrap();
    let run = monitor(&["summary", path]);
    assert!(run.err.contains("1 line is no record"), "{}", run.err);
    assert!(run.err.contains(":123: "), "{}", run.err);
    let out = run.ok();
    assert!(out.contains("120 samples over 2 h"), "{out}");
    let row = out.lines().find(|line| line.starts_with("decode tok/s"));
    let row: Vec<&str> = row.unwrap().split_whitespace().collect();
    assert_eq!(row[2..], ["60.5", "1.0", "60.0", "114", "119", "120"]);
    assert!(out.contains("kernel: lut, "), "{out}");
    assert!(!out.contains('\u{1b}'), "{out}");

    let json = monitor(&["summary", path, "--hours", "0.5", "--json"]).json();
    assert_eq!(json["samples"], 31);
    assert_eq!(json["damaged_lines"], 1);
    assert_eq!(json["metrics"]["decode_tokens_per_second"]["min"], 90.0);
    assert_eq!(json["metrics"]["requests_finished"]["total"], 31.0);
    assert_eq!(json["events"][0]["event"], "kernel");
}

#[test]
fn an_export_has_every_record() {
    let dir = TempDir::new().unwrap();
    let path = log(dir.path());
    let path = path.to_str().unwrap();
    let csv = monitor(&["export", path, "--csv"]).ok();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 1 + 120 + 2);
    assert!(lines[0].starts_with("at,time,span_ms,resident_bytes,"));
    assert!(lines[2].starts_with("1764142260000,2025-11-26T07:31:00.000Z,60000,222298112,"));
    let json = monitor(&["export", path, "--json", "--hours", "1"]).json();
    let records = json.as_array().unwrap();
    assert_eq!(records.len(), 61 + 1);
    assert_eq!(records[0]["cores"], serde_json::json!([50, 7]));
}

#[test]
fn the_last_lines_can_be_read_without_following() {
    let dir = TempDir::new().unwrap();
    let path = log(dir.path());
    let out = monitor(&["watch", path.to_str().unwrap(), "--last", "2", "--once"]).ok();
    assert_eq!(
        out,
        "2025-11-26T09:29:00.000Z  decode 119 tok/s, memory 212 MiB\n\
         2025-11-26T09:30:00.000Z  decode 120 tok/s, memory 212 MiB\n"
    );
}

#[test]
fn wrong_arguments_and_files_are_said() {
    monitor(&["summary", "/no/such/log"]).fails(1, &["cannot read the monitor log /no/such/log"]);
    monitor(&["export", "x"]).fails(2, &["--csv"]);
    monitor(&["summary", "x", "--hours", "0"]).fails(2, &["more than 0 hours"]);
    run(&["chat", "--monitor-interval", "50"]).fails(2, &["100..=60000"]);
    let dir = TempDir::new().unwrap();
    let empty = dir.path().join("empty");
    fs::write(&empty, "").unwrap();
    let out = monitor(&["summary", empty.to_str().unwrap()]).ok();
    assert!(out.ends_with("empty: no samples\n"), "{out}");
}

#[test]
fn a_conversation_in_lines_is_measured_and_logged() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log");
    let log = path.to_str().unwrap();
    let mut child = command(&["chat", "--plain", "--monitor-log", log])
        .args(["--monitor-interval", "100"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"What is the capital of Peru?\n").unwrap();
    // Until the answer is in the log.
    let answered = || {
        let mut tokens = 0.0;
        let _ = tritone_monitor::read_log(&path, |record| {
            if let Record::Sample(sample) = record {
                tokens += sample.get(Metric::DecodeTokens).unwrap_or(0.0);
            }
        });
        tokens > 0.0
    };
    for _ in 0..2400 {
        if answered() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    drop(input);
    assert!(child.wait().unwrap().success());
    let json = monitor(&["summary", log, "--json"]).json();
    assert_eq!(json["damaged_lines"], 0);
    assert!(json["metrics"]["decode_tokens"]["total"].as_f64().unwrap() >= 1.0);
    assert!(json["metrics"]["resident_bytes"]["max"].as_f64().unwrap() > 1e6);
    assert!(json["metrics"]["resident_limit_bytes"]["max"].is_number());
    let events = json["events"].as_array().unwrap().iter();
    let names: Vec<&str> = events.filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(names, ["start", "model", "profile", "kernel"]);
}
