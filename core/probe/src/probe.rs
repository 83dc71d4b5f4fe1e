//! One look at the machine and the engine.

use std::time::{Duration, Instant};

use tritone_engine::EngineStatus;
use tritone_machine::{CpuWatch, EnergyMeter, resident_bytes};
use tritone_monitor::{Counters, Metric, Rates, Record, Sample, StepShares};

use crate::bounds::Bounds;
use crate::sampler::unix_ms;

/// An interval that took this much longer than it should have was not spent running.
const STOPPED: Duration = Duration::from_secs(1);

/// What is measured.
pub trait Subject: Send + 'static {
    /// What the engine is doing; `None` while there is none.
    fn status(&self) -> Option<EngineStatus>;

    /// What bounds it.
    fn bounds(&self) -> Bounds;

    /// What was measured elsewhere since the last look, where this process is not the one to measure; then
    /// nothing is measured here.
    fn elsewhere(&self) -> Option<Vec<Record>> {
        None
    }
}

/// Takes samples.
pub(crate) struct Probe<S> {
    subject: S,
    /// What somebody asked for.
    interval: Option<Duration>,
    cpu: CpuWatch,
    energy: Option<EnergyMeter>,
    /// Microjoules so far.
    used: u64,
    rates: Rates,
    last: Option<Instant>,
}

impl<S: Subject> Probe<S> {
    /// Measures `subject`, every `interval`, or as its profile says.
    pub(crate) fn new(subject: S, interval: Option<Duration>) -> Self {
        Self {
            subject,
            interval,
            cpu: CpuWatch::new(),
            energy: EnergyMeter::open().ok(),
            used: 0,
            rates: Rates::default(),
            last: None,
        }
    }

    /// Time between two samples now: another profile may have another.
    pub(crate) fn interval(&self) -> Duration {
        self.interval
            .unwrap_or_else(|| self.subject.bounds().interval)
    }

    /// What there is to say since the last look.
    pub(crate) fn look(&mut self) -> Vec<Record> {
        match self.subject.elsewhere() {
            Some(records) => records,
            None => vec![Record::Sample(self.sample())],
        }
    }

    /// What was so since the last sample.
    fn sample(&mut self) -> Sample {
        let now = Instant::now();
        let elapsed = self
            .last
            .replace(now)
            .map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let span = covered(elapsed, self.interval());
        let stopped = span < elapsed;
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let mut sample = Sample::new(unix_ms(), span);
        sample.set_known(Metric::Resident, resident_bytes().map(|bytes| bytes as f64));
        if let Some(used) = self.cpu.look().filter(|_| span > 0) {
            sample.set_known(Metric::Cpu, used.total);
            sample.set_known(Metric::CpuProcess, used.process);
            sample.set_cores(used.cpus.iter().map(|(_, percent)| *percent));
        }
        let energy = self
            .energy
            .as_mut()
            .and_then(EnergyMeter::joules)
            // What others took while the program was stopped is not power of this interval.
            .filter(|_| !stopped)
            .map(|joules| {
                // `as` saturates.
                self.used = self.used.saturating_add((joules * 1e6) as u64);
                self.used
            });
        let mut counters = Counters {
            energy,
            ..Counters::default()
        };
        if let Some(status) = self.subject.status() {
            let memory = self.subject.bounds().memory;
            sample.set_known(Metric::ResidentLimit, memory.map(|bytes| bytes as f64));
            engine(&status, &mut sample, &mut counters);
        }
        self.rates.fill(&mut sample, counters);
        sample
    }
}

/// How much of the time since the last sample the sample covers.
///
/// A clock that stands still while the computer sleeps leaves a gap by itself; one that goes on while
/// the program is stopped does not.
fn covered(elapsed: Duration, interval: Duration) -> Duration {
    if elapsed > interval.saturating_mul(2).saturating_add(STOPPED) {
        interval
    } else {
        elapsed
    }
}

/// What the engine says: what is now into the sample, what adds up into the counters.
fn engine(status: &EngineStatus, sample: &mut Sample, counters: &mut Counters) {
    for (metric, count) in [
        (Metric::Active, status.active),
        (Metric::Queued, status.queued),
        (Metric::KvUsed, status.kv_pages_used),
        (Metric::KvPages, status.kv_pages),
        (
            Metric::KvBytes,
            status.kv_pages_used.saturating_mul(status.kv_page_bytes),
        ),
    ] {
        sample.set(metric, count as f64);
    }
    let done = &status.counters;
    *counters = Counters {
        prefill_tokens: done.prompt_tokens,
        cached_tokens: done.cached_tokens,
        decode_tokens: done.decoded_tokens,
        finished: done.finished,
        failed: done.failed,
        cancelled: done.cancelled,
        first_tokens: done.first_tokens,
        first_token_time: done.first_token_sum,
        prefill_time: done.prefill_time,
        // Choosing a token takes its time, too.
        decode_time: done.decode_time.saturating_add(done.sampling_time),
        step: StepShares {
            matmul: done.step.matmul,
            attention: done.step.attention,
            head: done.step.head,
            other: done.step.other.saturating_add(done.sampling_time),
        },
        energy: counters.energy,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_measured() {
        let status = EngineStatus {
            active: 1,
            kv_pages_used: 3,
            kv_pages: 8,
            kv_page_bytes: 1024,
            counters: tritone_engine::Counters {
                decoded_tokens: 40,
                decode_time: Duration::from_secs(2),
                ..tritone_engine::Counters::default()
            },
            ..EngineStatus::default()
        };
        let mut rates = Rates::default();
        let mut sample = Sample::new(1000, 1000);
        rates.fill(&mut sample, Counters::default());
        let mut counters = Counters::default();
        engine(&status, &mut sample, &mut counters);
        rates.fill(&mut sample, counters);
        assert_eq!(sample.get(Metric::DecodeRate), Some(20.0));
        assert_eq!(sample.get(Metric::KvBytes), Some(3072.0));
    }

    #[test]
    fn a_program_that_was_stopped_leaves_a_gap() {
        let ms = Duration::from_millis;
        // Late by as much as a busy machine makes it.
        assert_eq!(covered(ms(1900), ms(1000)), ms(1900));
        assert_eq!(covered(ms(900), ms(100)), ms(900));
        assert_eq!(covered(ms(3_600_000), ms(1000)), ms(1000));
    }
}
