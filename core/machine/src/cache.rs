//! Sizes of the data caches.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::cpu;
use crate::roots::Roots;

/// Linux numbers a CPU's caches from 0; no processor has this many.
const MAX_INDEX: usize = 16;

/// The data or unified caches of one level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cache {
    /// 1 is nearest to the core; level 1 is the data cache only.
    pub level: u8,
    /// Size in bytes of one cache; of the largest where cores differ.
    pub bytes: u64,
    /// How many separate caches of this level the online CPUs have.
    pub instances: usize,
}

impl fmt::Display for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = if self.level == 1 { "d" } else { "" };
        write!(
            f,
            "L{}{letter} {} KiB x {}",
            self.level,
            self.bytes >> 10,
            self.instances
        )
    }
}

/// Reads `/sys/devices/system/cpu/cpu*/cache`, by increasing level.
pub(crate) fn read(roots: &Roots) -> Vec<Cache> {
    let mut levels: BTreeMap<u8, (u64, BTreeSet<String>)> = BTreeMap::new();
    for cpu in cpu::online(roots).unwrap_or_default() {
        for index in 0..MAX_INDEX {
            let file = |name: &str| {
                let path = format!("devices/system/cpu/cpu{cpu}/cache/index{index}/{name}");
                roots.read_sys(&path).map(|text| text.trim().to_owned())
            };
            let Some(kind) = file("type") else { break };
            let level = file("level").and_then(|text| text.parse::<u8>().ok());
            let bytes = file("size").and_then(|text| parse_size(&text));
            let (Some(level), Some(bytes)) = (level, bytes) else {
                continue;
            };
            if kind == "Instruction" {
                continue;
            }
            let shared = file("shared_cpu_list").unwrap_or_else(|| cpu.to_string());
            let entry = levels.entry(level).or_default();
            entry.0 = entry.0.max(bytes);
            entry.1.insert(shared);
        }
    }
    levels
        .into_iter()
        .map(|(level, (bytes, shared))| Cache {
            level,
            bytes,
            instances: shared.len(),
        })
        .collect()
}

/// Parses `32K`, `8M` or plain bytes.
fn parse_size(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    digits
        .parse::<u64>()
        .ok()?
        .checked_mul(unit)
        .filter(|&bytes| bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("32K"), Some(32 << 10));
        assert_eq!(parse_size("8M"), Some(8 << 20));
        assert_eq!(parse_size("512"), Some(512));
        assert_eq!(parse_size("18446744073709551615K"), None);
        assert_eq!(parse_size("0K"), None);
        assert_eq!(parse_size("\u{b5}"), None);
        assert_eq!(parse_size(""), None);
    }
}
