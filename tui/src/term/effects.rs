//! Work for the engine, each piece on a thread of its own, so that the screen never waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use tritone_engine::{Cancel, Event, GenerateError, LoadProgress, Request};
use tritone_monitor::Record;

use super::sampler;
use crate::app::backend::{Backend, RaceOrder, RaceResult, Standing};
use crate::app::host::{Deed, Host, Order, Seat};
use crate::app::msg::{Loaded, Msg};
use crate::app::views::monitor::Destination;

/// Shortest time between two reports of loading.
const REPORT: Duration = Duration::from_millis(50);

/// Does what the state cannot do itself; what comes of it arrives as messages.
pub(super) struct Worker {
    sender: UnboundedSender<Msg>,
    host: Arc<dyn Host>,
    chair: Chair,
    stop_loading: Arc<AtomicBool>,
    stop_looking: Arc<AtomicBool>,
    stop_apply: Arc<AtomicBool>,
    stop_deed: Arc<AtomicBool>,
    answer: Arc<Stop>,
    stop_race: Arc<AtomicBool>,
    /// Held by who changes the kernel: a race puts the old one back before another change.
    kernel: Arc<Mutex<()>>,
    stop_switch: Arc<AtomicBool>,
}

impl Drop for Worker {
    /// A pack that is being written is given up, so that no part of it stays behind.
    fn drop(&mut self) {
        self.stop_loading();
        self.stop_looking();
        self.stop_apply();
        self.stop_deed();
        self.stop_switch();
        self.chair.end_packs();
    }
}

/// The backend in use, once there is one.
#[derive(Clone, Default)]
pub(super) struct Slot(Arc<Mutex<Option<Arc<dyn Backend>>>>);

impl Slot {
    /// One in which `backend` is.
    pub(super) fn holding(backend: Arc<dyn Backend>) -> Self {
        Self(Arc::new(Mutex::new(Some(backend))))
    }

    pub(super) fn get(&self) -> Option<Arc<dyn Backend>> {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.clone()
    }

    /// Puts another backend in; returns the one that was there.
    fn set(&self, backend: Arc<dyn Backend>) -> Option<Arc<dyn Backend>> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.replace(backend)
    }
}

/// The slot, and who else holds what is in it.
#[derive(Clone, Default)]
struct Chair {
    slot: Slot,
    stop_packs: Arc<AtomicBool>,
    /// Waits for packs to be written, with the backend in its hands.
    packs: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Chair {
    /// Gives up the packs that are being written.
    fn end_packs(&self) {
        self.stop_packs.store(true, Ordering::Relaxed);
        let packs = self
            .packs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(packs) = packs {
            let _ = packs.join();
        }
    }
}

impl Seat for Chair {
    fn clear(&self) -> bool {
        self.end_packs();
        let mut slot = self.slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = slot.take();
        drop(slot);
        drop(old);
        true
    }

    fn put(&self, backend: Arc<dyn Backend>) {
        self.slot.set(backend);
    }
}

/// Keeps reports of progress to a few a second.
#[derive(Default)]
struct Reports(Option<(&'static str, Instant)>);

impl Reports {
    /// Whether this is to be told: the first of a stage, and then one every [`REPORT`].
    fn is_due(&mut self, progress: &LoadProgress) -> bool {
        let now = Instant::now();
        let known = |(stage, at): (&'static str, Instant)| {
            stage == progress.stage && now.saturating_duration_since(at) < REPORT
        };
        let due = !self.0.is_some_and(known);
        if due {
            self.0 = Some((progress.stage, now));
        }
        due
    }
}

/// Ends an answer, also one whose engine does not know of it yet.
#[derive(Default)]
struct Stop(Mutex<(bool, Option<Cancel>)>);

impl Stop {
    fn stop(&self) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0 = true;
        if let Some(cancel) = &inner.1 {
            cancel.cancel();
        }
    }

    fn arm(&self, cancel: Cancel) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.0 {
            cancel.cancel();
        }
        inner.1 = Some(cancel);
    }
}

impl Worker {
    /// Where the backend in use is found.
    pub(super) fn slot(&self) -> Slot {
        self.chair.slot.clone()
    }

    /// Writes what the monitor knows to files.
    pub(super) fn export(&self, records: Vec<Record>, to: Destination) {
        let sender = self.sender.clone();
        let failed = |why| Msg::Exported(Err(why));
        self.spawn("export", failed, move || {
            let _ = sender.send(Msg::Exported(sampler::export(&records, &to)));
        });
    }

    /// Begins to load the model.
    pub(super) fn start(sender: UnboundedSender<Msg>, host: Arc<dyn Host>) -> Self {
        let worker = Self {
            sender,
            host: Arc::clone(&host),
            chair: Chair::default(),
            stop_loading: Arc::default(),
            stop_looking: Arc::default(),
            stop_apply: Arc::default(),
            stop_deed: Arc::default(),
            answer: Arc::default(),
            stop_race: Arc::default(),
            kernel: Arc::default(),
            stop_switch: Arc::default(),
        };
        let sender = worker.sender.clone();
        let stop = Arc::clone(&worker.stop_loading);
        let chair = worker.chair.clone();
        worker.spawn("load", Msg::LoadFailed, move || {
            load(&*host, &sender, &chair, &stop);
            if let Some(backend) = chair.slot.get() {
                let wait = thread::Builder::new().name("packs".to_owned());
                let stop = Arc::clone(&chair.stop_packs);
                let wait = wait.spawn(move || wait_for_packs(&*backend, &sender, &stop));
                *chair.packs.lock().unwrap_or_else(PoisonError::into_inner) = wait.ok();
            }
        });
        worker
    }

    /// Loads another model, or the same under another profile; the old one stays in use until then.
    pub(super) fn apply(&mut self, order: Order) {
        self.stop_apply = Arc::default();
        let (sender, stop) = (self.sender.clone(), Arc::clone(&self.stop_apply));
        let (host, chair) = (Arc::clone(&self.host), self.chair.clone());
        let failed = |why: String| Msg::Applied(Err(why.into()));
        self.spawn("apply", failed, move || {
            let mut reports = Reports::default();
            let result = host.load(&order, &chair, &mut |progress| {
                if reports.is_due(&progress) {
                    let _ = sender.send(Msg::Applying(progress));
                }
                !stop.load(Ordering::Relaxed)
            });
            let result = result.map(|backend| {
                let loaded = Box::new(card(&*backend));
                drop(chair.slot.set(backend));
                loaded
            });
            let _ = sender.send(Msg::Applied(result));
        });
    }

    /// Looks for models.
    pub(super) fn look(&mut self) {
        self.stop_looking();
        self.stop_looking = Arc::default();
        let (sender, host) = (self.sender.clone(), Arc::clone(&self.host));
        let stop = Arc::clone(&self.stop_looking);
        self.spawn(
            "models",
            |why| Msg::Models(Err(why)),
            move || {
                let mut last = Instant::now();
                let result = host.models(&mut |done, of| {
                    if last.elapsed() >= REPORT {
                        last = Instant::now();
                        let _ = sender.send(Msg::Looking { done, of });
                    }
                    !stop.load(Ordering::Relaxed)
                });
                if !stop.load(Ordering::Relaxed) {
                    let _ = sender.send(Msg::Models(result));
                }
            },
        );
    }

    /// Ends looking for models.
    pub(super) fn stop_looking(&self) {
        self.stop_looking.store(true, Ordering::Relaxed);
    }

    /// Gives up what is being applied.
    pub(super) fn stop_apply(&self) {
        self.stop_apply.store(true, Ordering::Relaxed);
    }

    /// Asks which strategies there are. Servers that are not there take seconds to say so.
    pub(super) fn ask_strategies(&self) {
        let (host, sender) = (Arc::clone(&self.host), self.sender.clone());
        let failed = |why| Msg::Strategies(Err(why));
        self.spawn("strategies", failed, move || {
            let _ = sender.send(Msg::Strategies(host.strategies()));
        });
    }

    /// Starts, ends or tests a strategy.
    pub(super) fn deed(&mut self, deed: Deed) {
        self.stop_deed = Arc::default();
        let (host, sender) = (Arc::clone(&self.host), self.sender.clone());
        let stop = Arc::clone(&self.stop_deed);
        let failed = |why| Msg::DeedDone(Err(why));
        self.spawn("strategy", failed, move || {
            let mut reports = Reports::default();
            let result = host.deed(&deed, &mut |progress| {
                if reports.is_due(&progress) {
                    let _ = sender.send(Msg::DeedGoesOn(progress));
                }
                !stop.load(Ordering::Relaxed)
            });
            let _ = sender.send(Msg::DeedDone(result));
        });
    }

    /// Gives that up.
    pub(super) fn stop_deed(&self) {
        self.stop_deed.store(true, Ordering::Relaxed);
    }

    /// Gives up loading.
    pub(super) fn stop_loading(&self) {
        self.stop_loading.store(true, Ordering::Relaxed);
    }

    /// Begins an answer.
    pub(super) fn generate(&mut self, id: u64, request: Request) {
        let Some(backend) = self.chair.slot.get() else {
            let why = "there is no model".to_owned();
            let event = Event::Failed(GenerateError::Text(why));
            let _ = self.sender.send(Msg::Answer { id, event });
            return;
        };
        self.answer = Arc::default();
        let (sender, stop) = (self.sender.clone(), Arc::clone(&self.answer));
        let failed = move |why| Msg::Answer {
            id,
            event: Event::Failed(GenerateError::Text(why)),
        };
        self.spawn("answer", failed, move || {
            answer(&*backend, request, id, &sender, &stop)
        });
    }

    /// Ends the last answer that was begun.
    pub(super) fn cancel(&self) {
        self.answer.stop();
    }

    /// Switches the kernel.
    pub(super) fn set_kernel(&mut self, name: String) {
        let Some(backend) = self.chair.slot.get() else {
            return;
        };
        self.stop_switch = Arc::default();
        let (sender, stop) = (self.sender.clone(), Arc::clone(&self.stop_switch));
        let turn = Arc::clone(&self.kernel);
        self.spawn(
            "kernel",
            |why| Msg::KernelSet(Err(why)),
            move || {
                let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
                let mut reports = Reports::default();
                let result = backend.set_kernel(&name, &mut |progress| {
                    if reports.is_due(&progress) {
                        let _ = sender.send(Msg::Switching(progress));
                    }
                    !stop.load(Ordering::Relaxed)
                });
                let result = result.map(|notices| {
                    for notice in notices {
                        let _ = sender.send(Msg::Notice(notice));
                    }
                    backend.kernel_name()
                });
                let _ = sender.send(Msg::KernelSet(result));
            },
        );
    }

    /// Gives up switching the kernel.
    pub(super) fn stop_switch(&self) {
        self.stop_switch.store(true, Ordering::Relaxed);
    }

    /// Lets the kernels race.
    pub(super) fn race(&mut self, order: RaceOrder) {
        let Some(backend) = self.chair.slot.get() else {
            return;
        };
        self.stop_race = Arc::default();
        let (sender, stop) = (self.sender.clone(), Arc::clone(&self.stop_race));
        let kernel = backend.kernel_name();
        let failed = move |why| {
            Msg::RaceEnded(Box::new(RaceResult {
                standing: Standing::default(),
                kernel,
                choice: String::new(),
                not_kept: Some(why),
            }))
        };
        let turn = Arc::clone(&self.kernel);
        self.spawn("race", failed, move || {
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            let result = backend.race(order, &mut |standing| {
                let _ = sender.send(Msg::Race(standing.clone()));
                !stop.load(Ordering::Relaxed)
            });
            let _ = sender.send(Msg::RaceEnded(Box::new(result)));
        });
    }

    /// Ends the last race that was begun.
    pub(super) fn stop_race(&self) {
        self.stop_race.store(true, Ordering::Relaxed);
    }

    /// Counts tokens.
    pub(super) fn count(&self, keys: Vec<u64>, texts: Vec<String>) {
        let Some(backend) = self.chair.slot.get() else {
            return;
        };
        let sender = self.sender.clone();
        let failed = |why| Msg::Counted {
            keys: Vec::new(),
            result: Err(why),
        };
        self.spawn("count", failed, move || {
            let result = backend.count(&texts);
            let _ = sender.send(Msg::Counted { keys, result });
        });
    }

    /// Asks what the engine is doing.
    pub(super) fn ask_status(&self) {
        let status = self.chair.slot.get().map(|backend| backend.status());
        let _ = self.sender.send(Msg::Status(status.unwrap_or_default()));
    }

    /// Asks which profiles there are, once nothing else is being loaded.
    pub(super) fn ask_profiles(&self) {
        let Some(backend) = self.chair.slot.get() else {
            let why = "the profiles are shown once the model is loaded".to_owned();
            let _ = self.sender.send(Msg::Profiles(Err(why)));
            return;
        };
        let (host, sender) = (Arc::clone(&self.host), self.sender.clone());
        let failed = |why| Msg::Profiles(Err(why));
        self.spawn("profiles", failed, move || {
            let cards = host.profiles(&*backend).map(Arc::new);
            let _ = sender.send(Msg::Profiles(cards));
        });
    }

    fn spawn(
        &self,
        name: &str,
        failed: impl FnOnce(String) -> Msg,
        work: impl FnOnce() + Send + 'static,
    ) {
        if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(work) {
            let _ = self
                .sender
                .send(failed(format!("cannot start a thread: {error}")));
        }
    }
}

/// Nobody listens once the session is over, so failing to send is no failure.
fn load(host: &dyn Host, sender: &UnboundedSender<Msg>, chair: &Chair, stop: &AtomicBool) {
    let mut reports = Reports::default();
    let result = host.load(&Order::default(), chair, &mut |progress| {
        if reports.is_due(&progress) {
            let _ = sender.send(Msg::Loading(progress));
        }
        !stop.load(Ordering::Relaxed)
    });
    let message = match result {
        Ok(backend) => {
            let loaded = Box::new(card(&*backend));
            chair.slot.set(backend);
            Msg::Loaded(loaded)
        }
        Err(failed) => Msg::LoadFailed(failed.why),
    };
    let _ = sender.send(message);
}

fn card(backend: &dyn Backend) -> Loaded {
    Loaded {
        model: backend.model(),
        profile: backend.profile(),
        bounds: backend.bounds(),
        strategy: backend.strategy(),
        threads: backend.threads(),
        kernel: backend.kernel_name(),
        kernels: backend.kernels(),
        choice: backend.choice(),
    }
}

fn wait_for_packs(backend: &dyn Backend, sender: &UnboundedSender<Msg>, stop: &AtomicBool) {
    for notice in backend.wait_for_packs(&mut || !stop.load(Ordering::Relaxed)) {
        let _ = sender.send(Msg::Notice(notice));
    }
}

fn answer(
    backend: &dyn Backend,
    request: Request,
    id: u64,
    sender: &UnboundedSender<Msg>,
    stop: &Stop,
) {
    let send = |event| sender.send(Msg::Answer { id, event }).is_ok();
    let mut source = match backend.generate(request) {
        Ok(source) => source,
        Err(error) => {
            send(Event::Failed(error));
            return;
        }
    };
    stop.arm(source.cancel_handle());
    while let Some(event) = source.next_event() {
        let last = matches!(event, Event::Finished(_) | Event::Failed(_));
        if !send(event) || last {
            return;
        }
    }
    send(Event::Failed(GenerateError::Stopped));
}

#[cfg(test)]
mod tests;
