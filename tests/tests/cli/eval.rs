//! `tritone eval`: perplexity, distance of two models, and questions.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use safetensors::SafeTensors;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Run, command, run};

/// The built-in model has read dialogs about such things.
const TEXT: &str = "User: What is the capital of Peru?\nAssistant: The capital of Peru is Lima.\n\
    User: What is 7 + 5?\nAssistant: 7 + 5 = 12.\nUser: What is the opposite of hot?\n\
    Assistant: The opposite of hot is cold.\nUser: My name is Ada. Count from 3 to 8.\n\
    Assistant: 3, 4, 5, 6, 7, 8.\nUser: What is my name?\nAssistant: Your name is Ada.\n\
    User: Spell the word ternary.\nAssistant: t-e-r-n-a-r-y\nUser: What is the colour of the sky?\n\
    Assistant: The sky is blue.\n";

fn write(directory: &TempDir, name: &str, text: &str) -> String {
    let path = directory.path().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn eval(args: &[&str]) -> Run {
    run(&[&["eval", "--json"], args].concat())
}

/// The object without what belongs to one run.
fn result(mut object: Value) -> Value {
    object.as_object_mut().unwrap().remove("run").unwrap();
    object
}

/// Tokens and rows of logits that `tritone logits` writes.
fn logits(directory: &TempDir, args: &[&str]) -> (Vec<u32>, Vec<Vec<f32>>) {
    let out = directory.path().join("logits.safetensors");
    let mut all = vec!["logits", "--out", out.to_str().unwrap()];
    all.extend(args);
    // As `eval` has it; `logits` keeps keys and values in binary32 if nothing is said.
    all.extend(["--kv", "f16"]);
    run(&all).ok();
    let bytes = fs::read(out).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let words = |name: &str| {
        file.tensor(name)
            .unwrap()
            .data()
            .as_chunks::<4>()
            .0
            .to_vec()
    };
    let tokens = words("tokens").into_iter().map(u32::from_le_bytes);
    let vocab = file.tensor("logits").unwrap().shape()[1];
    let values: Vec<f32> = words("logits")
        .into_iter()
        .map(f32::from_le_bytes)
        .collect();
    (
        tokens.collect(),
        values.chunks(vocab).map(<[f32]>::to_vec).collect(),
    )
}

/// Natural logarithms of the probabilities, by the book.
fn log_softmax(row: &[f32]) -> Vec<f64> {
    let most = row.iter().copied().fold(f32::MIN, f32::max);
    let terms: Vec<f64> = row
        .iter()
        .map(|x| f64::from(*x) - f64::from(most))
        .collect();
    let sum: f64 = terms.iter().map(|x| x.exp()).sum();
    terms.iter().map(|x| x - sum.ln()).collect()
}

fn number(object: &Value, key: &str) -> f64 {
    let value = object.pointer(key).and_then(Value::as_f64);
    value.unwrap_or_else(|| panic!("no {key} in {object}"))
}

#[track_caller]
fn near(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{a} is not {b}");
}

/// Windows of 32 tokens, the second half of each scored, from the logits of each window.
#[test]
fn the_perplexity_is_that_of_the_logits() {
    let directory = TempDir::new().unwrap();
    let file = write(&directory, "text.txt", TEXT);
    let (tokens, _) = logits(&directory, &["--prompt", TEXT]);
    let mut surprise = Vec::new();
    for window in tokens.chunks_exact(32) {
        let mut window = window.to_vec();
        window[0] = tokens[0]; // The model wants a BOS token.
        let ids = write(&directory, "ids.json", &json!(window).to_string());
        let (_, rows) = logits(&directory, &["--tokens", &ids]);
        surprise.extend((16..31).map(|i| -log_softmax(&rows[i])[window[i + 1] as usize]));
    }
    let count = surprise.len() as f64;
    assert!(count >= 60.0, "{count}");
    let mean = surprise.iter().sum::<f64>() / count;
    let variance = surprise.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);

    let object = eval(&[&file, "--ctx", "32"]).json();
    assert_eq!(object["scored"]["tokens"], surprise.len());
    assert_eq!(object["complete"], true);
    near(number(&object, "/nats_per_token"), mean);
    near(number(&object, "/perplexity"), mean.exp());
    let error = (variance / count).sqrt();
    near(number(&object, "/nats_per_token_error"), error);
    near(number(&object, "/perplexity_error"), error * mean.exp());
    let bits = surprise.iter().sum::<f64>() / 2.0_f64.ln();
    near(
        number(&object, "/bits_per_byte"),
        bits / number(&object, "/scored/bytes"),
    );
    near(
        number(&object, "/bits_per_word"),
        bits / number(&object, "/scored/words"),
    );

    let people = run(&["eval", &file, "--ctx", "32"]).ok();
    assert!(
        people.contains(&format!("perplexity {:.4} ± ", mean.exp())),
        "{people}"
    );
    let first = eval(&[&file, "--ctx", "32", "--windows", "1"]).json();
    assert_eq!(first["scored"]["tokens"], 15);
    assert_eq!(first["windows"], object["windows"]);
}

#[test]
fn a_stride_scores_every_token_and_more_context_helps() {
    let directory = TempDir::new().unwrap();
    let file = write(&directory, "text.txt", TEXT);
    let (tokens, rows) = logits(&directory, &["--prompt", TEXT]);
    let stride = |n: &str, size: &str| eval(&[&file, "--ctx", size, "--stride", n]).json();
    let object = stride("8", "32");
    assert_eq!(object["scored"]["tokens"], tokens.len() - 1);
    // Apart from its first token, BOS, all of the text is scored.
    assert_eq!(object["scored"]["bytes"], TEXT.len());
    assert_eq!(object["scored"]["words"], TEXT.split_whitespace().count());
    assert!(number(&stride("16", "32"), "/perplexity") > number(&object, "/perplexity"));
    // A window of the whole text is one pass over it.
    let whole: f64 = rows
        .iter()
        .zip(&tokens[1..])
        .map(|(row, next)| -log_softmax(row)[*next as usize])
        .sum();
    near(
        number(&stride("8", "1000"), "/nats_per_token"),
        whole / (tokens.len() - 1) as f64,
    );
}

#[test]
fn the_number_is_the_same_on_every_kernel_and_thread_count() {
    let directory = TempDir::new().unwrap();
    let file = write(&directory, "text.txt", TEXT);
    let listed = run(&["kernels", "--json"]).json();
    let kernels = listed["kernels"].as_array().unwrap();
    let usable = kernels
        .iter()
        .filter(|kernel| kernel["score"].as_u64() != Some(0));
    let mut first = None;
    for kernel in usable.map(|kernel| kernel["name"].as_str().unwrap()) {
        for threads in ["1", "2"] {
            let args = [
                &file,
                "--ctx",
                "64",
                "--against-head",
                "q4",
                "-k",
                kernel,
                "-t",
                threads,
            ];
            let object = eval(&args).json();
            assert_eq!(object["run"]["kernel"], kernel);
            let got = result(object);
            assert_eq!(
                first.get_or_insert_with(|| got.clone()),
                &got,
                "{kernel}, {threads}"
            );
        }
    }
    // As it was when this test was written, on another machine.
    let first = first.unwrap();
    assert_eq!(number(&first, "/perplexity"), PERPLEXITY);
    assert_eq!(number(&first, "/against/divergence"), DIVERGENCE);
}

const PERPLEXITY: f64 = 292.08767139294895;
const DIVERGENCE: f64 = 0.004028465772171188;

#[test]
fn two_models_are_compared_by_all_they_say() {
    let directory = TempDir::new().unwrap();
    let file = write(&directory, "text.txt", TEXT);
    let same = eval(&[&file, "--ctx", "64", "--against-head", "f16"]).json();
    assert_eq!(number(&same, "/against/divergence_largest"), 0.0);
    assert_eq!(number(&same, "/against/same_first_choice"), 1.0);
    assert_eq!(same["perplexity"], same["against"]["perplexity"]);

    // Against logits that were written before: the text is theirs.
    let out = directory.path().join("base.safetensors");
    let base = out.to_str().unwrap();
    run(&["logits", "--prompt", TEXT, "--out", base, "--kv", "f16"]).ok();
    let (tokens, p) = logits(&directory, &["--prompt", TEXT]);
    let (_, q) = logits(&directory, &["--prompt", TEXT, "--head", "q4"]);
    let object = eval(&["--head", "q4", "--against", base]).json();
    let pairs: Vec<_> = p.iter().zip(&q).take(tokens.len() - 1).collect();
    let divergence = pairs.iter().map(|(p, q)| {
        let (p, q) = (log_softmax(p), log_softmax(q));
        p.iter()
            .zip(&q)
            .map(|(p, q)| p.exp() * (p - q))
            .sum::<f64>()
    });
    let divergence: Vec<f64> = divergence.collect();
    let count = divergence.len() as f64;
    assert_eq!(object["scored"]["tokens"], divergence.len());
    near(
        number(&object, "/against/divergence"),
        divergence.iter().sum::<f64>() / count,
    );
    near(
        number(&object, "/against/divergence_largest"),
        divergence.iter().copied().fold(0.0, f64::max),
    );
    let best = |row: &[f32]| (0..row.len()).fold(0, |b, i| if row[i] > row[b] { i } else { b });
    let agreed = pairs.iter().filter(|(p, q)| best(p) == best(q)).count();
    near(
        number(&object, "/against/same_first_choice"),
        agreed as f64 / count,
    );
    let ratio = number(&object, "/perplexity") / number(&object, "/against/perplexity");
    near(number(&object, "/against/ln_perplexity_ratio"), ratio.ln());

    // The model as another file: the same weights, the same answers.
    let tiny = tritone_tests::tiny().join("tritone-tiny-i2_s.gguf");
    let args = [&file, "--ctx", "64", "--kv", "q8", "--against-kv", "f16"];
    let kv = eval(&[&args[..], &["--against", tiny.to_str().unwrap()]].concat()).json();
    assert!(number(&kv, "/against/divergence") > 0.0);
    assert_eq!(kv["against"]["perplexity"], same["perplexity"]);
}

#[test]
fn what_cannot_be_measured_is_said() {
    let directory = TempDir::new().unwrap();
    let file = write(&directory, "text.txt", TEXT);
    let short = write(&directory, "short.txt", "");
    let binary = directory.path().join("binary.txt");
    fs::write(&binary, [b'a', 0xff]).unwrap();
    eval(&[]).fails(2, &["which file"]);
    eval(&[&short]).fails(4, &["nothing to score"]);
    eval(&[binary.to_str().unwrap()]).fails(4, &["byte 1"]);
    eval(&[&file, "--ctx", "16", "--stride", "16"]).fails(4, &["smaller than the window"]);
    eval(&[&file, "--against", &file]).fails(3, &["text.txt"]);
    eval(&["--against", "x.safetensors", &file]).fails(2, &["its own tokens"]);
    eval(&[&file, "--out", "x"]).fails(2, &[".jsonl"]);
    eval(&["x.jsonl", "--stride", "2"]).fails(2, &["for text"]);
    let missing = directory.path().join("missing.txt");
    eval(&[missing.to_str().unwrap()]).fails(1, &["missing.txt"]);
}

const QUESTIONS: &str = r#"{"id": "peru", "prompt": "What is the capital of Peru?", "answers": ["lima", "the capital of Peru is Lima"]}
{"id": "sum", "prompt": "What is 7 + 5?", "answer": 12}

{"messages": [{"role": "user", "content": "What is the capital of Peru?"}], "choices": ["The capital of Peru is Rome.", "The capital of Peru is Lima."], "answer": 1}
{"id": "broken", "prompt": "x"}
{"id": "peru", "prompt": "again", "answer": "y"}
"#;

fn results(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn questions_are_scored_and_results_are_kept() {
    let directory = TempDir::new().unwrap();
    let file = write(&directory, "questions.jsonl", QUESTIONS);
    let out = directory.path().join("results.jsonl");
    let args = [file.as_str(), "--out", out.to_str().unwrap()];
    let first = eval(&args);
    assert_eq!(first.code, Some(1), "two lines failed: {}", first.err);
    for word in [
        "line 5",
        "\"answer\"",
        "line 6",
        "another question is called 'peru'",
    ] {
        assert!(first.err.contains(word), "no {word} in {}", first.err);
    }
    let object: Value = serde_json::from_str(&first.out).unwrap();
    assert_eq!(object["questions"], 5);
    assert_eq!(object["errors"], 2);
    // "12" is not all that the model says.
    assert_eq!(
        (&object["written"]["right"], &object["written"]["count"]),
        (&json!(1), &json!(2))
    );
    for key in ["choices", "choices_by_length"] {
        assert_eq!(
            (&object[key]["right"], &object[key]["count"]),
            (&json!(1), &json!(1))
        );
    }
    let kept = results(&out);
    assert_eq!(kept.len(), 6);
    let of = |id: &str| kept.iter().find(|line| line["id"] == id).unwrap();
    assert_eq!(of("peru")["answer"], "The capital of Peru is Lima.");
    assert_eq!(
        (&of("sum")["right"], &of("sum")["finish"]),
        (&json!(false), &json!("stop"))
    );

    // The log-probabilities are those of the logits of prompt and choice.
    let of_choices = of("4")["log_probabilities"].as_array().unwrap().clone();
    let chat = ["--chat", "--prompt", "What is the capital of Peru?"];
    let (prompt, _) = logits(&directory, &chat);
    for (text, want) in ["Rome.", "Lima."].iter().zip(of_choices) {
        let answer = format!("The capital of Peru is {text}");
        let (tail, _) = logits(&directory, &["--prompt", &answer]);
        let all = [&prompt[..], &tail[1..]].concat();
        let ids = write(&directory, "ids.json", &json!(all).to_string());
        let (_, rows) = logits(&directory, &["--tokens", &ids]);
        let sum: f64 = (prompt.len()..all.len())
            .map(|i| log_softmax(&rows[i - 1])[all[i] as usize])
            .sum();
        near(want.as_f64().unwrap(), sum);
    }

    // A second run asks only what failed.
    let again = eval(&args);
    let object: Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!(
        (&object["from_earlier_runs"], &object["errors"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(object["written"]["right"], 1);
    assert_eq!(results(&out).len(), 8);
    let other = [&args[..], &["--match", "number"]].concat();
    eval(&other).fails(4, &["another run", "match"]);
}

#[test]
fn answers_are_compared_as_asked_whatever_is_asked_beside_them() {
    let directory = TempDir::new().unwrap();
    let lines: Vec<_> = QUESTIONS.lines().take(2).collect();
    let file = write(&directory, "two.jsonl", &lines.join("\n"));
    let out = directory.path().join("out.jsonl");
    let mut kept = Vec::new();
    for (how, parallel, right) in [("number", "1", 1), ("contains", "3", 2), ("exact", "2", 0)] {
        let object = eval(&[
            &file,
            "--match",
            how,
            "--parallel",
            parallel,
            "-o",
            out.to_str().unwrap(),
        ])
        .json();
        assert_eq!(object["written"]["right"], right, "{how}");
        kept.push(
            results(&out)[1..]
                .iter()
                .map(|line| line["answer"].clone())
                .collect::<Vec<_>>(),
        );
        fs::remove_file(&out).unwrap();
    }
    assert!(kept.iter().all(|answers| *answers == kept[0]));
    let raw = write(
        &directory,
        "raw.jsonl",
        r#"{"prompt": "Assistant: The capital of Peru is", "choices": [" Lima.", " Rome."], "answer": "Lima."}"#,
    );
    let people = run(&["eval", &raw, "--raw"]).ok();
    assert!(
        people.contains("choices: 1 of 1 right, 100.0 % (20.7 to 100.0 %)"),
        "{people}"
    );
    let empty = write(&directory, "empty.jsonl", "\n\n");
    eval(&[&empty]).fails(4, &["no questions"]);
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_was_answered() {
    use rustix::process::{Pid, Signal, kill_process};
    let directory = TempDir::new().unwrap();
    let line = |i: u32| json!({"id": i, "prompt": "Count from 1 to 20.", "answer": "no"});
    let lines: Vec<_> = (0..300).map(|i| line(i).to_string()).collect();
    let file = write(&directory, "many.jsonl", &lines.join("\n"));
    let out = directory.path().join("results.jsonl");
    let args = ["eval", "--json", &file, "--out", out.to_str().unwrap()];
    let mut command = command(&args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = child.spawn().unwrap();
    let lines = || fs::read_to_string(&out).map_or(0, |text| text.lines().count());
    while lines() < 3 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{err}");
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["complete"], false);
    let kept = results(&out).len() - 1;
    assert_eq!(object["written"]["count"], kept);
    assert!((2..300).contains(&kept), "{kept}");
    // What is there is not asked again.
    fs::write(&file, format!("{}\n{}\n", line(0), line(1))).unwrap();
    let object = eval(&[&file, "--out", out.to_str().unwrap()]).json();
    assert_eq!(object["from_earlier_runs"], 2);
    assert_eq!(object["complete"], true);
}
