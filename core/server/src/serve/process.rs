//! What the system says of this process.

use std::time::Duration;

use crate::metrics::Gauges;

/// Adds it, as far as the system tells.
pub(super) fn look(gauges: &mut Gauges) {
    gauges.cpu_seconds = tritone_machine::cpu_time()
        .as_ref()
        .map(Duration::as_secs_f64);
    gauges.resident_bytes = tritone_machine::resident_bytes();
    gauges.open_files = tritone_machine::open_files();
}
