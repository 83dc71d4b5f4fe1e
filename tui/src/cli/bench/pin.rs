//! Threads that stay on their processors.

#[cfg(target_os = "linux")]
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::cli::failure::Usage;

/// Which processor each thread of a measurement runs on: different cores first.
#[derive(Debug)]
pub(crate) struct Pins {
    cpus: Vec<usize>,
}

impl Pins {
    /// Places for `threads` threads.
    ///
    /// # Errors
    /// When the system does not tell its processors, refuses to pin, or has too few.
    #[cfg(target_os = "linux")]
    pub(crate) fn new(threads: usize) -> anyhow::Result<Self> {
        let cpus = tritone_machine::spread_cpus();
        if cpus.len() < threads || cpus.iter().any(|cpu| *cpu >= CpuSet::MAX_CPU) {
            let why = format!(
                "--pin has no processor for each of {threads} threads: this process may run on {}",
                cpus.len()
            );
            return Err(Usage(why).into());
        }
        let pins = Self { cpus };
        // Trying it here says why before anything has been measured.
        let before = sched_getaffinity(None);
        let back = before.and_then(|before| {
            pins.try_pin(0)?;
            sched_setaffinity(None, &before)
        });
        back.map_err(|error| Usage(format!("--pin does not work here: {error}")))?;
        Ok(pins)
    }

    /// Places for `threads` threads.
    ///
    /// # Errors
    /// Always: this system has no such call.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn new(_threads: usize) -> anyhow::Result<Self> {
        Err(Usage("--pin works on Linux only".to_owned()).into())
    }

    /// The processors in the order of the threads that get them.
    pub(crate) fn cpus(&self, threads: usize) -> &[usize] {
        &self.cpus[..threads.min(self.cpus.len())]
    }

    #[cfg(target_os = "linux")]
    fn try_pin(&self, thread: usize) -> rustix::io::Result<()> {
        let mut set = CpuSet::new();
        if let Some(cpu) = self.cpus.get(thread) {
            set.set(*cpu);
            sched_setaffinity(None, &set)?;
        }
        Ok(())
    }

    /// Keeps the calling thread, number `thread` of its team, on its processor.
    pub(crate) fn pin(&self, thread: usize) {
        // Worked when it was tried; a CPU set that shrank since then leaves the thread where it is.
        #[cfg(target_os = "linux")]
        let _ = self.try_pin(thread);
        #[cfg(not(target_os = "linux"))]
        let _ = thread;
    }

    /// Keeps the calling thread on the first processor until the value is dropped. Threads started
    /// meanwhile inherit that, so that nothing else may be started.
    pub(crate) fn hold(&self) -> Held {
        #[cfg(target_os = "linux")]
        {
            let before = sched_getaffinity(None).ok();
            self.pin(0);
            Held { before }
        }
        #[cfg(not(target_os = "linux"))]
        Held {}
    }
}

/// A thread that stays on its processor until this is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Held {
    #[cfg(target_os = "linux")]
    before: Option<CpuSet>,
}

impl Drop for Held {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        if let Some(before) = &self.before {
            let _ = sched_setaffinity(None, before);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_held_thread_is_on_one_processor_and_free_afterwards() {
        let allowed = || {
            let set = sched_getaffinity(None).unwrap();
            (0..CpuSet::MAX_CPU)
                .filter(|cpu| set.is_set(*cpu))
                .collect::<Vec<_>>()
        };
        let before = allowed();
        let pins = Pins::new(1).unwrap();
        assert_eq!(allowed(), before, "only tried");
        let held = pins.hold();
        assert_eq!(allowed(), pins.cpus(1));
        drop(held);
        assert_eq!(allowed(), before);
        let refused = Pins::new(before.len() + 1).unwrap_err();
        assert!(
            refused.to_string().contains("has no processor"),
            "{refused}"
        );
    }
}
