//! Memory of the machine and what this process may take of it.

use serde::Serialize;

use crate::cgroup::{self, MemoryLimit};
use crate::limits::{self, HugePages, Limits};
use crate::roots::{Roots, kib_field};

/// Memory in bytes; a field is `None` where the system does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Memory of the machine.
    pub total_bytes: Option<u64>,
    /// Memory that could be had now without swapping (`MemAvailable`).
    pub available_bytes: Option<u64>,
    /// The tightest control-group limit, if there is one.
    pub limit: Option<MemoryLimit>,
    /// Swap space.
    pub swap_total_bytes: Option<u64>,
    /// Swap space that is free.
    pub swap_free_bytes: Option<u64>,
    /// Pages of 2 MiB.
    pub huge_pages: Option<HugePages>,
    /// What may still be promised to programs, where the system promises no more than it has.
    pub commit_left_bytes: Option<u64>,
    /// Limits of this process.
    pub process: Limits,
}

impl Memory {
    pub(crate) fn read(roots: &Roots) -> Self {
        let meminfo = roots.read_proc("meminfo").unwrap_or_default();
        Self {
            total_bytes: kib_field(&meminfo, "MemTotal"),
            available_bytes: kib_field(&meminfo, "MemAvailable"),
            limit: cgroup::memory_limit(roots),
            swap_total_bytes: kib_field(&meminfo, "SwapTotal"),
            swap_free_bytes: kib_field(&meminfo, "SwapFree"),
            huge_pages: HugePages::read(roots),
            commit_left_bytes: limits::commit_left(roots),
            process: Limits::read(roots),
        }
    }

    pub(crate) fn fill_from_sysinfo(&mut self) {
        let kind =
            sysinfo::RefreshKind::nothing().with_memory(sysinfo::MemoryRefreshKind::everything());
        if let Ok(system) = sysinfo::System::new_with_specifics(kind) {
            let known = |bytes: u64| (bytes > 0).then_some(bytes);
            self.total_bytes = known(system.total_memory());
            self.available_bytes = known(system.available_memory());
            self.swap_total_bytes = Some(system.total_swap());
            self.swap_free_bytes = Some(system.free_swap());
        }
    }

    /// The most this process could ever hold: the smallest of the memory, the limit of its control
    /// groups and its own limits (`ulimit`).
    pub fn usable_bytes(&self) -> Option<u64> {
        let limit = self.limit.as_ref().map(|limit| limit.bytes);
        let Limits {
            address_space,
            data,
            ..
        } = self.process;
        let known = [self.total_bytes, limit, address_space, data];
        known.into_iter().flatten().min()
    }

    pub(crate) fn describe(&self) -> Vec<(&'static str, String)> {
        let text = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), mib);
        let (total, available) = (text(self.total_bytes), text(self.available_bytes));
        let limit = self.limit.as_ref().map_or_else(
            || "none".to_owned(),
            |limit| format!("{} ({})", mib(limit.bytes), limit.source.display()),
        );
        let mut lines = vec![
            ("memory", format!("{total}, {available} available")),
            ("memory limit", limit),
        ];
        let own = self.process;
        for (name, bytes) in [
            ("address space", own.address_space),
            ("data limit", own.data),
        ] {
            lines.extend(bytes.map(|bytes| (name, format!("{} (ulimit)", mib(bytes)))));
        }
        if let (Some(total), Some(free)) = (self.swap_total_bytes, self.swap_free_bytes) {
            let swap = match total {
                0 => "none".to_owned(),
                _ => format!("{}, {} free", mib(total), mib(free)),
            };
            lines.push(("swap", swap));
        }
        if let Some(pages) = self.huge_pages {
            lines.push(("huge pages", pages.name().to_owned()));
        }
        lines
    }
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
