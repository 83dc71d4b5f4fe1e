//! Work shared out to threads while the caller's thread reports progress.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use crate::api::LoadProgress;
use crate::error::LoadError;

/// Called while loading; `false` cancels.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(LoadProgress) -> bool;

/// Time between two looks at the workers.
const PAUSE: Duration = Duration::from_millis(5);

/// Runs `work` on all jobs with `threads` threads; what it returns is how much of `total` is done.
///
/// # Errors
/// The first error of a job, or [`LoadError::Cancelled`] when `progress` said so; jobs that had
/// not begun are then left out.
pub(super) fn run_jobs<J: Send>(
    jobs: Vec<J>,
    threads: usize,
    stage: &'static str,
    total: u64,
    progress: Progress<'_>,
    work: impl Fn(J) -> Result<u64, LoadError> + Sync,
) -> Result<(), LoadError> {
    let queue = Mutex::new(jobs.into_iter());
    let failure = Mutex::new(None);
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let fail = |error| {
        stop.store(true, Ordering::Relaxed);
        let mut slot = failure.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert(error);
    };
    let body = || {
        while !stop.load(Ordering::Relaxed) {
            let job = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(job) = job else { break };
            match work(job) {
                Ok(amount) => _ = done.fetch_add(amount, Ordering::Relaxed),
                Err(error) => fail(error),
            }
        }
    };
    thread::scope(|scope| {
        let start = |_| thread::Builder::new().spawn_scoped(scope, body).ok();
        let workers: Vec<_> = (0..threads.max(1)).map_while(start).collect();
        // A system that has no thread to give gets the work done all the same, only not watched.
        if workers.is_empty() {
            body();
        }
        let mut report = || {
            let done = done.load(Ordering::Relaxed);
            progress(LoadProgress { stage, done, total })
        };
        while !workers.iter().all(ScopedJoinHandle::is_finished) {
            if !report() {
                fail(LoadError::Cancelled);
            }
            thread::sleep(PAUSE);
        }
        // Work may be done before the first look at it; a wish to stop counts all the same.
        if !report() {
            fail(LoadError::Cancelled);
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        None => Ok(()),
        Some(error) => Err(error),
    }
}
