//! Panics while the terminal is taken.
//!
//! On the thread of the screen the terminal is given back before anything is printed. Another
//! thread's panic is usually caught by whoever started it (a kernel that panics makes an answer
//! fail), so the screen stays and says what happened.

use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::thread;

use tokio::sync::mpsc::UnboundedSender;

use super::guard;
use crate::app::msg::Msg;

type Hook = dyn Fn(&PanicHookInfo<'_>) + Send + Sync;

/// The hook that was there before.
pub(super) struct Previous(Arc<Hook>);

/// Puts the hook in place; the calling thread is that of the screen.
pub(super) fn install(sender: UnboundedSender<Msg>) -> Previous {
    let previous: Arc<Hook> = panic::take_hook().into();
    let screen = thread::current().id();
    let inner = Arc::clone(&previous);
    panic::set_hook(Box::new(move |info| {
        let shown = thread::current().id() != screen
            && sender.send(Msg::Panicked(info.to_string())).is_ok();
        if !shown {
            guard::give_back();
            inner(info);
        }
    }));
    Previous(previous)
}

impl Previous {
    /// Puts the former hook back.
    pub(super) fn restore(self) {
        let hook = self.0;
        panic::set_hook(Box::new(move |info| hook(info)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// The hook belongs to the process; these tests take turns.
    static TURN: Mutex<()> = Mutex::new(());

    #[test]
    fn the_panic_of_another_thread_is_a_message_and_that_of_the_screen_is_not() {
        let _turn = TURN.lock().unwrap();
        let original = panic::take_hook();
        let printed = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&printed);
        panic::set_hook(Box::new(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        }));
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let previous = install(sender);

        let _ = thread::spawn(|| panic!("the kernel broke")).join();
        let Ok(Msg::Panicked(text)) = receiver.try_recv() else {
            panic!("no message")
        };
        assert!(text.contains("the kernel broke"), "{text}");
        assert_eq!(
            printed.load(Ordering::SeqCst),
            0,
            "it was printed over the screen"
        );

        let _ = panic::catch_unwind(|| panic!("the screen broke"));
        assert!(receiver.try_recv().is_err());
        assert_eq!(printed.load(Ordering::SeqCst), 1);

        drop(receiver);
        let _ = thread::spawn(|| panic!("after the session")).join();
        assert_eq!(printed.load(Ordering::SeqCst), 2, "nobody heard of it");

        previous.restore();
        let _ = thread::spawn(|| panic!("outside")).join();
        assert_eq!(printed.load(Ordering::SeqCst), 3);
        panic::set_hook(original);
    }
}
