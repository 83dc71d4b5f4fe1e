//! The Monitor view, with a model that answers.

use tempfile::TempDir;
use tritone_monitor::{EventKind, Metric, Record, read_log};

use crate::terminal::Terminal;

const F2: &str = "\x1bOQ";
const F3: &str = "\x1bOR";
const ESC: &str = "\x1b";

#[test]
fn what_happens_is_seen_marked_exported_and_logged() {
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("log");
    let mut terminal = Terminal::open_with(|command| {
        command.args(["chat", "--monitor-interval", "100", "--monitor-log"]);
        command.arg(&log);
    });
    terminal.wait_for("ctx 0/");
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("Lima");
    terminal.send(F3);
    // Rates, CPUs, parts of the step, the cache; memory and its limit.
    for part in [
        "last 1 min",
        "decode",
        "prefill",
        "matmul",
        "attention",
        "KV cache",
        "limit ",
        "c0 ",
        "1 finished",
        "what changed",
    ] {
        terminal.wait_for(part);
    }
    terminal.wait_until("dots", |terminal| {
        let dots = |c: char| ('\u{2801}'..='\u{28ff}').contains(&c);
        terminal.screen().contains(dots)
    });
    terminal.send(F2);
    terminal.wait_until("a mark", |terminal| {
        terminal.screen().matches('▲').count() >= 2
    });
    terminal.send("f");
    terminal.wait_for("frozen, ");
    terminal.send("\x1b[D\x1b[D");
    terminal.wait_for("│");
    terminal.send("s");
    terminal.wait_for("p95");
    terminal.send("e");
    terminal.wait_for("exported to ");
    terminal.resize(40, 12);
    terminal.wait_until("the narrow form", |terminal| {
        let screen = terminal.screen();
        screen.contains("peak") && !screen.contains("p95")
    });
    // Out of the table, of the frozen picture, of the view.
    terminal.send(ESC);
    terminal.wait_for("step %");
    terminal.send(ESC);
    terminal.wait_for("last 1 min");
    terminal.send(ESC);
    terminal.wait_gone("step %");
    terminal.send("/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);

    let mut kinds = Vec::new();
    let mut tokens = 0.0;
    let content = read_log(&log, |record| match record {
        Record::Event(event) => kinds.push(event.kind),
        Record::Sample(sample) => tokens += sample.get(Metric::DecodeTokens).unwrap_or(0.0),
    });
    assert_eq!(content.unwrap().damaged, 0);
    assert!(tokens >= 1.0);
    for kind in [
        EventKind::Start,
        EventKind::Model,
        EventKind::Profile,
        EventKind::AnswerBegin,
        EventKind::AnswerEnd,
    ] {
        assert!(kinds.contains(&kind), "no {kind:?} in {kinds:?}");
    }
    let kernels = kinds.iter().filter(|kind| **kind == EventKind::Kernel);
    assert_eq!(kernels.count(), 2);
}

#[test]
fn memory_near_its_limit_is_an_alert() {
    // The built-in model takes some 35 MiB; the least limit there is would hold it with room to
    // spare, so the threshold of the profile is what is crossed.
    let mut terminal = Terminal::open_with(|command| {
        command.args(["chat", "--monitor-interval", "100"]);
        command.env("TRITONE_ALERT_MEMORY_MB", "1");
    });
    terminal.wait_for("! memory ");
    terminal.wait_for("MiB (alert above 1)");
    terminal.wait_for("A shorter context");
    terminal.send("/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);
}
