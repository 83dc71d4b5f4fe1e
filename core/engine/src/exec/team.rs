//! A team of threads, created once, that runs one program together.
//!
//! The caller is member 0; the others spin briefly for the next program, then park. Inside a
//! program, members claim units of work from one counter and meet at barriers; the last member to
//! arrive resets the counter. A panic in one member poisons the team: the others leave their
//! barriers with [`Poisoned`] instead of waiting for ever.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread::{JoinHandle, Thread};

/// A member of the team panicked. The team cannot be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a worker thread panicked")]
pub(crate) struct Poisoned;

/// Spins before a waiting thread gives its processor to others.
const SPINS_BEFORE_YIELD: u32 = 2_000;
/// Spins before an idle thread parks; about a tenth of a millisecond.
const SPINS_BEFORE_PARK: u32 = 20_000;

/// The program of one run: a borrowed closure whose lifetime [`Team::run`] guards.
type Program = *const (dyn Fn(&Member<'_>) -> Result<(), Poisoned> + Sync);

struct Hub {
    /// Members, the caller included.
    size: usize,
    /// Grows with every program; workers wait for it to change.
    epoch: AtomicU32,
    /// The program of this epoch; written before `epoch` grows, read after.
    program: std::sync::Mutex<Option<SendProgram>>,
    /// Workers that have not finished the program.
    running: AtomicUsize,
    /// Units claimed in this phase.
    claimed: AtomicUsize,
    /// Members that arrived at the barrier.
    arrived: AtomicUsize,
    /// Grows with every barrier passed.
    generation: AtomicU32,
    poisoned: AtomicBool,
    stop: AtomicBool,
}

#[derive(Clone, Copy)]
struct SendProgram(Program);
// SAFETY: the closure is `Sync`, and `Team::run` keeps it alive until all workers are done.
unsafe impl Send for SendProgram {}

/// One thread's view of a running program.
pub(crate) struct Member<'a> {
    hub: &'a Hub,
    id: usize,
}

impl Member<'_> {
    /// 0 for the caller, then 1, 2, ...
    #[must_use]
    pub(crate) fn id(&self) -> usize {
        self.id
    }

    /// The next unclaimed unit of this phase: 0, 1, 2, ... Every unit goes to one member.
    #[inline]
    #[must_use]
    pub(crate) fn claim(&self) -> usize {
        self.hub.claimed.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits for all members and starts the next phase: what was written before is visible after.
    ///
    /// # Errors
    /// [`Poisoned`] when a member panicked.
    pub(crate) fn barrier(&self) -> Result<(), Poisoned> {
        let hub = self.hub;
        if hub.size == 1 {
            hub.claimed.store(0, Ordering::Relaxed);
            return Ok(());
        }
        let generation = hub.generation.load(Ordering::Relaxed);
        if hub.arrived.fetch_add(1, Ordering::AcqRel) + 1 == hub.size {
            hub.arrived.store(0, Ordering::Relaxed);
            hub.claimed.store(0, Ordering::Relaxed);
            hub.generation
                .store(generation.wrapping_add(1), Ordering::Release);
            return Ok(());
        }
        let mut spins = 0u32;
        while hub.generation.load(Ordering::Acquire) == generation {
            if hub.poisoned.load(Ordering::Relaxed) {
                return Err(Poisoned);
            }
            relax(&mut spins);
        }
        Ok(())
    }
}

fn relax(spins: &mut u32) {
    *spins = spins.saturating_add(1);
    if *spins < SPINS_BEFORE_YIELD {
        std::hint::spin_loop()
    } else {
        std::thread::yield_now()
    }
}

/// The threads. Dropping the team ends them.
pub(crate) struct Team {
    hub: Arc<Hub>,
    workers: Vec<(JoinHandle<()>, Thread)>,
}

impl Team {
    /// Starts `size - 1` threads beside the caller; `size` is at least 1.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn new(size: usize) -> std::io::Result<Self> {
        let hub = Arc::new(Hub {
            size: size.max(1),
            epoch: AtomicU32::new(0),
            program: std::sync::Mutex::new(None),
            running: AtomicUsize::new(0),
            claimed: AtomicUsize::new(0),
            arrived: AtomicUsize::new(0),
            generation: AtomicU32::new(0),
            poisoned: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let mut team = Self {
            hub: hub.clone(),
            workers: Vec::new(),
        };
        for id in 1..hub.size {
            let hub = hub.clone();
            let handle = std::thread::Builder::new()
                .name(format!("tritone-{id}"))
                .spawn(move || worker(&hub, id))?;
            let thread = handle.thread().clone();
            team.workers.push((handle, thread));
        }
        Ok(team)
    }

    /// Members, the caller included.
    #[must_use]
    pub(crate) fn size(&self) -> usize {
        self.hub.size
    }

    /// Runs `program` on all members and returns when all are done.
    ///
    /// # Errors
    /// [`Poisoned`] when a member panicked, now or earlier.
    pub(crate) fn run(
        &mut self,
        program: &(dyn Fn(&Member<'_>) -> Result<(), Poisoned> + Sync),
    ) -> Result<(), Poisoned> {
        let hub = &*self.hub;
        if hub.poisoned.load(Ordering::Relaxed) {
            return Err(Poisoned);
        }
        hub.claimed.store(0, Ordering::Relaxed);
        hub.running.store(hub.size - 1, Ordering::Relaxed);
        if hub.size > 1 {
            // SAFETY: only the lifetime changes. The pointer is used by workers between here and
            // the wait below, which this function does not leave before all of them are done.
            let program: Program = unsafe { std::mem::transmute(std::ptr::from_ref(program)) };
            *hub.program
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(SendProgram(program));
            hub.epoch.fetch_add(1, Ordering::Release);
            for (_, thread) in &self.workers {
                thread.unpark();
            }
        }
        execute(hub, 0, program);
        let mut spins = 0;
        while hub.running.load(Ordering::Acquire) > 0 {
            relax(&mut spins);
        }
        if hub.poisoned.load(Ordering::Relaxed) {
            Err(Poisoned)
        } else {
            Ok(())
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.hub.stop.store(true, Ordering::Relaxed);
        self.hub.epoch.fetch_add(1, Ordering::Release);
        for (handle, thread) in self.workers.drain(..) {
            thread.unpark();
            // A worker catches its panics, so there is nothing to learn from the result.
            let _ = handle.join();
        }
    }
}

fn execute(hub: &Hub, id: usize, program: &(dyn Fn(&Member<'_>) -> Result<(), Poisoned> + Sync)) {
    let member = Member { hub, id };
    // A panic may leave this step's buffers half written; they are not read again, because a
    // poisoned team runs nothing more.
    if catch_unwind(AssertUnwindSafe(|| program(&member))).is_err() {
        hub.poisoned.store(true, Ordering::Release);
    }
}

fn worker(hub: &Hub, id: usize) {
    let mut seen = 0;
    loop {
        let mut spins = 0u32;
        loop {
            let epoch = hub.epoch.load(Ordering::Acquire);
            if epoch != seen {
                seen = epoch;
                break;
            }
            spins = spins.saturating_add(1);
            if spins < SPINS_BEFORE_PARK {
                std::hint::spin_loop()
            } else {
                std::thread::park()
            }
        }
        if hub.stop.load(Ordering::Relaxed) {
            return;
        }
        let program = *hub
            .program
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(SendProgram(program)) = program {
            // SAFETY: `Team::run` set this pointer for this epoch and waits for `running` to
            // reach 0 before its borrow ends.
            execute(hub, id, unsafe { &*program });
        }
        hub.running.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn every_unit_is_done_once_in_every_phase() {
        for size in [1, 2, 3, 5] {
            let mut team = Team::new(size).unwrap();
            for _ in 0..200 {
                let phases: Vec<AtomicU64> = (0..4).map(|_| AtomicU64::new(0)).collect();
                team.run(&|m| {
                    for (p, done) in phases.iter().enumerate() {
                        // The phase before is complete when this one starts.
                        if p > 0 {
                            assert_eq!(phases[p - 1].load(Ordering::Relaxed), (1 << 20) - 1);
                        }
                        loop {
                            let unit = m.claim();
                            if unit >= 20 {
                                break;
                            }
                            let before = done.fetch_or(1 << unit, Ordering::Relaxed);
                            assert_eq!(before & (1 << unit), 0, "unit {unit} done twice");
                        }
                        m.barrier()?;
                    }
                    Ok(())
                })
                .unwrap();
                assert!(
                    phases
                        .iter()
                        .all(|p| p.load(Ordering::Relaxed) == (1 << 20) - 1)
                );
            }
        }
    }

    #[test]
    fn a_panic_poisons_the_team_and_frees_the_others() {
        for bad in 0..3 {
            let mut team = Team::new(3).unwrap();
            let result = team.run(&|m| {
                assert!(m.id() != bad, "on purpose");
                m.barrier()
            });
            assert_eq!(result, Err(Poisoned));
            assert_eq!(team.run(&|_| Ok(())), Err(Poisoned));
        }
    }

    #[test]
    fn idle_workers_park_and_come_back() {
        let mut team = Team::new(2).unwrap();
        for _ in 0..3 {
            std::thread::sleep(std::time::Duration::from_millis(30));
            let count = AtomicU64::new(0);
            team.run(&|m| {
                count.fetch_add(m.id() as u64 + 1, Ordering::Relaxed);
                Ok(())
            })
            .unwrap();
            assert_eq!(count.load(Ordering::Relaxed), 3);
        }
    }
}
