//! Measures what the machine and the model do, on a thread of its own.

use std::fs;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc::UnboundedSender;
use tritone_engine::EngineStatus;
use tritone_machine::{CpuWatch, EnergyMeter, resident_bytes};
use tritone_monitor::{
    Counters, Event, EventKind, Log, Metric, Rates, Record, Sample, StepShares, export, utc,
};

use tritone_profile::process_environment;

use super::Watch;
use super::effects::Slot;
use crate::app::backend::Backend;
use crate::app::msg::Msg;
use crate::app::views::monitor::Destination;
use crate::cli::paths;
use crate::desk::attach::expanded;

/// An interval that took this much longer than it should have was not spent running.
const STOPPED: Duration = Duration::from_secs(1);

/// The thread that measures; it ends with this.
pub(crate) struct Sampler {
    events: Option<Sender<Event>>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Begins to measure for the screen.
    pub(super) fn start(sender: UnboundedSender<Msg>, slot: Slot, watch: Watch) -> Self {
        Self::tell(move |msg| sender.send(msg).is_ok(), slot, watch)
    }

    /// Begins to measure what `backend` does where there is no screen, for the log alone; `note` is told
    /// what the user should know.
    pub(crate) fn log(
        backend: Arc<dyn Backend>,
        watch: Watch,
        note: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        let tell = move |msg| {
            if let Msg::Notice(text) = msg {
                note(&text);
            }
            true
        };
        Self::tell(tell, Slot::holding(backend), watch)
    }

    /// If the log cannot be written that is said, and there is none. Ends when nobody listens.
    fn tell(tell: impl Fn(Msg) -> bool + Send + Sync + 'static, slot: Slot, watch: Watch) -> Self {
        let (events, heard) = mpsc::channel();
        let tell: Arc<dyn Fn(Msg) -> bool + Send + Sync> = Arc::new(tell);
        let failed = Arc::clone(&tell);
        let work = move || {
            let mut log = Journal::open(&watch, &*tell);
            let mut probe = Probe::new(slot, watch.interval);
            let mut due = Instant::now();
            loop {
                let now = Instant::now();
                if now >= due {
                    // Samples that were missed are not made up for.
                    due = now.max(due + probe.interval());
                    let sample = probe.sample();
                    log.append(Record::Sample(sample.clone()), &*tell);
                    if !tell(Msg::Sample(Box::new(sample))) {
                        return;
                    }
                    continue;
                }
                match heard.recv_timeout(due - now) {
                    Ok(event) => log.append(Record::Event(event), &*tell),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        let thread = thread::Builder::new()
            .name("monitor".to_owned())
            .spawn(work);
        if let Err(error) = &thread {
            let text = format!("nothing is measured: cannot start a thread: {error}");
            failed(Msg::Notice(text));
        }
        Self {
            events: Some(events),
            thread: thread.ok(),
        }
    }

    /// Puts into the log what `backend` runs on.
    pub(crate) fn ran_on(&self, backend: &dyn Backend) {
        let at = unix_ms();
        for (kind, name) in [
            (EventKind::Model, backend.model().name),
            (EventKind::Profile, backend.profile()),
            (EventKind::Kernel, backend.kernel_name()),
        ] {
            self.record(Event::new(at, kind, &name));
        }
    }

    /// Puts an event into the log.
    pub(super) fn record(&self, event: Event) {
        if let Some(events) = &self.events {
            let _ = events.send(event);
        }
    }
}

impl Drop for Sampler {
    /// What happened last is still written.
    fn drop(&mut self) {
        self.events = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The log, if there is one.
struct Journal(Option<Log>);

impl Journal {
    fn open(watch: &Watch, tell: &dyn Fn(Msg) -> bool) -> Self {
        let Some(path) = &watch.log else {
            return Self(None);
        };
        let mut journal = Self(match Log::open(path, Log::MAX_BYTES) {
            Ok(log) => Some(log),
            Err(error) => {
                tell(Msg::Notice(format!("{error}; nothing is logged")));
                None
            }
        });
        let text = format!("tritone {}", env!("CARGO_PKG_VERSION"));
        let start = Event::new(unix_ms(), EventKind::Start, &text);
        journal.append(Record::Event(start), tell);
        journal
    }

    /// Says so and stops when it cannot be written any more.
    fn append(&mut self, record: Record, tell: &dyn Fn(Msg) -> bool) {
        if let Some(log) = &mut self.0
            && let Err(error) = log.append(&record)
        {
            self.0 = None;
            tell(Msg::Notice(format!("{error}; the log ends here")));
        }
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Takes samples.
struct Probe {
    slot: Slot,
    /// What somebody asked for.
    interval: Option<Duration>,
    cpu: CpuWatch,
    energy: Option<EnergyMeter>,
    /// Microjoules so far.
    used: u64,
    rates: Rates,
    last: Option<Instant>,
}

impl Probe {
    fn new(slot: Slot, interval: Option<Duration>) -> Self {
        Self {
            slot,
            interval,
            cpu: CpuWatch::new(),
            energy: EnergyMeter::open().ok(),
            used: 0,
            rates: Rates::default(),
            last: None,
        }
    }

    /// Time between two samples now: another profile may have another.
    fn interval(&self) -> Duration {
        let bounds = || self.slot.get().map(|b| b.bounds()).unwrap_or_default();
        self.interval.unwrap_or_else(|| bounds().interval)
    }

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
        if let Some(backend) = self.slot.get() {
            let memory = backend.bounds().memory;
            sample.set_known(Metric::ResidentLimit, memory.map(|bytes| bytes as f64));
            engine(&backend.status(), &mut sample, &mut counters);
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

/// Writes `records` as `to` says, and says where they are.
pub(super) fn export(records: &[Record], to: &Destination) -> Result<String, String> {
    if let Some(file) = &to.file {
        let path = expanded(file);
        return write(&path, records, to.csv).map(|()| path.display().to_string());
    }
    let dir = paths::state(&process_environment).ok_or(
        "nothing is exported: there is no directory for it, as neither HOME nor XDG_STATE_HOME is set",
    )?;
    export_to(&dir, &utc(unix_ms()), records, to)
}

fn export_to(
    dir: &Path,
    time: &str,
    records: &[Record],
    to: &Destination,
) -> Result<String, String> {
    fs::create_dir_all(dir).map_err(|error| cannot(dir, &error))?;
    let plain: String = time.chars().filter(char::is_ascii_alphanumeric).collect();
    let base = dir.join(format!("monitor-{plain}"));
    let mut written = Vec::new();
    for (wanted, ending) in [(to.json, "json"), (to.csv, "csv")] {
        if wanted {
            write(&base.with_extension(ending), records, ending == "csv")?;
            written.push(format!(".{ending}"));
        }
    }
    Ok(format!("{}{}", base.display(), written.join(" and ")))
}

/// Writes `records` into a file that is not there yet.
fn write(path: &Path, records: &[Record], csv: bool) -> Result<(), String> {
    let failed = |error: std::io::Error| cannot(path, &error);
    let mut file = fs::File::create_new(path)
        .map(BufWriter::new)
        .map_err(failed)?;
    match csv {
        true => export::csv(records, &mut file),
        false => export::json(records, &mut file),
    }
    .map_err(failed)?;
    file.into_inner().map_err(|error| failed(error.into()))?;
    Ok(())
}

fn cannot(path: &Path, error: &std::io::Error) -> String {
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            format!("cannot export to {path}: it is there already; give another name")
        }
        _ => format!("cannot export to {path}: {error}"),
    }
}

#[cfg(test)]
mod tests;
