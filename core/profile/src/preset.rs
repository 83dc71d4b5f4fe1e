//! The four presets, and picking one for a machine.

/// A preset: a complete profile that is compiled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// Its TOML text, comments included, to show or to copy.
    pub text: &'static str,
    /// Cores a machine should have for it: one per thread.
    cores: usize,
    /// Its memory limit in MiB.
    memory_mb: u64,
}

/// The presets, smallest first.
pub const PRESETS: [Preset; 4] = [
    Preset {
        name: "mobile",
        text: include_str!("../../../profiles/mobile.toml"),
        cores: 2,
        memory_mb: 512,
    },
    Preset {
        name: "edge",
        text: include_str!("../../../profiles/edge.toml"),
        cores: 4,
        memory_mb: 1024,
    },
    Preset {
        name: "server",
        text: include_str!("../../../profiles/server.toml"),
        cores: 8,
        memory_mb: 2048,
    },
    Preset {
        name: "cloud",
        text: include_str!("../../../profiles/cloud.toml"),
        cores: 16,
        memory_mb: 4096,
    },
];

/// The preset used when nothing names one and the machine is not known.
pub const DEFAULT_PRESET: &str = "edge";

/// The preset of that name.
pub(crate) fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// Picks a preset for a machine with `cores` usable cores and `memory_mb` MiB usable memory, and
/// says why.
///
/// It is the largest one whose threads each have a core and whose limit is at most half of the
/// memory, so that the rest of the system keeps the other half; `mobile` if none is.
pub fn auto_select(cores: usize, memory_mb: u64) -> (&'static str, String) {
    let fits = |preset: &Preset| preset.cores <= cores && preset.memory_mb <= memory_mb / 2;
    let machine = format!("{cores} cores and {memory_mb} MiB of memory");
    let largest = PRESETS.iter().rposition(fits);
    let chosen = &PRESETS[largest.unwrap_or(0)];
    let because = if largest.is_some() {
        format!(
            "{machine}: {} ({} threads, {} MiB) is the largest preset with a core per thread and \
             at most half of the memory",
            chosen.name, chosen.cores, chosen.memory_mb
        )
    } else {
        format!(
            "{machine}: less than any preset is made for, {} is the smallest",
            chosen.name
        )
    };
    let next = PRESETS.get(largest.map_or(1, |index| index + 1));
    let reason = match next {
        Some(next) if largest.is_some() => format!(
            "{because}; {} would want {} cores and {} MiB",
            next.name,
            next.cores,
            2 * next.memory_mb
        ),
        _ => because,
    };
    (chosen.name, reason)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Layers, resolve};

    #[test]
    fn the_table_agrees_with_the_files() {
        for preset in PRESETS {
            let resolved = resolve(Some(preset.name), &Layers::none()).unwrap();
            assert_eq!(resolved.profile().name, preset.name);
            assert_eq!(resolved.profile().threads, preset.cores);
            assert_eq!(resolved.profile().memory_mb, preset.memory_mb);
        }
    }

    #[test]
    fn selection() {
        let name = |cores, memory| auto_select(cores, memory).0;
        assert_eq!(name(1, 256), "mobile");
        assert_eq!(name(2, 1024), "mobile");
        assert_eq!(name(4, 2048), "edge");
        assert_eq!(name(4, 2047), "mobile");
        assert_eq!(name(15, 1 << 20), "server");
        assert_eq!(name(64, 8192), "cloud");
        assert_eq!(name(64, 4096), "server");
        let reason = auto_select(6, 16_000).1;
        assert!(reason.contains("6 cores and 16000 MiB"), "{reason}");
        assert!(
            reason.contains("server would want 8 cores and 4096 MiB"),
            "{reason}"
        );
        let small = auto_select(1, 100).1;
        assert!(small.contains("less than any preset"), "{small}");
    }

    proptest! {
        #[test]
        fn more_machine_never_means_a_smaller_preset(
            cores in 0usize..40, memory in 0u64..20_000, more in 0usize..40, room in 0u64..20_000,
        ) {
            let rank = |name: &str| PRESETS.iter().position(|preset| preset.name == name);
            let small = auto_select(cores, memory).0;
            let large = auto_select(cores + more, memory + room).0;
            prop_assert!(rank(small) <= rank(large));
        }
    }
}
