//! The input: pastes, completion, lists, files, another editor, messages that wait.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use crate::terminal::{Terminal, used};

const ESC: &str = "\x1b";
const ENTER: &str = "\r";
const TAB: &str = "\t";
const UP: &str = "\x1b[A";
const CTRL_D: &str = "\x04";
const CTRL_O: &str = "\x0f";
const CTRL_P: &str = "\x10";
const CTRL_U: &str = "\x15";
const ALT_R: &str = "\x1br";
const ALT_Q: &str = "\x1bq";

fn quit(mut terminal: Terminal) {
    terminal.send(CTRL_D);
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn a_paste_of_100_kb_is_one_word_that_is_counted_sent_and_deleted() {
    let mut terminal = Terminal::ready();
    let paste = "0123456789abcde\r".repeat(6_400);
    terminal.send(&format!("see \x1b[200~{paste}\x1b[201~"));
    terminal.wait_for("see [pasted 100 KiB, 6,400 lines, ");
    // The engine counts what was guessed at first.
    terminal.wait_until("counted tokens", |terminal| {
        let screen = terminal.screen();
        screen.contains(" tokens]") && !screen.contains('~')
    });
    terminal.send(ENTER);
    terminal.wait_for("too long");
    terminal.wait_for("[pasted 100 KiB");
    terminal.send("\x7f");
    terminal.wait_gone("[pasted");
    terminal.send(CTRL_U);
    terminal.send("/max_tokens 3\r");
    terminal.wait_for("at most 3 tokens now");
    // One that fits is sent as a whole.
    let lines: String = (1..=40).map(|line| format!("{line}\r")).collect();
    terminal.send(&format!("\x1b[200~{lines}\x1b[201~"));
    terminal.wait_for("[pasted 111 B, 40 lines, ");
    terminal.send(ENTER);
    terminal.wait_gone("[pasted");
    terminal.wait_for("(token limit");
    terminal.send("\x1b[1;5H");
    terminal.wait_for("> 1");
    quit(terminal);
}

#[test]
fn commands_and_their_arguments_are_completed() {
    let mut terminal = Terminal::ready();
    terminal.send("/ker");
    terminal.wait_for("> /kernel NAME");
    terminal.wait_for("Tab completes");
    terminal.send(TAB);
    terminal.wait_for("> /kernel ");
    terminal.wait_for("scalar");
    terminal.send("sca");
    terminal.wait_for("> scalar");
    terminal.send(TAB);
    terminal.wait_for("> /kernel scalar");
    terminal.send(ENTER);
    terminal.wait_for("the kernel is scalar now");
    // What has only begun is completed by Enter, too.
    terminal.send("/hel\r");
    terminal.wait_for("Keys and commands");
    terminal.send("sampling");
    terminal.wait_for("Keys and commands with \"sampling\"");
    terminal.send(ESC);
    terminal.wait_for("type to search");
    terminal.send(ESC);
    terminal.wait_gone("Keys and commands");
    quit(terminal);
}

#[test]
fn the_palette_finds_and_runs_every_command() {
    let mut terminal = Terminal::ready();
    terminal.send(CTRL_P);
    terminal.wait_for("commands and keys");
    terminal.send("earlier conv");
    terminal.wait_for("/sessions");
    terminal.send(ENTER);
    terminal.wait_for("Chat Monitor Kernels");
    terminal.send(CTRL_P);
    terminal.send("/kernel ");
    terminal.wait_for("commands and keys");
    terminal.send(CTRL_U);
    terminal.send("another kernel, or");
    terminal.send(ENTER);
    terminal.wait_for("automatic choice");
    terminal.send("scalar");
    terminal.wait_for("1 of ");
    terminal.send(ENTER);
    terminal.wait_for("kernel scalar");
    terminal.send(ESC);
    terminal.wait_for("the kernel is scalar now");
    quit(terminal);
}

#[test]
fn text_files_are_attached_and_what_is_none_says_why_not() {
    let place = used();
    let notes = place.path().join("notes.txt");
    fs::write(&notes, "The capital of Peru is asked for.\n").unwrap();
    fs::write(place.path().join("binary"), b"\x7fELF\0\0").unwrap();
    let mut terminal = Terminal::open_at(place.path(), &[]);
    terminal.wait_for("ctx 0/");
    let path = |name: &str| place.path().join(name).display().to_string();
    terminal.send(&format!("/attach {}", path("not")));
    terminal.wait_for("Tab completes");
    terminal.send(TAB);
    terminal.wait_for("notes.txt");
    terminal.send(ENTER);
    terminal.wait_until("a chip with counted tokens", |terminal| {
        let screen = terminal.screen();
        screen.contains("[notes.txt 34 B, ") && screen.contains(" tokens]") && !screen.contains('~')
    });
    // Behind it, another one can be attached.
    terminal.send(&format!("/attach {}\r", path("binary")));
    terminal.wait_for("cannot attach");
    terminal.wait_for("not text");
    terminal.wait_for("> [notes.txt");
    terminal.send(CTRL_U);
    terminal.wait_gone("[notes.txt");
    terminal.send(&format!("/attach {}\r", path("missing")));
    terminal.wait_for("No such file");
    terminal.send("/max_tokens 3\r");
    terminal.wait_for("at most 3 tokens now");
    // In a message a path is offered, and taken with Tab only.
    terminal.send(&format!("what is in @{}", path("note")));
    terminal.wait_for("attach this file");
    terminal.send(TAB);
    terminal.wait_for("what is in [notes.txt 34 B, ");
    terminal.send(ENTER);
    terminal.wait_for("<file name=\"notes.txt\">");
    terminal.wait_for("(token limit");
    quit(terminal);
}

/// An editor that is interrupted as by Ctrl+C, which is its own business, and adds to what it is given.
fn editor(place: &Path) -> String {
    let path = place.join("editor.sh");
    fs::write(
        &path,
        "#!/bin/sh\nls -l \"$1\" | cut -c1-10 > \"$0.mode\"\necho in the editor\n\
         kill -INT $PPID\nprintf ' and what the editor wrote' >> \"$1\"\n",
    )
    .unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
fn the_message_is_edited_in_the_editor_of_the_person() {
    let place = TempDir::new().unwrap();
    let program = editor(place.path());
    let mut terminal = Terminal::open_with(|command| {
        command.env_remove("VISUAL");
        command.env("EDITOR", &program);
    });
    terminal.wait_for("ctx 0/");
    terminal.send("what I wrote");
    terminal.wait_for("what I wrote");
    let before = terminal.written();
    terminal.send(CTRL_O);
    terminal.wait_for("what I wrote and what the editor wrote");
    let raw = terminal.raw(before);
    // The screen was left for it, and taken again.
    let left = raw.find("\x1b[?1049l").unwrap();
    let back = raw.find("\x1b[?1049h").unwrap();
    assert!(
        left < back && raw[left..back].contains("in the editor"),
        "{raw:?}"
    );
    let mode = fs::read_to_string(format!("{program}.mode")).unwrap();
    assert_eq!(mode.trim(), "-rw-------");
    terminal.send(" and more");
    terminal.wait_for("the editor wrote and more");
    terminal.signal("TERM");
    assert_eq!(terminal.end().exit_code(), 143);
}

#[test]
fn an_editor_that_fails_loses_nothing() {
    let mut terminal = Terminal::open_with(|command| command.env("VISUAL", "/no/such/editor -w"));
    terminal.wait_for("ctx 0/");
    terminal.send("kept");
    terminal.send(CTRL_O);
    terminal.wait_for("cannot run /no/such/editor -w");
    terminal.wait_for("> kept");
    terminal.send(CTRL_U);
    quit(terminal);
}

#[test]
fn messages_wait_for_the_answer_and_stay_when_it_is_stopped() {
    let mut terminal = Terminal::endless();
    terminal.send("Tell me a story about a fox.\r");
    terminal.wait_for("answering");
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("next: What is the capital of Peru?");
    terminal.send("A third one.\r");
    terminal.wait_for("then: A third one.");
    terminal.send(ALT_Q);
    terminal.wait_for("> A third one.");
    terminal.send(CTRL_U);
    terminal.send("/temp 0\r");
    terminal.wait_for("the temperature is 0 now");
    terminal.send(ESC);
    terminal.wait_for("(stopped)");
    terminal.wait_for("held: What is the capital of Peru?");
    terminal.send("/clear\r");
    terminal.wait_for("held: What is the capital of Peru?");
    terminal.send(ENTER);
    terminal.wait_for("The capital of Peru is Lima.");
    terminal.wait_gone("held:");
    terminal.send(ESC);
    terminal.wait_for("(stopped)");
    quit(terminal);
}

#[test]
fn what_was_sent_is_there_in_the_next_session() {
    let place = used();
    let mut terminal = Terminal::open_at(place.path(), &[]);
    terminal.wait_for("ctx 0/");
    terminal.send("/seed 42\r");
    terminal.wait_for("the seed is 42 now");
    terminal.send("half a thought");
    terminal.wait_for("half a thought");
    terminal.send("\x03");
    terminal.wait_for("again to quit");
    terminal.send("\x03");
    assert_eq!(terminal.end().exit_code(), 0);
    // Nor does a signal take it away.
    let mut terminal = Terminal::open_at(place.path(), &[]);
    terminal.wait_for("ctx 0/");
    terminal.send("the other half");
    terminal.wait_for("the other half");
    terminal.signal("TERM");
    assert_eq!(terminal.end().exit_code(), 143);
    let file = place.path().join("state/tritone/history");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let mut terminal = Terminal::open_at(place.path(), &[]);
    terminal.wait_for("ctx 0/");
    terminal.send(UP);
    terminal.wait_for("> the other half");
    terminal.send(UP);
    terminal.wait_for("> half a thought");
    terminal.send(UP);
    terminal.wait_for("> /seed 42");
    terminal.send(CTRL_U);
    terminal.send(ALT_R);
    terminal.wait_for("what you sent");
    terminal.send("thought");
    terminal.wait_for("1 of 3");
    terminal.send(ENTER);
    terminal.wait_for("> half a thought");
    terminal.send(CTRL_U);
    quit(terminal);
}

#[test]
fn system_prompts_and_presets_have_names() {
    let place = used();
    let settings = place.path().join("config/tritone");
    fs::create_dir_all(&settings).unwrap();
    fs::write(
        settings.join("config.toml"),
        "[sampling.mine]\ntemperature = 0.3\ntop_k = 7\n",
    )
    .unwrap();
    let mut terminal = Terminal::open_at(place.path(), &[]);
    terminal.wait_for("ctx 0/");
    terminal.send("/system Answer in one word.\r");
    terminal.wait_for("from the next message on: Answer in one word.");
    terminal.send("/system save terse\r");
    terminal.wait_for("saved as ");
    let saved = fs::read_to_string(settings.join("prompts/terse.md")).unwrap();
    assert_eq!(saved, "Answer in one word.\n");
    terminal.send("/system off\r");
    terminal.wait_for("is removed");
    terminal.send("/system load \t");
    terminal.wait_for("> /system load terse");
    terminal.send(ENTER);
    terminal.wait_for("the system prompt from the next message on is terse");
    terminal.send("/sampling\r");
    terminal.wait_for("mine");
    terminal.wait_for("in force: temperature 0.6");
    terminal.send("mine\r");
    terminal.wait_for("sampling is mine now: temperature 0.3, top_k 7");
    // The status says what is not as usual.
    terminal.wait_for("temp 0.3 top_k 7");
    quit(terminal);
}

#[test]
fn what_does_not_fit_any_more_is_said_before_and_after() {
    let mut terminal = Terminal::open_with(|command| command.args(["--ctx", "128"]));
    terminal.wait_for("ctx 0/128");
    terminal.send("/max_tokens 4\r");
    terminal.wait_for("at most 4 tokens now");
    for question in ["one", "two", "three"] {
        terminal.send(&format!("Tell me something about the number {question}."));
        terminal.wait_for(&format!("> Tell me something about the number {question}."));
        terminal.send(ENTER);
        terminal.wait_for("> write a message");
        terminal.wait_idle();
    }
    let long = "Tell me more about all of these numbers and about many others, please. ";
    terminal.send(&long.repeat(2));
    terminal.wait_for("the next message leaves out the");
    terminal.send(ENTER);
    terminal.wait_for("note: left out of the context: the");
    terminal.wait_idle();
    // Far too long by itself: it stays, with the numbers.
    terminal.send(&long.repeat(12));
    terminal.wait_for("too long: ");
    terminal.send(ENTER);
    terminal.wait_for("it stays here");
    terminal.send(CTRL_U);
    quit(terminal);
}
