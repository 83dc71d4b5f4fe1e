//! `tritone health`: what it finds, and its exit code.

use serde_json::Value;
use tempfile::TempDir;

use crate::program::run;

fn named<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap()
}

#[test]
fn the_small_model_is_healthy_and_every_kernel_says_the_same() {
    let report = run(&["health", "--json"]).json();
    assert_eq!(report["healthy"], true, "{report:#}");
    for name in ["model", "answer", "memory", "kernels"] {
        assert_eq!(named(&report, name)["level"], "ok", "{report:#}");
    }
    assert!(named(&report, "first token")["number"].as_f64().unwrap() > 0.0);
    assert!(named(&report, "speed")["number"].as_f64().unwrap() > 0.0);
    assert!(named(&report, "kernels")["number"].as_f64().unwrap() >= 1.0);
    assert_eq!(report["logits"].as_str().unwrap().len(), 64);
    // One answer: the threads change nothing.
    let other = run(&["health", "--json", "--threads", "1", "--kernel", "scalar"]).json();
    assert_eq!(other["logits"], report["logits"]);
    assert_eq!(other["kernel"], "scalar");
    let text = run(&["health"]).ok();
    assert!(text.ends_with("\nhealthy\n"), "{text}");
}

#[test]
fn a_bound_that_is_missed_fails_with_a_remedy() {
    let run = run(&["health", "--json", "--min-speed", "1000000"]);
    assert_eq!(run.code, Some(5), "{}", run.err);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(report["healthy"], false);
    let speed = named(&report, "speed");
    assert_eq!(
        (&speed["level"], &speed["bound"]),
        (&"fail".into(), &1e6.into())
    );
    assert!(speed["remedy"].as_str().unwrap().contains("--threads"));
}

#[test]
fn memory_that_is_too_little_and_a_damaged_file_are_found() {
    let small = run(&["health", "--json", "--memory", "64", "--ctx", "100000"]);
    assert_eq!(small.code, Some(5), "{}", small.err);
    let report: Value = serde_json::from_str(&small.out).unwrap();
    assert_eq!(named(&report, "memory")["level"], "fail", "{report:#}");
    assert!(
        named(&report, "memory")["remedy"]
            .as_str()
            .unwrap()
            .contains("--memory")
    );

    let dir = TempDir::new().unwrap();
    let path = dir.path().join("damaged.gguf");
    let whole = std::fs::read(tritone_tests::tiny().join("tritone-tiny-i2_s.gguf")).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let damaged = run(&["health", "--model", path.to_str().unwrap()]);
    assert_eq!(damaged.code, Some(5), "{}", damaged.err);
    assert!(damaged.out.starts_with("fail  model"), "{}", damaged.out);
    assert!(damaged.out.ends_with("\nunhealthy\n"), "{}", damaged.out);
}
