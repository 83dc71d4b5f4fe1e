//! `tritone run`.

use std::process::Stdio;

use crate::program::{command, finish, pipe, run};

const QUESTION: &str = "What is the capital of Peru?";
const ANSWER: &str = "The capital of Peru is Lima.";

#[test]
fn answers_the_question_and_nothing_else() {
    // On a busy machine fewer threads are used, and that is said.
    let run = run(&["run", "--threads", "1", QUESTION]);
    assert_eq!(run.out, format!("{ANSWER}\n"));
    assert_eq!(run.err, "");
    assert_eq!(run.code, Some(0));
}

#[test]
fn reads_the_prompt_from_a_pipe() {
    let expected = format!("{ANSWER}\n");
    assert_eq!(
        pipe(format!("{QUESTION}\n").as_bytes(), &["run"]).ok(),
        expected
    );
    assert_eq!(
        pipe(format!("{QUESTION}\r\n").as_bytes(), &["run", "-"]).ok(),
        expected
    );
    let sum = pipe(b"What is 7 + 5?\n", &["run"]).ok();
    assert!(sum.contains("12"), "{sum}");
}

#[test]
fn input_follows_the_prompt_after_an_empty_line() {
    let usage = |object: serde_json::Value| (object["usage"].clone(), object["text"].clone());
    let both = usage(pipe(b"of Peru?\n", &["run", "--json", "What is the capital"]).json());
    let joined = usage(run(&["run", "--json", "What is the capital\n\nof Peru?"]).json());
    assert_eq!(both, joined);
    assert_ne!(
        both,
        usage(run(&["run", "--json", "What is the capital"]).json())
    );
    // Nothing in the pipe, nothing is added.
    assert_eq!(pipe(b"\n", &["run", QUESTION]).ok(), format!("{ANSWER}\n"));
}

#[test]
fn json_says_everything_about_the_answer() {
    let object = run(&[
        "run",
        "--json",
        "--threads",
        "1",
        "--kernel",
        "scalar",
        "--seed",
        "7",
        QUESTION,
    ])
    .json();
    assert_eq!(object["text"], ANSWER);
    assert_eq!(object["finish_reason"], "stop");
    assert_eq!(object["kernel"], "scalar");
    assert_eq!(object["threads"], 1);
    assert_eq!(object["seed"], 7);
    assert_eq!(object["notices"], serde_json::json!([]));
    let model = &object["model"];
    assert_eq!(model["source"], "tritone-tiny");
    assert_eq!(model["architecture"], "bitnet-b1.58");
    let usage = |name: &str| object["usage"][name].as_u64().unwrap();
    assert!(usage("prompt_tokens") > 5 && usage("completion_tokens") > 5);
    assert_eq!(usage("cached_tokens"), 0);
    let timing = |name: &str| object["timings"][name].as_f64().unwrap();
    assert!(timing("prefill_ms") > 0.0 && timing("decode_ms") > 0.0 && timing("load_ms") > 0.0);
    assert!(timing("first_token_ms") >= timing("prefill_ms"));
    assert!(timing("decode_tokens_per_second") > 0.0);
}

#[test]
fn no_escape_code_reaches_a_pipe() {
    for args in [
        &["run", "--stats", "--threads", "9999", QUESTION][..],
        &["run", "--json", QUESTION],
        &["run", "--kernel", "nope", QUESTION],
        &["inspect", "--tensors"],
        &["kernels"],
        &["--help"],
    ] {
        let run = finish(
            command(args)
                .stdin(Stdio::null())
                .env("TERM", "xterm-256color"),
        );
        let text = run.out + &run.err;
        assert!(!text.is_empty());
        assert!(!text.contains(['\x1b', '\r']), "{args:?}: {text:?}");
    }
}

#[test]
fn colours_come_when_they_are_ordered() {
    let run = run(&["run", "--color", "always", "--threads", "9999", QUESTION]);
    assert!(run.err.contains("\x1b["), "{:?}", run.err);
    assert_eq!(run.out, format!("{ANSWER}\n"));
}

#[test]
fn a_lowered_thread_count_is_said() {
    let run = run(&["run", "--json", "--threads", "9999", QUESTION]);
    assert!(
        run.err.starts_with("note: 9999 threads asked, "),
        "{}",
        run.err
    );
    let object = run.json();
    let notice = object["notices"][0].as_str().unwrap();
    let used = object["threads"].as_u64().unwrap();
    assert!(
        notice.contains(&format!("9999 threads asked, {used} used")),
        "{notice}"
    );
}

#[test]
fn stop_strings_end_the_answer_before_them() {
    let object = run(&["run", "--json", "--stop", "xyz", "--stop", " is", QUESTION]).json();
    assert_eq!(object["text"], "The capital of Peru");
    assert_eq!(object["finish_reason"], "stop");
    assert_eq!(object["stop_string"], " is");
}

#[test]
fn the_token_limit_is_kept() {
    let object = run(&["run", "--json", "--max-tokens", "3", QUESTION]).json();
    assert_eq!(object["finish_reason"], "length");
    assert_eq!(object["usage"]["completion_tokens"], 3);
    let text = object["text"].as_str().unwrap();
    assert!(
        ANSWER.starts_with(text) && text.len() < ANSWER.len(),
        "{text}"
    );
}

#[test]
fn the_context_limit_is_kept() {
    let args = ["run", "--json", "--ctx", "64", "--ignore-eos", QUESTION];
    let object = run(&args).json();
    assert_eq!(object["finish_reason"], "context");
    let usage = |name: &str| object["usage"][name].as_u64().unwrap();
    assert_eq!(usage("prompt_tokens") + usage("completion_tokens"), 64);
    assert_eq!(object["model"]["context"], 64);
}

#[test]
fn one_seed_one_answer_on_every_kernel_and_thread_count() {
    let answer = |more: &[&str]| {
        let mut args = vec!["run", "--raw", "--temperature", "1.5", "--top-p", "1"];
        args.extend(["--max-tokens", "48", "--ignore-eos"]);
        args.extend(more);
        args.push("Once");
        run(&args).ok()
    };
    let first = answer(&["--seed", "11", "--kernel", "scalar", "--threads", "1"]);
    assert_eq!(
        first,
        answer(&["--seed", "11", "--kernel", "scalar", "--threads", "2"])
    );
    let kernels = run(&["kernels", "--json"]).json();
    let usable = kernels["kernels"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|k| k["state"] == "usable");
    for kernel in usable.map(|kernel| kernel["name"].as_str().unwrap()) {
        assert_eq!(
            first,
            answer(&["--seed", "11", "--kernel", kernel]),
            "{kernel}"
        );
    }
    assert_ne!(first, answer(&["--seed", "12"]), "another seed");
}

#[test]
fn an_answer_can_be_begun() {
    let begun = ["run", "--prefill", "The capital of Peru", QUESTION];
    assert_eq!(run(&begun).ok(), " is Lima.\n");
    // Nothing asks the embedded model whether to think.
    let thinking = run(&["run", "--no-think", QUESTION]);
    assert_eq!(thinking.out, format!("{ANSWER}\n"));
    assert!(
        thinking.err.contains("--no-think changes nothing"),
        "{}",
        thinking.err
    );
    run(&["run", "--think", "--no-think", QUESTION]).fails(2, &["--no-think"]);
    run(&["run", "--raw", "--prefill", "x", QUESTION]).fails(2, &["--prefill"]);
}

#[test]
fn sampling_flags_reach_the_sampler() {
    let text = |more: &[&str]| {
        let args: Vec<_> = ["run", "--json"]
            .iter()
            .chain(more)
            .chain(&[QUESTION])
            .copied()
            .collect();
        run(&args).json()["text"].as_str().unwrap().to_owned()
    };
    assert_eq!(text(&["--greedy"]), ANSWER);
    // One choice only, however hot.
    assert_eq!(text(&["--temperature", "90", "--top-k", "1"]), ANSWER);
    assert_eq!(text(&["--temperature", "90", "--min-p", "1"]), ANSWER);
    assert_eq!(
        text(&["--temperature", "90", "--top-p", "0.000001"]),
        ANSWER
    );
    // Without a filter the heat shows.
    assert_ne!(
        text(&["--temperature", "90", "--top-p", "1", "--max-tokens", "20"]),
        ANSWER
    );
    assert_ne!(
        text(&[
            "--greedy",
            "--max-tokens",
            "20",
            "--presence-penalty",
            "100"
        ]),
        ANSWER
    );
}

#[test]
fn a_system_prompt_and_raw_text_change_what_the_model_reads() {
    let tokens = |args: &[&str]| {
        let object = run(args).json();
        object["usage"]["prompt_tokens"].as_u64().unwrap()
    };
    let chat = tokens(&["run", "--json", "-n", "1", "Hello"]);
    let raw = tokens(&["run", "--json", "-n", "1", "--raw", "Hello"]);
    let system = tokens(&["run", "--json", "-n", "1", "--system", "Be brief.", "Hello"]);
    assert!(raw < chat && chat < system, "{raw} {chat} {system}");
}

#[cfg(unix)]
#[test]
fn a_reader_who_leaves_is_no_failure() {
    let mut child = command(&["run", "--ignore-eos", "--threads=1", QUESTION])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(0));
}

/// Ctrl+C in the middle: what was written stands.
#[cfg(unix)]
#[test]
fn an_interrupt_keeps_the_partial_answer() {
    use std::io::Read as _;

    let mut child = command(&["run", "--raw", "--ctx", "1000000", "--memory", "1048576"])
        .args(["--ignore-eos", "--threads", "1", "Once upon a time"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut begin = [0; 8];
    out.read_exact(&mut begin).unwrap();
    let id = child.id().to_string();
    let signal = |name: &str, id: &str| {
        std::process::Command::new("kill")
            .args([name, id])
            .status()
            .unwrap()
            .success()
    };
    assert!(signal("-INT", &id));
    // A program that does not listen is ended, so that the test fails instead of waiting.
    let (done, over) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        use std::sync::mpsc::RecvTimeoutError::Timeout;
        if over.recv_timeout(std::time::Duration::from_secs(120)) == Err(Timeout) {
            signal("-KILL", &id);
        }
    });
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    drop(done);
    watch.join().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(rest.ends_with('\n'), "{rest:?}");
}
