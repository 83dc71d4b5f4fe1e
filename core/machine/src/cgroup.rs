//! CPU quota and memory limit of the control groups this process is in, versions 1 and 2.
//!
//! Formats: the kernel's `Documentation/admin-guide/cgroup-v2.rst` (`cpu.max`, `memory.max`),
//! `cgroup-v1/memory.rst` and `scheduler/sched-bwc.rst`; `/proc/self/cgroup` and
//! `/proc/self/mountinfo` as in cgroups(7) and proc_pid_mountinfo(5). A limit holds for everything
//! below it, so the smallest on the way from the process's group up to the mount decides.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::roots::{Roots, read};

/// A bandwidth limit on CPU time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CpuQuota {
    /// CPU time per wall time: 7.65 means seven CPUs and 65 % of an eighth.
    pub cpus: f64,
    /// The file that sets it.
    pub source: PathBuf,
}

impl CpuQuota {
    /// Threads that can run all the time under the quota: rounded down, at least 1.
    ///
    /// A thread more would be stopped by the scheduler inside every period, and all others would
    /// wait for it at the next barrier.
    pub fn threads(&self) -> usize {
        // Parsed quotas are positive and finite; `as` saturates.
        (self.cpus as usize).max(1)
    }
}

impl fmt::Display for CpuQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} CPUs ({})", round2(self.cpus), self.source.display())
    }
}

/// A limit on the memory of this process and its group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemoryLimit {
    /// The limit in bytes.
    pub bytes: u64,
    /// The file that sets it.
    pub source: PathBuf,
}

/// Two decimals at most, for messages.
fn round2(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// The tightest CPU quota above this process, if any.
pub(crate) fn cpu_quota(roots: &Roots) -> Option<CpuQuota> {
    let mut quotas = Vec::new();
    for level in levels(roots, "cpu") {
        let found = match level.version {
            Version::Two => quota_v2(&level.dir),
            Version::One => quota_v1(&level.dir),
        };
        quotas.extend(found);
    }
    quotas.into_iter().min_by(|a, b| a.cpus.total_cmp(&b.cpus))
}

fn quota_v2(dir: &Path) -> Option<CpuQuota> {
    let source = dir.join("cpu.max");
    let text = read(&source)?;
    let mut words = text.split_ascii_whitespace();
    let quota = words.next()?.parse::<u64>().ok()?;
    let period = words
        .next()
        .map_or(Some(100_000), |word| word.parse::<u64>().ok())?;
    quota_of(quota, period, source)
}

fn quota_v1(dir: &Path) -> Option<CpuQuota> {
    let source = dir.join("cpu.cfs_quota_us");
    let quota = read(&source)?.trim().parse::<i64>().ok()?;
    let period = read(&dir.join("cpu.cfs_period_us"))?
        .trim()
        .parse::<u64>()
        .ok()?;
    quota_of(u64::try_from(quota).ok()?, period, source)
}

fn quota_of(quota: u64, period: u64, source: PathBuf) -> Option<CpuQuota> {
    (quota > 0 && period > 0).then(|| CpuQuota {
        cpus: quota as f64 / period as f64,
        source,
    })
}

/// CPU time used by everything in a control group with a quota.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GroupTime {
    /// Since the group was made.
    pub(crate) used: Duration,
    /// The group's quota in CPUs.
    pub(crate) cpus: f64,
    /// The file that tells.
    pub(crate) source: PathBuf,
}

/// The CPU time of the group whose quota is the tightest; `None` without a quota, or where the system
/// does not tell.
pub(crate) fn group_time(roots: &Roots) -> Option<GroupTime> {
    let quota = cpu_quota(roots)?;
    let dir = quota.source.parent()?;
    let found = |source: PathBuf, used: Duration| GroupTime {
        used,
        cpus: quota.cpus,
        source,
    };
    let unified = dir.join("cpu.stat");
    if let Some(text) = read(&unified)
        && let Some(us) = text
            .lines()
            .find_map(|line| line.strip_prefix("usage_usec "))
    {
        return Some(found(
            unified,
            Duration::from_micros(us.trim().parse().ok()?),
        ));
    }
    // In version 1 accounting is a controller of its own, often mounted together with the quota's.
    let beside = std::iter::once(dir.join("cpuacct.usage"));
    let own = levels(roots, "cpuacct")
        .into_iter()
        .filter(|level| level.version == Version::One)
        .map(|level| level.dir.join("cpuacct.usage"));
    // Another hierarchy has other groups; the nearest to the process may hold less than the quota's
    // does, but never something foreign.
    beside.chain(own).find_map(|source| {
        let used = read(&source)?.trim().parse().ok()?;
        Some(found(source, Duration::from_nanos(used)))
    })
}

/// The tightest memory limit above this process, if any.
pub(crate) fn memory_limit(roots: &Roots) -> Option<MemoryLimit> {
    let mut limits = Vec::new();
    for level in levels(roots, "memory") {
        match level.version {
            // Beyond `memory.high` a group is slowed until it has given memory back: for a program
            // that needs all of its memory at every token this is the limit.
            Version::Two => {
                limits.extend(limit_in(level.dir.join("memory.max")));
                limits.extend(limit_in(level.dir.join("memory.high")));
            }
            Version::One => {
                limits.extend(limit_in(level.dir.join("memory.limit_in_bytes")));
                limits.extend(hierarchical_limit(level.dir.join("memory.stat")));
            }
        }
    }
    limits.into_iter().min_by_key(|limit| limit.bytes)
}

/// Version 1 writes "no limit" as the largest multiple of a page in an `i64`; no machine has an
/// exbibyte, so anything from there on is none.
const UNLIMITED: u64 = 1 << 60;

fn limit_in(source: PathBuf) -> Option<MemoryLimit> {
    let bytes = read(&source)?.trim().parse::<u64>().ok()?;
    (bytes < UNLIMITED).then_some(MemoryLimit { bytes, source })
}

/// Version 1 also tells the tightest limit of ancestors that a container cannot see.
fn hierarchical_limit(source: PathBuf) -> Option<MemoryLimit> {
    let text = read(&source)?;
    let bytes = text
        .lines()
        .find_map(|line| line.strip_prefix("hierarchical_memory_limit "))?
        .trim()
        .parse::<u64>()
        .ok()?;
    (bytes < UNLIMITED).then_some(MemoryLimit { bytes, source })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// A directory whose limits hold for this process.
struct Level {
    version: Version,
    dir: PathBuf,
}

/// Every directory from this process's group up to the mount point, in the version 1 hierarchy of
/// `controller` and in the unified hierarchy.
fn levels(roots: &Roots, controller: &str) -> Vec<Level> {
    let Some(memberships) = roots.read_proc("self/cgroup") else {
        return Vec::new();
    };
    let mounts = mounts(roots);
    let mut levels = Vec::new();
    for line in memberships.lines() {
        // hierarchy-id ":" controllers ":" path; the unified hierarchy is "0::path".
        let mut parts = line.splitn(3, ':');
        let (Some(id), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let version = if id == "0" && controllers.is_empty() {
            Version::Two
        } else if controllers.split(',').any(|name| name == controller) {
            Version::One
        } else {
            continue;
        };
        for mount in mounts
            .iter()
            .filter(|mount| mount.serves(version, controller))
        {
            levels.extend(
                mount
                    .chain(path)
                    .into_iter()
                    .map(|dir| Level { version, dir }),
            );
        }
    }
    levels
}

/// A mounted control-group hierarchy.
struct Mount {
    version: Version,
    /// Controllers of a version 1 hierarchy, among other mount options.
    options: String,
    /// The group that is visible at `point`.
    root: PathBuf,
    /// Where it is found, already below the roots.
    point: PathBuf,
}

impl Mount {
    fn serves(&self, version: Version, controller: &str) -> bool {
        self.version == version
            && (version == Version::Two || self.options.split(',').any(|name| name == controller))
    }

    /// The directories for the group `path`, innermost first, ending with the mount point.
    fn chain(&self, path: &str) -> Vec<PathBuf> {
        // In a container the mount shows only part of the tree, or the path is given from a root
        // that is not the mount's: then the mount point itself is the nearest visible ancestor.
        let below = Path::new(path)
            .strip_prefix(&self.root)
            .unwrap_or(Path::new(""));
        let mut dir = self.point.clone();
        let mut chain = vec![dir.clone()];
        for part in below.components() {
            let Component::Normal(name) = part else { break };
            dir.push(name);
            chain.push(dir.clone());
        }
        chain.reverse();
        chain
    }
}

/// The control-group mounts below `/sys`; the customary places if the list cannot be read.
fn mounts(roots: &Roots) -> Vec<Mount> {
    let Some(text) = roots.read_proc("self/mountinfo") else {
        return customary_mounts(roots);
    };
    let mut mounts = Vec::new();
    for line in text.lines() {
        // "id parent major:minor root point options optional* - type source super-options"
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let (Some(root), Some(point), Some(kind)) = (left.get(3), left.get(4), right.first())
        else {
            continue;
        };
        let version = match *kind {
            "cgroup2" => Version::Two,
            "cgroup" => Version::One,
            _ => continue,
        };
        let Some(point) = roots.locate(Path::new(&unescape(point))) else {
            continue;
        };
        mounts.push(Mount {
            version,
            options: right.get(2).copied().unwrap_or_default().to_owned(),
            root: PathBuf::from(unescape(root)),
            point,
        });
    }
    mounts
}

fn customary_mounts(roots: &Roots) -> Vec<Mount> {
    let base = roots.sys.join("fs/cgroup");
    let mount = |version, options: &str, point| Mount {
        version,
        options: options.to_owned(),
        root: PathBuf::from("/"),
        point,
    };
    vec![
        mount(Version::Two, "", base.clone()),
        mount(Version::Two, "", base.join("unified")),
        mount(Version::One, "cpu", base.join("cpu")),
        mount(Version::One, "cpu", base.join("cpu,cpuacct")),
        mount(Version::One, "cpuacct", base.join("cpuacct")),
        mount(Version::One, "memory", base.join("memory")),
    ]
}

/// Undoes the octal escapes of mountinfo (`\040` is a space).
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        match tail {
            [
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                after @ ..,
            ] if byte == b'\\' => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_escapes() {
        assert_eq!(unescape("/a\\040b\\134c"), "/a b\\c");
        assert_eq!(unescape("/plain\\"), "/plain\\");
        assert_eq!(unescape("\\777"), "\\777");
    }

    #[test]
    fn quota_rounds_down_but_not_to_nothing() {
        let quota = |cpus| {
            CpuQuota {
                cpus,
                source: PathBuf::new(),
            }
            .threads()
        };
        assert_eq!(quota(7.65), 7);
        assert_eq!(quota(0.25), 1);
        assert_eq!(quota(3.0), 3);
    }
}
