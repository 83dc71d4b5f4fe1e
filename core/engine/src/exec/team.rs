//! A team of threads, created once, that runs one program together.
//!
//! The caller is member 0; the others spin briefly for the next program, then park. Inside a
//! program, members claim units of work from one counter and meet at a [`Barrier`]; the last member
//! to arrive resets the counter. A panic in one member poisons the team: the others leave their
//! barriers with [`Poisoned`] instead of waiting for ever.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{JoinHandle, Thread};

use super::barrier::Barrier;
pub(crate) use super::barrier::Poisoned;

/// Spins before an idle worker parks; about a tenth of a millisecond.
const SPINS_BEFORE_PARK: u32 = 20_000;

/// The program of one run: a borrowed closure whose lifetime [`Team::run`] guards.
type Program = *const (dyn Fn(&Member<'_>) -> Result<(), Poisoned> + Sync);

struct Hub {
    /// Where members meet inside a program.
    barrier: Barrier,
    /// Where all meet when they have left the program; never poisoned.
    end: Barrier,
    /// Grows with every program; workers wait for it to change.
    epoch: AtomicU32,
    /// The program of this epoch; written before `epoch` grows, read after.
    program: std::sync::Mutex<Option<SendProgram>>,
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
        self.hub.barrier.claim()
    }

    /// Waits for all members and starts the next phase: what was written before is visible after.
    ///
    /// # Errors
    /// [`Poisoned`] when a member panicked.
    pub(crate) fn barrier(&self) -> Result<(), Poisoned> {
        self.hub.barrier.meet()
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
            barrier: Barrier::new(size),
            end: Barrier::new(size),
            epoch: AtomicU32::new(0),
            program: std::sync::Mutex::new(None),
            stop: AtomicBool::new(false),
        });
        let mut team = Self {
            hub: hub.clone(),
            workers: Vec::new(),
        };
        for id in 1..hub.barrier.size() {
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
        self.hub.barrier.size()
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
        if hub.barrier.is_poisoned() {
            return Err(Poisoned);
        }
        hub.barrier.restart();
        if hub.barrier.size() > 1 {
            // SAFETY: only the lifetime changes. The pointer is used by workers between here and
            // the meeting below, which this function does not leave before all of them are done.
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
        hub.end.meet()?;
        if hub.barrier.is_poisoned() {
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
        hub.barrier.poison();
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
            // SAFETY: `Team::run` set this pointer for this epoch and waits at `end` for all
            // workers before its borrow ends.
            execute(hub, id, unsafe { &*program });
        }
        // Nobody poisons this barrier.
        let _ = hub.end.meet();
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

    /// Members that come late or early by far more than a spin: the others sleep and are woken.
    #[test]
    fn a_slow_member_is_waited_for() {
        let mut team = Team::new(3).unwrap();
        let slow = AtomicU64::new(0);
        team.run(&|m| {
            for phase in 0..6 {
                if phase % 3 == m.id() {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                    slow.fetch_add(1, Ordering::Relaxed);
                }
                m.barrier()?;
                assert_eq!(slow.load(Ordering::Relaxed), phase as u64 + 1);
                m.barrier()?;
            }
            Ok(())
        })
        .unwrap();
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
