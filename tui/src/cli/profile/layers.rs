//! What the profile of this run is made of.

use tritone_machine::Machine;
use tritone_profile::{
    Battery, Layers, Situation, Vectors, process_environment, profiles_dir_path, project_file_path,
    select, user_file_path,
};

use crate::cli::args::CommonArgs;

/// Most threads a profile names.
const PROFILE_THREADS: usize = 1024;

/// The layers above the preset: files, environment, flags, `settings` that were made while the
/// program runs, and what suits `machine` if nobody names a profile.
pub(crate) fn layers(
    common: &CommonArgs,
    settings: &[(String, String)],
    machine: &Machine,
) -> Layers<'static> {
    let mut layers = Layers {
        auto: Some(select(&situation(machine))),
        profiles_dir: profiles_dir_path(&process_environment),
        user_file: user_file_path(&process_environment),
        project_file: std::env::current_dir()
            .ok()
            .map(|dir| project_file_path(&dir)),
        env: &process_environment,
        flags: Vec::new(),
    };
    // Numbers beyond what a profile may say are lowered later, not refused.
    let threads = common
        .threads
        .filter(|threads| (1..=PROFILE_THREADS).contains(threads));
    let flags = [
        ("--threads", "threads", threads.map(|n| n.to_string())),
        (
            "--memory",
            "memory_mb",
            common.memory.map(|n| n.to_string()),
        ),
        ("--ctx", "context", common.ctx.map(|n| n.to_string())),
        ("--head", "head", common.head.clone()),
        ("--kv", "kv_type", common.kv.clone()),
        ("--kernel", "kernel", common.kernel.clone()),
        ("--pack-cache", "pack_cache", common.pack_cache.clone()),
        ("--mlock", "mlock", common.mlock.then(|| "true".to_owned())),
    ];
    for (flag, key, value) in flags {
        if let Some(value) = value {
            layers = layers.with_flag(flag, key, &value);
        }
    }
    for (key, value) in settings {
        layers = layers.with_flag("in the chat", key, value);
    }
    layers
}

/// The machine as a preset is chosen for it.
pub(super) fn situation(machine: &Machine) -> Situation {
    let mib = |bytes: u64| bytes >> 20;
    let vectors = if machine.isa.contains(&"avx512bw") {
        Vectors::Wide
    } else if machine.isa.contains(&"avx2") || machine.isa.contains(&"neon") {
        Vectors::Narrow
    } else {
        Vectors::None
    };
    Situation {
        // Cores made to save power get no thread unless somebody asks.
        cores: machine.performance_cores.unwrap_or(machine.allowed_cores),
        cpus: machine.logical_cpus,
        quota: machine.cpu_quota.as_ref().map(|quota| quota.cpus),
        memory_mb: machine.memory.total_bytes.map(mib),
        memory_limit_mb: machine.memory.limit.as_ref().map(|limit| mib(limit.bytes)),
        vectors,
        battery: machine.battery.map(|battery| Battery {
            percent: battery.percent,
            discharging: battery.in_use,
        }),
        load: machine.load_average,
    }
}

#[cfg(test)]
mod tests {
    use tritone_machine::{CpuQuota, Memory, MemoryLimit};

    use super::*;

    #[test]
    fn the_machine_decides_with_quota_and_limit() {
        let mut machine = Machine::detect();
        machine.allowed_cores = 16;
        machine.performance_cores = None;
        machine.logical_cpus = 32;
        machine.cpu_quota = None;
        machine.battery = None;
        machine.load_average = None;
        machine.isa = vec!["avx2"];
        machine.memory = Memory {
            total_bytes: Some(64 << 30),
            ..Memory::default()
        };
        assert_eq!(select(&situation(&machine)).preset, "cloud");
        machine.performance_cores = Some(4);
        assert_eq!(
            select(&situation(&machine)).preset,
            "edge",
            "fast cores count"
        );
        machine.performance_cores = None;
        machine.memory.limit = Some(MemoryLimit {
            bytes: 5 << 30,
            source: "memory.max".into(),
        });
        assert_eq!(select(&situation(&machine)).preset, "server");
        machine.cpu_quota = Some(CpuQuota {
            cpus: 2.5,
            source: "cpu.max".into(),
        });
        let selection = select(&situation(&machine));
        assert_eq!((selection.preset, selection.threads), ("mobile", 2));
        machine.cpu_quota = None;
        machine.load_average = Some(30.5);
        assert_eq!(select(&situation(&machine)).threads, 8, "half of the cores");
        machine.battery = Some(tritone_machine::Battery {
            in_use: true,
            percent: Some(80),
        });
        assert_eq!(select(&situation(&machine)).preset, "edge");
    }
}
