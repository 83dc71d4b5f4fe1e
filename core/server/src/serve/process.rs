//! What the system says of this process.

use crate::metrics::Gauges;

/// Adds it, where there is a `/proc` to look into.
pub(super) fn look(gauges: &mut Gauges) {
    if let Ok(text) = std::fs::read_to_string("/proc/self/status") {
        gauges.resident_bytes = resident(&text);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        // The look itself takes one.
        gauges.open_files = Some((files.count() as u64).saturating_sub(1));
    }
}

fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_in_kib() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t     640 kB\n"), Some(655_360));
        assert_eq!(resident("VmRSS:\t?\n"), None);
    }
}
