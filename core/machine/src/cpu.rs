//! Processor model, CPUs, cores and the affinity mask.

use std::collections::{BTreeMap, BTreeSet};

use crate::roots::{Roots, field};

/// Linux is built for at most 8192 CPUs; a list that goes far beyond is not a CPU list.
const MAX_CPUS: usize = 1 << 16;

/// How many CPUs and cores there are, and how many of them this process may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topology {
    pub(crate) logical_cpus: usize,
    pub(crate) physical_cores: usize,
    pub(crate) allowed_cpus: usize,
    pub(crate) allowed_cores: usize,
    /// Distinct allowed cores of the fast kind, and of the slow one; `None` where all are alike or
    /// only one kind is allowed.
    pub(crate) kinds: Option<(usize, usize)>,
    /// The first CPU that may be used, of the fast kind if there is one.
    pub(crate) first_cpu: usize,
}

impl Topology {
    /// Reads the topology; each count is at least 1.
    pub(crate) fn read(roots: &Roots) -> Self {
        let online = online(roots).unwrap_or_else(|| BTreeSet::from([0]));
        let allowed = allowed(roots, &online);
        let cores = Cores::read(roots, &online);
        let slow = efficiency(roots, &online);
        let fast_allowed: BTreeSet<usize> = allowed.difference(&slow).copied().collect();
        let slow_allowed: BTreeSet<usize> = allowed.intersection(&slow).copied().collect();
        let both = !fast_allowed.is_empty() && !slow_allowed.is_empty();
        let first = fast_allowed.first().or(allowed.first());
        Self {
            logical_cpus: online.len(),
            physical_cores: cores.count(&online),
            allowed_cpus: allowed.len(),
            allowed_cores: cores.count(&allowed),
            kinds: both.then(|| (cores.count(&fast_allowed), cores.count(&slow_allowed))),
            first_cpu: first.copied().unwrap_or(0),
        }
    }
}

/// A core below this share of the fastest one's capacity, in percent, is of the slow kind. The small
/// cores of ARM processors have 25 to 52, the middle ones of those with three kinds 75 and more.
const SLOW_PERCENT: u64 = 60;

/// The CPUs of `online` on cores made to save power; empty where all cores are alike.
///
/// Intel's processors with two kinds of cores list each kind's CPUs with its performance counters;
/// ARM systems tell the capacity of every CPU (`Documentation/scheduler/sched-capacity.rst`).
fn efficiency(roots: &Roots, online: &BTreeSet<usize>) -> BTreeSet<usize> {
    let of_kind = |kind: &str| {
        let list = roots.read_sys(&format!("devices/{kind}/cpus"));
        list.and_then(|text| parse_cpu_list(&text))
            .unwrap_or_default()
    };
    let fast = of_kind("cpu_core");
    if !fast.is_empty() {
        let slow = of_kind("cpu_atom")
            .into_iter()
            .chain(of_kind("cpu_lowpower"));
        let slow = slow.filter(|cpu| online.contains(cpu) && !fast.contains(cpu));
        return slow.collect();
    }
    let capacity = |cpu: usize| {
        let text = roots.read_sys(&format!("devices/system/cpu/cpu{cpu}/cpu_capacity"))?;
        text.trim().parse::<u64>().ok().filter(|&value| value > 0)
    };
    let known: BTreeMap<usize, u64> = online
        .iter()
        .filter_map(|&cpu| Some((cpu, capacity(cpu)?)))
        .collect();
    let Some(&most) = known.values().max() else {
        return BTreeSet::new();
    };
    let slow = known
        .iter()
        .filter(|(_, capacity)| capacity.saturating_mul(100) < most.saturating_mul(SLOW_PERCENT));
    slow.map(|(&cpu, _)| cpu).collect()
}

/// Which core each CPU belongs to, under a name that is equal for CPUs of the same core.
struct Cores(BTreeMap<usize, String>);

impl Cores {
    fn read(roots: &Roots, online: &BTreeSet<usize>) -> Self {
        let mut names: BTreeMap<usize, String> = BTreeMap::new();
        for &cpu in online {
            // `core_cpus_list` is the newer name of the same file (Linux 5.4).
            let siblings = ["thread_siblings_list", "core_cpus_list"]
                .iter()
                .find_map(|file| {
                    let text =
                        roots.read_sys(&format!("devices/system/cpu/cpu{cpu}/topology/{file}"))?;
                    parse_cpu_list(&text).filter(|siblings| siblings.contains(&cpu))
                });
            if let Some(first) = siblings.and_then(|siblings| siblings.first().copied()) {
                names.insert(cpu, format!("first {first}"));
            }
        }
        if names.len() < online.len()
            && let Some(text) = roots.read_proc("cpuinfo")
        {
            for block in text.split("\n\n") {
                let number = |key| field(block, key).and_then(|value| value.parse::<usize>().ok());
                if let (Some(cpu), Some(core)) = (number("processor"), number("core id")) {
                    let package = number("physical id").unwrap_or(0);
                    names
                        .entry(cpu)
                        .or_insert_with(|| format!("package {package} core {core}"));
                }
            }
        }
        Self(names)
    }

    /// Distinct cores among `cpus`; a CPU whose core is unknown counts as a core.
    fn count(&self, cpus: &BTreeSet<usize>) -> usize {
        let known: BTreeSet<&str> = cpus
            .iter()
            .filter_map(|cpu| self.0.get(cpu))
            .map(String::as_str)
            .collect();
        let unknown = cpus.iter().filter(|cpu| !self.0.contains_key(cpu)).count();
        known.len() + unknown
    }
}

/// The CPUs of `online` this process may run on: its affinity mask, or all where nothing is said.
fn allowed(roots: &Roots, online: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mask = roots
        .read_proc("self/status")
        .and_then(|status| parse_cpu_list(field(&status, "Cpus_allowed_list")?));
    let allowed: BTreeSet<usize> = mask
        .map(|mask| mask.intersection(online).copied().collect())
        .unwrap_or_default();
    if allowed.is_empty() {
        online.clone()
    } else {
        allowed
    }
}

/// The CPUs this process may run on; empty where the system does not tell.
pub(crate) fn allowed_cpus(roots: &Roots) -> BTreeSet<usize> {
    online(roots).map_or_else(BTreeSet::new, |online| allowed(roots, &online))
}

/// The CPUs this process may run on, one of every fast core first, then one of every slow core:
/// hardware threads that share a core come last. Empty where the system does not tell.
pub(crate) fn spread(roots: &Roots) -> Vec<usize> {
    let Some(online) = online(roots) else {
        return Vec::new();
    };
    let cores = Cores::read(roots, &online);
    let slow = efficiency(roots, &online);
    let mut taken = BTreeSet::new();
    let (first, rest): (Vec<usize>, Vec<usize>) = allowed(roots, &online)
        .into_iter()
        .partition(|cpu| cores.0.get(cpu).is_none_or(|core| taken.insert(core)));
    let (mut cpus, slower): (Vec<usize>, Vec<usize>) =
        first.into_iter().partition(|cpu| !slow.contains(cpu));
    cpus.extend(slower);
    cpus.extend(rest);
    cpus
}

/// CPUs that are online, from `/sys` or else from `/proc/cpuinfo`; `None` if neither tells.
pub(crate) fn online(roots: &Roots) -> Option<BTreeSet<usize>> {
    let listed = roots
        .read_sys("devices/system/cpu/online")
        .and_then(|text| parse_cpu_list(&text))
        .filter(|cpus| !cpus.is_empty());
    listed.or_else(|| {
        let text = roots.read_proc("cpuinfo")?;
        let cpus: BTreeSet<usize> = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .filter(|(key, _)| key.trim() == "processor")
            .filter_map(|(_, value)| value.trim().parse().ok())
            .filter(|&cpu| cpu < MAX_CPUS)
            .collect();
        (!cpus.is_empty()).then_some(cpus)
    })
}

/// Parses the kernel's list format, `0-3,8,10-11`; `None` if any part of it is malformed.
///
/// Format: `Documentation/admin-guide/cputopology.rst`, "cpulist".
pub(crate) fn parse_cpu_list(text: &str) -> Option<BTreeSet<usize>> {
    let mut cpus = BTreeSet::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.trim().parse().ok()?;
        let last: usize = last.trim().parse().ok()?;
        if first > last || last >= MAX_CPUS {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

/// Name of the processor from `/proc/cpuinfo`.
///
/// ARM kernels print no model there, only the implementer and part numbers of the MIDR register;
/// these are given as they stand.
pub(crate) fn model(roots: &Roots) -> Option<String> {
    let text = roots.read_proc("cpuinfo")?;
    let named = ["model name", "Model", "cpu model", "cpu"].iter();
    if let Some(name) = named
        .filter_map(|key| field(&text, key))
        .find(|name| !name.is_empty() && *name != "unknown")
    {
        return Some(name.to_owned());
    }
    let implementer = field(&text, "CPU implementer")?;
    let part = field(&text, "CPU part")?;
    Some(format!("ARM implementer {implementer} part {part}"))
}

/// Name of the processor where there is no `/proc`.
pub(crate) fn brand_from_sysinfo() -> Option<String> {
    let kind = sysinfo::RefreshKind::nothing().with_cpu(sysinfo::CpuRefreshKind::nothing());
    let system = sysinfo::System::new_with_specifics(kind).ok()?;
    let brand = system.cpus().first()?.brand().trim().to_owned();
    (!brand.is_empty()).then_some(brand)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cpu_lists() {
        let list = |text| parse_cpu_list(text).map(|cpus| cpus.into_iter().collect::<Vec<_>>());
        assert_eq!(list("0-3,8,10-11\n"), Some(vec![0, 1, 2, 3, 8, 10, 11]));
        assert_eq!(list("\n"), Some(vec![]));
        assert_eq!(list("5"), Some(vec![5]));
        assert_eq!(list("3-1"), None);
        assert_eq!(list("0-4294967295"), None);
        assert_eq!(list("0-x"), None);
        assert_eq!(list("-1"), None);
    }

    proptest! {
        #[test]
        fn a_printed_list_is_read_back(cpus in prop::collection::btree_set(0..MAX_CPUS, 0..50)) {
            let text: Vec<String> = cpus.iter().map(ToString::to_string).collect();
            prop_assert_eq!(parse_cpu_list(&text.join(",")), Some(cpus));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9,\\- x]{0,40}|\\PC{0,40}") {
            if let Some(cpus) = parse_cpu_list(&text) {
                prop_assert!(cpus.iter().all(|&cpu| cpu < MAX_CPUS));
            }
        }
    }
}
