//! Machines built out of plain files, and what the doctor says of them.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tritone_machine::{EnergyMeter, Machine, NoEnergy, Roots};

use super::finding::{Finding, Level};
use super::machine::{Wanted, energy, findings, reach};
use super::report::text;
use super::terminal::{self, Terminal};
use super::{machine, places};
use crate::cli::reach::Reach;

/// The machine of these files, given as on the machine.
fn fake(files: &[(&str, &str)], isa: &[&'static str]) -> Machine {
    let directory = TempDir::new().unwrap();
    for (path, content) in files {
        let path = directory.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let roots = Roots {
        proc: directory.path().join("proc"),
        sys: directory.path().join("sys"),
    };
    let mut machine = Machine::detect_at(&roots);
    machine.arch = "x86_64";
    machine.isa = isa.to_vec();
    // The files lie somewhere else each time.
    let shown = |path: &Path| {
        let below = path.strip_prefix(&roots.sys).unwrap();
        Path::new("/sys").join(below)
    };
    if let Some(quota) = &mut machine.cpu_quota {
        quota.source = shown(&quota.source);
    }
    if let Some(limit) = &mut machine.memory.limit {
        limit.source = shown(&limit.source);
    }
    machine
}

fn wanted(threads: usize, mib: u64) -> Wanted {
    Wanted {
        threads,
        lowered: None,
        memory: mib << 20,
        profile: "server".to_owned(),
        locks: false,
    }
}

fn level(findings: &[Finding], name: &str) -> Level {
    let mut found = findings.iter().filter(|finding| finding.name == name);
    found.next().unwrap_or_else(|| panic!("no {name}")).level
}

const FAST: &[&str] = &["avx2", "fma", "f16c", "avx512f", "avx512vnni"];

/// A workstation with nothing to say about.
fn workstation() -> Vec<(&'static str, &'static str)> {
    vec![
        (
            "/proc/cpuinfo",
            "processor : 0\nmodel name : Example 9000\ncore id : 0\n\nprocessor : 1\ncore id : 1\n",
        ),
        (
            "/proc/meminfo",
            "MemTotal: 33554432 kB\nMemAvailable: 25165824 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
        ),
        ("/proc/loadavg", "0.10 0.20 0.30 1/100 1\n"),
        ("/sys/devices/system/cpu/online", "0-1\n"),
        (
            "/sys/kernel/mm/transparent_hugepage/enabled",
            "[always] madvise never\n",
        ),
        (
            "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
            "performance\n",
        ),
        ("/sys/class/hwmon/hwmon0/name", "k10temp\n"),
        ("/sys/class/hwmon/hwmon0/temp1_input", "51000\n"),
    ]
}

#[test]
fn a_sound_workstation() {
    let machine = fake(&workstation(), FAST);
    let mut all = findings(&machine, &wanted(2, 2048));
    let known = [
        Reach {
            threads: 1,
            read: 31e9,
            macs: 450e9,
            unix_time: 1_795_392_000,
        },
        Reach {
            threads: 2,
            read: 48e9,
            macs: 850e9,
            unix_time: 1_795_392_000,
        },
    ];
    all.push(reach("avx512", Some(&known), None));
    all.push(energy(&Err(NoEnergy::Absent)));
    assert!(
        all.iter().all(|finding| finding.level == Level::Ok),
        "{all:?}"
    );
    insta::assert_snapshot!(text(&all, 90, false));
}

#[test]
fn a_container_with_half_of_everything() {
    let mut files = workstation();
    files.extend([
        ("/proc/self/cgroup", "0::/pod\n"),
        (
            "/proc/self/mountinfo",
            "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        ),
        ("/sys/fs/cgroup/pod/cpu.max", "150000 100000\n"),
        ("/sys/fs/cgroup/pod/memory.max", "1073741824\n"),
        (
            "/proc/self/limits",
            "Max address space         1610612736           unlimited            bytes\n\
             Max locked memory         65536                65536                bytes\n",
        ),
        ("/proc/sys/vm/overcommit_memory", "2\n"),
    ]);
    let machine = fake(&files, FAST);
    let mut wanted = wanted(1, 2048);
    wanted.lowered = tritone_machine::choose_threads(Some(8), &machine).note;
    wanted.locks = true;
    let all = findings(&machine, &wanted);
    for name in ["threads", "memory limit", "address space", "locked memory"] {
        assert_eq!(level(&all, name), Level::Warning, "{name}");
    }
    assert_eq!(level(&all, "CPU quota"), Level::Note);
    insta::assert_snapshot!(text(&all, 90, false));
}

#[test]
fn a_tired_laptop() {
    let mut files = workstation();
    files.retain(|(path, _)| !path.contains("cpufreq") && !path.contains("hugepage"));
    files.extend([
        (
            "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
            "powersave\n",
        ),
        (
            "/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver",
            "acpi-cpufreq\n",
        ),
        (
            "/sys/kernel/mm/transparent_hugepage/enabled",
            "always madvise [never]\n",
        ),
        ("/sys/class/power_supply/BAT0/type", "Battery\n"),
        ("/sys/class/power_supply/BAT0/status", "Discharging\n"),
        ("/sys/class/power_supply/BAT0/capacity", "12\n"),
        ("/sys/class/hwmon/hwmon0/temp1_max", "54000\n"),
        ("/sys/class/thermal/cooling_device0/type", "Processor\n"),
        ("/sys/class/thermal/cooling_device0/cur_state", "3\n"),
        ("/proc/loadavg", "5.00 2.0 1.0 1/100 1\n"),
        (
            "/proc/meminfo",
            "MemTotal: 2097152 kB\nMemAvailable: 524288 kB\nSwapTotal: 2048 kB\nSwapFree: 0 kB\n",
        ),
    ]);
    let machine = fake(&files, &[]);
    let mut all = findings(&machine, &wanted(2, 1024));
    let locked = NoEnergy::Forbidden("/sys/class/powercap/intel-rapl:0/energy_uj".into());
    all.push(energy(&Err(locked)));
    all.push(reach(
        "scalar",
        None,
        Some("the measurements cannot be used: EOF".to_owned()),
    ));
    for name in [
        "instruction sets",
        "memory",
        "huge pages",
        "clock",
        "temperature",
        "throttling",
        "battery",
        "load average",
    ] {
        assert_eq!(level(&all, name), Level::Warning, "{name}");
    }
    assert_eq!(level(&all, "energy"), Level::Note);
    insta::assert_snapshot!(text(&all, 70, false));
}

#[test]
fn two_kinds_of_cores_and_a_clock_that_is_held() {
    let mut files = workstation();
    files.extend([
        ("/sys/devices/system/cpu/online", "0-7\n"),
        ("/sys/devices/cpu_core/cpus", "0-3\n"),
        ("/sys/devices/cpu_atom/cpus", "4-7\n"),
        (
            "/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver",
            "intel_pstate\n",
        ),
        (
            "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
            "powersave\n",
        ),
        (
            "/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq",
            "2000000\n",
        ),
        (
            "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq",
            "5200000\n",
        ),
    ]);
    let all = findings(&fake(&files, FAST), &wanted(4, 2048));
    insta::assert_snapshot!(text(&all, 100, false));
}

#[test]
fn the_meter_of_this_machine_is_said_one_way_or_another() {
    let found = energy(&EnergyMeter::open());
    assert!(found.level <= Level::Note && !found.value.is_empty());
}

fn seen(variables: &[(&str, &str)], size: Option<(u16, u16)>) -> String {
    let env = |name: &str| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let found = terminal::findings(&Terminal {
        env: &env,
        is_terminal: size.is_some(),
        size,
    });
    text(&found, 80, false)
}

#[test]
fn terminals() {
    insta::assert_snapshot!(
        "terminal_tmux",
        seen(
            &[
                ("TERM", "tmux-256color"),
                ("TERM_PROGRAM", "tmux"),
                ("COLORTERM", "truecolor"),
                ("TMUX", "/tmp/tmux-0/default,1,0"),
                ("SSH_CONNECTION", "a b c d"),
                ("LANG", "de_DE.UTF-8"),
            ],
            Some((120, 40)),
        )
    );
    insta::assert_snapshot!(
        "terminal_dumb",
        seen(
            &[("TERM", "dumb"), ("LC_ALL", "C"), ("LANG", "en_US.UTF-8")],
            Some((30, 5))
        )
    );
    insta::assert_snapshot!("terminal_none", seen(&[("NO_COLOR", "1")], None));
}

#[test]
fn colours_come_with_words() {
    let found = machine::reach("scalar", None, None);
    let plain = text(std::slice::from_ref(&found), 80, false);
    assert!(!plain.contains('\x1b'));
    let painted = text(&[found], 80, true);
    assert!(painted.contains("\x1b[36mnote "), "{painted:?}");
}

#[test]
fn directories() {
    let directory = TempDir::new().unwrap();
    let home = directory.path().to_str().unwrap().to_owned();
    fs::write(directory.path().join("file"), "").unwrap();
    let file = directory.path().join("file").to_str().unwrap().to_owned();
    let found = places::findings(&|name| match name {
        "HOME" => Some(home.clone()),
        "XDG_STATE_HOME" => Some(file.clone()),
        "XDG_DATA_HOME" => Some("relative".to_owned()),
        _ => None,
    });
    let of = |name: &str| found.iter().find(|finding| finding.name == name).unwrap();
    assert_eq!(of("config").value, format!("{home}/.config/tritone"));
    assert_eq!(of("config").level, Level::Ok);
    assert_eq!(of("data").value, format!("{home}/.local/share/tritone"));
    assert_eq!(of("state").level, Level::Warning);
    assert!(of("state").advice.as_ref().unwrap().contains("is a file"));
    let none = places::findings(&|_| None);
    assert_eq!(none.len(), 5);
    assert!(none[..4].iter().all(|finding| finding.level == Level::Note));
}

#[cfg(target_os = "linux")]
#[test]
fn a_cache_in_memory_is_said() {
    let shm = Path::new("/dev/shm");
    if !shm.is_dir() {
        return;
    }
    let found = places::findings(&|name| (name == "HOME").then(|| "/dev/shm".to_owned()));
    let cache = found
        .iter()
        .find(|finding| finding.name == "cache")
        .unwrap();
    assert_eq!(cache.level, Level::Note);
    assert!(cache.advice.as_ref().unwrap().contains("tmpfs"));
}
