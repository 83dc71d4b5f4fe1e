//! What this machine can reach at best: reading memory, and multiplying bytes.
//!
//! The kernel's own loops are run on as many threads as the model will have, so that a rate of the
//! model and its limit differ in nothing but the model.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tritone_abi::{Kernel, KernelError};
use tritone_engine::PageBytes;
use tritone_machine::Machine;

use super::pin::Pins;

/// Distances ahead of the read at which prefetching is tried; 0 is not at all.
pub(super) const PREFETCH: [usize; 4] = [0, 2048, 4096, 8192];

/// Memory to read, far more than caches hold. Threads take one piece after another. It lies on huge
/// pages where the system has them, as packed weights do.
pub(crate) struct ReadBuffer {
    bytes: PageBytes,
}

/// Bytes of a piece: short against the whole, so that no thread has to wait long for the last one.
const PIECE: usize = 4 << 20;
/// What the buffer is filled with. Untouched memory would be read from one shared page of zeros.
const FILL: u8 = 0x5a;

impl ReadBuffer {
    /// Bytes that measure memory and not caches: eight times the last-level caches and at least
    /// 512 MiB, within an eighth of the memory this process may use.
    pub(crate) fn size(machine: &Machine) -> usize {
        let wanted = last_level_bytes(machine)
            .saturating_mul(8)
            .clamp(512 << 20, 2 << 30);
        let free = machine.memory.usable_bytes();
        let available = machine.memory.available_bytes;
        let room = free.into_iter().chain(available).min().unwrap_or(1 << 30) / 8;
        usize::try_from(wanted.min(room)).unwrap_or(PIECE)
    }

    /// Takes at least `bytes` of memory, each piece touched by one of `threads` threads; `None` when
    /// there is not enough.
    pub(crate) fn new(bytes: usize, threads: usize) -> Option<Self> {
        let threads = threads.max(1);
        let count = bytes.div_ceil(PIECE).max(threads);
        let mut bytes = PageBytes::zeroed(count.checked_mul(PIECE)?)?;
        std::thread::scope(|scope| {
            for share in bytes
                .as_mut_slice()
                .chunks_mut(count.div_ceil(threads) * PIECE)
            {
                scope.spawn(|| share.fill(FILL));
            }
        });
        Some(Self { bytes })
    }

    /// Bytes in it.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.as_slice().len()
    }

    /// Reads all of it once with `threads` threads; bytes a second.
    pub(super) fn read(
        &self,
        kernel: &dyn Kernel,
        threads: usize,
        pins: Option<&Pins>,
        prefetch: usize,
    ) -> Result<f64, KernelError> {
        let next = AtomicUsize::new(0);
        let pieces: Vec<&[u8]> = self.bytes.as_slice().chunks(PIECE).collect();
        let (sums, time) = together(threads, pins, |_| {
            let mut sum = 0u64;
            while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                sum = sum.wrapping_add(kernel.probe_read(piece, prefetch)?);
            }
            Ok(sum)
        })?;
        let words = (self.bytes() / 8) as u64;
        let expected = words.wrapping_mul(u64::from_le_bytes([FILL; 8]));
        if sums.into_iter().fold(0, u64::wrapping_add) != expected {
            return Err(KernelError::Unsupported(
                "a correct probe_read: its sum is wrong",
            ));
        }
        Ok(self.bytes() as f64 / time.as_secs_f64())
    }

    /// The fastest way of reading: bytes a second, and the distance of its prefetch. Tries one
    /// distance after another while `go_on` says yes, and `None` when it said no.
    pub(crate) fn best(
        &self,
        kernel: &dyn Kernel,
        threads: usize,
        pins: Option<&Pins>,
        mut go_on: impl FnMut(usize) -> bool,
    ) -> Result<Option<(f64, usize)>, KernelError> {
        let mut best: Option<(f64, usize)> = None;
        for (done, &prefetch) in PREFETCH.iter().enumerate() {
            if !go_on(done) {
                return Ok(None);
            }
            let rate = self.read(kernel, threads, pins, prefetch)?;
            if best.is_none_or(|(best, _)| rate > best) {
                best = Some((rate, prefetch));
            }
        }
        Ok(best)
    }
}

/// Bytes of all caches of the last level.
pub(super) fn last_level_bytes(machine: &Machine) -> u64 {
    let last = machine.caches.iter().max_by_key(|cache| cache.level);
    last.map_or(0, |cache| {
        cache.bytes.saturating_mul(cache.instances as u64)
    })
}

/// Int8 multiply-adds on registers.
pub(crate) struct Int8Peak {
    rounds: u64,
}

impl Int8Peak {
    /// Finds how many rounds take about `time` on one thread.
    pub(crate) fn calibrate(kernel: &dyn Kernel, time: Duration) -> Result<Self, KernelError> {
        let mut rounds = 1 << 10;
        loop {
            let started = Instant::now();
            kernel.probe_int8(rounds)?;
            let taken = started.elapsed();
            if taken * 8 >= time {
                let factor = time.as_secs_f64() / taken.as_secs_f64();
                let rounds = (rounds as f64 * factor).max(1.0) as u64;
                return Ok(Self { rounds });
            }
            rounds = rounds.saturating_mul(2);
        }
    }

    /// Multiply-adds a second of `threads` threads together.
    pub(crate) fn measure(
        &self,
        kernel: &dyn Kernel,
        threads: usize,
        pins: Option<&Pins>,
    ) -> Result<f64, KernelError> {
        let (macs, time) = together(threads, pins, |_| kernel.probe_int8(self.rounds))?;
        Ok(macs.into_iter().map(|macs| macs as f64).sum::<f64>() / time.as_secs_f64())
    }
}

/// Runs `work` on `threads` threads that start at the same moment, each on its place if there are
/// places, and gives it the thread's number. The time goes from the first start to the last end.
pub(super) fn together<T: Send>(
    threads: usize,
    pins: Option<&Pins>,
    work: impl Fn(usize) -> Result<T, KernelError> + Sync,
) -> Result<(Vec<T>, Duration), KernelError> {
    let barrier = Barrier::new(threads);
    let timed = |thread: usize| {
        if let Some(pins) = pins {
            pins.pin(thread);
        }
        barrier.wait();
        let started = Instant::now();
        let result = work(thread);
        (result, started, Instant::now())
    };
    let done: Vec<_> = std::thread::scope(|scope| {
        let timed = &timed;
        let workers: Vec<_> = (0..threads)
            .map(|i| scope.spawn(move || timed(i)))
            .collect();
        workers.into_iter().map(|worker| worker.join()).collect()
    });
    let mut results = Vec::with_capacity(threads);
    let mut span: Option<(Instant, Instant)> = None;
    for joined in done {
        let (result, started, ended) =
            joined.map_err(|_| KernelError::Unsupported("a probe that does not panic"))?;
        results.push(result?);
        span = Some(span.map_or((started, ended), |(first, last)| {
            (first.min(started), last.max(ended))
        }));
    }
    let time = span.map_or(Duration::ZERO, |(first, last)| last - first);
    // A clock too coarse for the work must not make a rate infinite.
    Ok((results, time.max(Duration::from_nanos(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_read_once_on_any_number_of_threads() {
        let registry = tritone_loader::Registry::discover(
            &[tritone_scalar::TABLE],
            &tritone_loader::Search::default(),
            &tritone_loader::Options::default(),
        );
        let kernel = registry.best().unwrap();
        let mut buffer = ReadBuffer::new(3 * PIECE, 2).unwrap();
        assert_eq!(buffer.bytes(), 3 * PIECE);
        for threads in 1..=4 {
            assert!(buffer.read(&*kernel, threads, None, 0).unwrap() > 0.0);
        }
        let (rate, prefetch) = buffer.best(&*kernel, 1, None, |_| true).unwrap().unwrap();
        assert!(rate > 0.0 && PREFETCH.contains(&prefetch));
        assert!(
            buffer
                .best(&*kernel, 1, None, |done| done < 1)
                .unwrap()
                .is_none()
        );
        // The check notices a byte that was not read as it is.
        buffer.bytes.as_mut_slice()[3 * PIECE - 1] ^= 1;
        assert!(buffer.read(&*kernel, 2, None, 0).is_err());
    }

    #[test]
    fn work_on_all_threads_is_counted() {
        let (results, time) = together(3, None, |thread| Ok(thread + 5)).unwrap();
        assert_eq!(results, [5, 6, 7]);
        assert!(!time.is_zero());
        let failing = together(2, None, |_| Err::<(), _>(KernelError::Unsupported("x")));
        assert!(failing.is_err());
    }
}
