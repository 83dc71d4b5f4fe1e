//! `tritone embed`.

use serde_json::{Value, json};

use crate::program::{pipe, run};

fn vector(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().unwrap().iter();
    numbers.map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn one_text_a_line_in_every_form() {
    let object = run(&["embed", "--json", "a cat", "a dog"]).json();
    assert_eq!(object["model"], "Tritone Tiny");
    assert_eq!(object["pooling"], "last");
    assert_eq!(
        (&object["dimensions"], &object["normalized"]),
        (&json!(256), &json!(true))
    );
    // The built-in model is none for this.
    let notices = object["notices"].to_string();
    assert!(notices.contains("no embedding model"), "{notices}");
    let all: Vec<_> = (0..2)
        .map(|i| vector(&object["embeddings"][i]["embedding"]))
        .collect();
    assert_ne!(all[0], all[1]);
    for v in &all {
        let length: f64 = v.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-5);
    }
    let lines = pipe(b"a cat\n\na dog\n", &["embed", "--jsonl"]).ok();
    let printed: Vec<Value> = lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(printed.len(), 2);
    assert_eq!(printed[1]["index"], 1);
    let json = b"\"a cat\"\n{\"text\": \"a dog\"}\n";
    let plain = pipe(json, &["embed", "--input", "jsonl", "--parallel", "1"]).ok();
    for (i, line) in plain.lines().enumerate() {
        assert_eq!(vector(&printed[i]["embedding"]), all[i]);
        let numbers: Vec<f32> = line.split(' ').map(|x| x.parse().unwrap()).collect();
        assert!(
            numbers
                .iter()
                .map(|x| f64::from(*x))
                .zip(&all[i])
                .all(|(a, b)| (a - b).abs() < 1e-7)
        );
    }
}

#[test]
fn files_hold_the_same_vectors() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (npy, safetensors) = (path("v.npy"), path("v.safetensors"));
    assert_eq!(
        run(&["embed", "--npy", &npy, "one", "two", "three"]).ok(),
        ""
    );
    assert_eq!(
        run(&[
            "embed",
            "--safetensors",
            &safetensors,
            "one",
            "two",
            "three"
        ])
        .ok(),
        ""
    );
    let npy = std::fs::read(npy).unwrap();
    assert!(String::from_utf8_lossy(&npy[..128]).contains("(3, 256)"));
    let bytes = std::fs::read(safetensors).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = tensors.tensor("embeddings").unwrap();
    assert_eq!(tensor.shape(), [3, 256]);
    assert!(npy.ends_with(tensor.data()) && tensor.data().len() == 3 * 256 * 4);
}

#[test]
fn texts_are_compared() {
    let cosine = |args: &[&str]| -> f64 { run(args).ok().trim().parse().unwrap() };
    assert_eq!(cosine(&["embed", "--compare", "a cat", "a cat"]), 1.0);
    let other = cosine(&["embed", "--compare", "a cat", "the moon"]);
    assert!((-1.0..1.0).contains(&other));
    // Only the first is a question.
    let asked = cosine(&["embed", "--query", "--compare", "a cat", "a cat"]);
    assert!(asked < 1.0);
    let told = cosine(&[
        "embed",
        "--instruction",
        "Find.",
        "--compare",
        "a cat",
        "a cat",
    ]);
    assert_ne!(asked, told);
    let object = run(&["embed", "--json", "--compare", "a", "b"]).json();
    assert!(object["cosine"].as_f64().is_some());
}

#[test]
fn what_does_not_fit_is_cut_and_said_or_refused() {
    let long = "word ".repeat(400);
    let cut = run(&["embed", "--ctx", "64", "--jsonl", "short", &long]);
    assert!(
        cut.err.contains("text 2 has") && cut.err.contains("cut to 64"),
        "{}",
        cut.err
    );
    let second: Value = serde_json::from_str(cut.ok().lines().nth(1).unwrap()).unwrap();
    assert_eq!(second["tokens"], 64);
    assert!(second["cut"].as_u64().unwrap() > 100);
    run(&["embed", "--ctx", "64", "--no-truncate", &long]).fails(4, &["--ctx"]);
    pipe(b"\n", &["embed"]).fails(4, &["empty"]);
    pipe(b"[]\n", &["embed", "--input", "jsonl"]).fails(4, &["line 1"]);
    run(&["embed", "--pooling", "max", "a"]).fails(2, &["mean"]);
}
