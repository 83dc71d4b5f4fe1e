//! The engine's thread: commands between steps, steps while there is work.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};

use tritone_abi::Kernel;

use crate::error::{GenerateError, LoadError};
use crate::plan::MemoryPlan;
use crate::reshape::{Target, Work};
use crate::schedule::{Job, Scheduler};
use crate::tally::{SequenceStatus, Tally};
use crate::weights::{OtherHead, Packing, Repacked};

/// The old weights, which take time to give up, or why they stay in use.
pub(crate) type Exchanged = Result<Option<Repacked>, LoadError>;

pub(crate) enum Command {
    Run(Box<Job>),
    /// Says whether and how weights are to be packed for a kernel.
    PackingFor(Arc<dyn Kernel>, Sender<Result<Option<Packing>, LoadError>>),
    /// Goes on with a kernel and the weights packed for it.
    SetKernel(Arc<dyn Kernel>, Option<Repacked>, Sender<Exchanged>),
    /// Says what has to be done for a target.
    WorkFor(Box<Target>, Sender<Result<Work, LoadError>>),
    /// Runs on with other sizes and forms, when running answers have ended if it has to wait for them.
    Reshape(Box<Reshape>),
    /// Gives that up, if it still waits.
    Forget,
    Stop,
}

/// What comes of a reshaping: the plan in force, the old head, which takes time to give up, and what the
/// user should know.
pub(crate) struct Reshaped {
    pub(crate) plan: MemoryPlan,
    /// Pages of the KV cache, and bytes of one.
    pub(crate) kv: (usize, usize),
    pub(crate) old_head: Option<OtherHead>,
    pub(crate) notices: Vec<String>,
}

/// A reshaping that was ordered.
pub(crate) struct Reshape {
    pub(crate) target: Target,
    pub(crate) head: Option<OtherHead>,
    /// Running answers end first.
    pub(crate) waits: bool,
    pub(crate) answer: Sender<Result<Reshaped, LoadError>>,
}

impl Reshape {
    fn carry_out(self, scheduler: &mut Scheduler) {
        let _ = self.answer.send(scheduler.reshape(&self.target, self.head));
    }
}

#[derive(Default)]
pub(crate) struct Gauges {
    pub(crate) active: AtomicUsize,
    pub(crate) queued: AtomicUsize,
    pub(crate) kv_pages_used: AtomicUsize,
    pub(crate) tally: Arc<Tally>,
    /// The running batch; written between steps.
    pub(crate) sequences: Mutex<Vec<SequenceStatus>>,
}

impl Gauges {
    pub(crate) fn is_busy(&self) -> bool {
        self.active.load(Ordering::Relaxed) + self.queued.load(Ordering::Relaxed) > 0
    }
}

/// The engine thread: commands between steps, steps while there is work.
pub(crate) fn serve(mut scheduler: Scheduler, commands: &Receiver<Command>, gauges: &Gauges) {
    let mut waiting: Option<Box<Reshape>> = None;
    loop {
        if scheduler.active() == 0
            && let Some(reshape) = waiting.take()
        {
            scheduler.hold(false);
            reshape.carry_out(&mut scheduler);
            publish(&mut scheduler, gauges);
        }
        let command = if scheduler.is_idle() {
            commands.recv().map_err(|_| TryRecvError::Disconnected)
        } else {
            commands.try_recv()
        };
        match command {
            Ok(Command::Run(job)) => {
                scheduler.submit(*job);
                continue;
            }
            Ok(Command::PackingFor(kernel, answer)) => {
                let _ = answer.send(scheduler.runner().packing_for(&*kernel));
                continue;
            }
            Ok(Command::SetKernel(kernel, repacked, answer)) => {
                let _ = answer.send(scheduler.runner().exchange(kernel, repacked));
                continue;
            }
            Ok(Command::WorkFor(target, answer)) => {
                let _ = answer.send(scheduler.runner().work_for(&target));
                continue;
            }
            Ok(Command::Reshape(reshape)) => {
                if reshape.waits && scheduler.active() > 0 {
                    scheduler.hold(true);
                    waiting = Some(reshape);
                } else {
                    reshape.carry_out(&mut scheduler);
                    publish(&mut scheduler, gauges);
                }
                continue;
            }
            Ok(Command::Forget) => {
                if let Some(reshape) = waiting.take() {
                    scheduler.hold(false);
                    let _ = reshape.answer.send(Err(LoadError::Cancelled));
                }
                continue;
            }
            Ok(Command::Stop) | Err(TryRecvError::Disconnected) => {
                scheduler.abandon(&GenerateError::Stopped);
                return;
            }
            Err(TryRecvError::Empty) => {}
        }
        let round = scheduler.round();
        publish(&mut scheduler, gauges);
        if let Err(error) = round {
            tracing::error!(%error, "the engine stops");
            scheduler.abandon(&error.into());
            return;
        }
    }
}

/// Shows what runs now.
fn publish(scheduler: &mut Scheduler, gauges: &Gauges) {
    gauges.active.store(scheduler.active(), Ordering::Relaxed);
    gauges.queued.store(scheduler.queued(), Ordering::Relaxed);
    gauges
        .kv_pages_used
        .store(scheduler.pages_in_use().0, Ordering::Relaxed);
    {
        let sequences = &gauges.sequences;
        let mut sequences = sequences.lock().unwrap_or_else(PoisonError::into_inner);
        sequences.clear();
        sequences.extend(scheduler.sequences());
    }
}
