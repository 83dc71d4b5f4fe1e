//! What this computer is, and how much of it this process may use.
//!
//! [`Machine::detect`] reads the processor (model, instruction sets, cores, caches), the CPUs this
//! process is allowed to run on, the CPU quota and memory limit of its control groups, and the
//! memory; besides the kinds of its cores, clock, temperature, battery and load. [`choose_threads`]
//! turns that into a thread count and, when a request had to be lowered, into a sentence that says so.
//! [`resident_bytes`] says what the process itself takes, [`resident_bytes_of`] what another and its children do, [`CpuWatch`] how much CPU time it and everybody
//! else uses, and [`EnergyMeter`] what the processor takes.
//!
//! On Linux everything comes from `/proc` and `/sys`; every reader takes its [`Roots`], so that a
//! test can build a machine out of plain files. Elsewhere the `sysinfo` crate fills in what it
//! knows. Nothing here fails: a fact that cannot be read is absent, or takes the cautious value.
//!
//! ```
//! let machine = tritone_machine::Machine::detect();
//! let choice = tritone_machine::choose_threads(None, &machine);
//! assert!(choice.threads >= 1 && choice.threads <= machine.usable_threads);
//! ```
#![forbid(unsafe_code)]

mod battery;
mod cache;
mod cgroup;
mod cpu;
mod energy;
mod frequency;
mod heat;
mod isa;
mod limits;
mod load;
mod memory;
mod process;
mod roots;
mod threads;
mod usage;

use serde::Serialize;

pub use battery::Battery;
pub use cache::Cache;
pub use cgroup::{CpuQuota, MemoryLimit};
pub use energy::{EnergyMeter, NoEnergy};
pub use frequency::Frequency;
pub use heat::{Temperature, Throttling, temperature, temperature_at, throttling, throttling_at};
pub use isa::features;
pub use limits::{HugePages, Limits};
pub use memory::Memory;
pub use process::{
    address_space_bytes, cpu_time, cpu_time_of, open_files, peak_resident_bytes,
    peak_resident_bytes_at, resident_bytes, resident_bytes_at, resident_bytes_of,
    resident_bytes_of_at,
};
pub use roots::Roots;
pub use threads::{ThreadChoice, choose_preset_threads, choose_threads};
pub use usage::{CpuUse, CpuWatch};

/// The facts about this computer, as seen by this process.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// Processor model as the system names it, or `unknown`.
    pub cpu: String,
    /// Architecture the program was compiled for: `x86_64`, `aarch64`, ...
    pub arch: &'static str,
    /// Instruction-set extensions that the processor and the system support; see [`features`].
    pub isa: Vec<&'static str>,
    /// CPUs that are online: hardware threads, not cores.
    pub logical_cpus: usize,
    /// Cores that are online; equals `logical_cpus` where the topology is unknown.
    pub physical_cores: usize,
    /// CPUs this process may run on (affinity mask and cpuset).
    pub allowed_cpus: usize,
    /// Distinct cores among the allowed CPUs.
    pub allowed_cores: usize,
    /// Allowed cores of the fast kind, where the processor has two kinds and both are allowed.
    pub performance_cores: Option<usize>,
    /// Allowed cores that are made to save power; no thread is started for them unless asked for.
    pub efficiency_cores: usize,
    /// The tightest CPU quota on the way up the control groups, if there is one.
    pub cpu_quota: Option<CpuQuota>,
    /// The most threads that can run at the same time: the smaller of `allowed_cpus` and the
    /// quota rounded down, and at least 1. More than this is never started.
    pub usable_threads: usize,
    /// Threads to use when nobody asked for a number: one per allowed core of the fast kind, within
    /// `usable_threads`. The second hardware thread of a core adds no memory bandwidth, and a slow
    /// core would make all others wait at the next barrier.
    pub default_threads: usize,
    /// Memory of the machine and the limit set on this process.
    pub memory: Memory,
    /// Data and unified caches, by level.
    pub caches: Vec<Cache>,
    /// The clock of the processor.
    pub frequency: Option<Frequency>,
    /// How hot the processor was when it was looked at.
    pub temperature: Option<Temperature>,
    /// Whether heat has slowed the processor.
    pub throttling: Throttling,
    /// The battery, if the machine has one.
    pub battery: Option<Battery>,
    /// Threads of all programs that ran or wanted to, on average over the last minute.
    pub load_average: Option<f64>,
}

impl Machine {
    /// Looks at the running system.
    ///
    /// Reads a few dozen small files; what they do not tell is asked of `sysinfo`.
    pub fn detect() -> Self {
        let roots = Roots::system();
        let mut machine = Self::detect_at(&roots);
        machine.fill_gaps(&roots);
        machine
    }

    /// Looks at the system described by the files under `roots`, and nothing else.
    ///
    /// `arch` and `isa` are those of the running program. Without any file the result is one CPU
    /// of unknown model and unknown memory.
    pub fn detect_at(roots: &Roots) -> Self {
        let topology = cpu::Topology::read(roots);
        let cpu_quota = cgroup::cpu_quota(roots);
        let (usable_threads, default_threads) = threads::bounds(
            topology.allowed_cpus,
            topology
                .kinds
                .map_or(topology.allowed_cores, |(fast, _)| fast),
            cpu_quota.as_ref(),
        );
        Self {
            cpu: cpu::model(roots).unwrap_or_else(|| "unknown".to_owned()),
            arch: std::env::consts::ARCH,
            isa: isa::features(),
            logical_cpus: topology.logical_cpus,
            physical_cores: topology.physical_cores,
            allowed_cpus: topology.allowed_cpus,
            allowed_cores: topology.allowed_cores,
            performance_cores: topology.kinds.map(|(fast, _)| fast),
            efficiency_cores: topology.kinds.map_or(0, |(_, slow)| slow),
            cpu_quota,
            usable_threads,
            default_threads,
            memory: Memory::read(roots),
            caches: cache::read(roots),
            frequency: frequency::read(roots, topology.first_cpu),
            temperature: temperature_at(roots),
            throttling: throttling_at(roots),
            battery: battery::read(roots),
            load_average: load::average(roots),
        }
    }

    /// Asks the portable library for what the files did not tell.
    fn fill_gaps(&mut self, roots: &Roots) {
        if cpu::online(roots).is_none() {
            let logical = std::thread::available_parallelism().map_or(1, |n| n.get());
            let physical = sysinfo::System::physical_core_count()
                .unwrap_or(logical)
                .clamp(1, logical);
            self.logical_cpus = logical;
            self.physical_cores = physical;
            self.allowed_cpus = logical;
            self.allowed_cores = physical;
            (self.usable_threads, self.default_threads) =
                threads::bounds(logical, physical, self.cpu_quota.as_ref());
        }
        if self.cpu == "unknown"
            && let Some(brand) = cpu::brand_from_sysinfo()
        {
            self.cpu = brand;
        }
        if self.memory.total_bytes.is_none() {
            self.memory.fill_from_sysinfo();
        }
        if self.load_average.is_none() {
            self.load_average = load::from_sysinfo();
        }
    }

    /// The facts as (label, value) pairs for people to read, in a fixed order.
    pub fn describe(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("processor", format!("{} ({})", self.cpu, self.arch)),
            ("instruction sets", list_or_none(self.isa.iter().copied())),
            (
                "cores",
                match self.performance_cores {
                    Some(fast) => format!(
                        "{} cores, {} CPUs; of those allowed {fast} fast and {} made to save power",
                        self.physical_cores, self.logical_cpus, self.efficiency_cores
                    ),
                    None => format!("{} cores, {} CPUs", self.physical_cores, self.logical_cpus),
                },
            ),
            (
                "allowed",
                format!("{} CPUs on {} cores", self.allowed_cpus, self.allowed_cores),
            ),
            (
                "CPU quota",
                self.cpu_quota
                    .as_ref()
                    .map_or_else(|| "none".to_owned(), ToString::to_string),
            ),
            (
                "threads",
                match self.efficiency_cores {
                    0 => format!(
                        "{} by default, at most {}",
                        self.default_threads, self.usable_threads
                    ),
                    slow => format!(
                        "{} by default, which leaves out {slow} cores made to save power; at most {}",
                        self.default_threads, self.usable_threads
                    ),
                },
            ),
        ];
        lines.extend(self.memory.describe());
        lines.push((
            "caches",
            list_or_none(self.caches.iter().map(ToString::to_string)),
        ));
        if let Some(frequency) = &self.frequency {
            lines.push(("clock", frequency.to_string()));
        }
        if let Some(temperature) = &self.temperature {
            lines.push(("temperature", temperature.to_string()));
        }
        if let Some(battery) = &self.battery {
            lines.push(("battery", battery.to_string()));
        }
        if let Some(load) = self.load_average {
            lines.push(("load average", format!("{load:.2}")));
        }
        lines
    }
}

/// The CPUs this process may run on, one of every core first: hardware threads that share a core come
/// last. Empty where the system does not tell.
pub fn spread_cpus() -> Vec<usize> {
    cpu::spread(&Roots::system())
}

/// [`spread_cpus`] as the files under `roots` have it.
pub fn spread_cpus_at(roots: &Roots) -> Vec<usize> {
    cpu::spread(roots)
}

/// The operating system for people: `Linux 6.1.0 (Debian GNU/Linux 12)`.
pub fn operating_system() -> String {
    let kernel = sysinfo::System::kernel_long_version().ok();
    let name = sysinfo::System::long_os_version().ok();
    match (kernel, name) {
        (Some(kernel), Some(name)) => format!("{kernel} ({name})"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => std::env::consts::OS.to_owned(),
    }
}

fn list_or_none<S: AsRef<str>>(items: impl Iterator<Item = S>) -> String {
    let mut text = String::new();
    for item in items {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(item.as_ref());
    }
    if text.is_empty() {
        "none known".to_owned()
    } else {
        text
    }
}
