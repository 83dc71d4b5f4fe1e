//! What a profile bounds and has watched.

use std::time::Duration;

use tritone_monitor::Limits;

/// What a profile bounds and what it has watched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// What the resident memory may be, in bytes.
    pub memory: Option<u64>,
    /// When there is an alert.
    pub alerts: Limits,
    /// Time between two samples of the monitor.
    pub interval: Duration,
}

impl Default for Bounds {
    /// No bounds.
    fn default() -> Self {
        Self {
            memory: None,
            interval: Duration::from_secs(1),
            alerts: Limits {
                memory_bytes: u64::MAX,
                near_limit: false,
                cpu_percent: f64::INFINITY,
                min_tokens_per_second: 0.0,
                error_rate_percent: f64::INFINITY,
                latency_ms: f64::INFINITY,
            },
        }
    }
}
