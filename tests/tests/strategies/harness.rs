//! A fake server under the strategy for llama.cpp's family, and looks at its processes.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tritone_engine::sample::Sampling;
use tritone_engine::text::{Message, Role};
use tritone_engine::{Event, Input, Request};
use tritone_strategy::bitnet_cpp::Settings;
use tritone_strategy::{
    Answer, BitnetCpp, Deployed, Deployment, Guard, ModelRef, Strategy as _, StrategyError,
};
use tritone_tests::{repository, tiny, tritone};

/// A strategy whose server is the fake one, and what that has recorded.
pub(crate) struct Fake {
    pub(crate) strategy: BitnetCpp,
    pub(crate) place: TempDir,
}

/// How a fake server is called with `flags`.
pub(crate) fn settings(place: &Path, flags: &[&str]) -> Settings {
    let script = repository().join("tests/tests/strategies/fake_server.py");
    let record = place.join("record");
    let own = [
        "python3",
        script.to_str().unwrap(),
        "--port",
        "{port}",
        "--model",
        "{model}",
        "--record",
        record.to_str().unwrap(),
    ];
    Settings {
        command: own
            .iter()
            .chain(flags)
            .map(|&word| word.to_owned())
            .collect(),
        start_limit_s: Some(20),
        silence_limit_s: Some(2),
        ..Settings::default()
    }
}

pub(crate) fn model() -> ModelRef {
    ModelRef::File(tiny().join("tritone-tiny-i2_s.gguf"))
}

impl Fake {
    pub(crate) fn new(flags: &[&str]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let settings = settings(place.path(), flags);
        Self {
            strategy: BitnetCpp::new(settings, Guard::of(tritone())),
            place,
        }
    }

    pub(crate) fn deploy(&self) -> Result<Deployed, StrategyError> {
        self.strategy
            .deploy_model(&Deployment::of(model()), &mut |_| true)
    }

    pub(crate) fn deployed(flags: &[&str]) -> Self {
        let fake = Self::new(flags);
        fake.deploy().unwrap();
        fake
    }

    pub(crate) fn ask(&self, prompt: &str) -> Answer {
        self.strategy.generate(chat(prompt)).unwrap()
    }

    /// What the server recorded so far.
    pub(crate) fn record(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.place.path().join("record")).unwrap_or_default();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The bodies of the requests at `path`.
    pub(crate) fn bodies(&self, path: &str) -> Vec<Value> {
        let record = self.record().into_iter();
        let at = record.filter(|entry| entry["path"] == path);
        at.map(|mut entry| entry["body"].take()).collect()
    }

    /// The processes that were started, in their order: servers and their children.
    pub(crate) fn pids(&self) -> Vec<u64> {
        let record = self.record();
        let pid = |entry: &Value| entry["pid"].as_u64().or(entry["grandchild"].as_u64());
        record.iter().filter_map(pid).collect()
    }
}

pub(crate) fn chat(prompt: &str) -> Request {
    Request {
        sampling: Sampling::greedy(),
        ..Request::new(Input::Chat(vec![Message::new(Role::User, prompt)]))
    }
}

/// All events of an answer.
pub(crate) fn events(mut answer: Answer) -> Vec<Event> {
    std::iter::from_fn(|| answer.next_event()).collect()
}

/// Whether a process runs; one that has ended and whose status nobody took does not.
pub(crate) fn runs(pid: u64) -> bool {
    let stat = std::fs::read_to_string(PathBuf::from(format!("/proc/{pid}/stat")));
    stat.is_ok_and(|stat| {
        let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
        !state.starts_with(['Z', 'X'])
    })
}

/// Waits until `what` is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within 20 s");
        thread::sleep(Duration::from_millis(10));
    }
}
