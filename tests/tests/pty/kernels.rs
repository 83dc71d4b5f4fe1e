//! The Kernels view and the Logs view.

use crate::terminal::{LEAVE, Terminal};
use crate::{ENTER, ESC, LONG};

const F4: &str = "\x1bOS";
const F8: &str = "\x1b[19~";
const UP: &str = "\x1b[A";
const END: &str = "\x1b[F";

#[test]
fn a_kernel_is_chosen_in_the_middle_of_an_answer() {
    let mut terminal = Terminal::endless();
    terminal.send(LONG);
    terminal.send(ENTER);
    terminal.wait_for("answering");
    terminal.send(F4);
    terminal.wait_for("KERNEL");
    terminal.wait_for("(in use)");
    // The scalar kernel has the lowest score of those that can be used: up from the end of the list,
    // past those that cannot.
    let title = |terminal: &Terminal| {
        let screen = terminal.screen();
        let mut lines = screen.lines().skip_while(|line| !line.contains("r race"));
        lines
            .nth(1)
            .map(|line| line.trim().to_owned())
            .unwrap_or_default()
    };
    terminal.send(END);
    terminal.wait_gone("(in use)");
    // Every step is seen before the next one.
    while title(&terminal) != "scalar" {
        let before = title(&terminal);
        terminal.send(UP);
        terminal.wait_until("the row above", |terminal| title(terminal) != before);
    }
    terminal.send(ENTER);
    terminal.wait_for("kernel scalar");
    let screen = terminal.screen();
    assert!(screen.contains("* scalar"), "{screen}");
    terminal.send(ESC);
    terminal.wait_for("the kernel is scalar now");
    terminal.send(ESC);
    terminal.wait_for("(stopped)");
    terminal.send("/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn kernels_race_in_their_view() {
    let mut terminal = Terminal::ready();
    // A race takes four seconds. Should the test have slept through them, the Esc that was to end it
    // has left the view, and there is another one.
    for _ in 0..10 {
        terminal.send(F4);
        terminal.wait_for("Enter switch  r race");
        terminal.send("r");
        terminal.wait_for("Esc ends the race");
        terminal.send(ESC);
        terminal.wait_gone("Esc ends the race");
        terminal.wait_until("the view without a winner, or the chat", |terminal| {
            let screen = terminal.screen();
            let stopped = screen.contains("Enter switch") && !screen.contains(" wins: ");
            stopped || screen.contains("write a message")
        });
        if !terminal.screen().contains("write a message") {
            break;
        }
    }
    terminal.wait_for("Enter switch  r race");
    terminal.send("r");
    terminal.wait_for("Esc ends the race");
    terminal.wait_for(" wins: 128 tokens read");
    terminal.send(ESC);
    terminal.wait_for("write a message");
    terminal.send("/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn the_log_is_on_the_screen_and_nowhere_else() {
    let mut terminal = Terminal::ready();
    terminal.send(F8);
    terminal.wait_for("info and worse");
    terminal.wait_for("model loaded");
    terminal.send("4");
    terminal.wait_for("debug and worse");
    terminal.send("/model loaded");
    terminal.wait_for("/model loaded_");
    terminal.wait_for("1 of ");
    terminal.send(ENTER);
    terminal.send("c");
    terminal.wait_for("characters");
    terminal.send(ESC);
    terminal.wait_gone("/model loaded");
    terminal.send(ESC);
    terminal.wait_for("write a message");
    terminal.send("/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);
    let raw = terminal.raw(0);
    let end = raw.rfind(LEAVE[0]).unwrap();
    assert!(
        !raw[end..].contains("model loaded"),
        "nothing is left behind"
    );
}

#[test]
fn a_log_file_is_written_beside_the_screen() {
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("log.txt");
    let mut terminal = Terminal::open_with(|command| {
        command.args(["--log", "debug", "--log-file"]);
        command.arg(&file);
    });
    terminal.wait_for("write a message");
    terminal.wait_for("ctx 0/");
    terminal.send("/kernel scalar\r");
    terminal.wait_for("the kernel is scalar now");
    terminal.send(F8);
    terminal.wait_for("kernel switched");
    terminal.send("\x04");
    assert_eq!(terminal.end().exit_code(), 0);
    let text = std::fs::read_to_string(&file).unwrap();
    for words in ["model loaded", "kernel switched kernel=\"scalar\"", "DEBUG"] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    assert!(!text.contains('\x1b'), "{text}");
}
