//! What this process takes.

use std::time::Duration;

use crate::roots::{Roots, field, kib_field};
use crate::usage;

/// Resident memory of this process in bytes, mapped file pages included.
///
/// `VmRSS` of `/proc/self/status`, or `sysinfo` where there is no `/proc`; `None` if neither
/// tells.
pub fn resident_bytes() -> Option<u64> {
    resident_bytes_at(&Roots::system()).or_else(resident_from_sysinfo)
}

/// [`resident_bytes`] as the files under `roots` have it.
pub fn resident_bytes_at(roots: &Roots) -> Option<u64> {
    kib_field(&roots.read_proc("self/status")?, "VmRSS")
}

/// Resident memory in bytes of process `pid` and of all that descend from it. Pages that they share are counted
/// once for each.
///
/// `None` where there is no such process, and on systems without `/proc`.
pub fn resident_bytes_of(pid: u32) -> Option<u64> {
    resident_bytes_of_at(&Roots::system(), pid)
}

/// [`resident_bytes_of`] as the files under `roots` have it.
pub fn resident_bytes_of_at(roots: &Roots, pid: u32) -> Option<u64> {
    let own = resident_of(roots, pid)?;
    let others = descendants(roots, pid).into_iter();
    Some(
        own + others
            .filter_map(|pid| resident_of(roots, pid))
            .sum::<u64>(),
    )
}

/// Processor time of process `pid` and of all that descend from it and still run.
///
/// `None` where there is no such process, and on systems without `/proc`.
pub fn cpu_time_of(pid: u32) -> Option<Duration> {
    let roots = Roots::system();
    let own = usage::process_time(&roots, &pid.to_string())?;
    let others = descendants(&roots, pid).into_iter();
    let times = others.filter_map(|pid| usage::process_time(&roots, &pid.to_string()));
    Some(own + times.sum::<Duration>())
}

/// The processes that descend from `pid`.
fn descendants(roots: &Roots, pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = roots
        .processes()
        .into_iter()
        .filter_map(|pid| Some((pid, parent_of(roots, pid)?)))
        .collect();
    let (mut family, mut at) = (vec![pid], 0);
    while at < family.len() {
        // A process ends and its number is given again while the files are read: nobody is counted twice.
        let children = parents.iter().filter(|(_, parent)| *parent == family[at]);
        let new: Vec<u32> = children
            .map(|(pid, _)| *pid)
            .filter(|pid| !family.contains(pid))
            .collect();
        family.extend(new);
        at += 1;
    }
    family.split_off(1)
}

fn resident_of(roots: &Roots, pid: u32) -> Option<u64> {
    kib_field(&roots.read_proc(&format!("{pid}/status"))?, "VmRSS")
}

/// The process that started `pid`, or took its place.
fn parent_of(roots: &Roots, pid: u32) -> Option<u32> {
    field(&roots.read_proc(&format!("{pid}/status"))?, "PPid")?
        .parse()
        .ok()
}

/// The most resident memory that this process ever had, in bytes (`VmHWM`).
///
/// `None` on systems without `/proc`.
pub fn peak_resident_bytes() -> Option<u64> {
    peak_resident_bytes_at(&Roots::system())
}

/// [`peak_resident_bytes`] as the files under `roots` have it.
pub fn peak_resident_bytes_at(roots: &Roots) -> Option<u64> {
    kib_field(&roots.read_proc("self/status")?, "VmHWM")
}

/// Address space that this process takes, in bytes (`VmSize`): what `ulimit -v` counts.
///
/// `None` on systems without `/proc`.
pub fn address_space_bytes() -> Option<u64> {
    kib_field(&Roots::system().read_proc("self/status")?, "VmSize")
}

/// Processor time of this process, all its threads.
///
/// `None` on systems without `/proc`.
pub fn cpu_time() -> Option<Duration> {
    usage::process_time(&Roots::system(), "self")
}

/// File descriptors that this process has open.
///
/// `None` on systems without `/proc`.
pub fn open_files() -> Option<u64> {
    let open = std::fs::read_dir(Roots::system().proc.join("self/fd")).ok()?;
    // The look itself takes one.
    Some((open.count() as u64).saturating_sub(1))
}

fn resident_from_sysinfo() -> Option<u64> {
    let pid = sysinfo::get_current_pid().ok()?;
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_processes_specifics(
        sysinfo::ProcessesToUpdate::Some(&[pid]),
        false,
        sysinfo::ProcessRefreshKind::nothing().with_memory(),
    );
    system
        .process(pid)
        .map(|process| process.memory())
        .filter(|&bytes| bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_in_kib() {
        let resident = |text| kib_field(text, "VmRSS");
        assert_eq!(resident("Name:\tx\nVmRSS:\t     640 kB\n"), Some(655_360));
        assert_eq!(resident("VmRSS:\t?\n"), None);
    }

    #[test]
    fn children_and_theirs_belong_to_a_process() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots {
            proc: dir.path().to_owned(),
            sys: dir.path().to_owned(),
        };
        for (pid, parent, kib) in [(7, 1, 100), (8, 7, 20), (12, 8, 3), (9, 1, 4000)] {
            let place = dir.path().join(pid.to_string());
            std::fs::create_dir(&place).unwrap();
            let text = format!("Name:\tx\nPPid:\t{parent}\nVmRSS:\t  {kib} kB\n");
            std::fs::write(place.join("status"), text).unwrap();
        }
        assert_eq!(resident_bytes_of_at(&roots, 7), Some(123 * 1024));
        assert_eq!(resident_bytes_of_at(&roots, 12), Some(3 * 1024));
        assert_eq!(resident_bytes_of_at(&roots, 10), None);
    }

    #[test]
    fn what_this_process_has_is_told() {
        if !cfg!(target_os = "linux") {
            return;
        }
        let (files, before) = (open_files().unwrap(), cpu_time().unwrap());
        assert!(files >= 3, "{files}: input, output and errors at least");
        assert!(cpu_time().unwrap() >= before);
        assert!(cpu_time_of(std::process::id()).unwrap() >= before);
    }

    #[test]
    fn the_portable_reading_agrees_with_the_kernel() {
        let held = vec![1u8; 64 << 20];
        let portable = resident_from_sysinfo().unwrap();
        assert!(
            portable >= held.len() as u64,
            "{portable} is less than what is held"
        );
        if let Some(kernel) = resident_bytes_at(&Roots::system()) {
            assert!(
                kernel.abs_diff(portable) < 32 << 20,
                "{kernel} and {portable}"
            );
        }
        assert!(held.iter().all(|&byte| byte == 1));
    }
}
