//! What the system says to a server: end, end at once, read the keys again.

use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use tokio::sync::Notify;

/// Whether the server is to end.
#[derive(Clone, Default)]
pub(super) struct Stop(Arc<Shared>);

#[derive(Default)]
struct Shared {
    asked: AtomicBool,
    told: Notify,
}

impl Stop {
    pub(super) fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// Waits until somebody asks.
    pub(super) async fn asked(&self) {
        // One notification is kept, so that none is missed in between.
        while !self.is_asked() {
            self.0.told.notified().await;
        }
    }

    /// Somebody asks; the second time ends the process.
    fn ask(&self, signal: i32) {
        if self.0.asked.swap(true, Ordering::SeqCst) {
            // Asked for twice: what still runs is not waited for.
            exit(128 + signal);
        }
        self.0.told.notify_one();
    }
}

const INT: i32 = 2;
#[cfg(unix)]
const TERM: i32 = 15;
/// The same number on every Unix.
#[cfg(unix)]
const XFSZ: i32 = 25;

/// Takes the signals over, on the runtime of this thread. `reload` is called at SIGHUP.
///
/// # Errors
/// When the system gives no handler.
#[cfg(unix)]
pub(super) fn listen(reload: impl Fn() + Send + Sync + 'static) -> anyhow::Result<Stop> {
    use tokio::signal::unix::{SignalKind, signal};

    let handler = |kind| signal(kind).context("cannot wait for signals");
    let mut int = handler(SignalKind::interrupt())?;
    let mut term = handler(SignalKind::terminate())?;
    let mut hup = handler(SignalKind::hangup())?;
    // A log at the limit of file sizes (`ulimit -f`) is an error of that write and no reason to die.
    let mut too_large = handler(SignalKind::from_raw(XFSZ))?;
    let stop = Stop::default();
    let asked = stop.clone();
    let reload = Arc::new(reload);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = int.recv() => asked.ask(INT),
                Some(()) = term.recv() => asked.ask(TERM),
                Some(()) = hup.recv() => {
                    let reload = Arc::clone(&reload);
                    drop(tokio::task::spawn_blocking(move || reload()));
                }
                Some(()) = too_large.recv() => {}
                else => return,
            }
        }
    });
    Ok(stop)
}

/// Takes Ctrl+C over, on the runtime of this thread; there are no other signals here.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub(super) fn listen(_reload: impl Fn() + Send + Sync + 'static) -> anyhow::Result<Stop> {
    let stop = Stop::default();
    let asked = stop.clone();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            asked.ask(INT);
        }
    });
    Ok(stop)
}
