//! How the program behaves at the terminal: settings, keys, colours, clipboard, inline mode.

use crate::terminal::Terminal;

const CTRL_D: &str = "\x04";

#[test]
fn whoever_comes_for_the_first_time_gets_three_lines() {
    let mut terminal = Terminal::open_for_the_first_time();
    terminal.wait_for("New here?");
    terminal.wait_for("ctx 0/");
    terminal.send(CTRL_D);
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn keys_can_be_chosen_and_mistakes_do_not_keep_the_program_from_starting() {
    let settings = "[keys]\nshow-kernels = \"ctrl+g\"\nregenerate = \"alt+r\"\nsend = \"f9\"\n\
                    newline = \"enter\"\n[ui]\nfps = 1000\n";
    let mut terminal = Terminal::open_with_settings(settings, |_| {});
    terminal.wait_for("ctx 0/");
    terminal.wait_for("1000; expected a whole number from 1 to 60");
    terminal.send("\x07");
    terminal.wait_for("Monitor Kernels");
    terminal.send("\x1b");
    terminal.wait_gone("Monitor Kernels");
    terminal.send("What is the capital\rof Peru?");
    terminal.wait_for("of Peru?");
    assert!(
        terminal.screen().contains("ctx 0/"),
        "{}",
        terminal.screen()
    );
    // F9 sends.
    terminal.send("\x1b[20~");
    terminal.wait_gone("ctx 0/");
    terminal.send("\x03");
    terminal.send("/help");
    terminal.send("\x1b[20~");
    terminal.wait_for("F9");
    terminal.wait_for("Alt+R");
    terminal.send("\x1b");
    terminal.signal("TERM");
    assert_eq!(terminal.end().exit_code(), 143);
}
