//! What both servers go through.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tritone_engine::sample::Sampling;
use tritone_engine::text::{Message, Role};
use tritone_engine::{Event, FinishReason, Input, Request};
use tritone_strategy::{Deployment, ModelRef, Strategy};
use tritone_tests::tritone;

/// A path that `tests/strategies/run` hands over.
pub(crate) fn given(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from);
    let path = path.unwrap_or_else(|| panic!("{variable} is not set: run tests/strategies/run"));
    assert!(path.is_file(), "{} is not there", path.display());
    path
}

/// What the engine of this process answers, greedily.
pub(crate) fn native(model: &Path, prompt: &str, tokens: usize) -> String {
    let output = Command::new(tritone())
        .args([
            "run",
            "--temp",
            "0",
            "--max-tokens",
            &tokens.to_string(),
            "--model",
        ])
        .arg(model)
        .arg(prompt)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub(crate) fn chat(prompt: &str) -> Request {
    Request {
        sampling: Sampling::greedy(),
        max_tokens: Some(24),
        ..Request::new(Input::Chat(vec![Message::new(Role::User, prompt)]))
    }
}

/// Deploys, tries, and says what came of it. Returns how many of the answers are the native engine's.
pub(crate) fn try_out(strategy: &dyn Strategy, model: ModelRef, own: &Path) -> usize {
    let environment = strategy.setup_environment();
    assert!(environment.is_usable(), "{environment:?}");
    println!("{}: {}", strategy.name(), environment.findings[0].found);
    let (started, mut looks) = (Instant::now(), 0);
    let deployed = strategy
        .deploy_model(&Deployment::of(model), &mut |_| {
            looks += 1;
            true
        })
        .unwrap();
    println!(
        "  started in {:.1} s ({looks} looks): {}",
        started.elapsed().as_secs_f64(),
        deployed.runs_on
    );
    for notice in &deployed.notices {
        println!("  note: {notice}");
    }
    let trial = strategy.test_deployment();
    assert!(trial.works(), "{:?}", trial.faults);
    assert_eq!(trial.repeats, Some(true), "{:?}", trial.tried);
    let same = trial.tried.iter().filter(|tried| {
        let ours = native(own, &tried.prompt, 24);
        let same = ours == tried.text.trim();
        println!(
            "  {}: {} tokens, {:?}",
            tried.prompt, tried.tokens, tried.text
        );
        if !same {
            println!("    and Tritone's engine: {ours:?}");
        }
        same
    });
    let same = same.count();
    println!(
        "  {same} of {} answers are the same as Tritone's; first token {:.3} s, {:.1} tokens/s, {} MiB resident",
        trial.tried.len(),
        trial.first_token_s().unwrap(),
        trial.decode_rate().unwrap_or(0.0),
        trial.resident_bytes.unwrap() >> 20
    );
    same
}

/// An answer that is given up ends, and the next one does not wait for the rest of it.
pub(crate) fn give_up(strategy: &dyn Strategy, endless: &str) {
    let long = Request {
        max_tokens: Some(900),
        ..chat(endless)
    };
    let mut answer = strategy.generate(long).unwrap();
    while !matches!(answer.next_event().unwrap(), Event::Text { .. }) {}
    answer.cancel_handle().cancel();
    let last = std::iter::from_fn(|| answer.next_event()).last();
    let Some(Event::Finished(finished)) = last else {
        panic!("{last:?}");
    };
    assert_eq!(finished.reason, FinishReason::Cancelled);
    let asked = Instant::now();
    strategy
        .generate(chat("Say hello."))
        .unwrap()
        .wait(None)
        .unwrap();
    println!(
        "  after an answer that was given up, the next took {:.2} s",
        asked.elapsed().as_secs_f64()
    );
}

/// Processes whose command line has `word`.
pub(crate) fn processes(word: &str) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        *pid != std::process::id() && String::from_utf8_lossy(&line).contains(word)
    };
    pids.filter(has).collect()
}

/// Ends the server, and looks that nothing with `word` in its command line is left.
pub(crate) fn shut_down(strategy: &dyn Strategy, word: &str) {
    assert!(processes(word).len() >= 2, "the server and its guard");
    let started = Instant::now();
    strategy.shutdown();
    assert_eq!(processes(word), Vec::<u32>::new());
    assert!(started.elapsed() < Duration::from_secs(5));
    println!(
        "  shut down in {:.2} s, and nothing is left",
        started.elapsed().as_secs_f64()
    );
}
