use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tritone_engine::{EngineStatus, FinishReason, Finished, Input, LoadProgress, Timings};

use super::*;
use crate::app::backend::{ChoiceCard, EventSource, KernelChoice, ModelCard};
use crate::app::host::{ModelList, NotLoaded};

/// An engine that writes `tick` until it is cancelled, and begins when it is told to.
struct Fake {
    begin: Mutex<Receiver<()>>,
}

/// Loads as a closure does, once.
struct Loads<F>(Mutex<Option<F>>);

impl<F> Loads<F>
where
    F: FnOnce(&mut dyn FnMut(LoadProgress) -> bool) -> Result<Arc<dyn Backend>, NotLoaded> + Send,
{
    fn new(load: F) -> Self {
        Self(Mutex::new(Some(load)))
    }
}

impl<F> Host for Loads<F>
where
    F: FnOnce(&mut dyn FnMut(LoadProgress) -> bool) -> Result<Arc<dyn Backend>, NotLoaded> + Send,
{
    fn load(
        &self,
        order: &Order,
        _: &dyn Seat,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Arc<dyn Backend>, NotLoaded> {
        let Some(load) = self.0.lock().unwrap().take() else {
            return Err(format!("cannot load {}", order.summary()).into());
        };
        load(progress)
    }

    fn models(&self, report: &mut dyn FnMut(usize, usize) -> bool) -> Result<ModelList, String> {
        match report(1, 1) {
            true => Ok(ModelList::default()),
            false => Err("stopped".to_owned()),
        }
    }
}

struct Ticking(Cancel);

impl EventSource for Ticking {
    fn next_event(&mut self) -> Option<Event> {
        if self.0.is_cancelled() {
            let reason = FinishReason::Cancelled;
            return Some(Event::Finished(Finished {
                reason,
                timings: Timings::default(),
            }));
        }
        thread::sleep(Duration::from_millis(1));
        Some(Event::Text {
            text: "tick".to_owned(),
            token: 1,
            likelihood: None,
            timings: Timings::default(),
        })
    }

    fn cancel_handle(&self) -> Cancel {
        self.0.clone()
    }
}

impl Backend for Fake {
    fn model(&self) -> ModelCard {
        ModelCard {
            name: "fake".to_owned(),
            architecture: "none".to_owned(),
            parameters: 1,
            context: 10,
            file_bytes: 1,
            asks_for_thinking: false,
            notices: Vec::new(),
            ready: String::new(),
        }
    }

    fn profile(&self) -> String {
        "edge".to_owned()
    }

    fn generate(&self, request: Request) -> Result<Box<dyn EventSource>, GenerateError> {
        self.begin.lock().unwrap().recv().unwrap();
        match request.input {
            Input::Text(text) if text.is_empty() => Err(GenerateError::EmptyPrompt),
            _ => Ok(Box::new(Ticking(Cancel::default()))),
        }
    }

    fn status(&self) -> EngineStatus {
        EngineStatus {
            kv_pages: 3,
            ..EngineStatus::default()
        }
    }

    fn threads(&self) -> usize {
        2
    }

    fn kernel_name(&self) -> String {
        "old".to_owned()
    }

    fn kernels(&self) -> Vec<KernelChoice> {
        Vec::new()
    }

    fn set_kernel(
        &self,
        name: &str,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Vec<String>, String> {
        if name != "slow" {
            return Err(format!("there is no kernel {name}"));
        }
        let so_far = LoadProgress {
            stage: "packing weights",
            done: 1,
            total: 2,
        };
        while progress(so_far) {
            thread::sleep(Duration::from_millis(1));
        }
        Err("cancelled".to_owned())
    }

    fn choice(&self) -> ChoiceCard {
        ChoiceCard::default()
    }

    /// Goes on until it is told to stop.
    fn race(&self, _: RaceOrder, report: &mut dyn FnMut(&Standing) -> bool) -> RaceResult {
        while report(&Standing::default()) {
            thread::sleep(Duration::from_millis(1));
        }
        // The old kernel is put back.
        thread::sleep(Duration::from_millis(20));
        RaceResult {
            standing: Standing {
                cancelled: true,
                ..Standing::default()
            },
            kernel: "fake".to_owned(),
            choice: String::new(),
            not_kept: None,
        }
    }

    fn wait_for_packs(&self, _go_on: &mut dyn FnMut() -> bool) -> Vec<String> {
        vec!["packed".to_owned()]
    }
}

/// A worker with the fake loaded, its messages, and what lets answers begin.
fn worker() -> (Worker, UnboundedReceiver<Msg>, Sender<()>) {
    let (sender, mut receiver) = unbounded_channel();
    let (begin, begun) = channel();
    let worker = Worker::start(
        sender,
        Arc::new(Loads::new(move |progress| {
            for done in 0..1000 {
                assert!(progress(LoadProgress {
                    stage: "reading",
                    done,
                    total: 1000
                }));
            }
            Ok(Arc::new(Fake {
                begin: Mutex::new(begun),
            }))
        })),
    );
    let mut reports = 0;
    loop {
        match receiver.blocking_recv().unwrap() {
            Msg::Loading(_) => reports += 1,
            Msg::Loaded(loaded) => {
                assert_eq!((loaded.model.name.as_str(), loaded.threads), ("fake", 2));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    let notice = receiver.blocking_recv().unwrap();
    assert!(matches!(notice, Msg::Notice(what) if what == "packed"));
    assert!(
        (1..1000).contains(&reports),
        "{reports} reports of 1000 steps"
    );
    (worker, receiver, begin)
}

fn events(receiver: &mut UnboundedReceiver<Msg>, wanted: u64) -> impl Iterator<Item = Event> {
    std::iter::from_fn(move || match receiver.blocking_recv().unwrap() {
        Msg::Answer { id, event } => {
            assert_eq!(id, wanted);
            Some(event)
        }
        other => panic!("{other:?}"),
    })
}

#[test]
fn an_answer_runs_until_it_is_cancelled() {
    let (mut worker, mut receiver, begin) = worker();
    begin.send(()).unwrap();
    worker.generate(5, Request::new(Input::Text("x".to_owned())));
    assert!(matches!(
        events(&mut receiver, 5).nth(3),
        Some(Event::Text { .. })
    ));
    worker.cancel();
    let end = events(&mut receiver, 5).find(|event| !matches!(event, Event::Text { .. }));
    assert!(matches!(end, Some(Event::Finished(end)) if end.reason == FinishReason::Cancelled));
}

#[test]
fn an_answer_can_be_cancelled_before_the_engine_knows_of_it() {
    let (mut worker, mut receiver, begin) = worker();
    worker.generate(1, Request::new(Input::Text("x".to_owned())));
    worker.cancel();
    begin.send(()).unwrap();
    let first = events(&mut receiver, 1).next();
    assert!(matches!(first, Some(Event::Finished(_))), "{first:?}");
}

#[test]
fn what_the_engine_refuses_is_said() {
    let (mut worker, mut receiver, begin) = worker();
    begin.send(()).unwrap();
    worker.generate(1, Request::new(Input::Text(String::new())));
    let first = events(&mut receiver, 1).next();
    assert!(
        matches!(first, Some(Event::Failed(GenerateError::EmptyPrompt))),
        "{first:?}"
    );
    worker.set_kernel("x".to_owned());
    let Some(Msg::KernelSet(Err(why))) = receiver.blocking_recv() else {
        panic!("no refusal")
    };
    assert_eq!(why, "there is no kernel x");
    worker.ask_status();
    let Some(Msg::Status(status)) = receiver.blocking_recv() else {
        panic!("no status")
    };
    assert_eq!(status.kv_pages, 3);
}

#[test]
fn a_switch_reports_its_progress_and_can_be_given_up() {
    let (mut worker, mut receiver, _begin) = worker();
    worker.set_kernel("slow".to_owned());
    let Some(Msg::Switching(progress)) = receiver.blocking_recv() else {
        panic!("no progress")
    };
    assert_eq!((progress.done, progress.total), (1, 2));
    worker.stop_switch();
    let last = std::iter::from_fn(|| receiver.blocking_recv())
        .find(|message| matches!(message, Msg::KernelSet(_)));
    assert!(
        matches!(&last, Some(Msg::KernelSet(Err(why))) if why == "cancelled"),
        "{last:?}"
    );
}

#[test]
fn a_race_says_how_it_stands_until_it_is_stopped() {
    let (mut worker, mut receiver, _begin) = worker();
    worker.race(RaceOrder {
        automatic: false,
        switch: false,
    });
    assert!(matches!(receiver.blocking_recv(), Some(Msg::Race(_))));
    worker.stop_race();
    let end = std::iter::from_fn(|| receiver.blocking_recv()).find(|m| !matches!(m, Msg::Race(_)));
    assert!(matches!(end, Some(Msg::RaceEnded(end)) if end.standing.cancelled));

    // Another kernel waits until the race has put the old one back.
    worker.race(RaceOrder {
        automatic: true,
        switch: true,
    });
    assert!(matches!(receiver.blocking_recv(), Some(Msg::Race(_))));
    worker.stop_race();
    worker.set_kernel("new".to_owned());
    let mut ends = std::iter::from_fn(|| receiver.blocking_recv());
    let mut ends = ends.by_ref().filter(|m| !matches!(m, Msg::Race(_)));
    assert!(matches!(ends.next(), Some(Msg::RaceEnded(_))));
    assert!(matches!(ends.next(), Some(Msg::KernelSet(Err(_)))));
}

#[test]
fn loading_ends_when_it_is_told_to() {
    let (sender, mut receiver) = unbounded_channel();
    let worker = Worker::start(
        sender,
        Arc::new(Loads::new(|progress| {
            while progress(LoadProgress {
                stage: "reading",
                done: 0,
                total: 1,
            }) {
                thread::sleep(Duration::from_millis(1));
            }
            Err("loading was cancelled".to_owned().into())
        })),
    );
    assert!(matches!(receiver.blocking_recv(), Some(Msg::Loading(_))));
    worker.stop_loading();
    let end =
        std::iter::from_fn(|| receiver.blocking_recv()).find(|m| !matches!(m, Msg::Loading(_)));
    assert!(matches!(end, Some(Msg::LoadFailed(why)) if why == "loading was cancelled"));
}
