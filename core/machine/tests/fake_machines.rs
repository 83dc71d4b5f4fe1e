//! Machines built out of plain files, from the ordinary to the nonsensical.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that cannot build its files fails the test"
)]

mod fake;

use fake::Fake;
use proptest::prelude::*;
use tritone_machine::{
    Machine, choose_threads, peak_resident_bytes_at, resident_bytes_at, spread_cpus_at,
};

#[test]
fn cores_and_cpus() {
    let machine = Fake::new().with_cores(4).detect();
    assert_eq!((machine.logical_cpus, machine.physical_cores), (8, 4));
    assert_eq!((machine.allowed_cpus, machine.allowed_cores), (8, 4));
    assert_eq!((machine.usable_threads, machine.default_threads), (8, 4));
}

#[test]
fn affinity_narrows_cpus_and_cores() {
    // CPUs 0 and 4 are the two threads of core 0.
    let machine = Fake::new()
        .with_cores(4)
        .file(
            "/proc/self/status",
            "Name:\tx\nCpus_allowed:\t13\nCpus_allowed_list:\t0-1,4\n",
        )
        .detect();
    assert_eq!((machine.allowed_cpus, machine.allowed_cores), (3, 2));
    assert_eq!((machine.usable_threads, machine.default_threads), (3, 2));
    let choice = choose_threads(Some(6), &machine);
    assert_eq!(choice.threads, 3);
    let note = choice.note.unwrap();
    assert!(note.contains("6 threads asked, 3 used"), "{note}");
    assert!(
        note.contains("3 of 8 CPUs") && note.contains("taskset"),
        "{note}"
    );
}

#[test]
fn threads_are_spread_over_cores_first() {
    let spread = |fake: &Fake| spread_cpus_at(&fake.roots());
    assert_eq!(spread(&Fake::new().with_cores(2)), [0, 1, 2, 3]);
    // CPU 0 is not allowed: its sibling stands for the core.
    let narrow = Fake::new()
        .with_cores(2)
        .file("/proc/self/status", "Cpus_allowed_list:\t1-3\n");
    assert_eq!(spread(&narrow), [1, 2, 3]);
    // Siblings are neighbours.
    let mut pairs = Fake::new().file("/sys/devices/system/cpu/online", "0-3\n");
    for (cpu, siblings) in ["0-1", "0-1", "2-3", "2-3"].iter().enumerate() {
        let file = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        pairs = pairs.file(&file, siblings);
    }
    assert_eq!(spread(&pairs), [0, 2, 1, 3]);
    assert!(spread(&Fake::new()).is_empty());
}

#[test]
fn cores_from_cpuinfo_when_sys_is_silent() {
    let mut text = String::new();
    for (cpu, package, core) in [(0, 0, 0), (1, 0, 0), (2, 0, 1), (3, 1, 0)] {
        text += &format!(
            "processor\t: {cpu}\nmodel name\t: Example 9000\nphysical id\t: {package}\n\
             core id\t\t: {core}\n\n"
        );
    }
    let machine = Fake::new().file("/proc/cpuinfo", text).detect();
    assert_eq!(machine.cpu, "Example 9000");
    assert_eq!((machine.logical_cpus, machine.physical_cores), (4, 3));
}

#[test]
fn an_arm_processor_is_named_by_its_numbers() {
    let text = "processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n";
    let machine = Fake::new().file("/proc/cpuinfo", text).detect();
    assert_eq!(machine.cpu, "ARM implementer 0x41 part 0xd40");
}

#[test]
fn fractional_quota_rounds_down() {
    let fake = Fake::new()
        .with_cores(8)
        .unified("/pod/app")
        .file("/sys/fs/cgroup/pod/app/cpu.max", "765000 100000\n");
    let machine = fake.detect();
    let quota = machine.cpu_quota.clone().unwrap();
    assert!((quota.cpus - 7.65).abs() < 1e-12);
    assert!(quota.source.ends_with("sys/fs/cgroup/pod/app/cpu.max"));
    assert_eq!((machine.usable_threads, machine.default_threads), (7, 7));

    let choice = choose_threads(Some(8), &machine);
    assert_eq!(choice.threads, 7);
    let note = choice.note.unwrap();
    assert!(note.contains("8 threads asked, 7 used"), "{note}");
    assert!(
        note.contains("7.65 CPUs") && note.contains("cpu.max"),
        "{note}"
    );
    assert!(note.contains("at most 7"), "{note}");
    assert_eq!(choose_threads(Some(7), &machine).note, None);
    assert_eq!(choose_threads(None, &machine).threads, 7);
}

#[test]
fn a_quota_below_one_cpu_leaves_one_thread() {
    let machine = Fake::new()
        .with_cores(2)
        .unified("/")
        .file("/sys/fs/cgroup/cpu.max", "20000 100000\n")
        .detect();
    assert_eq!((machine.usable_threads, machine.default_threads), (1, 1));
}

#[test]
fn the_tightest_ancestor_decides() {
    let machine = Fake::new()
        .with_cores(8)
        .unified("/a/b/c")
        .file("/sys/fs/cgroup/a/cpu.max", "300000 100000\n")
        .file("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n")
        .file("/sys/fs/cgroup/a/b/c/cpu.max", "600000 100000\n")
        .file("/sys/fs/cgroup/a/memory.max", "max\n")
        .file("/sys/fs/cgroup/a/b/memory.max", "1073741824\n")
        .file("/sys/fs/cgroup/a/b/c/memory.max", "4294967296\n")
        .file(
            "/proc/meminfo",
            "MemTotal:       16384 kB\nMemAvailable:    8192 kB\n",
        )
        .detect();
    assert_eq!(machine.cpu_quota.unwrap().threads(), 3);
    let limit = machine.memory.limit.clone().unwrap();
    assert_eq!(limit.bytes, 1 << 30);
    assert!(limit.source.ends_with("a/b/memory.max"));
    assert_eq!(machine.memory.total_bytes, Some(16 << 20));
    assert_eq!(machine.memory.available_bytes, Some(8 << 20));
    assert_eq!(machine.memory.usable_bytes(), Some(16 << 20));
}

#[test]
fn max_means_no_limit() {
    let machine = Fake::new()
        .with_cores(2)
        .unified("/app")
        .file("/sys/fs/cgroup/app/cpu.max", "max 100000\n")
        .file("/sys/fs/cgroup/app/memory.max", "max\n")
        .detect();
    assert_eq!(machine.cpu_quota, None);
    assert_eq!(machine.memory.limit, None);
    assert_eq!(machine.usable_threads, 4);
    let note = choose_threads(Some(64), &machine).note.unwrap();
    assert!(
        note.contains("64 threads asked, 4 used: this machine has 4 CPUs"),
        "{note}"
    );
}

#[test]
fn version_one_nested() {
    let cpu = "/sys/fs/cgroup/cpu,cpuacct";
    let memory = "/sys/fs/cgroup/memory";
    let machine = Fake::new()
        .with_cores(8)
        .version_one("/docker/abc", "/")
        .file(&format!("{cpu}/cpu.cfs_quota_us"), "-1\n")
        .file(&format!("{cpu}/cpu.cfs_period_us"), "100000\n")
        .file(&format!("{cpu}/docker/cpu.cfs_quota_us"), "250000\n")
        .file(&format!("{cpu}/docker/cpu.cfs_period_us"), "50000\n")
        .file(&format!("{cpu}/docker/abc/cpu.cfs_quota_us"), "900000\n")
        .file(&format!("{cpu}/docker/abc/cpu.cfs_period_us"), "100000\n")
        .file(
            &format!("{memory}/memory.limit_in_bytes"),
            "9223372036854771712\n",
        )
        .file(
            &format!("{memory}/docker/abc/memory.limit_in_bytes"),
            "536870912\n",
        )
        .detect();
    assert_eq!(machine.cpu_quota.unwrap().threads(), 5);
    assert_eq!(machine.memory.limit.unwrap().bytes, 512 << 20);
}

#[test]
fn version_one_seen_from_inside_a_container() {
    // The mount shows the container's own group; ancestors appear only in memory.stat.
    let machine = Fake::new()
        .with_cores(8)
        .version_one("/docker/abc", "/docker/abc")
        .file("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n")
        .file("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
        .file(
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "9223372036854771712\n",
        )
        .file(
            "/sys/fs/cgroup/memory/memory.stat",
            "cache 0\nhierarchical_memory_limit 1073741824\nrss 5\n",
        )
        .detect();
    assert_eq!(machine.usable_threads, 2);
    assert_eq!(machine.memory.limit.unwrap().bytes, 1 << 30);
}

#[test]
fn customary_places_without_mountinfo() {
    let machine = Fake::new()
        .with_cores(4)
        .file("/proc/self/cgroup", "0::/app\n")
        .file("/sys/fs/cgroup/app/cpu.max", "200000\n")
        .detect();
    assert_eq!(machine.usable_threads, 2);
}

#[test]
fn a_group_path_does_not_leave_the_mount() {
    let machine = Fake::new()
        .with_cores(4)
        .unified("/../../outside")
        .file("/sys/fs/outside/cpu.max", "100000 100000\n")
        .file("/sys/fs/cgroup/cpu.max", "300000 100000\n")
        .detect();
    assert_eq!(machine.usable_threads, 3);
}

#[test]
fn caches_by_level() {
    let base = "/sys/devices/system/cpu";
    let mut fake = Fake::new().with_cores(1);
    for cpu in 0..2 {
        let entries = [
            (0, "1", "Data", "48K", "0-1"),
            (1, "1", "Instruction", "32K", "0-1"),
            (2, "2", "Unified", "1024K", if cpu == 0 { "0" } else { "1" }),
            (3, "3", "Unified", "32M", "0-1"),
        ];
        for (index, level, kind, size, shared) in entries {
            let dir = format!("{base}/cpu{cpu}/cache/index{index}");
            fake = fake
                .file(&format!("{dir}/level"), level)
                .file(&format!("{dir}/type"), kind)
                .file(&format!("{dir}/size"), size)
                .file(&format!("{dir}/shared_cpu_list"), shared);
        }
    }
    let machine = fake.detect();
    let caches: Vec<_> = machine
        .caches
        .iter()
        .map(|c| (c.level, c.bytes, c.instances))
        .collect();
    assert_eq!(
        caches,
        [(1, 48 << 10, 1), (2, 1 << 20, 2), (3, 32 << 20, 1)]
    );
    assert_eq!(machine.caches[0].to_string(), "L1d 48 KiB x 1");
}

#[test]
fn resident_memory() {
    let fake = Fake::new().file(
        "/proc/self/status",
        "VmHWM:\t   300 kB\nVmRSS:\t   200 kB\n",
    );
    assert_eq!(resident_bytes_at(&fake.roots()), Some(200 * 1024));
    assert_eq!(peak_resident_bytes_at(&fake.roots()), Some(300 * 1024));
    let odd = Fake::new().file(
        "/proc/self/status",
        "VmRSS: 18446744073709551615 kB\nVmHWM: x\n",
    );
    assert_eq!(resident_bytes_at(&odd.roots()), None);
    assert_eq!(peak_resident_bytes_at(&odd.roots()), None);
}

#[test]
fn nothing_at_all_is_one_cpu() {
    let machine = Fake::new().detect();
    assert_eq!(machine.cpu, "unknown");
    assert_eq!((machine.usable_threads, machine.default_threads), (1, 1));
    assert_eq!((machine.logical_cpus, machine.allowed_cores), (1, 1));
    assert_eq!(machine.memory.usable_bytes(), None);
    assert!(machine.caches.is_empty());
}

#[test]
fn a_request_for_no_threads_is_said() {
    let choice = choose_threads(Some(0), &Fake::new().with_cores(2).detect());
    assert_eq!(choice.threads, 1);
    assert!(choice.note.unwrap().contains("0 threads asked"));
}

#[test]
fn this_machine() {
    let machine = Machine::detect();
    assert!(machine.physical_cores >= 1 && machine.physical_cores <= machine.logical_cpus);
    assert!(machine.allowed_cores <= machine.allowed_cpus);
    assert!(machine.default_threads <= machine.usable_threads);
    assert!(machine.usable_threads <= machine.allowed_cpus);
    assert!(machine.memory.total_bytes.unwrap() > 1 << 26);
    let parallelism = std::thread::available_parallelism().unwrap().get();
    assert_eq!(machine.usable_threads, parallelism, "{machine:?}");
    let resident = tritone_machine::resident_bytes().unwrap();
    let peak = tritone_machine::peak_resident_bytes().unwrap_or(resident);
    assert!(resident > 1 << 18 && peak > 1 << 18);
    let json = serde_json::to_value(&machine).unwrap();
    assert_eq!(json["usable_threads"], machine.usable_threads);
    assert!(machine.describe().iter().any(|(label, text)| {
        *label == "threads" && text.contains(&machine.usable_threads.to_string())
    }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn garbage_never_panics(
        kernel_file in prop::collection::vec(any::<u8>(), 0..200),
        limit in "[0-9]{0,25} ?[0-9]{0,25}|max|-[0-9]{1,30}",
        group in "[0-9]{0,2}:(cpu|memory|cpu,memory)?:/?[a-z./]{0,20}",
        mount in "[0-9 /:a-z\\\\]{0,40} - (cgroup|cgroup2) [a-z ,]{0,20}",
        list in "[0-9,-]{0,12}",
    ) {
        let machine = Fake::new()
            .file("/proc/cpuinfo", &kernel_file)
            .file("/proc/meminfo", &kernel_file)
            .file("/proc/self/status", format!("Cpus_allowed_list: {list}"))
            .file("/proc/self/cgroup", format!("{group}\n0::/x\n"))
            .file("/proc/self/mountinfo", format!(
                "{mount}\n1 2 3:4 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n\
                 1 2 3:4 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
            ))
            .file("/sys/fs/cgroup/x/cpu.max", &limit)
            .file("/sys/fs/cgroup/x/memory.max", &limit)
            .file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", &limit)
            .file("/sys/fs/cgroup/cpu/cpu.cfs_period_us", &limit)
            .file("/sys/devices/system/cpu/online", &list)
            .file("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list", &kernel_file)
            .file("/sys/devices/system/cpu/cpu0/cache/index0/type", &kernel_file)
            .detect();
        prop_assert!(machine.usable_threads >= 1);
        prop_assert!(machine.usable_threads <= machine.logical_cpus);
        prop_assert!(machine.default_threads <= machine.usable_threads);
        if let Some(quota) = machine.cpu_quota {
            prop_assert!(quota.cpus > 0.0 && quota.cpus.is_finite());
        }
    }
}
