//! Process groups, where the system has them.

use std::process::{Child, Command};

use crate::error::StrategyError;

#[cfg(unix)]
pub(super) use unix::{has_ended, kill, lead};

#[cfg(unix)]
mod unix {
    use super::{Child, Command, StrategyError};
    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
    use std::os::unix::process::CommandExt as _;

    /// The process that is started leads a group of its own: what ends this one's group does not reach it. It stands
    /// in a directory in which nobody else can leave libraries for it, and has a name that says whose it is.
    #[expect(clippy::unnecessary_wraps, reason = "fails on other systems")]
    pub(in crate::child) fn lead(command: &mut Command) -> Result<(), StrategyError> {
        command.process_group(0).current_dir("/").arg0("tritone");
        Ok(())
    }

    fn pid(child: &Child) -> Option<Pid> {
        Pid::from_raw(i32::try_from(child.id()).ok()?)
    }

    /// Whether it has ended; its status is not taken, so that its number is not given to another.
    pub(in crate::child) fn has_ended(child: &mut Child) -> bool {
        let Some(pid) = pid(child) else { return true };
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(pid), look), Ok(None))
    }

    /// Kills all of its group.
    pub(in crate::child) fn kill(child: &mut Child) {
        if let Some(pid) = pid(child) {
            // That there is nobody left is no fault.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

#[cfg(not(unix))]
pub(super) use other::{has_ended, kill, lead};

#[cfg(not(unix))]
mod other {
    use super::{Child, Command, StrategyError};
    use crate::error::Fault;

    pub(in crate::child) fn lead(_: &mut Command) -> Result<(), StrategyError> {
        let text =
            "servers are started on Linux and macOS only: elsewhere nothing ends them for certain";
        Err(StrategyError::new(Fault::Unsupported, text)
            .remedy("start the server yourself, and give its address"))
    }

    pub(in crate::child) fn has_ended(child: &mut Child) -> bool {
        !matches!(child.try_wait(), Ok(None))
    }

    pub(in crate::child) fn kill(child: &mut Child) {
        let _ = child.kill();
    }
}
