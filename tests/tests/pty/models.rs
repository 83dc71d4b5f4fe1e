//! Another model and another profile in the chat.

use std::process::Command;

use tempfile::TempDir;

use crate::terminal::Terminal;
use crate::{ENTER, ESC};

const F6: &str = "\x1b[17~";
const DOWN: &str = "\x1b[B";

/// A directory with a second model.
fn store() -> TempDir {
    let store = TempDir::new().unwrap();
    let file = store.path().join("second.gguf");
    let made = Command::new(tritone_tests::tritone())
        .args(["synth", "--shape", "tiny-minicpm", "--out"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    store
}

fn open(store: &TempDir) -> Terminal {
    let mut terminal = Terminal::open_with(|command| {
        command.env("TRITONE_MODELS", store.path());
        command.args(["--pack-cache", "off"]);
        // Its directory is looked into, too.
        command.cwd(store.path());
    });
    terminal.wait_for("ctx 0/");
    terminal
}

#[test]
fn a_second_model_is_loaded_in_the_chat_and_the_conversation_stays() {
    let store = store();
    let mut terminal = open(&store);
    terminal.send("/temp 0\r");
    terminal.wait_for("the temperature is 0 now");
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("The capital of Peru is Lima.");
    terminal.send(F6);
    terminal.wait_for("* tritone-tiny");
    terminal.wait_for("in use");
    terminal.send("/second");
    terminal.wait_for("1 of 2 models");
    terminal.send(ENTER);
    terminal.send(ENTER);
    terminal.wait_for("* second");
    terminal.send(ESC);
    // The filter first, then the view. Two at once would be another key.
    terminal.wait_gone("1 of 2 models");
    terminal.send(ESC);
    terminal.wait_for("the conversation stays");
    terminal.wait_for("The capital of Peru is Lima.");
    // And back, by name.
    terminal.send("/model tritone-tiny\r");
    terminal.wait_for("from here on: model tritone-tiny");
    terminal.send("What is 2 + 2?\r");
    terminal.wait_for("2 + 2 = 4");
    terminal.send("/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn a_model_that_is_not_there_leaves_the_old_one_in_use() {
    let store = store();
    let mut terminal = open(&store);
    terminal.send("/model no-such-model\r");
    terminal.wait_for("no model of this name");
    terminal.send("/temp 0\r");
    terminal.wait_for("the temperature is 0 now");
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("The capital of Peru is Lima.");
    terminal.send("/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn a_profile_is_applied_to_the_running_model() {
    let store = store();
    let mut terminal = open(&store);
    for profile in ["edge", "mobile"] {
        terminal.send(&format!("/profile {profile}\r"));
        terminal.wait_for(&format!("from here on: profile {profile}"));
        terminal.wait_for(&format!("profile {profile} ·"));
    }
    // A profile that is not there changes nothing.
    terminal.send("/profile no-such-profile\r");
    terminal.wait_for("no-such-profile");
    terminal.wait_for("profile mobile ·");
    // The list of models is left as it is found.
    terminal.send(F6);
    terminal.wait_for("* tritone-tiny");
    terminal.send(DOWN);
    terminal.send(ESC);
    terminal.wait_gone("* tritone-tiny");
    terminal.send("/temp 0\r");
    terminal.wait_for("the temperature is 0 now");
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("The capital of Peru is Lima.");
    terminal.send("/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);
}
