//! Ctrl+C as a wish to stop in order.

use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use tritone_engine::Cancel;

use super::failure::CANCELLED;

/// Knows whether Ctrl+C was pressed. The first time, work ends in order and keeps what it has; the
/// second time, the process ends at once.
pub(crate) struct Interrupt(Arc<Shared>);

#[derive(Default)]
struct Shared {
    pressed: AtomicBool,
    cancel: Mutex<Option<Cancel>>,
}

impl Interrupt {
    /// Takes Ctrl+C over from now on.
    ///
    /// # Errors
    /// When the system gives no thread or no signal handler.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::default());
        let listener = Arc::clone(&shared);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot wait for signals")?;
        std::thread::Builder::new()
            .name("tritone-signals".to_owned())
            .spawn(move || runtime.block_on(wait(&listener)))
            .context("cannot start a thread")?;
        Ok(Self(shared))
    }

    /// Whether Ctrl+C was pressed.
    pub(crate) fn is_pressed(&self) -> bool {
        self.0.pressed.load(Ordering::SeqCst)
    }

    /// Ends this request when Ctrl+C is pressed, or now if it was.
    pub(crate) fn cancels(&self, cancel: Cancel) {
        let mut slot = self.0.cancel.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_pressed() {
            cancel.cancel();
        }
        *slot = Some(cancel);
    }
}

async fn wait(shared: &Shared) {
    if tokio::signal::ctrl_c().await.is_err() {
        return;
    }
    {
        let slot = shared.cancel.lock().unwrap_or_else(PoisonError::into_inner);
        shared.pressed.store(true, Ordering::SeqCst);
        if let Some(cancel) = &*slot {
            cancel.cancel();
        }
    }
    if tokio::signal::ctrl_c().await.is_ok() {
        #[expect(
            clippy::exit,
            reason = "asked for twice: whatever still runs is not waited for"
        )]
        exit(i32::from(CANCELLED));
    }
}
