//! What a model takes in memory, as the system counts it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod common;

use common::{best_kernel, tiny};
use tritone_engine::{Capacity, Runner, RunnerOptions};

/// A line of `/proc/self/status`, in bytes.
fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

#[test]
fn locked_memory_is_locked_or_it_is_said() {
    let before = status("VmLck:");
    let options = RunnerOptions {
        mlock: true,
        ..RunnerOptions::new(best_kernel(), Capacity::new(512, 1, 64))
    };
    let runner = Runner::load(tiny(), options, &mut |_| true).unwrap();
    let plan = runner.plan();
    let wanted = plan.weights + plan.head + plan.kv;
    match runner.notices() {
        [] => assert!(status("VmLck:") - before >= wanted),
        [notice] => {
            assert!(notice.contains("memory is not locked"), "{notice}");
            assert!(notice.contains("ulimit -l"), "{notice}");
        }
        more => panic!("{more:?}"),
    }
    drop(runner);
    assert!(status("VmLck:") < before + wanted, "given back");
}
