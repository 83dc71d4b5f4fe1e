//! The four presets.

/// A preset: a complete profile that is compiled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// Its TOML text, comments included, to show or to copy.
    pub text: &'static str,
    /// Its threads; a machine should have a core for each.
    pub threads: usize,
    /// Its memory limit in MiB.
    pub memory_mb: u64,
}

/// The presets, smallest first.
pub const PRESETS: [Preset; 4] = [
    Preset {
        name: "mobile",
        text: include_str!("../../../profiles/mobile.toml"),
        threads: 2,
        memory_mb: 512,
    },
    Preset {
        name: "edge",
        text: include_str!("../../../profiles/edge.toml"),
        threads: 4,
        memory_mb: 1024,
    },
    Preset {
        name: "server",
        text: include_str!("../../../profiles/server.toml"),
        threads: 8,
        memory_mb: 2048,
    },
    Preset {
        name: "cloud",
        text: include_str!("../../../profiles/cloud.toml"),
        threads: 16,
        memory_mb: 4096,
    },
];

/// The preset used when nothing names one and the machine is not known.
pub const DEFAULT_PRESET: &str = "edge";

/// The preset of that name.
pub(crate) fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layers, resolve};

    #[test]
    fn the_table_agrees_with_the_files() {
        for preset in PRESETS {
            let resolved = resolve(Some(preset.name), &Layers::none()).unwrap();
            assert_eq!(resolved.profile().name, preset.name);
            assert_eq!(resolved.profile().threads, preset.threads);
            assert_eq!(resolved.profile().memory_mb, preset.memory_mb);
        }
    }
}
