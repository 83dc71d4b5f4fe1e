//! Limits that the system sets this process, and how it deals with memory.
//!
//! Formats: proc_pid_limits(5), proc_sys_vm(5), and the kernel's
//! `Documentation/admin-guide/mm/transhuge.rst`.

use serde::Serialize;

use crate::roots::Roots;

/// Resource limits of this process (`ulimit`) in bytes; `None` is no limit, or unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Address space (`ulimit -v`): mapped files count as well.
    pub address_space: Option<u64>,
    /// Data (`ulimit -d`): memory that is no mapped file.
    pub data: Option<u64>,
    /// Memory that may be locked (`ulimit -l`), for `--mlock`.
    pub locked: Option<u64>,
}

impl Limits {
    pub(crate) fn read(roots: &Roots) -> Self {
        let text = roots.read_proc("self/limits").unwrap_or_default();
        // "Max locked memory         8388608              8388608              bytes"
        let soft = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_ascii_whitespace().next()?.parse::<u64>().ok()
        };
        Self {
            address_space: soft("Max address space"),
            data: soft("Max data size"),
            locked: soft("Max locked memory"),
        }
    }
}

/// Whether memory comes in pages of 2 MiB: fewer of them have to be looked up while weights stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HugePages {
    /// For everybody.
    Always,
    /// For programs that ask, as this one does.
    Madvise,
    /// For nobody.
    Never,
}

impl HugePages {
    pub(crate) fn read(roots: &Roots) -> Option<Self> {
        let text = roots.read_sys("kernel/mm/transparent_hugepage/enabled")?;
        // "always [madvise] never"
        let chosen = text.split_once('[')?.1.split_once(']')?.0;
        match chosen.trim() {
            "always" => Some(Self::Always),
            "madvise" => Some(Self::Madvise),
            "never" => Some(Self::Never),
            _ => None,
        }
    }

    /// The system's own word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Madvise => "madvise",
            Self::Never => "never",
        }
    }
}

/// Bytes that may still be promised to programs, where the system promises no more than it has
/// (`vm.overcommit_memory` is 2); `None` elsewhere.
pub(crate) fn commit_left(roots: &Roots) -> Option<u64> {
    let mode = roots.read_proc("sys/vm/overcommit_memory")?;
    if mode.trim() != "2" {
        return None;
    }
    let meminfo = roots.read_proc("meminfo")?;
    let field = |key| crate::roots::kib_field(&meminfo, key);
    Some(field("CommitLimit")?.saturating_sub(field("Committed_AS")?))
}
