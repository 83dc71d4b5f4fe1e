//! The program's directories: whether they can be written, and what they lie on.

use std::path::Path;

use tritone_engine::human_bytes;

use super::finding::{Area, Finding, Level};
use crate::cli::paths;

/// Free space below this is little for packed weights.
const LITTLE: u64 = 2 << 30;

/// Looks at the four directories of the XDG Base Directory Specification, and at that of temporary files.
pub(super) fn findings(env: &dyn Fn(&str) -> Option<String>) -> Vec<Finding> {
    let mut area = Area::new("directories");
    for (name, variable, below, lost) in [
        (
            "config",
            "XDG_CONFIG_HOME",
            ".config",
            "settings cannot be kept",
        ),
        (
            "data",
            "XDG_DATA_HOME",
            ".local/share",
            "conversations and fetched models cannot be kept",
        ),
        (
            "state",
            "XDG_STATE_HOME",
            ".local/state",
            "the history of the input cannot be kept",
        ),
        (
            "cache",
            "XDG_CACHE_HOME",
            ".cache",
            "packed weights and measurements cannot be kept, and every start takes longer",
        ),
    ] {
        let home = paths::base(env, variable, below);
        match home {
            None => area.say(
                name,
                "none",
                Level::Note,
                format!("neither {variable} nor HOME is an absolute path: {lost}"),
            ),
            Some(home) => {
                let path = home.join("tritone");
                let said = of_directory(&path, name, lost);
                area.judge(name, path.display().to_string(), said);
            }
        }
    }
    let temporary = std::env::temp_dir();
    let said = if !may_write(&temporary) {
        let advice = "it cannot be written: the external editor has no file to edit";
        Some((Level::Warning, advice.to_owned()))
    } else {
        Disk::of(&temporary).filter(|disk| disk.in_memory).map(|_| {
            let advice = "it lies in memory (tmpfs): a model kept there takes memory twice";
            (Level::Note, advice.to_owned())
        })
    };
    area.judge("temporary files", temporary.display().to_string(), said);
    area.findings
}

fn of_directory(path: &Path, name: &str, lost: &str) -> Option<(Level, String)> {
    let existing = path.ancestors().find(|path| path.exists())?;
    if !existing.is_dir() {
        let advice = format!("{} is a file: {lost}", existing.display());
        return Some((Level::Warning, advice));
    }
    if !may_write(existing) {
        let advice = format!("{} cannot be written: {lost}", existing.display());
        return Some((Level::Warning, advice));
    }
    if name != "cache" {
        return None;
    }
    let disk = Disk::of(existing)?;
    if disk.in_memory {
        let advice = "it lies in memory (tmpfs): packed weights kept there take memory that the model \
                      needs, and are gone after a restart; `--pack-cache DIR` names a disk";
        return Some((Level::Note, advice.to_owned()));
    }
    (disk.free < LITTLE).then(|| {
        let free = human_bytes(disk.free);
        let advice =
            format!("only {free} are free: packed weights take as much as the model once more");
        (Level::Note, advice)
    })
}

#[cfg(unix)]
fn may_write(directory: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(directory, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

#[cfg(not(unix))]
fn may_write(directory: &Path) -> bool {
    std::fs::metadata(directory).is_ok_and(|found| !found.permissions().readonly())
}

/// What a directory lies on.
struct Disk {
    in_memory: bool,
    /// Bytes that this user may still write.
    free: u64,
}

impl Disk {
    #[cfg(target_os = "linux")]
    fn of(directory: &Path) -> Option<Self> {
        /// `TMPFS_MAGIC` and `RAMFS_MAGIC` of linux/magic.h.
        const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
        let found = rustix::fs::statfs(directory).ok()?;
        let block = u64::try_from(found.f_bsize).ok()?;
        Some(Self {
            in_memory: u64::try_from(found.f_type).is_ok_and(|kind| IN_MEMORY.contains(&kind)),
            free: found.f_bavail.saturating_mul(block),
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn of(_: &Path) -> Option<Self> {
        None
    }
}
