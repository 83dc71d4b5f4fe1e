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

#[test]
fn a_conversation_is_kept_and_can_be_gone_on_with() {
    let home = tempfile::tempdir().unwrap();
    let talk = |args: &[&str], input: &str| {
        use std::io::Write as _;
        use std::process::Stdio;
        let mut command = command(args);
        command
            .env("XDG_DATA_HOME", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            text(output.stdout),
            text(output.stderr),
            output.status.code(),
        )
    };
    let (out, err, code) = talk(&["--plain"], &format!("/temp 0\n{PERU}\n/regen\n"));
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out.matches("tritone: ").count(), 2, "{out}");

    // It is read out, the branch that was read last, and goes on.
    let (out, err, code) = talk(
        &["chat", "--plain", "--continue"],
        "What is the capital of France?\n",
    );
    assert_eq!(code, Some(0), "{err}");
    assert!(
        err.contains("note: back in \"What is the capital of Peru?\""),
        "{err}"
    );
    assert_eq!(
        out.matches("you: What is the capital of Peru?").count(),
        1,
        "{out}"
    );
    assert!(
        out.contains("tritone: The capital of Peru is Lima."),
        "{out}"
    );
    assert!(
        out.contains("you: What is the capital of France?\ntritone: "),
        "{out}"
    );

    // Everybody else sees it, too.
    let (list, err, _) = talk(&["sessions", "list"], "");
    assert!(list.contains("What is the capital of Peru?"), "{list}{err}");
    let (out, err, _) = talk(&["chat", "--plain", "--resume", "Peru"], "/quit\n");
    assert!(
        out.contains("you: What is the capital of France?"),
        "{out}{err}"
    );

    // Nothing is kept on request, and a name that is none is an error.
    talk(&["chat", "--plain", "--no-save"], "Say nothing of this.\n");
    let (list, _, _) = talk(&["sessions", "list"], "");
    assert!(!list.contains("Say nothing of this."), "{list}");
    let (_, err, code) = talk(&["chat", "--plain", "--resume", "Bolivia"], "");
    assert_ne!(code, Some(0), "{err}");
    let (_, err, code) = talk(&["chat", "--plain", "--resume"], "");
    assert_eq!(code, Some(2), "{err}");
}

#[test]
fn system_prompts_are_saved_and_loaded_by_name() {
    let home = tempfile::tempdir().unwrap();
    let talk = |input: &str| {
        use std::io::Write as _;
        use std::process::Stdio;
        let mut command = command(&["--plain"]);
        command
            .env("XDG_CONFIG_HOME", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap()
    };
    let err = talk(
        "/system load\n/system save brief\n/system Be brief.\n/system save brief\n/system load none\n",
    );
    for words in [
        "note: none is saved",
        "error: there is no system prompt to save",
        "note: the system prompt brief is saved as ",
        "error: there is no system prompt none; there are: brief",
    ] {
        assert!(err.contains(words), "no {words:?} in:\n{err}");
    }
    let err = talk(
        "/system load\n/system load brief\n/system\n/system load what you can carry\n/system\n",
    );
    for words in [
        "note: system prompt brief: Be brief.",
        "note: the system prompt brief from the next message on: Be brief.",
        "note: the system prompt is: Be brief.",
        "note: the system prompt is: load what you can carry",
    ] {
        assert!(err.contains(words), "no {words:?} in:\n{err}");
    }
}
