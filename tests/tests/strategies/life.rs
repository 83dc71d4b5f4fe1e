//! Nothing is left behind, however Tritone ends.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tritone_strategy::{ModelRef, State, Strategy as _};
use tritone_tests::tritone;

use crate::harness::{Fake, model, runs, settings, until};

/// The command line of a process, its words joined by blanks.
fn command_line(pid: u64) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// Runs the program with a model at the fake server, ends it by `signal` in the middle of an answer, and looks that
/// nothing is left.
fn ended_by(signal: &str) {
    let fake = Fake::new(&[]);
    let config = fake.place.path().join("config/tritone");
    std::fs::create_dir_all(&config).unwrap();
    let command = settings(fake.place.path(), &["--grandchild", "--stubborn"]).command;
    let command = serde_json::to_string(&command).unwrap();
    let text = format!("[strategies.bitnet-cpp]\ncommand = {command}\n");
    std::fs::write(config.join("config.toml"), text).unwrap();
    let ModelRef::File(file) = model() else {
        unreachable!()
    };
    let mut program = Command::new(tritone())
        .args(["run", "--strategy", "bitnet.cpp", "slow", "--model"])
        .arg(file)
        .env("XDG_CONFIG_HOME", fake.place.path().join("config"))
        .env("XDG_DATA_HOME", fake.place.path())
        .env("XDG_CACHE_HOME", fake.place.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 2];
    let read = program.stdout.take().unwrap().read_exact(&mut first);
    if read.is_err() {
        let mut said = String::new();
        program
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        panic!("no answer: {said}");
    }
    let pids = fake.pids();
    assert_eq!(pids.len(), 2, "a server and its child");
    assert!(pids.iter().all(|pid| runs(*pid)));
    let guards = parents_of(&pids);
    let line = command_line(guards[0]);
    assert!(line.starts_with("tritone guard-child -- "), "{line}");
    let pid = program.id().to_string();
    let sent = Command::new("kill").args([signal, &pid]).status();
    assert!(sent.unwrap().success());
    program.wait().unwrap();
    until("all are gone", || {
        pids.iter().chain(&guards).all(|pid| !runs(*pid))
    });
}

#[test]
fn killed_tritone_leaves_no_process() {
    // Nothing can be caught or cleaned up.
    ended_by("-KILL");
}

#[test]
fn tritone_that_is_asked_to_end_leaves_no_process() {
    ended_by("-TERM");
    ended_by("-INT");
}

/// The process that started the first of `pids`: the guard.
fn parents_of(pids: &[u64]) -> Vec<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pids[0])).unwrap();
    let parent = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))
        .unwrap();
    vec![parent.trim().parse().unwrap()]
}

#[test]
fn shutdown_and_drop_leave_no_process() {
    let fake = Fake::deployed(&["--grandchild"]);
    let pids = fake.pids();
    let started = Instant::now();
    fake.strategy.shutdown();
    assert!(pids.iter().all(|pid| !runs(*pid)));
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "it was asked before it was killed"
    );
    assert_eq!(fake.strategy.health().state, State::Off);
    assert_eq!(fake.strategy.performance_metrics().resident_bytes, None);
    // It can deploy again, and is ended when it is dropped; one that does not want to end is killed.
    let stubborn = Fake::deployed(&["--grandchild", "--stubborn"]);
    let pids = stubborn.pids();
    assert!(pids.iter().all(|pid| runs(*pid)));
    let Fake { strategy, place } = stubborn;
    drop(strategy);
    assert!(pids.iter().all(|pid| !runs(*pid)));
    drop(place);
}

#[test]
fn a_guard_that_is_killed_takes_its_group_with_it() {
    let fake = Fake::deployed(&["--grandchild"]);
    let pids = fake.pids();
    let guard = parents_of(&pids)[0];
    let killed = Command::new("kill")
        .args(["-9", &guard.to_string()])
        .status();
    assert!(killed.unwrap().success());
    until("its group is gone", || pids.iter().all(|pid| !runs(*pid)));
    until("another runs", || fake.strategy.health().is_ready());
}

#[test]
fn a_server_sees_nothing_of_ours_and_nobody_sees_its_key() {
    let fake = Fake::deployed(&[]);
    let record = fake.record();
    let start = &record[0];
    let pid = start["pid"].as_u64().unwrap();
    let guard = parents_of(&[pid])[0];
    let environ = std::fs::read(format!("/proc/{guard}/environ")).unwrap();
    let environ = String::from_utf8_lossy(&environ);
    let allowed = |name: &str| {
        [
            "PATH",
            "HOME",
            "USER",
            "LANG",
            "LC_ALL",
            "TMPDIR",
            "API_KEY",
            "LLAMA_API_KEY",
        ]
        .contains(&name)
            || [
                "PYTHON",
                "OPENBLAS_",
                "LD_LIBRARY_",
                "SSL_CERT_FILE",
                "HF_HOME",
                "XDG_CACHE_",
                "VIRTUAL_ENV",
                "OMP_",
                "CUDA_",
            ]
            .iter()
            .any(|beginning| name.starts_with(beginning))
    };
    for (name, _) in environ.split('\0').filter_map(|pair| pair.split_once('=')) {
        assert!(allowed(name), "{name}");
    }
    // Cargo sets many for its tests.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    assert_eq!(start["directory"], "/");
    let key = environ
        .split('\0')
        .find_map(|pair| pair.strip_prefix("LLAMA_API_KEY="))
        .unwrap();
    assert_eq!(key.len(), 32);
    for pid in [pid, guard] {
        assert!(!command_line(pid).contains(key));
    }
    let memory = fake.strategy.performance_metrics().resident_bytes.unwrap();
    assert!((4 << 20..1 << 30).contains(&memory), "{memory}");
}

#[test]
fn a_guard_is_not_for_everybody() {
    // In the group of the test itself: ending that would end the tests.
    let output = Command::new(tritone())
        .args(["guard-child", "--", "true"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(4),
        "a request that is not possible"
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("for Tritone itself"), "{said}");
}
