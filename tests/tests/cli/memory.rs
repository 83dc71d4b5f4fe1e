//! A profile's memory limit bounds what the process holds, to the end of the context.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::program::{command, run};

/// Makes a model for measurements.
fn synth(directory: &TempDir, shape: &str, layers: &str) -> String {
    let path = directory.path().join(format!("{shape}.gguf"));
    let path = path.to_str().unwrap().to_owned();
    run(&[
        "synth", "--shape", shape, "--layers", layers, "--out", &path,
    ])
    .ok();
    path
}

/// The most that process `id` held in memory, in bytes; `None` once it has ended.
fn most_resident(id: u32) -> Option<u64> {
    let status = fs::read_to_string(Path::new("/proc").join(id.to_string()).join("status"));
    let status = status.ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Runs the model to the end of its context under `flags`: the peak of the process stays below its plan,
/// and the plan, which is at least `share` per cent of the limit, below the limit.
#[expect(clippy::print_stdout, reason = "a test says what it measured")]
fn fills_its_context_within(limit: u64, share: u64, model: &str, words: usize, flags: &[&str]) {
    let limit = limit << 20;
    let all = |first: &[&str]| {
        let model = ["--model", model, "--pack-cache", "off"];
        [first, &model, flags].concat().join("\n")
    };
    let inspect = all(&["inspect", "--json"]);
    let report = run(&inspect.split('\n').collect::<Vec<_>>()).json();
    let memory = &report["model"]["memory"];
    assert_eq!(memory["limit"], limit, "{memory}");
    let plan = memory["total"].as_u64().unwrap();
    assert!(plan <= limit && plan * 100 >= limit * share, "{memory}");

    let prompt = "a ".repeat(words);
    let answer = all(&["run", "--json", "--raw", "--ignore-eos"]);
    let mut arguments: Vec<_> = answer.split('\n').collect();
    arguments.push(&prompt);
    let mut child = command(&arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = most_resident(child.id()).unwrap_or(peak).max(peak);
        thread::sleep(Duration::from_millis(3));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["finish_reason"], "context", "{said}");
    let mib = |bytes: u64| bytes >> 20;
    println!("peak {} MiB of a plan of {} MiB", mib(peak), mib(plan));
    assert!(peak > plan / 2, "{} MiB: nothing was measured", mib(peak));
    assert!(
        peak <= plan,
        "{} MiB were resident, {} MiB are planned",
        mib(peak),
        mib(plan)
    );
}

#[test]
fn a_full_context_stays_under_the_limits_of_mobile_and_edge() {
    let directory = TempDir::new().unwrap();
    let model = synth(&directory, "2b4t", "1");
    // The head as it stands in the file.
    let edge = ["--profile", "edge", "--memory", "1024", "--ctx", "448"];
    fills_its_context_within(1024, 60, &model, 300, &edge);
    // A head that is converted, so that rows of the embedding are read from the file.
    let mobile = ["--profile", "mobile", "--memory", "512", "--ctx", "448"];
    let mobile = [&mobile[..], &["--head", "q6", "--kv", "q8"]].concat();
    fills_its_context_within(512, 60, &model, 300, &mobile);

    // Below what it takes, and at what is then proposed.
    let with = |flags: &[&str]| {
        let all = [
            "run",
            "--model",
            &model,
            "--profile",
            "edge",
            "--memory",
            "512",
        ];
        run(&[&all[..], flags, &["-n", "1", "hello"]].concat())
    };
    let refused = with(&["--ctx", "448"]);
    let flags = refused.err.split("; `").nth(1);
    let flags = flags.and_then(|rest| rest.split('`').next());
    let flags = flags
        .unwrap_or_else(|| panic!("no remedy: {}", refused.err))
        .to_owned();
    refused.fails(
        3,
        &[
            "weights",
            "head",
            "KV cache",
            "scratch",
            "program",
            "of a limit of 512 MiB",
        ],
    );
    let flags: Vec<_> = flags.split(' ').collect();
    let flags = match flags.contains(&"--ctx") {
        true => flags,
        false => [&flags[..], &["--ctx", "448"]].concat(),
    };
    with(&flags).ok();
}

/// Takes minutes without optimisation.
#[test]
#[ignore = "takes minutes: run by hand with `cargo test --test cli -- --ignored memory`"]
fn a_full_context_stays_under_the_limits_of_server_and_cloud() {
    let directory = TempDir::new().unwrap();
    let model = synth(&directory, "trilm-830m", "8");
    // Most of it is the KV cache.
    let server = ["--profile", "server", "--memory", "2048", "--ctx", "12288"];
    let server = [&server[..], &["--kv", "f32"]].concat();
    fills_its_context_within(2048, 60, &model, 11_000, &server);
    let cloud = ["--profile", "cloud", "--memory", "4096", "--ctx", "28672"];
    let cloud = [&cloud[..], &["--kv", "f32"]].concat();
    fills_its_context_within(4096, 60, &model, 26_000, &cloud);
}
