//! `tritone doctor`: what it says, and the exit code.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Run, command, finish};

/// The doctor with a home of its own.
fn doctor(home: &Path, args: &[&str]) -> Run {
    let mut command = command(&[&["doctor"], args].concat());
    for (name, below) in [
        ("XDG_CONFIG_HOME", "config"),
        ("XDG_DATA_HOME", "data"),
        ("XDG_STATE_HOME", "state"),
        ("XDG_CACHE_HOME", "cache"),
    ] {
        command.env(name, home.join(below));
    }
    finish(&mut command)
}

fn named<'a>(report: &'a Value, name: &str) -> Vec<&'a Value> {
    let all = report["findings"].as_array().unwrap().iter();
    all.filter(|finding| finding["name"] == name).collect()
}

#[test]
fn a_machine_that_runs_these_tests_has_no_problem() {
    let home = TempDir::new().unwrap();
    let report = doctor(home.path(), &["--json"]).json();
    assert_ne!(report["level"], "problem");
    for name in [
        "processor",
        "threads",
        "memory",
        "energy",
        "terminal",
        "locale",
        "config",
        "cache",
        "profile",
        "kernels",
        "model",
        "models here",
    ] {
        assert_eq!(named(&report, name).len(), 1, "{name}");
    }
    assert!(report["machine"]["usable_threads"].as_u64().unwrap() >= 1);
    let cache = named(&report, "cache")[0]["value"].as_str().unwrap();
    assert!(cache.starts_with(home.path().to_str().unwrap()), "{cache}");
    let text = doctor(home.path(), &[]).ok();
    for words in [
        "Machine\n",
        "\nTerminal\n",
        "\nDirectories\n",
        "\nProgram\n",
        "ok       processor",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    // Looking changes nothing.
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_problem_ends_with_1_and_is_still_a_report() {
    let home = TempDir::new().unwrap();
    let run = doctor(home.path(), &["--json", "--model", "/no/such.gguf"]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(report["level"], "problem");
    let problem = report["findings"].as_array().unwrap().iter();
    let mut problem = problem.filter(|finding| finding["level"] == "problem");
    let advice = problem.next().unwrap()["advice"].as_str().unwrap();
    assert!(advice.contains("such.gguf"), "{advice}");

    let run = doctor(home.path(), &["--json", "--profile", "egde"]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    let advice = named(&report, "profile")[0]["advice"].as_str().unwrap();
    assert!(advice.contains("edge"), "{advice}");
    // What can be said without a profile is said.
    assert_eq!(named(&report, "processor").len(), 1);
    assert_eq!(named(&report, "kernels").len(), 1);
}

#[test]
fn files_with_mistakes_are_named() {
    let home = TempDir::new().unwrap();
    let own = home.path().join("config/tritone");
    fs::create_dir_all(own.join("profiles")).unwrap();
    fs::write(
        own.join("profiles/lab.toml"),
        "base = \"edge\"\nthreds = 2\n",
    )
    .unwrap();
    fs::write(
        own.join("profiles/good.toml"),
        "base = \"edge\"\nthreads = 2\n",
    )
    .unwrap();
    fs::write(own.join("config.toml"), "[ui]\ntheme = 5\n").unwrap();
    let report = doctor(home.path(), &["--json"]).json();
    let files = named(&report, "profile files");
    assert_eq!(files.len(), 2, "{files:?}");
    let wrong = files
        .iter()
        .find(|file| file["level"] == "warning")
        .unwrap();
    assert!(wrong["value"].as_str().unwrap().ends_with("lab.toml"));
    assert!(
        wrong["advice"].as_str().unwrap().contains("threds"),
        "{wrong}"
    );
    assert!(files.iter().any(|file| file["value"] == "1 valid"));
    let settings = named(&report, "settings");
    assert!(
        settings[0]["advice"]
            .as_str()
            .unwrap()
            .contains("config.toml"),
        "{settings:?}"
    );
}

#[test]
fn threads_beyond_the_machine_are_a_warning() {
    let home = TempDir::new().unwrap();
    let report = doctor(home.path(), &["--json", "--threads", "9999"]).json();
    let threads = named(&report, "threads")[0];
    assert_eq!(threads["level"], "warning");
    let advice = threads["advice"].as_str().unwrap();
    assert!(advice.contains("9999 threads asked"), "{advice}");
}

#[test]
fn memory_is_measured_once_and_kept() {
    let home = TempDir::new().unwrap();
    let one = ["--json", "--threads", "1"];
    let reading = |report: &Value| named(report, "reading memory")[0].clone();
    let before = reading(&doctor(home.path(), &one).json());
    assert_eq!(before["value"], "not measured yet");
    assert!(before["advice"].as_str().unwrap().contains("--measure"));
    let measured = reading(&doctor(home.path(), &[&one[..], &["--measure"]].concat()).json());
    assert_eq!(measured["level"], "ok");
    assert!(measured["value"].as_str().unwrap().contains("GB/s"));
    assert_eq!(reading(&doctor(home.path(), &one).json()), measured);

    // A damaged file costs the value, is said, and is replaced.
    let file = home.path().join("cache/tritone/reach.json");
    fs::write(&file, "\u{1b}[2J{{{").unwrap();
    let damaged = reading(&doctor(home.path(), &one).json());
    assert_eq!(damaged["level"], "note");
    let advice = damaged["advice"].as_str().unwrap();
    assert!(
        advice.contains("reach.json") && advice.contains("cannot be used"),
        "{advice}"
    );
    let text = doctor(home.path(), &["--threads", "1"]).ok();
    assert!(!text.contains('\u{1b}'), "{text}");
    let again = doctor(home.path(), &[&one[..], &["--measure"]].concat()).json();
    assert_eq!(reading(&again)["level"], "ok");
    assert_eq!(reading(&doctor(home.path(), &one).json())["level"], "ok");
}

#[test]
fn a_plugin_that_is_refused_is_said() {
    let home = TempDir::new().unwrap();
    let plugins = home.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    let file = plugins.join(format!(
        "{}tritone_bad{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    ));
    fs::write(file, "no library").unwrap();
    let directory = plugins.to_str().unwrap();
    let report = doctor(home.path(), &["--json", "--plugin-dir", directory]).json();
    let refused = named(&report, "plugin").into_iter();
    let mut refused = refused.filter(|finding| finding["level"] == "warning");
    let refused = refused.next().expect("the plugin is listed");
    assert!(refused["value"].as_str().unwrap().contains("tritone_bad"));
    assert!(refused["advice"].as_str().unwrap().starts_with("refused: "));
}
