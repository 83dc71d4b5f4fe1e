//! Models that are cut into several files.

use std::fs;

use tempfile::TempDir;

use crate::program::run;

const QUESTION: &str = "What is the capital of Peru?";
const ANSWER: &str = "The capital of Peru is Lima.";

#[test]
fn a_model_in_parts_runs_is_shown_and_is_joined() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let tiny = tritone_tests::tiny().join("tritone-tiny-i2_s.gguf");
    let tiny = tiny.to_str().unwrap();
    let out = at("cut.gguf");
    let said = run(&["convert", tiny, "--split-size", "1", "--out", &out]).ok();
    assert!(said.contains("in 3 files"), "{said}");
    let mut parts: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
        .collect();
    parts.sort();
    assert_eq!(
        parts,
        [1, 2, 3].map(|i| at(&format!("cut-0000{i}-of-00003.gguf")))
    );
    run(&["convert", tiny, "--split-size", "1", "--out", &out]).fails(1, &["--force"]);
    let off = ["--pack-cache", "off"];
    for part in &parts {
        let answer = run(&[&["run", "--model", part, QUESTION], &off[..]].concat());
        assert_eq!(answer.ok().trim(), ANSWER, "{part}");
    }
    let shown = run(&["inspect", "--json", &parts[1]]).json();
    assert_eq!(shown["parts"], 3);
    assert_eq!(shown["tensors"].as_array().unwrap().len(), 68);
    assert_eq!(shown["cannot_run"], serde_json::Value::Null);
    let text = run(&["inspect", &parts[0]]).ok();
    assert!(text.contains("in 3 files"), "{text}");

    let joined = at("joined.gguf");
    run(&["convert", &parts[2], "--out", &joined]).ok();
    let whole = at("whole.gguf");
    run(&["convert", tiny, "--out", &whole]).ok();
    assert!(fs::read(joined).unwrap() == fs::read(whole).unwrap());

    fs::remove_file(&parts[1]).unwrap();
    for command in [
        &["run", QUESTION, "--model"][..],
        &["inspect"],
        &["convert", "--out", &at("x")],
    ] {
        let refused = run(&[command, &[&parts[0]]].concat());
        refused.fails(3, &["part 2 of 3 is missing", &parts[1]]);
    }
}
