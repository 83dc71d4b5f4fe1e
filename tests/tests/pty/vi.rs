//! The keys of vi in the real program.

use crate::terminal::{ENDLESS, Terminal};

/// Shapes of the cursor, as DECSCUSR has them.
const BAR: &str = "\x1b[6 q";
const BLOCK: &str = "\x1b[2 q";
const OWN: &str = "\x1b[0 q";

#[test]
fn a_message_is_written_edited_and_sent_and_the_cursor_gets_its_shape_back() {
    let settings = "[ui]\ncomposer = \"vi\"\nanimations = false\n";
    let mut terminal = Terminal::open_with_settings(settings, |command| command.args(ENDLESS));
    terminal.wait_for("ctx 0/");
    terminal.wait_for(" INSERT ");
    terminal.send("/temp 0\r");
    terminal.wait_for("the temperature is 0 now");
    terminal.send("What is of teh capital Peru?");
    terminal.wait_for("capital Peru?");
    assert!(terminal.raw(0).contains(BAR));
    terminal.send("\x1b");
    terminal.wait_for(" NORMAL ");
    terminal.wait_until("a block", |t| t.raw(0).contains(BLOCK));
    // `of ` goes behind `capital`, and `teh` becomes `the`.
    terminal.send("02wdwww");
    terminal.wait_for("What is teh capital Peru?");
    terminal.send("P");
    terminal.wait_for("teh capital of Peru?");
    terminal.send("0wwcwthe");
    terminal.wait_for("What is the capital of Peru?");
    terminal.wait_for(" INSERT ");
    terminal.send("\x1b");
    terminal.wait_for(" NORMAL ");
    terminal.send("\r");
    terminal.wait_for("The capital of Peru is Lima.");
    terminal.wait_for(" INSERT ");
    // Esc leaves the mode first, and then stops the answer.
    terminal.send("\x1b");
    terminal.wait_for(" NORMAL ");
    terminal.send("\x1b");
    terminal.wait_for("(stopped)");
    let before = terminal.written();
    terminal.send("i/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);
    assert!(terminal.raw(before).contains(OWN));
}
