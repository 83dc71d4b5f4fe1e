//! Memory of the machine and what this process may take of it.

use serde::Serialize;

use crate::cgroup::{self, MemoryLimit};
use crate::roots::{Roots, kib_field};

/// Memory in bytes; a field is `None` where the system does not tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Memory of the machine.
    pub total_bytes: Option<u64>,
    /// Memory that could be had now without swapping (`MemAvailable`).
    pub available_bytes: Option<u64>,
    /// The tightest control-group limit, if there is one.
    pub limit: Option<MemoryLimit>,
}

impl Memory {
    pub(crate) fn read(roots: &Roots) -> Self {
        let meminfo = roots.read_proc("meminfo").unwrap_or_default();
        Self {
            total_bytes: kib_field(&meminfo, "MemTotal"),
            available_bytes: kib_field(&meminfo, "MemAvailable"),
            limit: cgroup::memory_limit(roots),
        }
    }

    pub(crate) fn fill_from_sysinfo(&mut self) {
        let kind =
            sysinfo::RefreshKind::nothing().with_memory(sysinfo::MemoryRefreshKind::everything());
        if let Ok(system) = sysinfo::System::new_with_specifics(kind) {
            let known = |bytes: u64| (bytes > 0).then_some(bytes);
            self.total_bytes = known(system.total_memory());
            self.available_bytes = known(system.available_memory());
        }
    }

    /// The most this process could ever hold: the smaller of the memory and the limit.
    pub fn usable_bytes(&self) -> Option<u64> {
        let limit = self.limit.as_ref().map(|limit| limit.bytes);
        [self.total_bytes, limit].into_iter().flatten().min()
    }

    pub(crate) fn describe(&self) -> [(&'static str, String); 2] {
        let text = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), mib);
        let (total, available) = (text(self.total_bytes), text(self.available_bytes));
        let limit = self.limit.as_ref().map_or_else(
            || "none".to_owned(),
            |limit| format!("{} ({})", mib(limit.bytes), limit.source.display()),
        );
        [
            ("memory", format!("{total}, {available} available")),
            ("memory limit", limit),
        ]
    }
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
