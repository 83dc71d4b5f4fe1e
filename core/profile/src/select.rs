//! Picking a preset for a machine as it is now, and saying why.

use serde::Serialize;

use crate::preset::{PRESETS, Preset};

/// Rank of the largest preset for a machine that runs on its battery, or without vector
/// instructions.
const EDGE: usize = 1;

/// A battery below this is spared as far as possible.
const LOW_BATTERY_PERCENT: u8 = 20;

/// A machine as it is now, as far as a preset depends on it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Situation {
    /// Cores that this process may run on.
    pub cores: usize,
    /// Hardware threads of the whole machine.
    pub cpus: usize,
    /// CPU quota of this process in CPUs, if there is one.
    pub quota: Option<f64>,
    /// Memory of the machine in MiB, if known.
    pub memory_mb: Option<u64>,
    /// Limit on the memory of this process in MiB, if there is one.
    pub memory_limit_mb: Option<u64>,
    /// What the fastest kernel computes with.
    pub vectors: Vectors,
    /// The battery, if there is one.
    pub battery: Option<Battery>,
    /// Load average of the last minute: threads of the whole machine that want to run.
    pub load: Option<f64>,
}

/// Vector instructions that kernels use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Vectors {
    /// None that any kernel knows.
    None,
    /// 128 or 256 bits.
    Narrow,
    /// 512 bits.
    Wide,
}

/// A battery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Battery {
    /// Charge in percent, if known.
    pub percent: Option<u8>,
    /// Whether the machine runs on it.
    pub discharging: bool,
}

/// Something about the machine, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What it is about: `cores`, `quota`, `memory`, `instructions`, `power`, `load`.
    pub about: &'static str,
    /// What was found: `4 cores`.
    pub found: String,
    /// What follows: `enough for mobile and edge, which want a core for each thread`.
    pub so: String,
    /// Whether it stands in the way of a larger preset or of more threads.
    pub decides: bool,
}

/// A preset for a machine, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Selection {
    /// The preset.
    pub preset: &'static str,
    /// Threads to use of those that the preset wants.
    pub threads: usize,
    /// Why they are fewer than the preset's; `None` if they are not.
    pub fewer_because: Option<String>,
    /// Whether that passes: on mains power, or when other programs have done their work, there would be
    /// more.
    pub passing: bool,
    /// Everything that was looked at.
    pub facts: Vec<Fact>,
    /// What the next larger preset would need: `server would need 8 cores`.
    pub next: Option<String>,
    /// The memory limit of the preset in MiB.
    memory_mb: u64,
}

/// Picks the largest preset that the machine has room for as it is now.
///
/// A preset fits when each of its threads has a core within the CPU quota and its memory limit is at
/// most half of what this process can have. On battery, and without vector instructions, it is at
/// most `edge`, with a nearly empty battery `mobile`. It gets as many threads as there are cores for
/// them, at most half of the cores on battery, and fewer, though not fewer than half, where other
/// programs keep the processors busy. More cores or more memory never mean a smaller preset or fewer
/// threads.
pub fn select(situation: &Situation) -> Selection {
    let mut facts = Vec::new();
    let ranks = [
        cores(situation, &mut facts),
        memory(situation, &mut facts),
        instructions(situation, &mut facts),
        power(situation, &mut facts),
    ];
    let rank = ranks.iter().copied().flatten().min().unwrap_or(0);
    let rank = match ranks.contains(&None) {
        true => 0,
        false => rank,
    };
    let preset = &PRESETS[rank];
    let (threads, fewer_because) = threads(situation, preset, &mut facts);
    let at_rest = usable(situation).min(preset.threads);
    Selection {
        preset: preset.name,
        threads,
        fewer_because,
        passing: threads < at_rest,
        facts,
        next: PRESETS.get(rank + 1).map(|next| needs(situation, next)),
        memory_mb: preset.memory_mb,
    }
}

impl Selection {
    /// Why it is this preset, in one line.
    pub fn reason(&self) -> String {
        let decisive: Vec<_> = self
            .facts
            .iter()
            .filter(|fact| fact.decides)
            .map(|fact| fact.found.as_str())
            .collect();
        let because = match decisive.as_slice() {
            [] => "nothing here stands in the way of the largest preset".to_owned(),
            facts => format!("because of {}", facts.join(", ")),
        };
        let mut text = format!(
            "chosen for this machine: {} with {} and {} MiB, {because}",
            self.preset,
            count(self.threads, "thread"),
            self.memory_mb
        );
        if let Some(next) = &self.next {
            text.push_str("; ");
            text.push_str(next);
        }
        text
    }

    /// The settings that differ from the preset's: name, value, reason.
    pub(crate) fn settings(&self) -> Option<(&'static str, String, String)> {
        let why = self.fewer_because.clone()?;
        Some(("threads", self.threads.to_string(), why))
    }
}

/// Threads that can run at the same time.
fn usable(situation: &Situation) -> usize {
    let cores = situation.cores.max(1);
    match situation.quota {
        // `as` saturates, and what is no number becomes 0.
        Some(quota) => (quota as usize).clamp(1, cores),
        None => cores,
    }
}

/// Memory that this process can have, in MiB.
fn room(situation: &Situation) -> Option<u64> {
    [situation.memory_mb, situation.memory_limit_mb]
        .into_iter()
        .flatten()
        .min()
}

/// The largest preset that `fits`.
fn largest(fits: impl Fn(&Preset) -> bool) -> Option<usize> {
    PRESETS.iter().rposition(fits)
}

/// `enough for mobile and edge`.
fn enough(rank: Option<usize>) -> String {
    let names: Vec<_> = PRESETS
        .iter()
        .take(rank.map_or(0, |rank| rank + 1))
        .map(|preset| preset.name)
        .collect();
    match names.as_slice() {
        [] => "less than any preset is made for, so the smallest".to_owned(),
        names if names.len() == PRESETS.len() => "enough for every preset".to_owned(),
        [name] => format!("enough for {name}"),
        [names @ .., last] => format!("enough for {} and {last}", names.join(", ")),
    }
}

fn is_short(rank: Option<usize>) -> bool {
    rank != Some(PRESETS.len() - 1)
}

fn cores(situation: &Situation, facts: &mut Vec<Fact>) -> Option<usize> {
    let all = situation.cores.max(1);
    let usable = usable(situation);
    let by_cores = largest(|preset| preset.threads <= all);
    let rank = largest(|preset| preset.threads <= usable);
    let tight = usable < all;
    facts.push(Fact {
        about: "cores",
        found: count(all, "core"),
        so: format!("{}, as each thread has a core", enough(by_cores)),
        decides: is_short(by_cores) && !tight,
    });
    if let Some(quota) = situation.quota {
        facts.push(Fact {
            about: "quota",
            found: format!("a CPU quota of {} CPUs", (quota * 100.0).round() / 100.0),
            so: match tight {
                true => format!("{}, as threads above it would be stopped", enough(rank)),
                false => "no less than the cores".to_owned(),
            },
            decides: tight && is_short(rank),
        });
    }
    rank
}

fn memory(situation: &Situation, facts: &mut Vec<Fact>) -> Option<usize> {
    let room = room(situation);
    let rank = room.and_then(|room| largest(|preset| preset.memory_mb <= room / 2));
    let found = match (room, situation.memory_limit_mb) {
        (None, _) => "memory of unknown size".to_owned(),
        (Some(room), Some(limit)) if room == limit => format!("a memory limit of {limit} MiB"),
        (Some(room), _) => format!("{room} MiB of memory"),
    };
    facts.push(Fact {
        about: "memory",
        found,
        so: format!("{}, as a preset takes at most half of it", enough(rank)),
        decides: is_short(rank),
    });
    rank
}

fn instructions(situation: &Situation, facts: &mut Vec<Fact>) -> Option<usize> {
    let (found, so, rank) = match situation.vectors {
        Vectors::None => (
            "no vector instructions that a kernel knows",
            "too slow for many requests at once, so edge at most",
            EDGE,
        ),
        Vectors::Narrow => (
            "vector instructions",
            "fast enough for every preset",
            PRESETS.len() - 1,
        ),
        Vectors::Wide => (
            "wide vector instructions",
            "fast enough for every preset",
            PRESETS.len() - 1,
        ),
    };
    facts.push(Fact {
        about: "instructions",
        found: found.to_owned(),
        so: so.to_owned(),
        decides: is_short(Some(rank)),
    });
    Some(rank)
}

fn power(situation: &Situation, facts: &mut Vec<Fact>) -> Option<usize> {
    let best = PRESETS.len() - 1;
    let Some(battery) = situation.battery else {
        return Some(best);
    };
    let charge = battery
        .percent
        .map_or_else(String::new, |percent| format!(" at {percent} %"));
    let is_low = battery.percent.is_some_and(|p| p < LOW_BATTERY_PERCENT);
    let (found, so, rank) = match (battery.discharging, is_low) {
        (false, _) => (
            format!("mains power (battery{charge})"),
            "no reason to save",
            best,
        ),
        (true, false) => (
            format!("a battery in use{charge}"),
            "work per watt first, so edge at most, on half of the cores",
            EDGE,
        ),
        (true, true) => (
            format!("a battery in use{charge}"),
            "it is nearly empty, so the smallest, on half of the cores",
            0,
        ),
    };
    facts.push(Fact {
        about: "power",
        found,
        so: so.to_owned(),
        decides: battery.discharging,
    });
    Some(rank)
}

/// How many threads, and why they are fewer than the preset's.
fn threads(
    situation: &Situation,
    preset: &Preset,
    facts: &mut Vec<Fact>,
) -> (usize, Option<String>) {
    let usable = usable(situation);
    let half = usable.div_ceil(2);
    let (mut threads, mut why) = (preset.threads, None);
    if usable < threads {
        threads = usable;
        why = Some(match situation.quota {
            Some(quota) if usable < situation.cores => {
                format!("the CPU quota is {} CPUs", (quota * 100.0).round() / 100.0)
            }
            _ => format!("this process may run on {}", count(usable, "core")),
        });
    }
    if situation.battery.is_some_and(|battery| battery.discharging) && half < threads {
        threads = half;
        why = Some(format!("half of {} on battery", count(usable, "core")));
    }
    let load = situation.load.filter(|load| load.is_finite());
    if let Some(load) = load {
        let idle = (situation.cpus.max(1) as f64 - load).max(0.0);
        // A quarter forgives what runs now and then; `as` saturates.
        let free = (idle + 0.25) as usize;
        let shown = (load * 10.0).round() / 10.0;
        let found = format!(
            "a load of {shown} on {}",
            count(situation.cpus.max(1), "CPU")
        );
        let left = free.max(half);
        let is_busy = left < threads;
        let so = if is_busy {
            format!(
                "others keep the processors busy, so {} (at least half of the cores)",
                count(left, "thread")
            )
        } else {
            "processors are free".to_owned()
        };
        facts.push(Fact {
            about: "load",
            found,
            so,
            decides: is_busy,
        });
        if is_busy {
            threads = left;
            why = Some(format!("the load is {shown}: other programs are busy"));
        }
    }
    (threads, why)
}

/// What `preset` would need that is not here.
fn needs(situation: &Situation, preset: &Preset) -> String {
    let mut needs = Vec::new();
    let usable = usable(situation);
    if usable < preset.threads {
        let what = match situation.quota {
            Some(_) if usable < situation.cores => "a CPU quota of",
            _ => "",
        };
        let unit = if what.is_empty() { "cores" } else { "CPUs" };
        needs.push(
            format!("{what} {} {unit}", preset.threads)
                .trim_start()
                .to_owned(),
        );
    }
    let room = room(situation).unwrap_or(0);
    if room / 2 < preset.memory_mb {
        needs.push(format!("{} MiB of memory", 2 * preset.memory_mb));
    }
    let is_large = PRESETS[..=EDGE]
        .iter()
        .all(|small| small.name != preset.name);
    if situation.vectors == Vectors::None && is_large {
        needs.push("vector instructions".to_owned());
    }
    if let Some(battery) = situation.battery.filter(|battery| battery.discharging) {
        let is_low = battery.percent.is_some_and(|p| p < LOW_BATTERY_PERCENT);
        if is_large {
            needs.push("mains power".to_owned());
        } else if is_low {
            needs.push(format!(
                "a battery of {LOW_BATTERY_PERCENT} % or mains power"
            ));
        }
    }
    format!("{} would need {}", preset.name, needs.join(" and "))
}

fn count(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn situation(cores: usize, memory_mb: u64) -> Situation {
        Situation {
            cores,
            cpus: cores,
            quota: None,
            memory_mb: Some(memory_mb),
            memory_limit_mb: None,
            vectors: Vectors::Narrow,
            battery: None,
            load: None,
        }
    }

    #[test]
    fn cores_and_memory_pick_the_largest_that_fits() {
        let name = |cores, memory| select(&situation(cores, memory)).preset;
        assert_eq!(name(1, 256), "mobile");
        assert_eq!(name(2, 1024), "mobile");
        assert_eq!(name(4, 2048), "edge");
        assert_eq!(name(4, 2047), "mobile");
        assert_eq!(name(15, 1 << 20), "server");
        assert_eq!(name(64, 8192), "cloud");
        assert_eq!(name(64, 4096), "server");
    }

    #[test]
    fn the_reason_names_what_decided_and_what_more_would_need() {
        let selection = select(&situation(6, 16_000));
        assert_eq!(
            selection.reason(),
            "chosen for this machine: edge with 4 threads and 1024 MiB, because of 6 cores; server \
             would need 8 cores"
        );
        let small = select(&situation(1, 100));
        assert_eq!((small.preset, small.threads), ("mobile", 1));
        assert!(
            small.facts[1].so.contains("less than any preset"),
            "{small:?}"
        );
        let all = select(&situation(64, 1 << 20));
        assert!(
            all.reason().contains("nothing here stands in the way"),
            "{all:?}"
        );
        assert_eq!(all.next, None);
    }

    #[test]
    fn a_quota_is_rounded_down_and_said() {
        let selection = select(&Situation {
            quota: Some(3.9),
            ..situation(16, 1 << 20)
        });
        assert_eq!((selection.preset, selection.threads), ("mobile", 2));
        assert!(
            selection.reason().contains("a CPU quota of 3.9 CPUs"),
            "{selection:?}"
        );
        assert_eq!(
            selection.next.as_deref(),
            Some("edge would need a CPU quota of 4 CPUs")
        );
        let one = select(&Situation {
            quota: Some(0.5),
            ..situation(16, 1 << 20)
        });
        assert_eq!(one.threads, 1);
        assert_eq!(
            one.fewer_because.as_deref(),
            Some("the CPU quota is 0.5 CPUs")
        );
        assert!(!one.passing);
    }

    #[test]
    fn a_limit_counts_instead_of_the_memory() {
        let selection = select(&Situation {
            memory_limit_mb: Some(2048),
            ..situation(16, 1 << 20)
        });
        assert_eq!(selection.preset, "edge");
        assert!(
            selection.reason().contains("a memory limit of 2048 MiB"),
            "{selection:?}"
        );
        assert!(
            selection
                .reason()
                .contains("server would need 4096 MiB of memory")
        );
    }

    #[test]
    fn a_battery_is_spared() {
        let on = |percent, discharging| {
            select(&Situation {
                battery: Some(Battery {
                    percent,
                    discharging,
                }),
                ..situation(16, 1 << 20)
            })
        };
        assert_eq!(on(Some(90), false).preset, "cloud");
        let half = on(Some(50), true);
        assert_eq!((half.preset, half.threads), ("edge", 4));
        assert!(
            half.reason().contains("a battery in use at 50 %"),
            "{half:?}"
        );
        assert_eq!(half.next.as_deref(), Some("server would need mains power"));
        let low = on(Some(5), true);
        assert_eq!(low.preset, "mobile");
        let small = select(&Situation {
            battery: Some(Battery {
                percent: None,
                discharging: true,
            }),
            ..situation(4, 1 << 20)
        });
        assert_eq!((small.preset, small.threads), ("edge", 2));
        assert_eq!(
            small.fewer_because.as_deref(),
            Some("half of 4 cores on battery")
        );
    }

    #[test]
    fn a_busy_machine_gets_fewer_threads_but_half_of_the_cores() {
        let under = |load| {
            select(&Situation {
                load: Some(load),
                ..situation(8, 1 << 20)
            })
        };
        assert_eq!(under(0.2).threads, 8);
        assert_eq!(under(2.0).threads, 6);
        assert_eq!(under(100.0).threads, 4);
        assert_eq!(under(f64::NAN).threads, 8);
        let busy = under(2.0);
        assert_eq!(busy.preset, "server", "the load passes");
        assert!(busy.passing && !under(0.2).passing);
        assert!(busy.reason().contains("a load of 2 on 8 CPUs"), "{busy:?}");
        // The load is of the whole machine, the cores may be a part of it.
        let part = select(&Situation {
            cpus: 64,
            load: Some(10.0),
            ..situation(2, 1 << 20)
        });
        assert_eq!(part.threads, 2);
    }

    #[test]
    fn without_vector_instructions_it_stays_small() {
        let selection = select(&Situation {
            vectors: Vectors::None,
            ..situation(64, 1 << 20)
        });
        assert_eq!(selection.preset, "edge");
        assert_eq!(
            selection.next.as_deref(),
            Some("server would need vector instructions")
        );
    }

    fn any_situation() -> impl Strategy<Value = Situation> {
        let battery = prop::option::of((prop::option::of(0u8..=100), any::<bool>()));
        (
            0usize..40,
            0usize..40,
            prop::option::of(0.01f64..40.0),
            prop::option::of(0u64..20_000),
            prop::option::of(0u64..20_000),
            0usize..3,
            battery,
            prop::option::of(0.0f64..80.0),
        )
            .prop_map(
                |(cores, more, quota, memory, limit, vectors, battery, load)| Situation {
                    cores,
                    cpus: cores + more,
                    quota,
                    memory_mb: memory,
                    memory_limit_mb: limit,
                    vectors: [Vectors::None, Vectors::Narrow, Vectors::Wide][vectors],
                    battery: battery.map(|(percent, discharging)| Battery {
                        percent,
                        discharging,
                    }),
                    load,
                },
            )
    }

    fn rank(name: &str) -> usize {
        PRESETS
            .iter()
            .position(|preset| preset.name == name)
            .unwrap()
    }

    proptest! {
        #[test]
        fn more_machine_never_means_a_smaller_preset_or_fewer_threads(
            small in any_situation(), cores in 0usize..40, memory in 0u64..20_000,
        ) {
            let large = Situation {
                cores: small.cores + cores,
                cpus: small.cpus + cores,
                memory_mb: small.memory_mb.map(|mb| mb + memory),
                ..small.clone()
            };
            let (small, large) = (select(&small), select(&large));
            prop_assert!(rank(small.preset) <= rank(large.preset), "{small:?} {large:?}");
            prop_assert!(small.threads <= large.threads, "{small:?} {large:?}");
        }

        #[test]
        fn threads_keep_to_cores_and_quota(situation in any_situation()) {
            let selection = select(&situation);
            prop_assert!(selection.threads >= 1);
            prop_assert!(selection.threads <= situation.cores.max(1));
            if let Some(quota) = situation.quota {
                prop_assert!(selection.threads <= (quota.floor() as usize).max(1));
            }
            let preset = PRESETS[rank(selection.preset)];
            prop_assert_eq!(selection.fewer_because.is_some(), selection.threads < preset.threads);
            prop_assert!(!selection.reason().chars().any(char::is_control));
            // Whatever stands in the way of the next preset is said.
            let next = selection.next.unwrap_or_else(|| " would need x".to_owned());
            prop_assert!(!next.ends_with("need "), "{}", next);
        }
    }
}
