//! Every key is seen when it is pressed, not when something else happens.

use crate::terminal::Terminal;

#[test]
fn every_key_is_seen_while_nothing_else_happens() {
    let mut terminal = Terminal::open_with(|command| {
        // Hardly a sample comes that would wake the screen.
        command.args(["chat", "--monitor-interval=60000"]);
    });
    terminal.wait_for("ctx 0/");
    let mut typed = String::from("> ");
    // More keys than ticks come while the first remark is shown.
    for c in ('a'..='z').cycle().take(70) {
        typed.push(c);
        terminal.send(&c.to_string());
        terminal.wait_for(&typed);
    }
    terminal.send("\x15/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);
}
