//! The runtime on which servers are spoken to.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

use crate::error::{Fault, StrategyError};

static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();

/// The runtime of all strategies; it is started when it is first needed, and has one thread.
pub(crate) fn runtime() -> Result<&'static Runtime, StrategyError> {
    let runtime = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("strategy")
            .enable_all()
            .build()
            .map_err(|error| error.to_string())
    });
    runtime
        .as_ref()
        .map_err(|why| StrategyError::new(Fault::Other, format!("cannot start a thread: {why}")))
}
