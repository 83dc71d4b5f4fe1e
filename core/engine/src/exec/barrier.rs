//! Where the members of a team meet.
//!
//! A member that waits spins for a while, because the others are usually only microseconds away,
//! then gives its processor up in turns, then sleeps until the last one wakes it: on a machine that
//! has other work, a spinning waiter would keep the member it waits for from running. Only
//! those who sleep, and who wakes them, take a lock.
//!
//! Checked with `loom` over all interleavings: `RUSTFLAGS="--cfg loom" cargo test -p tritone-engine
//! --lib barrier`.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

use super::sync::{AtomicBool, AtomicU32, AtomicUsize, Condvar, Mutex, MutexGuard, fence, relax};

/// A member of the team panicked. The team cannot be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a worker thread panicked")]
pub(crate) struct Poisoned;

/// A barrier for a fixed number of members, used again and again, with a counter of units that
/// starts anew with every phase.
pub(crate) struct Barrier {
    size: usize,
    /// Units claimed in this phase.
    claimed: AtomicUsize,
    /// Members that arrived.
    arrived: AtomicUsize,
    /// Grows with every meeting.
    generation: AtomicU32,
    poisoned: AtomicBool,
    /// Members that sleep or are about to.
    sleepers: AtomicUsize,
    bed: Mutex<()>,
    bell: Condvar,
}

impl Barrier {
    /// A barrier for `size` members, at least 1.
    pub(crate) fn new(size: usize) -> Self {
        Self {
            size: size.max(1),
            claimed: AtomicUsize::new(0),
            arrived: AtomicUsize::new(0),
            generation: AtomicU32::new(0),
            poisoned: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            bed: Mutex::new(()),
            bell: Condvar::new(),
        }
    }

    /// Members.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The next unclaimed unit of this phase: 0, 1, 2, ... Every unit goes to one member.
    #[inline]
    pub(crate) fn claim(&self) -> usize {
        self.claimed.fetch_add(1, Relaxed)
    }

    /// Starts counting units anew, while no member is in a phase.
    pub(crate) fn restart(&self) {
        self.claimed.store(0, Relaxed);
    }

    /// Waits for all members and starts the next phase: what was written before is visible after.
    ///
    /// # Errors
    /// [`Poisoned`] when a member panicked.
    pub(crate) fn meet(&self) -> Result<(), Poisoned> {
        if self.size == 1 {
            self.claimed.store(0, Relaxed);
            return Ok(());
        }
        let generation = self.generation.load(Relaxed);
        if self.arrived.fetch_add(1, AcqRel) + 1 == self.size {
            self.arrived.store(0, Relaxed);
            self.claimed.store(0, Relaxed);
            self.generation.store(generation.wrapping_add(1), Release);
            self.wake();
            return Ok(());
        }
        let passed = || self.generation.load(Acquire) != generation;
        let mut spins = 0;
        loop {
            if passed() {
                return Ok(());
            }
            if self.poisoned.load(Acquire) {
                // The last one may have come before the panic.
                return if passed() { Ok(()) } else { Err(Poisoned) };
            }
            if !relax(&mut spins) {
                self.sleep(|| passed() || self.poisoned.load(Acquire));
            }
        }
    }

    /// Whether a member has panicked.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Acquire)
    }

    /// Frees all that wait, now and from now on.
    pub(crate) fn poison(&self) {
        self.poisoned.store(true, Release);
        self.wake();
    }

    /// Sleeps until it is `ready`; whoever makes it so calls [`wake`](Self::wake).
    fn sleep(&self, ready: impl Fn() -> bool) {
        let mut asleep = self.lie_down();
        self.sleepers.fetch_add(1, SeqCst);
        // Either the one who wakes sees the sleeper, or this one sees what it would be woken for:
        // the fences here and in `wake` forbid that both miss the other's store.
        fence(SeqCst);
        while !ready() {
            asleep = self
                .bell
                .wait(asleep)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, SeqCst);
    }

    fn wake(&self) {
        fence(SeqCst);
        if self.sleepers.load(SeqCst) > 0 {
            // With the lock, no sleeper is between its last look and its sleep.
            let _nobody_lies_down = self.lie_down();
            self.bell.notify_all();
        }
    }

    fn lie_down(&self) -> MutexGuard<'_, ()> {
        self.bed
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(all(test, loom))]
mod tests {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicUsize as Cell;

    /// Two members over two phases, in all interleavings with up to three preemptions: no unit twice,
    /// no write unseen, nobody sleeps for ever.
    #[test]
    fn members_meet_in_every_interleaving() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let barrier = Arc::new(Barrier::new(2));
            let units = Arc::new([Cell::new(0), Cell::new(0)]);
            let run = |barrier: &Barrier, units: &[Cell; 2]| {
                for unit in units {
                    if barrier.claim() == 0 {
                        // Plain store: the barrier alone orders it.
                        unit.store(unit.load(Relaxed) + 1, Relaxed);
                    }
                    barrier.meet().unwrap();
                    assert_eq!(unit.load(Relaxed), 1);
                }
            };
            let other = {
                let (barrier, units) = (barrier.clone(), units.clone());
                loom::thread::spawn(move || run(&barrier, &units))
            };
            run(&barrier, &units);
            other.join().unwrap();
        });
    }

    #[test]
    fn a_panic_frees_whoever_waits() {
        loom::model(|| {
            let barrier = Arc::new(Barrier::new(2));
            let other = {
                let barrier = barrier.clone();
                loom::thread::spawn(move || barrier.poison())
            };
            assert_eq!(barrier.meet(), Err(Poisoned));
            other.join().unwrap();
        });
    }
}
