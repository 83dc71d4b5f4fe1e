//! Servers of llama.cpp's family: llama-cpp-python's, and llama.cpp's own.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tritone_engine::{Input, Request};
use tritone_strategy::bitnet_cpp::Settings;
use tritone_strategy::{BitnetCpp, Deployment, Fault, Guard, ModelRef, State, Strategy as _};
use tritone_tests::{tiny, tritone};

use crate::harness::{chat, give_up, given, processes, shut_down, try_out};

fn strategy() -> BitnetCpp {
    let python = given("TRITONE_LLAMA_PYTHON");
    let command = [
        python.to_str().unwrap(),
        "-m",
        "llama_cpp.server",
        "--model",
        "{model}",
        "--host",
        "{host}",
        "--port",
        "{port}",
        "--n_ctx",
        "{context}",
        "--n_threads",
        "{threads}",
        "--n_threads_batch",
        "{threads}",
        "--embedding",
        "true",
    ];
    let settings = Settings {
        command: command.map(str::to_owned).to_vec(),
        embeddings: true,
        ..Settings::default()
    };
    BitnetCpp::new(settings, Guard::of(tritone()))
}

/// A small model in a layout that llama.cpp knows, with random weights.
fn model(place: &Path) -> ModelRef {
    let file = place.join("small.gguf");
    let made = Command::new(tritone())
        .args([
            "synth",
            "--shape",
            "tiny-minicpm",
            "--type",
            "tq2_0",
            "--out",
        ])
        .arg(&file)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    ModelRef::File(file)
}

#[test]
fn a_model_is_run() {
    run(&strategy());
}

/// Everything that the strategy does with a server.
pub(crate) fn run(strategy: &BitnetCpp) {
    let place = tempfile::tempdir().unwrap();
    let model = model(place.path());
    let ModelRef::File(file) = &model else {
        unreachable!()
    };
    let same = try_out(strategy, model.clone(), file);
    assert!(same >= 1, "not one answer is the same");

    let text = Request {
        max_tokens: Some(5),
        ..Request::new(Input::Text("Once upon a".to_owned()))
    };
    let (_, finished) = strategy.generate(text).unwrap().wait(None).unwrap();
    println!(
        "  a text was continued by {} tokens",
        finished.timings.generated_tokens
    );
    assert!((1..=5).contains(&finished.timings.generated_tokens));
    let vectors = strategy
        .embed(&["one".to_owned(), "two".to_owned()])
        .unwrap();
    assert_eq!(vectors.len(), 2);
    assert!(
        vectors
            .iter()
            .all(|vector| vector.len() == vectors[0].len())
    );
    assert_ne!(vectors[0], vectors[1]);
    give_up(strategy, "Say hello.");

    // Killed, it comes back.
    let word = file.to_str().unwrap();
    for pid in processes(word) {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        if !String::from_utf8_lossy(&line).contains("guard-child") {
            Command::new("kill")
                .args(["-9", &pid.to_string()])
                .status()
                .unwrap();
        }
    }
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while strategy.health().state == State::Ready {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("  killed: {}", strategy.health().why);
    while !strategy.health().is_ready() {
        assert!(
            std::time::Instant::now() < deadline,
            "{:?}",
            strategy.health()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    strategy
        .generate(chat("Say hello."))
        .unwrap()
        .wait(None)
        .unwrap();
    shut_down(strategy, word);
}

#[test]
fn a_model_that_it_does_not_know_is_told() {
    told(&strategy());
}

/// A model in a type that only bitnet.cpp reads.
pub(crate) fn told(strategy: &BitnetCpp) {
    let file = tiny().join("tritone-tiny-i2_s.gguf");
    let wanted = Deployment::of(ModelRef::File(file));
    let error = strategy.deploy_model(&wanted, &mut |_| true).unwrap_err();
    println!("  {error}");
    assert_eq!(error.fault, Fault::Model);
    assert!(error.remedy.contains("tritone convert"), "{error}");
}
