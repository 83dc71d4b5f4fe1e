//! CPU use: of the machine within the CPUs this process may use, of its control group, of itself.
//!
//! Counters of CPU time only grow, so use is a difference between two readings. Formats:
//! proc_stat(5) for `/proc/stat`, proc_pid_stat(5) for `/proc/self/stat`, the kernel's
//! `cgroup-v2.rst` (`cpu.stat`) and `cgroup-v1/cpuacct.rst`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::cgroup::{self, GroupTime};
use crate::cpu;
use crate::roots::Roots;

/// Ticks a second in `/proc`: `USER_HZ`, 100 on every architecture this program runs on.
const TICKS_PER_SECOND: u64 = 100;

/// CPU use of an interval.
#[derive(Debug, Clone, PartialEq)]
pub struct CpuUse {
    /// Per cent of what this process might use that is in use, by whomever: of the quota of the
    /// control group that has the tightest one, else of the allowed CPUs.
    pub total: Option<f64>,
    /// Per cent of the same whole that this process used.
    pub process: Option<f64>,
    /// The allowed CPUs by number, and the per cent of each that is in use; empty where the system
    /// does not tell.
    pub cpus: Vec<(usize, f64)>,
}

/// CPU times at a moment.
#[derive(Debug, Clone, Default, PartialEq)]
struct Reading {
    at: Duration,
    /// Of each allowed CPU, in ticks: busy, and all.
    cpus: BTreeMap<usize, (u64, u64)>,
    /// Of this process, all its threads.
    process: Option<Duration>,
    /// Of the control group with the tightest quota.
    group: Option<GroupTime>,
}

impl Reading {
    fn take(roots: &Roots, at: Duration) -> Self {
        let mut cpus = roots
            .read_proc("stat")
            .map(|text| parse_stat(&text))
            .unwrap_or_default();
        let allowed = cpu::allowed_cpus(roots);
        if !allowed.is_empty() {
            cpus.retain(|cpu, _| allowed.contains(cpu));
        }
        Self {
            at,
            cpus,
            process: process_time(roots, "self"),
            group: cgroup::group_time(roots),
        }
    }

    /// The use between `earlier` and this reading; `None` if no time has passed.
    fn since(&self, earlier: &Self) -> Option<CpuUse> {
        let wall = self.at.checked_sub(earlier.at).filter(|t| !t.is_zero())?;
        let cpus: Vec<(usize, f64)> = self
            .cpus
            .iter()
            .filter_map(|(&cpu, &(busy, all))| {
                let (busy_then, all_then) = earlier.cpus.get(&cpu)?;
                // Some systems let counters go back a little; a virtual machine may not count at all.
                let all = all.checked_sub(*all_then).filter(|&all| all > 0)?;
                let busy = busy.saturating_sub(*busy_then).min(all);
                Some((cpu, (100.0 * busy as f64 / all as f64).min(100.0)))
            })
            .collect();
        let group = match (&self.group, &earlier.group) {
            (Some(now), Some(then)) if now.source == then.source => {
                now.used.checked_sub(then.used).map(|used| (used, now.cpus))
            }
            _ => None,
        };
        let own = self
            .process
            .zip(earlier.process)
            .and_then(|(now, then)| now.checked_sub(then));
        let percent = |used: Duration, cpus: f64| {
            (100.0 * used.as_secs_f64() / wall.as_secs_f64() / cpus).clamp(0.0, 100.0)
        };
        let (total, whole) = match group {
            Some((used, quota)) => (Some(percent(used, quota)), Some(quota)),
            None if cpus.is_empty() => (None, None),
            None => {
                let sum: f64 = cpus.iter().map(|(_, percent)| percent).sum();
                let count = cpus.len() as f64;
                (Some(sum / count), Some(count))
            }
        };
        Some(CpuUse {
            total,
            process: own.zip(whole).map(|(used, cpus)| percent(used, cpus)),
            cpus,
        })
    }
}

/// Busy and all ticks of every CPU in `/proc/stat`.
fn parse_stat(text: &str) -> BTreeMap<usize, (u64, u64)> {
    let line = |line: &str| {
        let mut words = line.strip_prefix("cpu")?.split_ascii_whitespace();
        let cpu = words.next()?.parse::<usize>().ok()?;
        // user nice system idle iowait irq softirq steal; guest time is in user time already.
        let times: Vec<u64> = words.map_while(|word| word.parse().ok()).take(8).collect();
        let all = times
            .iter()
            .fold(0_u64, |sum, time| sum.saturating_add(*time));
        let idle = times.get(3)?.saturating_add(*times.get(4).unwrap_or(&0));
        Some((cpu, (all.saturating_sub(idle), all)))
    };
    // The sum of all comes first, as "cpu" and a space.
    text.lines()
        .take_while(|text| text.starts_with("cpu"))
        .filter(|text| !text.starts_with("cpu "))
        .filter_map(line)
        .collect()
}

/// Processor time of a process, all its threads: `self`, or its number.
pub(crate) fn process_time(roots: &Roots, process: &str) -> Option<Duration> {
    parse_process(&roots.read_proc(&format!("{process}/stat"))?)
}

/// User and system time of a process from `/proc/PID/stat`.
fn parse_process(text: &str) -> Option<Duration> {
    // The name of the program comes second, in parentheses, and may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let mut words = rest.split_ascii_whitespace();
    let user = words.nth(11)?.parse::<u64>().ok()?;
    let system = words.next()?.parse::<u64>().ok()?;
    let ms = user
        .checked_add(system)?
        .checked_mul(1000 / TICKS_PER_SECOND)?;
    Some(Duration::from_millis(ms))
}

/// Tells how much CPU time is used, from one look to the next.
pub struct CpuWatch {
    roots: Roots,
    start: Instant,
    earlier: Reading,
    /// Where there is no `/proc/stat`.
    portable: Option<Portable>,
}

/// What `sysinfo` knows.
struct Portable {
    system: sysinfo::System,
    pid: Option<sysinfo::Pid>,
}

impl Portable {
    fn new() -> Option<Self> {
        let mut portable = Self {
            system: sysinfo::System::new().ok()?,
            pid: sysinfo::get_current_pid().ok(),
        };
        portable.refresh();
        Some(portable)
    }

    fn refresh(&mut self) {
        self.system.refresh_cpu_usage();
        if let Some(pid) = self.pid {
            self.system.refresh_processes_specifics(
                sysinfo::ProcessesToUpdate::Some(&[pid]),
                false,
                sysinfo::ProcessRefreshKind::nothing().with_cpu(),
            );
        }
    }

    fn look(&mut self) -> CpuUse {
        self.refresh();
        let cpus: Vec<(usize, f64)> = self
            .system
            .cpus()
            .iter()
            .map(|cpu| f64::from(cpu.usage()).clamp(0.0, 100.0))
            .enumerate()
            .collect();
        let count = cpus.len() as f64;
        let known = !cpus.is_empty();
        let own = self
            .pid
            .and_then(|pid| self.system.process(pid))
            .map(|process| f64::from(process.cpu_usage()));
        CpuUse {
            total: known.then(|| cpus.iter().map(|(_, percent)| percent).sum::<f64>() / count),
            process: own
                .filter(|_| known)
                .map(|percent| (percent / count).clamp(0.0, 100.0)),
            cpus,
        }
    }
}

impl CpuWatch {
    /// Begins to watch this system.
    #[must_use]
    pub fn new() -> Self {
        let roots = Roots::system();
        let portable = if roots.read_proc("stat").is_none() {
            Portable::new()
        } else {
            None
        };
        Self {
            portable,
            ..Self::over(roots)
        }
    }

    /// Begins to watch the system described by the files under `roots`, and nothing else.
    #[must_use]
    pub fn over(roots: Roots) -> Self {
        Self {
            earlier: Reading::take(&roots, Duration::ZERO),
            roots,
            start: Instant::now(),
            portable: None,
        }
    }

    /// The use since the look before, or since the beginning. Reads some small files; `None` if no
    /// time has passed.
    pub fn look(&mut self) -> Option<CpuUse> {
        match &mut self.portable {
            Some(portable) => Some(portable.look()),
            None => self.look_at(self.start.elapsed()),
        }
    }

    /// [`look`](Self::look), where it is `at` since the beginning.
    pub fn look_at(&mut self, at: Duration) -> Option<CpuUse> {
        let now = Reading::take(&self.roots, at);
        let used = now.since(&self.earlier);
        self.earlier = now;
        used
    }
}

impl Default for CpuWatch {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_files_of_proc() {
        let text = "cpu  10 0 20 70 0 0 0 0 0 0\n\
                    cpu0 4 1 10 30 5 1 1 2 3 0\n\
                    cpu12 1 2 3\n\
                    cpu3 6 0 10 40\n\
                    intr 5 6\ncpu9 1 1 1 1\n";
        let cpus: Vec<_> = parse_stat(text).into_iter().collect();
        assert_eq!(cpus, [(0, (19, 54)), (3, (16, 56))]);
        let process = "71 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 9";
        assert_eq!(parse_process(process), Some(Duration::from_secs(3)));
        assert_eq!(parse_process("71 (a) R 1 2"), None);
    }

    #[test]
    fn a_busy_thread_is_seen() {
        let mut watch = CpuWatch::new();
        let start = Instant::now();
        let mut spins = 0_u64;
        while start.elapsed() < Duration::from_millis(120) {
            spins = std::hint::black_box(spins.wrapping_add(1));
        }
        let used = watch.look().unwrap();
        for percent in [used.total, used.process].into_iter().flatten() {
            assert!((0.0..=100.0).contains(&percent), "{used:?}");
        }
        assert!(used.process.is_none_or(|percent| percent > 0.0), "{used:?}");
        assert!(
            used.cpus
                .iter()
                .all(|(_, percent)| (0.0..=100.0).contains(percent))
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(cpu[ 0-9]{0,30}\n|\\PC{0,20}\n){0,6}") {
            for (busy, all) in parse_stat(&text).into_values() {
                prop_assert!(busy <= all);
            }
            let _ = parse_process(&text);
        }

        #[test]
        fn use_is_per_cent_whatever_the_counters_do(a in any::<[u64; 3]>(), b in any::<[u64; 3]>()) {
            let reading = |[busy, idle, own]: [u64; 3], at| Reading {
                at,
                cpus: BTreeMap::from([(0, (busy, busy.saturating_add(idle)))]),
                process: Some(Duration::from_nanos(own)),
                group: None,
            };
            let then = reading(a, Duration::ZERO);
            prop_assert_eq!(then.since(&then), None);
            let used = reading(b, Duration::from_secs(1)).since(&then).unwrap();
            for percent in [used.total, used.process].into_iter().flatten() {
                prop_assert!((0.0..=100.0).contains(&percent));
            }
        }
    }
}
