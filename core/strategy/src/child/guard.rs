//! The process between this one and a program that it started: it ends the program when this one is gone.
//!
//! However this process ends, also by a signal that cannot be caught, the system closes its files; among them is the
//! writing end of the guard's standard input. The guard waits for that, and ends the whole process group then. It is
//! in that group itself, so that the group can be ended from here as well, should the guard be killed.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::error::{Fault, StrategyError};

/// How this program is called to be the guard of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    tritone: PathBuf,
}

impl Guard {
    /// The command of `tritone` that calls [`guard_child`], with the program and its arguments behind it.
    pub const COMMAND: &'static str = "guard-child";

    /// The guard that the program `tritone` becomes when it is called with [`Guard::COMMAND`].
    #[must_use]
    pub fn of(tritone: impl Into<PathBuf>) -> Self {
        Self {
            tritone: tritone.into(),
        }
    }

    /// The guard that this program becomes, as `tritone`. Where the system shows it, it is the very file that runs,
    /// even if that was exchanged or removed meanwhile.
    ///
    /// # Errors
    /// When the system does not say which program this is.
    pub fn of_this_program() -> std::io::Result<Self> {
        let running = Path::new("/proc/self/exe");
        if cfg!(target_os = "linux") && running.exists() {
            return Ok(Self::of(running));
        }
        std::env::current_exe().map(Self::of)
    }

    /// The program that is started.
    pub(super) fn program(&self) -> &Path {
        &self.tritone
    }

    /// Its arguments, to start `program` with `arguments`.
    pub(super) fn arguments<'a>(
        program: &'a Path,
        arguments: &'a [OsString],
    ) -> impl Iterator<Item = &'a OsStr> {
        [
            OsStr::new(Self::COMMAND),
            OsStr::new("--"),
            program.as_os_str(),
        ]
        .into_iter()
        .chain(arguments.iter().map(OsString::as_os_str))
    }
}

/// Runs a program, its arguments behind it, until it ends, or until standard input does: then the whole process group
/// is asked to end and, two seconds later, killed, this process with it. Returns the program's exit code, or 128 and
/// the number of the signal that ended it.
///
/// # Errors
/// When the program cannot be started, or this process does not lead a process group of its own.
#[cfg(unix)]
pub fn guard_child(command: &[OsString]) -> Result<u8, StrategyError> {
    use std::os::unix::process::ExitStatusExt as _;

    unix::check_group()?;
    let (program, arguments) = command.split_first().ok_or_else(|| {
        StrategyError::new(Fault::Missing, "there is no program to guard")
            .remedy("name one behind `--`")
    })?;
    // Before there is a child: a signal to the group must not end the guard first.
    let signals = unix::Signals::take()?;
    let mut child = std::process::Command::new(program)
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .spawn()
        .map_err(|error| {
            let text = format!("cannot start {}: {error}", Path::new(program).display());
            StrategyError::new(Fault::Missing, text)
        })?;
    let ending = unix::Ending::default();
    ending.on_signals(signals)?;
    ending.on_end_of_input()?;
    let status = child.wait().map_err(|error| {
        StrategyError::new(
            Fault::Other,
            format!("cannot wait for the program: {error}"),
        )
    })?;
    ending.program_ended();
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// There are no process groups here.
///
/// # Errors
/// Always.
#[cfg(not(unix))]
pub fn guard_child(_: &[OsString]) -> Result<u8, StrategyError> {
    Err(StrategyError::new(
        Fault::Unsupported,
        "programs cannot be guarded on this system",
    ))
}

#[cfg(unix)]
mod unix {
    use std::io::{ErrorKind, Read as _};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use rustix::process::{Signal, getpgrp, getpid, kill_process_group};
    use tokio::runtime::{Builder, Runtime};
    use tokio::signal::unix::{Signal as Incoming, SignalKind, signal};

    use crate::child::GRACE;
    use crate::error::{Fault, StrategyError};

    fn failed(what: &str, error: &std::io::Error) -> StrategyError {
        StrategyError::new(Fault::Other, format!("the guard cannot {what}: {error}"))
    }

    /// Ending the group must end nobody else.
    pub(super) fn check_group() -> Result<(), StrategyError> {
        if getpgrp() == getpid() {
            return Ok(());
        }
        let text = "a guard leads a process group of its own, and this process does not";
        Err(StrategyError::new(Fault::Refused, text)
            .remedy("this command is for Tritone itself; run the program without it"))
    }

    /// Signals that would end this process.
    pub(super) struct Signals {
        runtime: Runtime,
        signals: [Incoming; 3],
    }

    impl Signals {
        /// From here on they are events.
        pub(super) fn take() -> Result<Self, StrategyError> {
            let runtime = Builder::new_current_thread()
                .enable_io()
                .build()
                .map_err(|error| failed("start", &error))?;
            let entered = runtime.enter();
            let catch = |kind| signal(kind).map_err(|error| failed("catch signals", &error));
            let signals = [
                catch(SignalKind::terminate())?,
                catch(SignalKind::interrupt())?,
                catch(SignalKind::hangup())?,
            ];
            drop(entered);
            Ok(Self { runtime, signals })
        }
    }

    /// Ends the group, once.
    #[derive(Clone, Default)]
    pub(super) struct Ending(Arc<AtomicBool>);

    impl Ending {
        fn begin(&self) {
            if self.0.swap(true, Ordering::SeqCst) {
                return;
            }
            end(Signal::TERM);
            thread::sleep(GRACE);
            end(Signal::KILL);
        }

        pub(super) fn on_signals(&self, mut signals: Signals) -> Result<(), StrategyError> {
            let ending = self.clone();
            spawn("guard-signals", move || {
                let [terminate, interrupt, hangup] = &mut signals.signals;
                signals.runtime.block_on(async {
                    tokio::select! {
                        _ = terminate.recv() => {}
                        _ = interrupt.recv() => {}
                        _ = hangup.recv() => {}
                    }
                });
                ending.begin();
            })
        }

        pub(super) fn on_end_of_input(&self) -> Result<(), StrategyError> {
            let ending = self.clone();
            spawn("guard-input", move || {
                let mut input = std::io::stdin();
                let mut bytes = [0; 64];
                // What it says does not matter.
                loop {
                    match input.read(&mut bytes) {
                        Ok(0) => break,
                        Ok(_) => {}
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        Err(_) => break,
                    }
                }
                ending.begin();
            })
        }

        /// What the program has left behind ends too.
        pub(super) fn program_ended(&self) {
            if self.0.swap(true, Ordering::SeqCst) {
                // Whoever is to hear of it is gone, or does not wait.
                end(Signal::KILL);
            } else {
                end(Signal::TERM);
            }
        }
    }

    fn end(how: Signal) {
        // That there is nobody left is no fault.
        let _ = kill_process_group(getpgrp(), how);
    }

    fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StrategyError> {
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .map(drop)
            .map_err(|error| failed("start a thread", &error))
    }
}
