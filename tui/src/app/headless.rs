//! A session without a terminal and without an engine, for tests.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tritone_engine::sample::Sampling;
use tritone_engine::{Event, FinishReason, Finished, Request, Timings};
use tritone_monitor::{Limits, Metric, Sample};

use super::backend::{
    Bounds, ChoiceCard, KernelCard, KernelChoice, ModelCard, SpeedCard, Unusable,
};
use super::desk::Ask;
use super::keep::Keep;
use super::keymap::Keymap;
use super::msg::{Effect, Loaded, Msg};
use super::state::{Setting, State};
use super::update::update;
use crate::chat::markdown::{Highlighter, Job};
use crate::view;
use crate::view::theme::{Background, Look};

/// Colours, on a background of which nothing is known.
pub(crate) const LOOK: Look = Look {
    color: true,
    background: Background::Unknown,
    ascii: false,
};

/// 2025-11-26 07:30:31 UTC: when sessions begin.
const EPOCH: u64 = 1_764_142_231_000;

/// A state, the time, and what it wanted done.
pub(crate) struct Headless {
    pub(crate) state: State,
    pub(crate) effects: Vec<Effect>,
    /// What was asked of files since the last look at it.
    pub(crate) asks: Vec<Ask>,
    /// Texts to be counted since the last look at them.
    pub(crate) counts: Vec<(Vec<u64>, Vec<String>)>,
    /// Code to be coloured.
    pub(crate) jobs: Vec<Job>,
    /// Events for the monitor's log.
    pub(crate) events: Vec<tritone_monitor::Event>,
    /// What was to be kept.
    pub(crate) kept: Vec<Keep>,
    now: Duration,
}

impl Headless {
    /// A session whose model is still being loaded.
    pub(crate) fn new(columns: u16, rows: u16) -> Self {
        let setting = Setting {
            profile: "edge".to_owned(),
            cpus: 8,
            usable: 4,
            limit: Some("quota"),
            max_tokens: Some(500),
            presets: Vec::new(),
            keymap: Keymap::default(),
            vi: false,
            animations: false,
            look: LOOK,
        };
        let state = State::new(setting, Sampling::default(), None, (columns, rows));
        Self {
            state,
            effects: Vec::new(),
            asks: Vec::new(),
            counts: Vec::new(),
            jobs: Vec::new(),
            events: Vec::new(),
            kept: Vec::new(),
            now: Duration::ZERO,
        }
    }

    /// A session with a model.
    pub(crate) fn loaded(columns: u16, rows: u16) -> Self {
        let mut session = Self::new(columns, rows);
        session.send(Msg::Loaded(Box::new(loaded(&[]))));
        session.memory(212 << 20);
        session
    }

    /// Lets `millis` pass.
    pub(crate) fn wait(&mut self, millis: u64) -> &mut Self {
        self.now += Duration::from_millis(millis);
        self
    }

    pub(crate) fn send(&mut self, msg: Msg) -> &mut Self {
        for effect in update(&mut self.state, self.now, msg) {
            match effect {
                Effect::Record(event) => self.events.push(event),
                Effect::Keep(what) => self.kept.push(*what),
                Effect::Desk(ask) => self.asks.push(ask),
                Effect::Count { keys, texts } => self.counts.push((keys, texts)),
                effect => self.effects.push(effect),
            }
        }
        self.jobs.extend(self.state.settle());
        self
    }

    /// A sample is taken of a process that holds so many bytes.
    pub(crate) fn memory(&mut self, bytes: u64) -> &mut Self {
        self.sample(1000, |sample| sample.set(Metric::Resident, bytes as f64))
    }

    /// A sample of the last `span` milliseconds is taken, in which `fill` writes.
    pub(crate) fn sample(&mut self, span: u64, fill: impl FnOnce(&mut Sample)) -> &mut Self {
        let now = u64::try_from(self.now.as_millis()).unwrap();
        let mut sample = Sample::new(EPOCH + now, span);
        fill(&mut sample);
        self.send(Msg::Sample(Box::new(sample)))
    }

    pub(crate) fn press(&mut self, code: KeyCode, modifiers: KeyModifiers) -> &mut Self {
        self.send(Msg::Key(KeyEvent::new(code, modifiers)))
    }

    pub(crate) fn key(&mut self, code: KeyCode) -> &mut Self {
        self.press(code, KeyModifiers::NONE)
    }

    pub(crate) fn ctrl(&mut self, c: char) -> &mut Self {
        self.press(KeyCode::Char(c), KeyModifiers::CONTROL)
    }

    /// Goes to the first line of the transcript.
    pub(crate) fn ctrl_home(&mut self) -> &mut Self {
        self.press(KeyCode::Home, KeyModifiers::CONTROL)
    }

    /// Types `text`, key by key.
    pub(crate) fn write(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.key(KeyCode::Char(c));
        }
        self
    }

    /// Types `text` and sends it.
    pub(crate) fn say(&mut self, text: &str) -> &mut Self {
        self.write(text).key(KeyCode::Enter)
    }

    /// The engine read a prompt of `total` tokens up to `done`.
    pub(crate) fn prefill(&mut self, done: usize, total: usize) -> &mut Self {
        self.hear(Event::Prefill { done, total })
    }

    /// The engine wrote `pieces`, one token each, 25 ms apart, after a prompt of 20 tokens.
    pub(crate) fn tokens(&mut self, pieces: &[&str]) -> &mut Self {
        for (count, piece) in (1..).zip(pieces) {
            self.wait(25);
            let text = (*piece).to_owned();
            self.hear(Event::Text {
                text,
                token: 7,
                likelihood: None,
                timings: timings(count),
            });
        }
        self
    }

    /// The engine ended the answer after `count` tokens.
    pub(crate) fn finish(&mut self, count: usize, reason: FinishReason) -> &mut Self {
        self.hear(Event::Finished(Finished {
            reason,
            timings: timings(count),
        }))
    }

    /// The last answer that was begun says something.
    pub(crate) fn hear(&mut self, event: Event) -> &mut Self {
        let id = self.state.next_id - 1;
        self.send(Msg::Answer { id, event })
    }

    /// Colours the code that is seen.
    pub(crate) fn highlight(&mut self) -> &mut Self {
        let mut highlighter = Highlighter::new();
        for job in std::mem::take(&mut self.jobs) {
            self.send(Msg::Highlighted(highlighter.run(&job, &mut || true)));
        }
        self
    }

    /// Effects since the last call.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The request of the last effects.
    pub(crate) fn take_request(&mut self) -> Request {
        let request = self
            .take_effects()
            .into_iter()
            .rev()
            .find_map(|effect| match effect {
                Effect::Generate { request, .. } => Some(*request),
                _ => None,
            });
        request.expect("an answer was asked for")
    }

    /// What is on the screen, and where the cursor is.
    pub(crate) fn screen(&self) -> String {
        let (columns, rows) = self.state.size;
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal
            .draw(|frame| view::draw(&self.state, frame))
            .unwrap();
        let cursor = terminal.backend().cursor_position();
        format!(
            "{}cursor at {},{}\n",
            terminal.backend(),
            cursor.x,
            cursor.y
        )
    }
}

/// A small model with a few notices.
pub(crate) fn loaded(notices: &[&str]) -> Loaded {
    let choice = |name: &str, detail: &str| KernelChoice {
        name: name.to_owned(),
        detail: detail.to_owned(),
        card: KernelCard {
            score: if name == "avx2" { 20 } else { 1 },
            reason: format!("{name} as a test has it"),
            isa: if name == "avx2" {
                "AVX2+FMA"
            } else {
                "portable"
            }
            .to_owned(),
            layout: "T2R32".to_owned(),
            bits: 2.0,
            origin: "built in".to_owned(),
            base: None,
            measured: (name == "avx2").then(|| SpeedCard {
                decode: 6.2,
                prefill: 41.0,
                date: "2026-11-23".to_owned(),
            }),
        },
    };
    Loaded {
        model: ModelCard {
            name: "Tritone Tiny".to_owned(),
            architecture: "bitnet-b1.58".to_owned(),
            parameters: 5_250_000,
            context: 1024,
            file_bytes: 2 << 20,
            asks_for_thinking: true,
            notices: notices.iter().map(|&notice| notice.to_owned()).collect(),
            ready: String::new(),
        },
        profile: "edge".to_owned(),
        bounds: Bounds {
            memory: Some(1024 << 20),
            interval: Duration::from_secs(1),
            alerts: Limits {
                memory_bytes: 1024 << 20,
                near_limit: true,
                cpu_percent: 80.0,
                min_tokens_per_second: 5.0,
                error_rate_percent: 5.0,
                latency_ms: 5000.0,
            },
        },
        strategy: None,
        threads: 2,
        kernel: "avx2".to_owned(),
        kernels: vec![
            choice("avx2", "AVX2, score 20"),
            choice("scalar", "portable, score 1"),
        ],
        choice: ChoiceCard {
            explanation:
                "avx2: measured 6.2 tok/s on this machine and model on 2026-11-23; scalar 1.1"
                    .to_owned(),
            named: false,
            unmeasured: false,
            unusable: vec![Unusable {
                name: "libtritone_old.so".to_owned(),
                origin: "\"/usr/lib/tritone/libtritone_old.so\"".to_owned(),
                state: "refused",
                why: "its ABI version is 3, this program has 5".to_owned(),
            }],
        },
    }
}

/// Counts and times of an answer so far.
pub(crate) fn timings(generated_tokens: usize) -> Timings {
    Timings {
        prompt_tokens: 20,
        generated_tokens,
        prefill: Duration::from_millis(50),
        decode: Duration::from_millis(25) * u32::try_from(generated_tokens - 1).unwrap(),
        ..Timings::default()
    }
}
