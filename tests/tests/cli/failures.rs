//! What goes wrong, what is said about it, and the exit code.

use std::fs;

use crate::program::{command, finish, pipe, run};

const QUESTION: &str = "What is the capital of Peru?";

#[test]
fn wrong_arguments_end_with_2() {
    run(&["run", "--kernel", "nope", QUESTION]).fails(2, &["nope", "available", "scalar"]);
    run(&["run", "--profile", "egde", QUESTION]).fails(2, &["egde", "did you mean \"edge\""]);
    run(&["run", "--head", "q5", QUESTION]).fails(2, &["--head", "q5", "q6"]);
    run(&["run", "--temperature", "-1", QUESTION]).fails(2, &["temperature"]);
    run(&["run", "--temperature=nan", QUESTION]).fails(2, &["temperature"]);
    run(&["run", "--top-p", "2", QUESTION]).fails(2, &["top_p is 2", "above 0, at most 1"]);
    run(&["run", "--greedy", "--temperature", "1", QUESTION]).fails(2, &["--temperature"]);
    run(&["run", "--logit-bias", "x", QUESTION]).fails(2, &["ID=VALUE"]);
    run(&["run", "--no-such-flag", QUESTION]).fails(2, &["--no-such-flag"]);
    run(&["logits", "--out", "x"]).fails(2, &["--tokens", "--prompt"]);
    run(&["kernels", "--log", "tritone=loud"]).fails(2, &["--log"]);
}

#[test]
fn without_a_terminal_the_chat_names_run() {
    run(&[]).fails(2, &["terminal", "tritone run"]);
    pipe(b"hello", &["chat"]).fails(2, &["terminal", "tritone run"]);
}

#[test]
fn a_model_that_does_not_load_ends_with_3() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    run(&["run", "--model", &path("none.gguf"), QUESTION]).fails(3, &["none.gguf", "No such file"]);
    run(&["run", "--model", &path(""), QUESTION])
        .fails(3, &["no config.json", "no model directory"]);
    fs::write(path("text.gguf"), "this is no model").unwrap();
    run(&["run", "--model", &path("text.gguf"), QUESTION]).fails(3, &["text.gguf", "GGUF"]);
    fs::write(path("empty.gguf"), "").unwrap();
    run(&["run", "--model", &path("empty.gguf"), QUESTION]).fails(3, &["empty"]);
    let named = finish(command(&["run", QUESTION]).env("TRITONE_MODEL", path("none.gguf")));
    named.fails(3, &["none.gguf"]);
}

#[test]
fn what_does_not_fit_the_memory_limit_is_refused_with_the_breakdown() {
    let with = |ctx: &str| run(&["run", "--memory", "64", "--ctx", ctx, QUESTION]);
    let refused = with("32768");
    let remedy = refused
        .err
        .split("`--ctx ")
        .nth(1)
        .and_then(|rest| rest.split('`').next());
    let fitting = remedy
        .unwrap_or_else(|| panic!("no remedy in: {}", refused.err))
        .to_owned();
    let parts = [
        "does not fit the memory limit",
        "weights",
        "head",
        "KV cache",
        "scratch",
    ];
    refused.fails(3, &parts);
    assert_eq!(
        with(&fitting).ok(),
        "The capital of Peru is Lima.\n",
        "the remedy works"
    );
}

#[test]
fn a_limit_that_was_asked_for_is_kept() {
    // The smallest preset, asked for or not, has room for the small model but not for this.
    run(&["run", "--profile", "mobile", "--ctx", "262144", QUESTION])
        .fails(3, &["does not fit the memory limit", "of a limit of"]);
}

#[test]
fn a_request_that_is_not_possible_ends_with_4() {
    pipe(b"", &["run"]).fails(4, &["empty"]);
    pipe(b" \n", &["run"]).fails(4, &["empty"]);
    pipe(b"caf\xe9", &["run"]).fails(4, &["not UTF-8", "byte 3"]);
    run(&["run", "--max-tokens", "0", QUESTION]).fails(4, &["max_tokens"]);
    let long = "Lima ".repeat(3000);
    pipe(long.as_bytes(), &["run"]).fails(4, &["tokens, the context holds", "--ctx"]);
    run(&["run", "--logit-bias", "99999999=1", QUESTION]).fails(4, &["99999999", "vocabulary"]);
}

#[test]
fn text_of_others_cannot_steer_the_terminal() {
    run(&["run", "--model", "a\x1b[2Jb.gguf", QUESTION]).fails(3, &["a\\u{1b}[2Jb.gguf"]);
    run(&["run", "--kernel", "\x1b[2J", QUESTION]).fails(2, &["--kernel"]);
}

#[test]
fn a_preference_that_cannot_be_met_is_said_but_an_order_is_kept() {
    let mut command = command(&["run", QUESTION]);
    let run = finish(
        command
            .env("TRITONE_KERNEL", "nope")
            .stdin(std::process::Stdio::null()),
    );
    assert!(
        run.err.contains("note: kernel ") && run.err.contains("nope"),
        "{}",
        run.err
    );
    assert_eq!(run.ok(), "The capital of Peru is Lima.\n");
}

#[test]
fn help_names_commands_examples_and_exit_codes() {
    let help = run(&["--help"]).ok();
    for word in [
        "run",
        "inspect",
        "logits",
        "kernels",
        "models",
        "pull",
        "Exit codes:",
        "130",
        "TRITONE_MODEL",
    ] {
        assert!(help.contains(word), "{word}");
    }
    assert!(run(&["--version"]).ok().starts_with("tritone 0."));
    for command in ["run", "inspect", "logits", "kernels", "chat"] {
        assert!(
            run(&[command, "--help"]).ok().contains("--model"),
            "{command}"
        );
    }
}
