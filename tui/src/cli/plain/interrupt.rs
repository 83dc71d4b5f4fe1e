//! Ctrl+C in a conversation of lines: it stops the answer, and leaves when nothing runs.

use std::process::exit;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use tritone_engine::Cancel;

use super::input::Heard;
use crate::cli::failure::CANCELLED;

/// What Ctrl+C means now.
enum Now {
    /// Something runs that asks now and then whether it is to stop.
    Working,
    /// An answer is written.
    Answering(Cancel),
    /// What runs is told to stop already.
    Stopping,
    /// A message is waited for.
    Waiting,
}

/// Knows what Ctrl+C means, and whether it was pressed.
pub(super) struct Interrupts {
    now: Arc<Mutex<Now>>,
    sender: Sender<Heard>,
    receiver: Mutex<Option<Receiver<Heard>>>,
}

impl Interrupts {
    /// Takes Ctrl+C over from now on.
    ///
    /// # Errors
    /// When the system gives no thread or no signal handler.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let now = Arc::new(Mutex::new(Now::Working));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot wait for signals")?;
        let (state, lines) = (Arc::clone(&now), sender.clone());
        std::thread::Builder::new()
            .name("tritone-signals".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    while tokio::signal::ctrl_c().await.is_ok() {
                        pressed(&state, &lines);
                    }
                });
            })
            .context("cannot start a thread")?;
        Ok(Self {
            now,
            sender,
            receiver: Mutex::new(Some(receiver)),
        })
    }

    /// The channel on which Ctrl+C comes while nothing runs; for lines, too.
    pub(super) fn sender(&self) -> (Sender<Heard>, Receiver<Heard>) {
        let mut slot = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = slot.take().unwrap_or_else(|| mpsc::channel().1);
        self.set(Now::Waiting);
        (self.sender.clone(), receiver)
    }

    fn set(&self, now: Now) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Something begins that asks [`is_pressed`](Self::is_pressed).
    pub(super) fn working(&self) {
        self.set(Now::Working);
    }

    /// An answer begins.
    pub(super) fn answering(&self, cancel: Cancel) {
        self.set(Now::Answering(cancel));
    }

    /// Nothing runs any more.
    pub(super) fn waiting(&self) {
        self.set(Now::Waiting);
    }

    /// Whether what runs is to stop.
    pub(super) fn is_pressed(&self) -> bool {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(*now, Now::Stopping)
    }
}

fn pressed(now: &Mutex<Now>, lines: &Sender<Heard>) {
    let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
    match &*now {
        Now::Working => *now = Now::Stopping,
        Now::Answering(cancel) => {
            cancel.cancel();
            *now = Now::Stopping;
        }
        Now::Waiting => {
            let _ = lines.send(Heard::Interrupt);
        }
        Now::Stopping => {
            #[expect(
                clippy::exit,
                reason = "asked for twice: whatever still runs is not waited for, and no mode of the \
                          terminal was changed"
            )]
            exit(i32::from(CANCELLED));
        }
    }
}
