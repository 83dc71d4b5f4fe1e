//! The real program in a real terminal: what is typed, what is seen, and what is left behind.
//!
//! Every test that ends the program checks that the alternate screen is left, bracketed paste is
//! off, the cursor is shown and the line discipline is what it was.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attach;
mod input;
mod kernels;
mod keys;
mod manners;
mod models;
mod monitor;
mod plain;
mod profiles;
mod reading;
#[allow(dead_code, reason = "what the tests of the server need besides")]
#[path = "../server/harness.rs"]
mod server;
mod sessions;
mod strategies;
mod terminal;
mod vi;

use std::process::Command;

use terminal::{LEAVE, PATIENCE, Terminal};

const ESC: &str = "\x1b";
const ENTER: &str = "\r";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";

/// What is asked where the answer is to be long; see [`terminal::ENDLESS`].
const LONG: &str = "Tell me a story about a fox.";

#[test]
fn the_embedded_model_answers() {
    let mut terminal = Terminal::ready();
    terminal.send("/temp 0\r");
    terminal.wait_for("the temperature is 0 now");
    terminal.send("What is the capital of Peru?");
    terminal.wait_for("> What is the capital of Peru?");
    terminal.send(ENTER);
    terminal.wait_for("The capital of Peru is Lima.");
    let screen = terminal.screen();
    for part in [
        "kernel ", "threads", "decode ", "prefill ", "tok/s", "mem ", "MiB",
    ] {
        assert!(screen.contains(part), "no {part:?}:\n{screen}");
    }
    terminal.send("/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn an_answer_can_be_stopped_and_the_chat_goes_on() {
    let mut terminal = Terminal::endless();
    terminal.send(LONG);
    terminal.send(ENTER);
    terminal.wait_for("answering");
    terminal.send(ESC);
    terminal.wait_for("(stopped)");
    terminal.wait_idle();
    terminal.send("/temp 0\r");
    terminal.wait_for("the temperature is 0 now");
    terminal.send("/clear\r");
    terminal.wait_for("Enter sends it");
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("Lima");
    terminal.send(ESC);
    terminal.wait_for("(stopped)");
    terminal.send(CTRL_D);
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn ctrl_c_twice_quits() {
    let mut terminal = Terminal::ready();
    terminal.send(CTRL_C);
    terminal.wait_for("press Ctrl+C again to quit");
    terminal.send(CTRL_C);
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn the_screen_follows_the_size_of_the_window() {
    let mut terminal = Terminal::ready();
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("Lima");
    terminal.resize(40, 12);
    terminal.wait_until("one line of status", |terminal| {
        let screen = terminal.screen();
        screen.contains("ctx ") && !screen.contains("threads") && screen.contains("Lima")
    });
    terminal.resize(60, 5);
    terminal.wait_for("terminal too small: need 20x6, have 60x5");
    terminal.resize(80, 24);
    terminal.wait_for("threads");
    assert!(terminal.screen().contains("Lima"));
    terminal.send("/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn signals_that_end_the_program_give_the_terminal_back() {
    for (name, number) in [("TERM", 15), ("HUP", 1), ("INT", 2)] {
        let mut terminal = Terminal::ready();
        terminal.send("text that is lost");
        terminal.wait_for("text that is lost");
        terminal.signal(name);
        assert_eq!(terminal.end().exit_code(), 128 + number, "{name}");
    }
}

#[test]
fn a_signal_in_the_middle_of_an_answer() {
    let mut terminal = Terminal::endless();
    terminal.send(LONG);
    terminal.send(ENTER);
    terminal.wait_for("answering");
    terminal.signal("TERM");
    assert_eq!(terminal.end().exit_code(), 143);
}

/// Builds with debug assertions, as those of tests, panic when this signal comes.
#[test]
fn a_panic_gives_the_terminal_back_and_is_readable() {
    let mut terminal = Terminal::endless();
    terminal.send(LONG);
    terminal.send(ENTER);
    terminal.wait_for("answering");
    terminal.signal("USR2");
    assert_eq!(terminal.end().exit_code(), 101);
    let all = terminal.raw(0);
    let left = all.rfind(LEAVE[0]).unwrap();
    let said = all.rfind("broken by a signal, as asked").unwrap();
    assert!(said > left, "it was printed over the screen");
}

#[test]
fn stopping_gives_the_terminal_back_and_going_on_takes_it_again() {
    for stop in ["signal", "key"] {
        let mut terminal = Terminal::open_in_shell();
        terminal.wait_for("ctx 0/");
        terminal.send("half a message");
        terminal.wait_for("half a message");
        match stop {
            "signal" => terminal.signal("TSTP"),
            _ => terminal.send("\x1a"),
        }
        terminal.wait_for("back in the shell");
        assert!(LEAVE.iter().all(|part| terminal.raw(0).contains(part)));
        terminal.check_restored();
        terminal.resize(100, 30);
        let before = terminal.written();
        terminal.send(ENTER);
        terminal.wait_until("the way in", |t| t.raw(before).contains("\x1b[?1049h"));
        terminal.wait_for("half a message");
        terminal.send(", the other half");
        terminal.wait_for("half a message, the other half");
        terminal.signal("TERM");
        assert_eq!(terminal.end().exit_code(), 143, "{stop}");
    }
}

/// The shell's death takes the terminal away without a signal to its jobs.
#[test]
fn the_end_of_the_terminal_ends_the_program() {
    let mut terminal = Terminal::open_in_shell();
    terminal.wait_for("ctx 0/");
    let stat = format!("/proc/{}/stat", terminal.process());
    // A process that nobody has asked about yet is a zombie.
    let lives = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    assert!(lives());
    terminal.kill_shell();
    drop(terminal);
    let start = std::time::Instant::now();
    while lives() {
        assert!(start.elapsed() < PATIENCE, "{stat} is still there");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn without_a_shell_to_go_back_to_the_program_does_not_stop() {
    let mut terminal = Terminal::ready();
    terminal.send("\x1a");
    terminal.wait_for("there is no shell to go back to");
    terminal.send("/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn a_large_paste_is_one_word_and_sends_nothing() {
    let mut terminal = Terminal::ready();
    let paste = "0123456789abcdef\r".repeat(6_000);
    terminal.send("\x1b[200~");
    terminal.send(&paste);
    terminal.send("the end\x1b[2J of it\x1b[201~");
    terminal.wait_for("[pasted 100 KiB, 6,001 lines, ");
    // Written out, the escape sequence is shown, not obeyed.
    terminal.send("\x1be");
    terminal.wait_for("the end␛[2J of it");
    assert!(
        terminal.screen().contains("ctx 0/"),
        "something was sent:\n{}",
        terminal.screen()
    );
    terminal.send(CTRL_C);
    terminal.wait_for("again to quit");
    terminal.send(CTRL_C);
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn three_arrows_at_once_are_the_wheel() {
    let mut terminal = Terminal::ready();
    terminal.send("/help\r");
    terminal.wait_for("Keys and commands");
    terminal.send("\x1b[B\x1b[B\x1b[B");
    terminal.wait_gone("Keys and commands");
    terminal.send("\x1b[A\x1b[A\x1b[A");
    terminal.wait_for("Keys and commands");
    terminal.send(ESC);
    terminal.wait_gone("Keys and commands");
    terminal.send("/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn without_colours_there_are_none() {
    let mut terminal = Terminal::open_with(|command| command.env("NO_COLOR", "1"));
    terminal.wait_for("ctx 0/");
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("Lima");
    let raw = terminal.raw(0);
    for color in (30..38).chain(90..98) {
        assert!(
            !raw.contains(&format!("\x1b[{color}m")),
            "colour {color} is used"
        );
    }
    assert!(!raw.contains("\x1b[38;5;"), "an indexed colour is used");
    terminal.signal("TERM");
    terminal.end();
}

#[test]
fn a_race_that_is_wanted_during_an_answer_begins_after_it_and_a_message_ends_it() {
    let mut terminal = Terminal::endless();
    terminal.send(LONG);
    terminal.send(ENTER);
    terminal.wait_for("answering");
    terminal.send("/race\r");
    terminal.wait_for("the race begins after the answer");
    terminal.send(ESC);
    terminal.wait_for("the kernels race");
    terminal.send("/temp 0\r");
    terminal.wait_for("the temperature is 0 now");
    terminal.send("/clear\r");
    terminal.wait_for("Enter sends it");
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("Lima");
    terminal.wait_gone("the kernels race");
    terminal.send(ESC);
    terminal.wait_for("(stopped)");
    terminal.send(CTRL_D);
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn kernels_race_between_answers_and_can_be_stopped() {
    let mut terminal = Terminal::ready();
    // A race takes four seconds. Should the test have slept through them, there is another one.
    for _ in 0..10 {
        terminal.send("/race\r");
        terminal.wait_for("the kernels race");
        terminal.send(ESC);
        terminal.wait_gone("the kernels race");
        if terminal.screen().contains("stopped early") {
            break;
        }
    }
    terminal.wait_for("stopped early");
    terminal.send("/clear\r");
    terminal.wait_gone("stopped early");

    // To its end, with what came of it.
    terminal.send("/race\r");
    terminal.wait_for("the kernels race");
    terminal.wait_for("* ");
    terminal.wait_gone("the kernels race");
    let screen = terminal.screen();
    assert!(
        screen.contains("wins: 128 tokens read") || screen.contains("ran alone"),
        "{screen}"
    );
    terminal.send("/kernel\r");
    terminal.wait_for("tok/s on this machine and model");
    terminal.send(ESC);
    terminal.wait_gone("tok/s on this machine and model");
    terminal.send(CTRL_D);
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn the_chat_begins_with_the_kernel_that_was_measured_to_be_the_fastest() {
    let mut terminal = Terminal::open_after(|cache| {
        let race = Command::new(tritone_tests::tritone())
            .args(["kernels", "--race", "--seconds=0.2"])
            .env("XDG_CACHE_HOME", cache)
            .env("TRITONE_THREADS", "2")
            .output()
            .unwrap();
        assert!(race.status.success(), "{race:?}");
        let file = cache.join("tritone/kernels.json");
        let text = std::fs::read_to_string(&file).unwrap();
        let mut stored: serde_json::Value = serde_json::from_str(&text).unwrap();
        for kernel in stored["races"][0]["kernels"].as_array_mut().unwrap() {
            let rate = if kernel["name"] == "scalar" { 2e6 } else { 1.0 };
            kernel["decode"] = rate.into();
            kernel["prefill"] = rate.into();
        }
        std::fs::write(&file, stored.to_string()).unwrap();
    });
    terminal.wait_for("ctx 0/");
    let screen = terminal.screen();
    assert!(screen.contains("kernel scalar"), "{screen}");
    terminal.send(CTRL_D);
    assert_eq!(terminal.end().exit_code(), 0);
}
