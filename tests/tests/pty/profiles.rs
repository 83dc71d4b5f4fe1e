//! The Profiles view in a terminal, with the real program behind it.

use crate::terminal::Terminal;

const F5: &str = "\x1b[15~";
const HOME: &str = "\x1b[H";
const DOWN: &str = "\x1b[B";
const ENTER: &str = "\r";
const ESC: &str = "\x1b";

#[test]
fn another_profile_takes_over_and_the_conversation_stays() {
    let mut terminal = Terminal::open_with(|command| {
        command.args(["--profile", "mobile"]);
    });
    terminal.wait_for("ctx 0/");
    terminal.send("/temp 0\r");
    terminal.wait_for("the temperature is 0 now");
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("Lima");
    terminal.send(F5);
    terminal.wait_for("* mobile");
    terminal.wait_for("in use");
    // What the model would take under each is known.
    terminal.wait_for("fits: ");
    terminal.send(DOWN);
    terminal.wait_for("memory_mb 512 -> 1024");
    terminal.wait_for("Enter runs under it, and the conversation stays:");
    terminal.send(ENTER);
    terminal.wait_for("* edge");
    terminal.wait_for("profile edge");
    terminal.send(ESC);
    terminal.wait_for("from here on: profile edge");
    assert!(terminal.screen().contains("Lima"), "{}", terminal.screen());
    terminal.send("What is the capital of France?\r");
    terminal.wait_for("Paris");
    terminal.send("/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn the_automatic_choice_explains_itself_and_is_made_again() {
    let mut terminal = Terminal::ready();
    terminal.send(F5);
    terminal.wait_for("* auto");
    terminal.send(HOME);
    terminal.wait_for("why it suits this machine now");
    terminal.wait_for("cores: ");
    terminal.send("e");
    terminal.wait_for("for this machine: still ");
    for (columns, rows) in [(40, 12), (120, 40), (80, 24)] {
        terminal.resize(columns, rows);
        terminal.wait_for("PROFILE");
    }
    terminal.send(ESC);
    terminal.wait_for("write a message");
    terminal.send("/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);
}
