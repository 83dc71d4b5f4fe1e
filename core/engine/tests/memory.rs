//! What a model takes in memory, as the system counts it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod common;

use std::sync::{Mutex, PoisonError};

use common::{best_kernel, tiny};
use tritone_engine::{Capacity, Runner, RunnerOptions, Slice, Want};

/// A line of `/proc/self/status`, in bytes.
fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

/// The numbers are those of the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn locked_memory_is_locked_or_it_is_said() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
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

/// The plan, without its allowance for the program, is what loading and a full step make resident.
#[test]
fn the_plan_is_what_the_system_counts() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let capacity = Capacity {
        logit_rows: 256,
        ..Capacity::new(16_384, 1, 1024)
    };
    let model = tiny();
    let head = model.recipe().vocab * model.recipe().hidden * 2;
    let before = status("VmRSS:");
    let options = RunnerOptions::new(best_kernel(), capacity);
    let mut runner = Runner::load(model, options, &mut |_| true).unwrap();
    let plan = runner.plan().clone();
    let planned = plan.total() - plan.program;
    assert!(planned > 60 << 20 && plan.head == head as u64, "{plan}");
    let first = runner.reserve(1024).unwrap();
    let rest = runner.reserve(16_384 - 1024).unwrap();
    let tokens: Vec<u32> = (0..1024).map(|i| i % 2000).collect();
    for (start, want) in [(0, Want::Nothing), (768, Want::All)] {
        let slice = Slice {
            tokens: &tokens[start..],
            start,
            pages: &first,
            want,
        };
        runner.step(&[slice]).unwrap();
    }
    runner.repeat_page(&first, &rest).unwrap();
    let resident = status("VmRSS:") - before;
    // Stacks and what the allocator holds.
    let slack = 3 << 20;
    assert!(
        resident <= planned + slack && resident + slack >= planned / 100 * 97,
        "{resident} bytes are resident, {plan}"
    );
    drop(runner);
}
