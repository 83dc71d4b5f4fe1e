//! `tritone --plain` in a pipe: a conversation as lines.

use crate::program::{Run, command, finish, pipe};

const PERU: &str = "What is the capital of Peru?";

/// The conversation on standard output, without the first line, which says what answers.
fn conversation(run: Run) -> Vec<String> {
    let out = run.ok();
    assert!(!out.contains('\x1b') && !out.contains('\r'), "{out:?}");
    let mut lines: Vec<String> = out.lines().map(str::to_owned).collect();
    let first = lines.remove(0);
    for words in ["Tritone Tiny", "kernel ", "thread", "profile ", "/help"] {
        assert!(first.contains(words), "no {words:?} in: {first}");
    }
    lines
}

#[test]
fn several_turns_come_through_a_pipe() {
    let input = format!("{PERU}\nWhat is the capital of France?\n");
    let lines = conversation(pipe(input.as_bytes(), &["--plain"]));
    assert_eq!(
        lines,
        [
            "you: What is the capital of Peru?",
            "tritone: The capital of Peru is Lima.",
            "you: What is the capital of France?",
            "tritone: The capital of France is Paris.",
        ]
    );
}

#[test]
fn the_environment_turns_it_on_and_quit_ends_it() {
    let mut command = command(&["chat", "--system", "Be brief."]);
    command
        .env("TRITONE_PLAIN", "1")
        .stdin(std::process::Stdio::null());
    assert_eq!(conversation(finish(&mut command)), Vec::<String>::new());
    let input = format!("/quit\n{PERU}\n");
    assert_eq!(
        conversation(pipe(input.as_bytes(), &["--plain"])),
        ["you: /quit"]
    );
}

#[test]
fn commands_answer_with_notes() {
    let input = format!(
        "/system Answer.\n/system\n/system off\n/temp 0\n/temp x\n/seed 7\n/seed\n/think on\n\
         /kernel\n/kernel scalar\n/kernel nope\n/profile\n/profile mobile\n/profile moble\n\
         /sytem\n/monitor\n{PERU}\n/regen\n/stats\n/clear\n/regen\n/help\n/quit\n"
    );
    let run = pipe(input.as_bytes(), &["--plain", "--kernel", "auto"]);
    let err = run.err.clone();
    for words in [
        "note: the system prompt from the next message on: Answer.\n",
        "note: the system prompt is: Answer.\n",
        "note: the system prompt is removed",
        "note: the temperature is 0 now\n",
        "note: a temperature is a number",
        "note: the seed is 7 now\n",
        "note: the seed is 7\n",
        "note: this model cannot be told whether to think\n",
        "note: kernel scalar: ",
        ", in use\n",
        "note: kernel scalar is used from now on\n",
        "error: ",
        "nope",
        "note: the profile is ",
        "note: from here on: profile mobile\n",
        "did you mean \"mobile\"?",
        "error: there is no command /sytem here; did you mean /system?\n",
        "error: there is no command /monitor here; ",
        "note: a new chat begins\n",
        "note: there is no message to answer yet\n",
    ] {
        assert!(err.contains(words), "no {words:?} in:\n{err}");
    }
    let lines = conversation(run);
    let answers: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("tritone: "))
        .collect();
    assert_eq!(answers.len(), 2, "{lines:?}");
    for words in [
        "prompt: ",
        "KV cache: ",
        "/system TEXT | off",
        "Ctrl+C stops an answer",
    ] {
        assert!(
            lines.iter().any(|line| line.starts_with(words)),
            "no {words:?} in {lines:?}"
        );
    }
}

#[test]
fn a_message_may_have_several_lines_and_may_not_be_answered() {
    let input = format!("\"\"\"\n{PERU}\n\"\"\"\n");
    let lines = conversation(pipe(input.as_bytes(), &["--plain"]));
    assert!(
        lines.contains(&"tritone: The capital of Peru is Lima.".to_owned()),
        "{lines:?}"
    );
    let long = format!("{}\n{PERU}\n", "Lima ".repeat(3000));
    let run = pipe(long.as_bytes(), &["--plain"]);
    assert!(
        run.err.contains("; your last message is taken back"),
        "{}",
        run.err
    );
    let lines = conversation(run);
    assert!(
        lines.contains(&"tritone: The capital of Peru is Lima.".to_owned()),
        "{lines:?}"
    );
    let run = pipe(b"caf\xe9\n/quit\n", &["--plain"]);
    assert!(
        run.err
            .contains("error: that line is not UTF-8 text: byte 3"),
        "{}",
        run.err
    );
    assert_eq!(run.code, Some(0));
}

#[test]
fn a_reader_who_leaves_ends_it_in_order() {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut command = command(&["--plain"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let _ = child
        .stdin
        .take()
        .unwrap()
        .write_all(format!("{PERU}\n").as_bytes());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_model_that_does_not_load_ends_with_3() {
    let run = pipe(b"", &["--plain", "--memory", "64", "--ctx", "32768"]);
    run.fails(3, &["does not fit the memory limit"]);
}
