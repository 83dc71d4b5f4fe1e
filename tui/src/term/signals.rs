//! Signals: those that end the program and those that stop it for a while.

use std::io;

/// What a signal wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// The program should end; this signal said so.
    End(i32),
    /// The program should stop until it is told to go on.
    Stop,
    /// The program should break, to see what it leaves behind.
    #[cfg(unix)]
    Break,
}

#[cfg(unix)]
pub(super) use unix::Signals;

#[cfg(unix)]
mod unix {
    use futures_util::FutureExt as _;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{
        Signal as Number, getpgrp, getpid, getsid, kill_current_process_group, kill_process,
    };
    use tokio::signal::unix::{Signal, SignalKind, signal};

    use super::{Wish, io};
    use crate::term::guard::give_back;

    /// How long the loop may take to end after a signal.
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

    /// Waits until the terminal is hung up.
    async fn terminal_gone() {
        let input = io::stdin();
        loop {
            tokio::time::sleep(PATIENCE).await;
            let mut ready = [PollFd::new(&input, PollFlags::empty())];
            let polled = poll(&mut ready, Some(&Timespec::default()));
            let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
            if polled.is_ok() && ready[0].revents().intersects(gone) {
                return;
            }
        }
    }

    /// The signals that are listened to. They do nothing by themselves from then on.
    pub(in super::super) struct Signals {
        terminate: Signal,
        interrupt: Signal,
        hang_up: Signal,
        stop: Signal,
        /// SIGUSR2, in builds with debug assertions; elsewhere it ends a program, as usual.
        fault: Option<Signal>,
    }

    /// Waits for a signal that may not be listened to.
    async fn any(signal: &mut Option<Signal>) {
        match signal {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }

    impl Signals {
        /// Interruptions so far were for somebody else.
        pub(in super::super) fn forget_interrupts(&mut self) {
            while self.interrupt.recv().now_or_never().flatten().is_some() {}
        }

        pub(in super::super) fn listen() -> io::Result<Self> {
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                hang_up: signal(SignalKind::hangup())?,
                stop: signal(SignalKind::from_raw(Number::TSTP.as_raw()))?,
                fault: cfg!(debug_assertions)
                    .then(|| signal(SignalKind::user_defined2()))
                    .transpose()?,
            })
        }

        /// Sees to it that the program ends after a signal, or when the terminal is gone, even if
        /// the loop cannot: at the end of its input the thread that reads the keys goes round and
        /// round with a lock in its hand, and a job of a shell that died is not told by a signal.
        pub(in super::super) fn insist() -> io::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let watch = async {
                let mut signals = Self::listen()?;
                let number = loop {
                    tokio::select! {
                        wish = signals.next() => if let Wish::End(number) = wish {
                            break number;
                        },
                        () = terminal_gone() => break Number::HUP.as_raw(),
                    }
                };
                tokio::time::sleep(PATIENCE).await;
                give_back();
                std::process::exit(128 + number)
            };
            std::thread::Builder::new()
                .name("tritone-signals".to_owned())
                .spawn(move || -> io::Result<()> { runtime.block_on(watch) })?;
            Ok(())
        }

        /// Waits for the next signal.
        pub(in super::super) async fn next(&mut self) -> Wish {
            tokio::select! {
                _ = self.terminate.recv() => Wish::End(Number::TERM.as_raw()),
                _ = self.interrupt.recv() => Wish::End(Number::INT.as_raw()),
                _ = self.hang_up.recv() => Wish::End(Number::HUP.as_raw()),
                _ = self.stop.recv() => Wish::Stop,
                () = any(&mut self.fault) => Wish::Break,
            }
        }

        /// Whether a shell could make this process go on. A shell with job control leads the
        /// session and gives every job a group of its own; without one the program would stop
        /// for ever.
        pub(in super::super) fn has_shell(&self) -> bool {
            getsid(None).is_ok_and(|session| session != getpgrp())
        }

        /// Stops the other processes of the job, as Ctrl+Z does where it is not read as a key.
        /// This process gets the signal as well; when it has come, [`stop`](Self::stop) follows.
        pub(in super::super) async fn stop_job(&mut self) -> io::Result<()> {
            kill_current_process_group(Number::TSTP)?;
            let _ = self.stop.recv().await;
            Ok(())
        }

        /// Stops this process; returns when it goes on.
        pub(in super::super) fn stop(&self) -> io::Result<()> {
            Ok(kill_process(getpid(), Number::STOP)?)
        }
    }
}

#[cfg(not(unix))]
pub(super) use elsewhere::Signals;

#[cfg(not(unix))]
mod elsewhere {
    use super::{Wish, io};

    /// Only the interruption from outside is known here.
    pub(in super::super) struct Signals;

    impl Signals {
        pub(in super::super) fn listen() -> io::Result<Self> {
            Ok(Self)
        }

        /// The system tells nobody of interruptions that were for somebody else.
        pub(in super::super) fn forget_interrupts(&mut self) {}

        /// The system's own way of ending a program is enough here.
        pub(in super::super) fn insist() -> io::Result<()> {
            Ok(())
        }

        /// Waits for an interruption.
        pub(in super::super) async fn next(&mut self) -> Wish {
            match tokio::signal::ctrl_c().await {
                Ok(()) => Wish::End(2),
                Err(_) => std::future::pending().await,
            }
        }

        /// There are no jobs here.
        pub(in super::super) fn has_shell(&self) -> bool {
            false
        }

        /// There are no jobs here.
        pub(in super::super) async fn stop_job(&mut self) -> io::Result<()> {
            Ok(())
        }

        /// There is no stopping here.
        pub(in super::super) fn stop(&self) -> io::Result<()> {
            Ok(())
        }
    }
}
