//! What the team is built from: the standard library's primitives, or `loom`'s when its
//! interleavings are checked.

#[cfg(not(loom))]
pub(super) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, fence};
#[cfg(not(loom))]
pub(super) use std::sync::{Condvar, Mutex, MutexGuard};

#[cfg(loom)]
pub(super) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, fence};
#[cfg(loom)]
pub(super) use loom::sync::{Condvar, Mutex, MutexGuard};

/// Spins before a waiting thread gives its processor to others for a moment.
#[cfg(not(loom))]
const SPINS_BEFORE_YIELD: u32 = 2_000;
/// Spins and yields before a waiting thread should sleep.
#[cfg(not(loom))]
const SPINS_BEFORE_SLEEP: u32 = SPINS_BEFORE_YIELD + 64;

/// Waits a little; `false` when it has done so often enough to sleep.
#[cfg(not(loom))]
pub(super) fn relax(spins: &mut u32) -> bool {
    *spins += 1;
    if *spins < SPINS_BEFORE_YIELD {
        std::hint::spin_loop();
    } else if *spins < SPINS_BEFORE_SLEEP {
        std::thread::yield_now();
    } else {
        *spins = SPINS_BEFORE_YIELD;
        return false;
    }
    true
}

/// Every wait is a sleep: loom explores all moments at which it can happen.
#[cfg(loom)]
pub(super) fn relax(_: &mut u32) -> bool {
    false
}
