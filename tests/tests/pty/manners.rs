//! How the program behaves at the terminal: settings, keys, colours, clipboard, inline mode.

use crate::terminal::{ENDLESS, Terminal};

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
    terminal.send("next seed");
    terminal.wait_for("Alt+R");
    terminal.send("\x1b");
    terminal.signal("TERM");
    assert_eq!(terminal.end().exit_code(), 143);
}

/// The question for the background.
const QUESTION: &str = "\x1b]11;?\x1b\\";

#[test]
fn colours_suit_the_background_that_the_terminal_has() {
    const CYAN: vt100::Color = vt100::Color::Idx(6);
    const BLUE: vt100::Color = vt100::Color::Idx(4);
    let mut terminal = Terminal::open();
    terminal.wait_until("the question", |t| t.raw(0).contains(QUESTION));
    terminal.send("half a ");
    terminal.send("\x1b]11;rgb:ffff/ffff/ffff\x1b\\");
    terminal.send("message");
    terminal.wait_for("half a message");
    terminal.wait_for("ctx 0/");
    terminal.send("\r");
    terminal.wait_until("the colour of light", |t| {
        t.color_of("> half") == Some(BLUE)
    });
    // It is asked again when the window gets the focus: it was dusk meanwhile.
    let before = terminal.written();
    terminal.send("\x1b[I");
    terminal.wait_until("the question", |t| t.raw(before).contains(QUESTION));
    terminal.send("\x1b]11;rgb:1e/1e/2e\x07");
    terminal.wait_until("the colour of dark", |t| t.color_of("> half") == Some(CYAN));
    terminal.signal("TERM");
    assert_eq!(terminal.end().exit_code(), 143);
}

#[test]
fn a_theme_that_was_chosen_is_not_asked_for_and_none_has_no_colours() {
    let mut terminal = Terminal::open_with_settings("[ui]\ntheme = \"dark\"\n", |command| {
        command.arg("--theme=none");
    });
    terminal.wait_for("ctx 0/");
    terminal.send("Tell me a story about a fox.\r");
    terminal.wait_for("> Tell me");
    assert!(!terminal.raw(0).contains("\x1b]11;"));
    assert_eq!(terminal.color_of("> Tell"), Some(vt100::Color::Default));
    terminal.signal("TERM");
    terminal.end();
}

#[test]
fn in_ascii_mode_nothing_else_is_written() {
    let mut terminal = Terminal::open_with(|command| command.arg("--ascii"));
    terminal.wait_for("ctx 0/");
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("Lima");
    for view in [
        "\x1bOR", "\x1bOS", "\x1b[15~", "\x1b[17~", "\x1b[18~", "\x1b[19~",
    ] {
        let before = terminal.written();
        terminal.send(view);
        terminal.wait_until("the view", |t| t.written() > before);
    }
    terminal.send("\x1bOP");
    terminal.wait_for("Keys and commands");
    assert!(terminal.raw(0).is_ascii(), "{:?}", terminal.raw(0));
    terminal.send("\x1b");
    terminal.signal("TERM");
    terminal.end();
}

#[test]
fn copying_inside_tmux_over_ssh_goes_through_both() {
    let mut terminal = Terminal::open_with(|command| {
        command.env("TMUX", "/nowhere,1,0");
        command.env("SSH_TTY", "/dev/pts/9");
    });
    terminal.wait_for("ctx 0/");
    terminal.send("/temp 0\r");
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("is Lima.");
    terminal.wait_idle();
    terminal.send("/copy\r");
    terminal.wait_for("sent to the terminal's clipboard");
    let raw = terminal.raw(0);
    assert!(
        raw.contains("\x1bPtmux;\x1b\x1b]52;c;VGhlIGNhcGl0YWwgb2YgUGVydSBpcyBMaW1h"),
        "{raw:?}"
    );
    terminal.send(CTRL_D);
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn without_a_system_clipboard_the_terminal_takes_it_and_that_is_said() {
    let mut terminal = Terminal::open_with(|command| {
        for name in [
            "DISPLAY",
            "WAYLAND_DISPLAY",
            "TMUX",
            "STY",
            "SSH_TTY",
            "SSH_CONNECTION",
        ] {
            command.env_remove(name);
        }
    });
    terminal.wait_for("ctx 0/");
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("Lima");
    terminal.wait_idle();
    terminal.send("/copy\r");
    terminal.wait_for("sent to the terminal's clipboard");
    assert!(terminal.raw(0).contains("\x1b]52;c;VGhl"));
    terminal.send(CTRL_D);
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn the_mouse_is_taken_only_where_it_is_wanted() {
    let mut terminal = Terminal::open_with_settings("[ui]\nmouse = true\n", |_| {});
    terminal.wait_for("ctx 0/");
    assert!(terminal.raw(0).contains("\x1b[?1000h"));
    terminal.send("\x1bOS");
    terminal.wait_for("Chat Monitor Kernels");
    // A click on the first name.
    terminal.send("\x1b[<0;2;1M\x1b[<0;2;1m");
    terminal.wait_gone("Chat Monitor Kernels");
    terminal.send(CTRL_D);
    assert_eq!(terminal.end().exit_code(), 0);
    let raw = terminal.raw(0);
    assert!(raw.rfind("\x1b[?1000l").unwrap() > raw.rfind("\x1b[?1000h").unwrap());

    let mut terminal = Terminal::open();
    terminal.wait_for("ctx 0/");
    assert!(!terminal.raw(0).contains("\x1b[?1000h"));
    assert!(
        terminal.raw(0).contains("\x1b[?1007h"),
        "the wheel scrolls all the same"
    );
    terminal.send(CTRL_D);
    terminal.end();
}

/// Answers the question where the cursor is.
fn say_where_the_cursor_is(terminal: &mut Terminal, row: u16) {
    terminal.wait_until("the question", |t| t.raw(0).contains("\x1b[6n"));
    terminal.send(&format!("\x1b[{row};1R"));
}

#[test]
fn inline_the_conversation_stays_in_the_history_of_the_terminal() {
    let mut terminal = Terminal::open_with(|command| command.arg("--inline"));
    say_where_the_cursor_is(&mut terminal, 1);
    terminal.wait_for("ctx 0/");
    terminal.send("/temp 0\r");
    terminal.wait_for("the temperature is 0 now");
    for count in 1..=4 {
        terminal.send("What is the capital of Peru?\r");
        terminal.wait_until("the answer", |t| {
            t.history().matches("is Lima.").count() == count
        });
        terminal.wait_for("write a message");
        terminal.wait_idle();
    }
    assert!(!terminal.raw(0).contains("\x1b[?1049h"));
    let chat = terminal.screen();
    // A view takes the whole screen for as long as it is looked at.
    terminal.send("\x1bOS");
    terminal.wait_for("Chat Monitor Kernels");
    terminal.send("\x1b");
    terminal.wait_gone("Chat Monitor Kernels");
    terminal.wait_for("write a message");
    let talk = |screen: &str| screen.matches("is Lima.").count();
    assert_eq!(talk(&terminal.screen()), talk(&chat));
    terminal.resize(60, 20);
    terminal.send("so be it");
    terminal.wait_for("so be it");
    terminal.send("\x15/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);
    let history = terminal.history();
    assert_eq!(
        history.matches("> What is the capital of Peru?").count(),
        4,
        "{history}"
    );
    assert_eq!(
        history.matches("The capital of Peru is Lima.").count(),
        4,
        "{history}"
    );
    for gone in ["ctx ", "so be it", "write a message"] {
        assert!(!history.contains(gone), "{gone}: {history}");
    }
}

#[test]
fn inline_a_signal_in_the_middle_of_an_answer_leaves_what_was_written() {
    let mut terminal = Terminal::open_with_settings("[ui]\nscreen = \"inline\"\n", |command| {
        command.args(ENDLESS);
    });
    say_where_the_cursor_is(&mut terminal, 5);
    terminal.wait_for("ctx 0/");
    terminal.send("Tell me a story about a fox.\r");
    terminal.wait_for("answering");
    terminal.wait_until("many lines", |t| t.screen().lines().count() == 24);
    terminal.signal("TERM");
    assert_eq!(terminal.end().exit_code(), 143);
    let history = terminal.history();
    assert!(
        history.contains("> Tell me a story about a fox."),
        "{history}"
    );
    // From its beginning, which the part that changes had no room for any more.
    assert!(history.contains("Once upon a time"), "{history}");
    assert!(!history.contains("answering"), "{history}");
}
