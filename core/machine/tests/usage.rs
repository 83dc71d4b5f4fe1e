//! CPU use of machines built out of plain files.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that cannot build its files fails the test"
)]

use std::fs;
use std::time::Duration;

use tempfile::TempDir;
use tritone_machine::{CpuUse, CpuWatch, Roots};

/// Writes the files of a machine at a moment.
fn write(dir: &TempDir, files: &[(&str, String)]) {
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// Four CPUs of which this process may use 1 and 2; a second of wall time in ten.
fn files(busy: [u64; 4], seconds: u64, own: u64) -> Vec<(&'static str, String)> {
    let mut stat = "cpu  1 1 1 1\n".to_owned();
    for (cpu, busy) in busy.iter().enumerate() {
        let idle = 100 * seconds - busy;
        stat += &format!("cpu{cpu} {busy} 0 0 {idle} 0 0 0 0 0 0\n");
    }
    vec![
        ("proc/stat", stat),
        (
            "proc/self/stat",
            format!("9 (tri tone) R 1 2 3 4 5 6 7 8 9 10 {own} 0 0 0"),
        ),
        ("proc/self/status", "Cpus_allowed_list:\t1-2\n".to_owned()),
        ("sys/devices/system/cpu/online", "0-3\n".to_owned()),
    ]
}

fn between(then: &[(&str, String)], now: &[(&str, String)], seconds: u64) -> Option<CpuUse> {
    let dir = tempfile::tempdir().unwrap();
    write(&dir, then);
    let mut watch = CpuWatch::over(Roots {
        proc: dir.path().join("proc"),
        sys: dir.path().join("sys"),
    });
    write(&dir, now);
    watch.look_at(Duration::from_secs(seconds))
}

#[test]
fn of_the_allowed_cpus_only() {
    let used = between(
        &files([0, 0, 0, 0], 10, 0),
        &files([1000, 500, 100, 1000], 20, 400),
        10,
    );
    let expected = CpuUse {
        total: Some(30.0),
        process: Some(20.0),
        cpus: vec![(1, 50.0), (2, 10.0)],
    };
    assert_eq!(used, Some(expected));
}

#[test]
fn of_the_quota_where_there_is_one() {
    let with = |busy, seconds, own, used: u64| {
        let mut files = files(busy, seconds, own);
        files.extend([
            ("proc/self/cgroup", "0::/box\n".to_owned()),
            (
                "proc/self/mountinfo",
                "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n".to_owned(),
            ),
            ("sys/fs/cgroup/box/cpu.max", "50000 100000\n".to_owned()),
            (
                "sys/fs/cgroup/box/cpu.stat",
                format!("usage_usec {used}\nuser_usec 1\n"),
            ),
        ]);
        files
    };
    // Half a CPU for ten seconds is five; of those four are used, one of them by this process.
    let used = between(
        &with([0; 4], 10, 0, 7_000_000),
        &with([1000; 4], 20, 100, 11_000_000),
        10,
    )
    .unwrap();
    assert_eq!((used.total, used.process), (Some(80.0), Some(20.0)));
    assert_eq!(used.cpus, [(1, 100.0), (2, 100.0)]);
}

#[test]
fn of_a_version_one_quota_from_cpuacct() {
    let with = |busy, seconds, own, used: u64| {
        let mut files = files(busy, seconds, own);
        files.extend([
            (
                "proc/self/cgroup",
                "2:cpuacct:/box\n1:cpu:/box\n0::/\n".to_owned(),
            ),
            (
                "proc/self/mountinfo",
                "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                 33 31 0:30 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n"
                    .to_owned(),
            ),
            (
                "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us",
                "100000\n".to_owned(),
            ),
            (
                "sys/fs/cgroup/cpu/box/cpu.cfs_period_us",
                "100000\n".to_owned(),
            ),
            (
                "sys/fs/cgroup/cpuacct/box/cpuacct.usage",
                format!("{used}\n"),
            ),
        ]);
        files
    };
    let used = between(
        &with([0; 4], 10, 0, 1_000_000_000),
        &with([0; 4], 20, 0, 6_000_000_000),
        10,
    )
    .unwrap();
    assert_eq!((used.total, used.process), (Some(50.0), Some(0.0)));
}

#[test]
fn what_does_not_count_is_unknown() {
    let nothing = between(&[], &[], 1).unwrap();
    assert_eq!((nothing.total, nothing.process), (None, None));
    assert!(nothing.cpus.is_empty());
    // A sandbox that shows zeros, and a CPU that comes and goes.
    let zeros = vec![("proc/stat", "cpu 0 0 0 0\ncpu0 0 0 0 0\n".to_owned())];
    assert_eq!(between(&zeros, &zeros, 1).unwrap().total, None);
    let more = vec![(
        "proc/stat",
        "cpu 0 0 0 0\ncpu0 50 0 0 50\ncpu1 9 9 9 9\n".to_owned(),
    )];
    assert_eq!(between(&zeros, &more, 1).unwrap().cpus, [(0, 50.0)]);
    assert_eq!(between(&zeros, &more, 0), None);
}
