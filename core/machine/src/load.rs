//! How busy the machine is.

use crate::roots::Roots;

/// The first number of `/proc/loadavg` (proc_loadavg(5)): the last minute.
pub(crate) fn average(roots: &Roots) -> Option<f64> {
    let text = roots.read_proc("loadavg")?;
    let load: f64 = text.split_ascii_whitespace().next()?.parse().ok()?;
    (load.is_finite() && load >= 0.0).then_some(load)
}

/// The same where there is no `/proc`. Systems that keep no such number say 0, always.
pub(crate) fn from_sysinfo() -> Option<f64> {
    let load = sysinfo::System::load_average().ok()?.one;
    (cfg!(unix) && load.is_finite() && load >= 0.0).then_some(load)
}
