//! Limits of the system: CPU sets, CPU quotas, address space. What cannot be had is lowered or refused,
//! and said.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::program::{Run, command, finish};

const QUESTION: &str = "What is the capital of Peru?";
const ANSWER: &str = "The capital of Peru is Lima.";

/// The program with its arguments behind the words of another program that starts it.
fn behind(starter: &[&str], args: &[&str]) -> Run {
    let inner = command(args);
    let mut outer = Command::new(starter[0]);
    outer.args(&starter[1..]);
    outer.arg(inner.get_program()).args(inner.get_args());
    outer.env_clear().envs(std::env::vars_os());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer.current_dir(inner.get_current_dir().unwrap());
    finish(outer.stdin(Stdio::null()))
}

/// A shell that does something and becomes the program.
fn after(preparation: &str, args: &[&str]) -> Run {
    let script = format!("{preparation}; exec \"$0\" \"$@\"");
    behind(&["sh", "-c", &script], args)
}

#[expect(clippy::print_stdout, reason = "a test says what it left out")]
fn skip(why: &str) {
    println!("not tested: {why}");
}

/// The first CPU that this process may run on.
fn a_cpu() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let first = list.trim().split([',', '-']).next()?;
    Some(first.to_owned())
}

#[test]
fn a_cpu_set_lowers_threads_and_that_is_said() {
    let taskset = Command::new("taskset").arg("--version").output();
    let (Ok(_), Some(cpu)) = (taskset, a_cpu()) else {
        return skip("there is no taskset here");
    };
    let run = behind(
        &["taskset", "-c", &cpu],
        &["run", "--threads", "8", "--json", QUESTION],
    );
    let object = run.json();
    assert_eq!(object["text"], ANSWER);
    assert_eq!(object["threads"], 1);
    let notices = object["notices"].to_string();
    assert!(notices.contains("8 threads asked, 1 used"), "{notices}");
    let report = behind(&["taskset", "-c", &cpu], &["doctor", "--json"]).json();
    assert_eq!(report["machine"]["usable_threads"], 1);
}

/// A control group with a CPU quota, which goes away with this.
struct Group {
    directory: PathBuf,
}

impl Group {
    /// A group with `microseconds` of CPU time in every 100 ms, where groups can be made.
    fn with_quota(microseconds: u32) -> Option<Self> {
        let name = format!("tritone-test-{}-{microseconds}", std::process::id());
        let (base, old) = Self::base()?;
        let group = Self {
            directory: base.join(name),
        };
        fs::create_dir(&group.directory).ok()?;
        let quota = match old {
            true => ("cpu.cfs_quota_us", microseconds.to_string()),
            false => ("cpu.max", format!("{microseconds} 100000")),
        };
        fs::write(group.directory.join(quota.0), quota.1).ok()?;
        Some(group)
    }

    /// A group below which others with quotas can be made, and whether it is of version 1.
    fn base() -> Option<(PathBuf, bool)> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let mounts: Vec<Vec<&str>> = mounts
            .lines()
            .map(|line| line.split(' ').collect())
            .collect();
        let has_cpu = |words: &str| words.split([',', ' ', '\n']).any(|word| word == "cpu");
        let old = mounts
            .iter()
            .find(|mount| mount.len() > 3 && mount[2] == "cgroup" && has_cpu(mount[3]));
        if let Some(mount) = old {
            return Some((PathBuf::from(mount[1]), true));
        }
        let new = mounts
            .iter()
            .find(|mount| mount.len() > 3 && mount[2] == "cgroup2")?;
        let base = Path::new(new[1]);
        let controllers = fs::read_to_string(base.join("cgroup.subtree_control")).ok()?;
        has_cpu(&controllers).then(|| (base.to_owned(), false))
    }

    /// Runs the program in the group.
    fn run(&self, args: &[&str]) -> Run {
        let members = self.directory.join("cgroup.procs");
        after(
            &format!("echo $$ > '{}' || exit 99", members.display()),
            args,
        )
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.directory);
    }
}

#[test]
fn a_cpu_quota_lowers_threads_and_that_is_said() {
    let cpus = std::thread::available_parallelism().unwrap().get();
    // The number of threads asked for is above any quota here.
    for (microseconds, quota, threads) in [(200_000, "2 CPUs", 2), (150_000, "1.5 CPUs", 1)] {
        if cpus < threads {
            skip("this machine has one CPU");
            continue;
        }
        let Some(group) = Group::with_quota(microseconds) else {
            return skip("no control group with a quota can be made here");
        };
        let asked = (8.max(cpus + 1)).to_string();
        let run = group.run(&["run", "--threads", &asked, "--json", QUESTION]);
        if run.code == Some(99) {
            return skip("no process can be moved into a control group here");
        }
        let object = run.json();
        assert_eq!(object["text"], ANSWER);
        assert_eq!(object["threads"], threads);
        let notices = object["notices"].to_string();
        let said = format!("{asked} threads asked, {threads} used: the CPU quota is {quota}");
        assert!(notices.contains(&said), "{notices}");
        assert!(
            notices.contains("tritone-test-"),
            "the file is named: {notices}"
        );

        let report = group.run(&["doctor", "--json", "--threads", &asked]).json();
        assert_eq!(report["machine"]["usable_threads"], threads);
        let findings = report["findings"].as_array().unwrap();
        let threads = findings.iter().find(|finding| finding["name"] == "threads");
        assert_eq!(threads.unwrap()["level"], "warning");
    }
}

#[test]
fn what_does_not_fit_the_address_space_is_refused_with_the_breakdown() {
    let large = ["run", "--memory", "8192", "--ctx", "262144", QUESTION];
    let refused = after("ulimit -v 400000", &large);
    refused.fails(
        3,
        &[
            "KV cache",
            "262144 tokens",
            "of a limit of",
            "memory limit lowered",
            "ulimit -v",
        ],
    );
    // What fits is answered.
    let small = after("ulimit -v 400000", &["run", "--memory", "300", QUESTION]);
    assert_eq!(small.ok().trim_end(), ANSWER);
}

#[test]
fn a_file_beyond_the_address_space_is_an_error_of_the_model() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("large.gguf");
    fs::copy(tritone_tests::tiny().join("tritone-tiny-i2_s.gguf"), &path).unwrap();
    // The length counts, not what is written.
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(1 << 30).unwrap();
    let path = path.to_str().unwrap();
    after("ulimit -v 400000", &["run", "--model", path, QUESTION]).fails(
        3,
        &[
            "large.gguf",
            "1.00 GiB of address space",
            "391 MiB in all",
            "ulimit -v",
        ],
    );
}

#[test]
fn the_program_never_dies_of_a_lack_of_address_space() {
    // From a little more than the program takes to begin at all, to where the answer comes.
    let begins = |kib: &i32| after(&format!("ulimit -v {kib}"), &["--version"]).code == Some(0);
    let least = (40_000..).step_by(4_000).find(begins).unwrap();
    let mut answered = 0;
    for kib in (least + 8_000..=least + 96_000).step_by(8_000) {
        let run = after(
            &format!("ulimit -v {kib}"),
            &["run", "--threads", "2", "--ctx", "1024", QUESTION],
        );
        assert!(!run.err.contains("panicked"), "{kib} KiB: {}", run.err);
        match run.code {
            Some(0) => answered += 1,
            Some(1 | 3) => assert!(run.err.contains("error: "), "{kib} KiB: {}", run.err),
            other => panic!("{kib} KiB: {other:?}: {}", run.err),
        }
    }
    assert!(answered > 0);
}
