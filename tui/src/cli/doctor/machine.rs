//! The machine: processor, memory, clock, heat, and what else runs on it.

use tritone_engine::human_bytes;
use tritone_machine::{EnergyMeter, Frequency, HugePages, Machine, NoEnergy, Temperature};

use super::finding::{Area, Finding, Level};
use crate::cli::date::date;
use crate::cli::reach::Reach;

/// What the program would do on it.
pub(super) struct Wanted {
    /// Threads it would start.
    pub(super) threads: usize,
    /// Why these are not the threads that somebody asked for.
    pub(super) lowered: Option<String>,
    /// Memory that the profile allows, in bytes.
    pub(super) memory: u64,
    /// Name of the profile.
    pub(super) profile: String,
    /// Memory is to be locked.
    pub(super) locks: bool,
}

/// Looks at everything that `machine` tells.
pub(super) fn findings(machine: &Machine, wanted: &Wanted) -> Vec<Finding> {
    let mut area = Area::new("machine");
    processor(machine, &mut area);
    threads(machine, wanted, &mut area);
    memory(machine, wanted, &mut area);
    let caches: Vec<_> = machine.caches.iter().map(ToString::to_string).collect();
    if !caches.is_empty() {
        area.ok("caches", caches.join(", "));
    }
    if let Some(frequency) = &machine.frequency {
        area.judge("clock", frequency.to_string(), of_clock(frequency));
    }
    heat(machine, &mut area);
    if let Some(battery) = &machine.battery {
        let low = battery.percent.is_some_and(|percent| percent < 20);
        let advice = match (battery.in_use, low) {
            (false, _) => None,
            (true, true) => Some((
                Level::Warning,
                "the battery is nearly empty: connect the charger, or use `--profile mobile`",
            )),
            (true, false) => Some((
                Level::Note,
                "on battery most machines lower their clock: answers are slower, and measurements \
                 say little; `--profile mobile` takes the least",
            )),
        };
        let advice = advice.map(|(level, text)| (level, text.to_owned()));
        area.judge("battery", battery.to_string(), advice);
    }
    load(machine, &mut area);
    area.findings
}

fn processor(machine: &Machine, area: &mut Area) {
    area.ok("processor", format!("{} ({})", machine.cpu, machine.arch));
    let has = |name: &str| machine.isa.contains(&name);
    let said = match machine.arch {
        "x86_64" if !has("avx2") => Some((
            Level::Warning,
            "without AVX2 only the portable kernels run, ten times slower and more; in a virtual \
             machine the processor type of the host (`host-passthrough`) shows what there is",
        )),
        "x86_64" if !has("fma") || !has("f16c") => Some((
            Level::Warning,
            "AVX2 without FMA and F16C is not enough for the fast kernels: check what the virtual \
             machine or emulator leaves out",
        )),
        "aarch64" if !has("dotprod") => Some((
            Level::Note,
            "without `dotprod` the products take about three times the instructions",
        )),
        "x86_64" | "aarch64" => None,
        _ => Some((
            Level::Warning,
            "there is no fast kernel for this architecture; the portable ones run",
        )),
    };
    let sets = match machine.isa.is_empty() {
        true => "none that kernels use".to_owned(),
        false => machine.isa.join(", "),
    };
    area.judge(
        "instruction sets",
        sets,
        said.map(|(level, text)| (level, text.to_owned())),
    );
    let cores = format!(
        "{} cores, {} CPUs; {} CPUs on {} cores allowed",
        machine.physical_cores, machine.logical_cpus, machine.allowed_cpus, machine.allowed_cores
    );
    let slow = (machine.efficiency_cores > 0).then(|| {
        (
            Level::Note,
            format!(
                "{} of the allowed cores are made to save power and get no thread: the {} fast ones \
                 would wait for them; `--threads {}` uses them all",
                machine.efficiency_cores,
                machine.performance_cores.unwrap_or(0),
                machine.allowed_cores.min(machine.usable_threads)
            ),
        )
    });
    area.judge("cores", cores, slow);
}

fn threads(machine: &Machine, wanted: &Wanted, area: &mut Area) {
    let threads = format!(
        "{} used, {} at most",
        wanted.threads, machine.usable_threads
    );
    let said = wanted.lowered.clone().map(|note| (Level::Warning, note));
    let twice = || {
        let cores = machine.performance_cores.unwrap_or(machine.allowed_cores);
        (wanted.threads > cores && machine.efficiency_cores == 0).then(|| {
            (
                Level::Note,
                format!(
                    "more threads than cores: two hardware threads of a core share its units, and \
                     {cores} are often as fast; `tritone bench` tells"
                ),
            )
        })
    };
    area.judge("threads", threads, said.or_else(twice));
    let Some(quota) = &machine.cpu_quota else {
        area.ok("CPU quota", "none");
        return;
    };
    let whole = quota.threads();
    let said = if quota.cpus < 1.0 {
        Some((
            Level::Warning,
            "less than one CPU: even one thread is stopped in every period; raise the quota"
                .to_owned(),
        ))
    } else if whole >= machine.allowed_cpus {
        None
    } else if quota.cpus - whole as f64 >= 0.01 {
        Some((
            Level::Note,
            format!(
                "rounded down to {whole}: one thread more would be stopped in every period, and all \
                 others would wait for it"
            ),
        ))
    } else {
        None
    };
    area.judge("CPU quota", quota.to_string(), said);
}

fn memory(machine: &Machine, wanted: &Wanted, area: &mut Area) {
    let memory = &machine.memory;
    let text = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), human_bytes);
    let needs = format!(
        "profile {} may take {}",
        wanted.profile,
        human_bytes(wanted.memory)
    );
    let short = |bytes: u64| bytes < wanted.memory;
    let remedy = "`--memory` or a smaller profile keeps within it";
    let said = memory.available_bytes.filter(|&free| short(free)).map(|_| {
        (
            Level::Warning,
            format!("{needs}, more than is available now: end other programs, or {remedy}"),
        )
    });
    let shown = format!(
        "{}, {} available",
        text(memory.total_bytes),
        text(memory.available_bytes)
    );
    area.judge("memory", shown, said);
    match &memory.limit {
        None => area.ok("memory limit", "none"),
        Some(limit) => {
            let shown = format!("{} ({})", human_bytes(limit.bytes), limit.source.display());
            let said = short(limit.bytes).then(|| {
                (
                    Level::Warning,
                    format!(
                        "{needs}, more than the control group: the system would end the program; {remedy}"
                    ),
                )
            });
            area.judge("memory limit", shown, said);
        }
    }
    for (name, limit, flag) in [
        ("address space", memory.process.address_space, "-v"),
        ("data limit", memory.process.data, "-d"),
    ] {
        if let Some(limit) = limit {
            let said = short(limit).then(|| {
                let advice = format!("{needs}, more than `ulimit {flag}` allows; {remedy}");
                (Level::Warning, advice)
            });
            area.judge(
                name,
                format!("{} (ulimit {flag})", human_bytes(limit)),
                said,
            );
        }
    }
    if let Some(left) = memory.commit_left_bytes {
        let said = short(left).then(|| {
            (
                Level::Warning,
                format!("{needs}, more than the system still promises (vm.overcommit_memory is 2)"),
            )
        });
        area.judge("commit limit", format!("{} left", human_bytes(left)), said);
    }
    if let (Some(total), Some(free)) = (memory.swap_total_bytes, memory.swap_free_bytes) {
        let used = total.saturating_sub(free);
        let shown = match total {
            0 => "none".to_owned(),
            _ => format!("{}, {} used", human_bytes(total), human_bytes(used)),
        };
        let said = (total > 0 && used > total / 2).then(|| {
            (
                Level::Note,
                "the machine has been short of memory: weights that are swapped out are read back \
                 at every token; `--mlock` keeps them in"
                    .to_owned(),
            )
        });
        area.judge("swap", shown, said);
    }
    if let Some(locked) = memory.process.locked
        && wanted.locks
    {
        let said = short(locked).then(|| {
            (
                Level::Warning,
                format!("{needs}, more than may be locked: raise it with `ulimit -l`"),
            )
        });
        area.judge(
            "locked memory",
            format!("{} (ulimit -l)", human_bytes(locked)),
            said,
        );
    }
    if let Some(pages) = memory.huge_pages {
        let said = (pages == HugePages::Never).then(|| {
            (
                Level::Warning,
                "weights lie in pages of 4 KiB, which costs some 10 % of the speed: \
                 `echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled`"
                    .to_owned(),
            )
        });
        area.judge("huge pages", pages.name(), said);
    }
}

fn of_clock(clock: &Frequency) -> Option<(Level, String)> {
    if clock.is_held_low() {
        let advice = "the governor keeps the clock low whatever there is to do: \
                      `sudo cpupower frequency-set -g performance`, or `schedutil`";
        return Some((Level::Warning, advice.to_owned()));
    }
    if let (Some(limit), Some(max)) = (clock.limit_mhz, clock.max_mhz)
        && limit < max / 5 * 4
    {
        let advice = format!(
            "the clock is limited to {limit} of {max} MHz (scaling_max_freq): a power profile of the \
             desktop, or `sudo cpupower frequency-set -u {max}MHz`"
        );
        return Some((Level::Warning, advice));
    }
    if clock.prefers_saving() {
        let advice = "the processor is asked to save power: `powerprofilesctl set performance`, or \
                      the desktop's power settings";
        return Some((Level::Note, advice.to_owned()));
    }
    (clock.boost == Some(false)).then(|| {
        let advice = "boost is off: short prompts are read at the nominal clock";
        (Level::Note, advice.to_owned())
    })
}

fn heat(machine: &Machine, area: &mut Area) {
    if let Some(temperature) = &machine.temperature {
        let near = |t: &Temperature| {
            t.limit_celsius
                .is_some_and(|limit| t.celsius + 5.0 >= limit)
        };
        let said = near(temperature).then(|| {
            let advice =
                "as hot as it may get: the clock is lowered; check fans, dust and what else runs";
            (Level::Warning, advice.to_owned())
        });
        area.judge("temperature", temperature.to_string(), said);
    }
    let throttling = machine.throttling;
    let (value, said) = match (throttling.now, throttling.events) {
        (Some(true), _) => (
            "slowed now".to_owned(),
            Some((
                Level::Warning,
                "heat or the power supply holds the clock down: cool it, or run fewer threads"
                    .to_owned(),
            )),
        ),
        (_, Some(events @ 1..)) => (
            format!("slowed {events} times since the machine was started"),
            Some((
                Level::Note,
                "long answers and measurements may be slower than short ones".to_owned(),
            )),
        ),
        (Some(false), _) | (None, Some(0)) => ("not slowed by heat".to_owned(), None),
        (None, None) => return,
    };
    area.judge("throttling", value, said);
}

fn load(machine: &Machine, area: &mut Area) {
    let Some(load) = machine.load_average else {
        return;
    };
    let cpus = machine.logical_cpus as f64;
    let said = if load >= cpus {
        Some((
            Level::Warning,
            "other programs want all CPUs: answers take twice as long and more, and measurements \
             say nothing",
        ))
    } else if load >= cpus / 2.0 {
        Some((
            Level::Note,
            "other programs are busy: answers are slower, and measurements say less",
        ))
    } else {
        None
    };
    let said = said.map(|(level, text)| (level, text.to_owned()));
    area.judge(
        "load average",
        format!("{load:.2} on {} CPUs", machine.logical_cpus),
        said,
    );
}

/// What the energy counters say.
pub(super) fn energy(meter: &Result<EnergyMeter, NoEnergy>) -> Finding {
    let mut area = Area::new("machine");
    match meter {
        Ok(meter) => {
            let s = if meter.packages() == 1 { "" } else { "s" };
            let packages = meter.packages();
            area.ok(
                "energy",
                format!("measured for {packages} processor package{s}"),
            );
        }
        Err(NoEnergy::Absent) => area.ok("energy", "not measured: no counters (RAPL)"),
        Err(why @ NoEnergy::Forbidden(_)) => {
            area.say("energy", "not measured", Level::Note, why.to_string());
        }
    }
    area.findings.remove(0)
}

/// What was measured of the machine, with which kernel.
pub(super) fn reach(kernel: &str, known: Option<&[Reach]>, damaged: Option<String>) -> Finding {
    let mut area = Area::new("machine");
    let advice = "`tritone doctor --measure` measures it in a second";
    match known {
        Some(known) => {
            let rate = |reach: &Reach| {
                let s = if reach.threads == 1 { "" } else { "s" };
                format!(
                    "{:.1} GB/s and {:.0} GMAC/s with {} thread{s}",
                    reach.read / 1e9,
                    reach.macs / 1e9,
                    reach.threads
                )
            };
            let rates: Vec<String> = known.iter().map(rate).collect();
            let day = known.iter().map(|reach| reach.unix_time).min().unwrap_or(0);
            let value = format!("{} ({kernel}, {})", rates.join(", "), date(day));
            area.judge(
                "reading memory",
                value,
                damaged.map(|why| (Level::Note, why)),
            );
        }
        None => {
            let advice =
                damaged.map_or_else(|| advice.to_owned(), |why| format!("{why}; {advice}"));
            area.say("reading memory", "not measured yet", Level::Note, advice);
        }
    }
    area.findings.remove(0)
}
