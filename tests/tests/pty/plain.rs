//! The conversation as lines, in a terminal: nothing but text ever comes.

use portable_pty::CommandBuilder;

use crate::terminal::{ENDLESS, Terminal};

const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";

fn open() -> Terminal {
    Terminal::open_with(|command| {
        command.arg("--plain");
    })
}

/// No byte of what was written steers the terminal.
fn check_plain(terminal: &Terminal) {
    let raw = terminal.raw(0);
    let steering: Vec<char> = raw
        .chars()
        .filter(|c| c.is_control() && *c != '\n' && *c != '\r')
        .collect();
    assert!(steering.is_empty(), "{steering:?} in {raw:?}");
    terminal.check_restored();
}

#[test]
fn a_conversation_is_text_only() {
    let mut terminal = open();
    terminal.wait_for("you: ");
    terminal.send("/temp 0\r");
    terminal.wait_for("note: the temperature is 0 now");
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("tritone: The capital of Peru is Lima.");
    terminal.send("/quit\r");
    assert_eq!(terminal.status().exit_code(), 0);
    check_plain(&terminal);
}

#[test]
fn ctrl_c_stops_the_answer_and_then_leaves() {
    let mut terminal = Terminal::open_with(|command| {
        command.args(ENDLESS);
        command.arg("--plain");
    });
    terminal.wait_for("you: ");
    terminal.send("Tell me a story about a fox.\r");
    terminal.wait_for("tritone: ");
    terminal.send(CTRL_C);
    terminal.wait_for("note: stopped");
    terminal.send("/temp 0\r");
    terminal.wait_for("note: the temperature is 0 now");
    terminal.send(CTRL_C);
    assert_eq!(terminal.status().exit_code(), 130);
}

#[test]
fn the_end_of_the_input_leaves() {
    let mut terminal = open();
    terminal.wait_for("you: ");
    terminal.send(CTRL_D);
    assert_eq!(terminal.status().exit_code(), 0);
    check_plain(&terminal);
}

#[test]
fn what_is_typed_during_an_answer_is_the_next_message() {
    let mut terminal = open();
    terminal.wait_for("you: ");
    terminal.send("What is the capital of Peru?\r/quit\r");
    terminal.wait_for("tritone: The capital of Peru is Lima.");
    assert_eq!(terminal.status().exit_code(), 0);
    assert!(
        terminal.screen().contains("you: /quit"),
        "{}",
        terminal.screen()
    );
}

#[test]
fn a_simple_terminal_gets_lines_by_itself() {
    let mut terminal = Terminal::open_with(|command| {
        let program = tritone_tests::tritone();
        *command = CommandBuilder::new("sh");
        command.args(["-c", "TERM=dumb exec \"$0\""]);
        command.arg(program);
    });
    terminal.wait_for("you: ");
    terminal.send("/quit\r");
    assert_eq!(terminal.status().exit_code(), 0);
    check_plain(&terminal);
}
