//! Reading a long conversation: found, copied, shown as it came, and gone through to its top.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::terminal::{Terminal, used};
use crate::{CTRL_D, ESC};

const EXCHANGES: u64 = 600;

const PAGE_UP: &str = "\x1b[5~";
const CTRL_END: &str = "\x1b[1;5F";

/// A file with a session of questions, each with an answer of some lines and a block of code.
fn session() -> String {
    let messages: Vec<_> = (1..=EXCHANGES)
        .flat_map(|count| {
            let question = 2 * count - 1;
            let parent = question.checked_sub(1).filter(|parent| *parent > 0);
            let answer = format!(
                "The **answer** to question {count} has code:\n\n```rust\nlet x = {count};\n```\n\n- one\n- two"
            );
            [
                json!({"number": question, "parent": parent, "role": "user",
                       "text": format!("Question {count}?")}),
                json!({"number": question + 1, "parent": question, "role": "assistant",
                       "text": answer}),
            ]
        })
        .collect();
    json!({"format": "tritone-sessions/1",
           "sessions": [{"title": "A long one", "messages": messages}]})
    .to_string()
}

#[test]
fn a_long_conversation_is_searched_copied_from_and_read_to_its_top() {
    let home = used();
    let file = home.path().join("long.json");
    fs::write(&file, session()).unwrap();
    let import = Command::new(tritone_tests::tritone())
        .args(["sessions", "import"])
        .arg(&file)
        .env("XDG_DATA_HOME", home.path().join("data"))
        .env("XDG_CONFIG_HOME", home.path().join("config"))
        .env("XDG_STATE_HOME", home.path().join("state"))
        .env("XDG_CACHE_HOME", home.path())
        .output()
        .unwrap();
    assert!(import.status.success(), "{import:?}");
    let mut terminal = Terminal::open_at(home.path(), &["chat", "--resume", "1"]);
    terminal.wait_for("let x = 600;");
    terminal.wait_for("> write a message");

    // Where a search has led, the text stays when the window changes.
    terminal.send("/find question 300?\r");
    terminal.wait_for("Question 300?");
    terminal.wait_for("1 of 1: n next");
    for (columns, rows) in [(40, 12), (80, 24)] {
        terminal.resize(columns, rows);
        terminal.wait_until("the hit at another size", |terminal| {
            let screen = terminal.screen();
            let wide = screen.lines().any(|line| line.chars().count() > 40);
            screen.contains("Question 300?") && wide == (columns > 40)
        });
    }
    terminal.send(ESC);
    terminal.wait_gone("1 of 1: n next");

    terminal.send("/copy code 1\r");
    terminal.wait_until("the code on the clipboard", |terminal| {
        // `let x = 600;`
        terminal.raw(0).contains("bGV0IHggPSA2MDA7")
    });
    assert!(!terminal.screen().contains("```"), "{}", terminal.screen());
    terminal.send("/raw\r");
    terminal.wait_for("```rust");
    terminal.send("/raw\r");
    terminal.wait_gone("```rust");

    // By pages to the top. What the next message leaves out is marked.
    while !terminal.screen().contains("× Question 1?") {
        let before = terminal.screen();
        terminal.send(&PAGE_UP.repeat(20));
        terminal.wait_until("the pages before", |terminal| terminal.screen() != before);
    }
    terminal.send(CTRL_END);
    terminal.wait_for("let x = 600;");
    terminal.send(CTRL_D);
    assert_eq!(terminal.end().exit_code(), 0);
}
