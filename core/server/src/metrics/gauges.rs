//! What is so right now.

use tritone_engine::Engine;

use crate::guard::LogCounts;
use crate::schedule::{CacheStatus, Dispatcher, Status};

/// A look at what changes up and down.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gauges {
    /// The scheduler.
    pub schedule: Status,
    /// Kept answers.
    pub cache: CacheStatus,
    /// Pages of the KV cache in use, of all there are, 0 to 1.
    pub kv_ratio: f64,
    /// Pages of the KV cache.
    pub kv_pages: usize,
    /// Steps that the engine has done, and sequences in them now.
    pub steps: u64,
    /// Sequences in the running batch.
    pub batch: usize,
    /// The model's name.
    pub model: String,
    /// The kernel's name.
    pub kernel: String,
    /// Threads of the engine.
    pub threads: usize,
    /// Lines of the request log, if there is one.
    pub log: Option<LogCounts>,
    /// Bytes of resident memory, where the system says it.
    pub resident_bytes: Option<u64>,
    /// Seconds of processor time.
    pub cpu_seconds: Option<f64>,
    /// Open file descriptors.
    pub open_files: Option<u64>,
    /// Seconds since 1970 when the process started.
    pub start_seconds: Option<f64>,
}

impl Gauges {
    /// Looks at a dispatcher and its engine; what is said of the process is left out.
    #[must_use]
    pub fn of(dispatcher: &Dispatcher, model: &str) -> Self {
        let engine: &Engine = dispatcher.engine();
        let status = engine.status();
        Self {
            schedule: dispatcher.status(),
            cache: dispatcher.cache_status(),
            kv_ratio: status.kv_pages_used as f64 / status.kv_pages.max(1) as f64,
            kv_pages: status.kv_pages,
            steps: status.counters.steps,
            batch: status.active,
            model: model.to_owned(),
            kernel: engine.kernel_name(),
            threads: engine.threads(),
            ..Self::default()
        }
    }
}
