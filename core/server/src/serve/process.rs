//! What the system says of this process.

use crate::metrics::Gauges;

/// Times in `/proc` are counted in hundredths of a second, on every processor (`USER_HZ`).
const TICKS: f64 = 100.0;

/// Adds it, where there is a `/proc` to look into.
pub(super) fn look(gauges: &mut Gauges) {
    if let Ok(text) = std::fs::read_to_string("/proc/self/stat") {
        gauges.cpu_seconds = processor(&text);
    }
    if let Ok(text) = std::fs::read_to_string("/proc/self/status") {
        gauges.resident_bytes = resident(&text);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        // The look itself takes one.
        gauges.open_files = Some((files.count() as u64).saturating_sub(1));
    }
}

/// Time in the program and in the system for it: fields 14 and 15, of which the second, a name, may have
/// anything in it.
fn processor(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut times = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || times.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / TICKS)
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
    fn times_follow_the_name_whatever_is_in_it() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 99 0 0 0 150 25 0 0 20 0 3 0 5 6";
        assert_eq!(processor(stat), Some(1.75));
        assert_eq!(processor("7 (a) S 1"), None);
        assert_eq!(processor(""), None);
    }

    #[test]
    fn resident_memory_is_in_kib() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t     640 kB\n"), Some(655_360));
        assert_eq!(resident("VmRSS:\t?\n"), None);
    }
}
