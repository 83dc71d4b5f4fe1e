//! `tritone tune`: what is measured, kept and written.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Run, command, finish};

/// A user's directories.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = command(args);
        for name in ["CONFIG", "CACHE", "STATE", "DATA"] {
            command.env(format!("XDG_{name}_HOME"), self.0.path().join(name));
        }
        command
    }

    fn run(&self, args: &[&str]) -> Run {
        finish(&mut self.command(args))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
}

const SHORT: [&str; 7] = [
    "tune",
    "--minutes",
    "0.05",
    "--prompt-tokens",
    "16",
    "--generate",
    "8",
];

fn names(report: &Value) -> Vec<&str> {
    let compared = report["compared"].as_array().unwrap();
    compared
        .iter()
        .map(|one| one["point"]["name"].as_str().unwrap())
        .collect()
}

#[test]
fn the_best_is_measured_beside_every_preset_and_written_as_a_profile() {
    let home = Home::new();
    let (html, json) = (home.path("tune.html"), home.path("tune.json"));
    let more = ["--write-profile", "mine", "--html", &html, "--json", &json];
    let out = home.run(&[&SHORT[..], &more].concat()).ok();
    let report: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    let names = names(&report);
    for name in [
        "baseline",
        "optimized",
        "aggressive",
        "best",
        "mobile",
        "edge",
        "server",
        "cloud",
    ] {
        assert!(names.contains(&name), "{names:?}");
        assert!(out.contains(name), "{out}");
    }
    // What is written is at least as fast as every preset, in the same run.
    let median = |name: &str| {
        let one = report["compared"].as_array().unwrap().iter();
        let mut one = one.filter(|one| one["point"]["name"] == name);
        let rounds = one.next().unwrap()["rounds"].as_array().unwrap().clone();
        let mut speeds: Vec<f64> = rounds
            .iter()
            .map(|round| round["decode"].as_f64().unwrap())
            .collect();
        speeds.sort_by(f64::total_cmp);
        speeds[speeds.len() / 2]
    };
    let best = report["best"].as_str().unwrap();
    for preset in ["mobile", "edge", "server", "cloud"] {
        assert!(median(best) >= median(preset), "{best} and {preset}");
    }
    assert_eq!(report["written"], "mine");
    home.run(&["profile", "show", "mine"]).ok();
    let ask = ["run", "--profile", "mine", "--greedy"];
    let answer = home.run(&[&ask[..], &["What is the capital of Peru?"]].concat());
    assert!(answer.ok().contains("Lima"));

    let page = fs::read_to_string(&html).unwrap();
    let document = roxmltree::Document::parse_with_options(
        page.trim_start_matches("<!DOCTYPE html>"),
        roxmltree::ParsingOptions::default(),
    );
    let document = document.unwrap();
    let count = |tag: &str| {
        let nodes = document.descendants();
        nodes.filter(|node| node.tag_name().name() == tag).count()
    };
    assert_eq!((count("svg"), count("script")), (3, 0));

    let again = home.run(&[&SHORT[..], &["--write-profile", "mine"]].concat());
    again.fails(2, &["--force"]);
}

#[test]
fn what_was_measured_is_not_measured_again() {
    let home = Home::new();
    let first = home.run(&[&SHORT[..], &["--json"]].concat()).json();
    assert_eq!(first["known_rounds"], 0);
    let rounds = |report: &Value| -> u64 {
        let all = report["measured"].as_array().unwrap().iter();
        all.map(|one| one["rounds"].as_array().unwrap().len() as u64)
            .sum()
    };
    let second = home.run(&[&SHORT[..], &["--json"]].concat()).json();
    assert_eq!(second["known_rounds"].as_u64().unwrap(), rounds(&first));
    let fresh = [&SHORT[..], &["--json", "--fresh"]].concat();
    let fresh = home.run(&fresh).json();
    assert_eq!(fresh["known_rounds"], 0);
}

#[test]
fn a_scenario_has_its_bounds_and_its_advice() {
    let home = Home::new();
    let more = ["--scenario", "server", "--json", "--quality", "exact"];
    let report = home.run(&[&SHORT[..], &more].concat()).json();
    assert_eq!(report["together"], true);
    assert!(report["batch"].as_u64().unwrap() >= 1);
    assert!(!report["tips"].as_array().unwrap().is_empty());
    // No smaller head was tried.
    let steps = report["steps"].as_array().unwrap();
    assert!(
        steps.iter().all(|step| step["setting"] != "head"),
        "{steps:?}"
    );
    let both = home.run(&["tune", "--scenario", "edge", "--profile", "edge"]);
    both.fails(2, &["--scenario"]);
}

#[test]
fn what_does_not_fit_is_listed_and_not_run() {
    let home = Home::new();
    // The largest batches do not fit the limit of the profile.
    let more = [
        "--scenario",
        "server",
        "--json",
        "--memory",
        "64",
        "--minutes",
        "0.3",
    ];
    let mut args = vec!["tune", "--prompt-tokens", "16", "--generate", "8"];
    args.extend(more);
    let report = home.run(&args).json();
    let limit = 64 << 20;
    let mut skipped = 0;
    for one in report["measured"].as_array().unwrap() {
        match one["skipped"].as_str() {
            Some(why) => {
                assert!(why.contains("of a limit of"), "{why}");
                assert_eq!(one["rounds"].as_array().unwrap().len(), 0);
                skipped += 1;
            }
            None => assert!(one["planned"].as_u64().unwrap() <= limit, "{one}"),
        }
    }
    assert!(skipped > 0);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_with_a_report() {
    let home = Home::new();
    let mut command = home.command(&["tune", "--minutes", "5", "--generate", "200"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let book = home.0.path().join("CACHE/tritone/tune");
    let begin = Instant::now();
    while !book.is_dir() && begin.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.contains("interrupted"), "{out}");
}
