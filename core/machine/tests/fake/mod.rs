//! Machines built out of plain files.

#![allow(dead_code, reason = "every test uses some of it")]

use std::fs;

use tempfile::TempDir;
use tritone_machine::{Machine, Roots};

/// A directory that stands for a machine; paths are written as on the machine.
pub(crate) struct Fake {
    dir: TempDir,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.dir.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots {
            proc: self.dir.path().join("proc"),
            sys: self.dir.path().join("sys"),
        }
    }

    pub(crate) fn detect(&self) -> Machine {
        Machine::detect_at(&self.roots())
    }

    /// `cores` cores with two threads each; CPU n and n + cores share a core.
    pub(crate) fn with_cores(mut self, cores: usize) -> Self {
        let base = "/sys/devices/system/cpu";
        self = self.file(&format!("{base}/online"), format!("0-{}\n", 2 * cores - 1));
        for cpu in 0..2 * cores {
            let core = cpu % cores;
            self = self.file(
                &format!("{base}/cpu{cpu}/topology/thread_siblings_list"),
                format!("{core},{}\n", core + cores),
            );
        }
        self
    }

    pub(crate) fn unified(self, group: &str) -> Self {
        self.file("/proc/self/cgroup", format!("0::{group}\n"))
            .file(
                "/proc/self/mountinfo",
                "22 1 0:20 / /proc rw - proc proc rw\n\
             29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
            )
    }

    pub(crate) fn version_one(self, group: &str, mount_root: &str) -> Self {
        self.file(
            "/proc/self/cgroup",
            format!("9:name=systemd:/\n4:memory:{group}\n1:cpu,cpuacct:{group}\n0::/\n"),
        )
        .file(
            "/proc/self/mountinfo",
            format!(
                "32 31 0:29 {mount_root} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                 35 31 0:32 {mount_root} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                 41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
            ),
        )
    }
}
