//! How many threads to run, and saying so when it is not what was asked.

use serde::Serialize;

use crate::Machine;
use crate::cgroup::CpuQuota;

/// A thread count, and why it is not the one asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ThreadChoice {
    /// Threads to start, from 1 to [`Machine::usable_threads`].
    pub threads: usize,
    /// Present when the request was changed: what was asked, what is used, which limit decided and
    /// how to lift it. Meant to be shown to the user.
    pub note: Option<String>,
}

/// Most usable threads, and threads by default.
pub(crate) fn bounds(cpus: usize, cores: usize, quota: Option<&CpuQuota>) -> (usize, usize) {
    let usable = quota.map_or(cpus, |quota| quota.threads().min(cpus)).max(1);
    (usable, cores.clamp(1, usable))
}

/// Picks the thread count for a request, or the default if there is none.
///
/// A request above [`Machine::usable_threads`] is lowered to it, because a thread that cannot run
/// all the time holds up the others at every barrier; a request for 0 becomes 1. Both are said in
/// [`ThreadChoice::note`].
pub fn choose_threads(requested: Option<usize>, machine: &Machine) -> ThreadChoice {
    let usable = machine.usable_threads;
    let Some(asked) = requested else {
        return ThreadChoice {
            threads: machine.default_threads,
            note: None,
        };
    };
    if asked == 0 {
        let note = "0 threads asked, 1 used: at least one thread is needed".to_owned();
        return ThreadChoice {
            threads: 1,
            note: Some(note),
        };
    }
    if asked <= usable {
        return ThreadChoice {
            threads: asked,
            note: None,
        };
    }
    let head = format!("{asked} threads asked, {usable} used");
    let note = match &machine.cpu_quota {
        Some(quota) if quota.threads() <= machine.allowed_cpus => {
            format!("{head}: the CPU quota is {quota}; raise the quota or ask for at most {usable}")
        }
        _ if machine.allowed_cpus < machine.logical_cpus => format!(
            "{head}: this process may run on {} of {} CPUs; widen its CPU set (taskset, cpuset) \
             or ask for at most {usable}",
            machine.allowed_cpus, machine.logical_cpus
        ),
        _ => format!(
            "{head}: this machine has {} CPUs; ask for at most {usable}",
            machine.logical_cpus
        ),
    };
    ThreadChoice {
        threads: usable,
        note: Some(note),
    }
}

/// Picks the thread count where a preset wants `wanted` threads and nobody asked for a number: as
/// [`choose_threads`] does, and no more than one per fast core where the processor has two kinds. What is
/// left out is said.
pub fn choose_preset_threads(wanted: usize, machine: &Machine) -> ThreadChoice {
    let choice = choose_threads(Some(wanted), machine);
    let Some(fast) = machine.performance_cores.map(|fast| fast.max(1)) else {
        return choice;
    };
    if choice.threads <= fast {
        return choice;
    }
    let slow = machine.efficiency_cores;
    ThreadChoice {
        threads: fast,
        note: Some(format!(
            "{fast} threads used, one per fast core: the {slow} cores made to save power would hold them \
             up; `--threads {}` uses these as well",
            choice.threads
        )),
    }
}
