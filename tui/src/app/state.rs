//! Everything the screen shows.

use std::time::Duration;

use tritone_engine::Timings;
use tritone_engine::sample::Sampling;
use tritone_store::{Number, Session};

use super::apply::Applying;
use super::backend::{KernelChoice, ModelCard, Standing};
use super::complete::Popup;
use super::context::{Counts, Plan};
use super::conversation::Conversation;
use super::keymap::Keymap;
use super::meter::{Meter, Progress};
use super::overlay::Overlay;
use super::pick::List;
use super::queue::Queue;
use super::reading::Find;
use super::screen::View;
use super::vi::Vi;
use super::views::Views;
use crate::chat::composer::Composer;
use crate::chat::markdown::{Colors, Job};
use crate::chat::transcript::{Anchor, AnswerState, Kind, Line, Transcript};
use crate::view::layout::Areas;
use crate::view::theme::Look;

/// What is known before the model is loaded and does not change.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// Name of the profile.
    pub(crate) profile: String,
    /// CPUs of the machine.
    pub(crate) cpus: usize,
    /// The most threads that can run at the same time.
    pub(crate) usable: usize,
    /// Why not all of them can be used: `quota`, `cpuset`.
    pub(crate) limit: Option<&'static str>,
    /// Most tokens of an answer.
    pub(crate) max_tokens: Option<usize>,
    /// The person's own ways to choose tokens, by name.
    pub(crate) presets: Vec<(String, Sampling)>,
    /// The keys in force.
    pub(crate) keymap: Keymap,
    /// Keys of vi edit the input at first.
    pub(crate) vi: bool,
    /// Things may move that need not.
    pub(crate) animations: bool,
    /// How the screen is to look.
    pub(crate) look: Look,
}

/// How loading stands.
#[derive(Clone, Debug)]
pub(crate) enum Load {
    /// It is going on.
    Running(Progress),
    /// There is a model.
    Ready(ModelCard),
    /// There will be none.
    Failed(String),
}

/// A switch to another kernel that is going on.
#[derive(Clone, Debug)]
pub(crate) struct Switch {
    /// The kernel.
    pub(crate) name: String,
    /// How far its weights are packed, if they have to be.
    pub(crate) progress: Progress,
    /// It is to be given up.
    pub(crate) stopping: bool,
}

/// What the running answer is doing.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// Reading the prompt.
    Prefill {
        /// Tokens read.
        done: usize,
        /// Tokens of the prompt, once known.
        total: Option<usize>,
    },
    /// Writing.
    Decode,
}

/// The running answer.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Its number.
    pub(crate) id: u64,
    /// The message it is.
    pub(crate) node: Number,
    /// When it was asked for.
    pub(crate) started: Duration,
    /// When it last said something.
    pub(crate) heard: Duration,
    pub(crate) phase: Phase,
    /// Prompt tokens by the time on the wall.
    pub(crate) prefill: Meter,
    /// Written tokens by the time spent writing.
    pub(crate) decode: Meter,
    /// The person wants it to end.
    pub(crate) cancelled: bool,
}

/// The running race between kernels.
#[derive(Clone, Debug)]
pub(crate) struct Race {
    /// Nobody asked for it.
    pub(crate) automatic: bool,
    pub(crate) standing: Standing,
}

/// Rates in tokens a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rates {
    pub(crate) decode: Option<f64>,
    pub(crate) prefill: Option<f64>,
}

/// Which part of the transcript is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scroll {
    /// The end, wherever it goes.
    Follow,
    /// From this line on.
    At(usize),
}

/// The whole state.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) setting: Setting,
    /// Columns and rows.
    pub(crate) size: (u16, u16),
    /// Time of the last message, from the start of the program.
    pub(crate) now: Duration,
    pub(crate) load: Load,
    /// Name of the strategy that runs the model, if it is not the engine of this process.
    pub(crate) strategy: Option<String>,
    pub(crate) threads: Option<usize>,
    pub(crate) kernel: Option<String>,
    pub(crate) kernels: Vec<KernelChoice>,
    pub(crate) switch: Option<Switch>,
    /// Another model or profile is being loaded.
    pub(crate) applying: Option<Applying>,
    /// The view on the screen.
    pub(crate) view: View,
    pub(crate) views: Views,
    /// What lies over the view.
    pub(crate) overlay: Option<Overlay>,
    pub(crate) conversation: Conversation,
    /// There are earlier conversations to look at.
    pub(crate) keeping: bool,
    /// What is said is kept.
    pub(crate) saving: bool,
    /// Where to go on, if somebody wants to.
    pub(crate) resumable: Option<Box<Session>>,
    /// The message that is selected, while messages are selected.
    pub(crate) select: Option<Number>,
    pub(crate) transcript: Transcript,
    /// Colours of the code in the transcript.
    pub(crate) colors: Colors,
    /// What is searched for in the transcript.
    pub(crate) find: Option<Find>,
    pub(crate) composer: Composer,
    /// The keys of vi, if they edit the input.
    pub(crate) vi: Option<Vi>,
    /// What the input may become.
    pub(crate) popup: Popup,
    /// Messages that wait for the running answer.
    pub(crate) queue: Queue,
    /// A list that is opened once it is known.
    pub(crate) pick: Option<List>,
    /// System prompts were asked for, to choose one.
    pub(crate) prompts_wanted: bool,
    pub(crate) counts: Counts,
    /// What the next request will be made of.
    pub(crate) plan: Option<Plan>,
    /// Turns that the last request left out.
    pub(crate) left_out: usize,
    /// A message that does not fit is refused instead.
    pub(crate) keep_all: bool,
    pub(crate) scroll: Scroll,
    /// Entries that went into the terminal's history, where only the lowest lines are used.
    pub(crate) printed: Option<usize>,
    /// First line of the help that is seen, while help is open.
    pub(crate) help: Option<usize>,
    /// What is looked for in the help.
    pub(crate) help_filter: String,
    pub(crate) system: Option<String>,
    pub(crate) sampling: Sampling,
    /// Whether the model is to think before it answers, if somebody said so.
    pub(crate) thinking: Option<bool>,
    pub(crate) run: Option<Run>,
    pub(crate) race: Option<Race>,
    /// A race is to begin after the answer.
    pub(crate) race_wanted: bool,
    /// A race that nobody asks for would tell which kernel is best.
    pub(crate) unmeasured: bool,
    /// Why the kernel was chosen, in a line.
    pub(crate) choice: String,
    /// Somebody named the kernel: no race replaces it.
    pub(crate) kernel_named: bool,
    /// When somebody or the engine last did something.
    pub(crate) touched: Duration,
    /// A message was sent before the model was there.
    pub(crate) waiting: bool,
    /// Counts and times of the last answer.
    pub(crate) last: Option<Timings>,
    pub(crate) rates: Rates,
    /// Tokens of the context in use.
    pub(crate) context_used: usize,
    pub(crate) resident: Option<u64>,
    /// What it may be.
    pub(crate) resident_limit: Option<u64>,
    /// A remark on the line above the input, and when it was made.
    pub(crate) flash: Option<(String, Duration)>,
    /// When Ctrl+C was pressed for the first time.
    pub(crate) quit_armed: Option<Duration>,
    /// Number of the next answer.
    pub(crate) next_id: u64,
    /// Grows when what is drawn may have changed.
    pub(crate) revision: u64,
}

impl State {
    /// The first screen: loading has just begun.
    pub(crate) fn new(
        setting: Setting,
        sampling: Sampling,
        system: Option<String>,
        size: (u16, u16),
    ) -> Self {
        let mut state = Self {
            setting,
            size,
            now: Duration::ZERO,
            load: Load::Running(Progress::default()),
            strategy: None,
            threads: None,
            kernel: None,
            kernels: Vec::new(),
            switch: None,
            applying: None,
            view: View::default(),
            views: Views::default(),
            overlay: None,
            conversation: Conversation::default(),
            keeping: false,
            saving: false,
            resumable: None,
            select: None,
            transcript: Transcript::new(size.0),
            colors: Colors::default(),
            find: None,
            composer: Composer::new(size.0),
            vi: None,
            popup: Popup::default(),
            queue: Queue::default(),
            pick: None,
            prompts_wanted: false,
            counts: Counts::default(),
            plan: None,
            left_out: 0,
            keep_all: false,
            scroll: Scroll::Follow,
            printed: None,
            help: None,
            help_filter: String::new(),
            system,
            sampling,
            thinking: None,
            run: None,
            race: None,
            race_wanted: false,
            unmeasured: false,
            choice: String::new(),
            kernel_named: false,
            touched: Duration::ZERO,
            waiting: false,
            last: None,
            rates: Rates::default(),
            context_used: 0,
            resident: None,
            resident_limit: None,
            flash: None,
            quit_armed: None,
            next_id: 1,
            revision: 0,
        };
        if state.setting.vi {
            state.vi = Some(Vi::new(&mut state.composer));
            state.setting.keymap.set_vi(true);
        }
        state.resize(size);
        state
    }

    /// The model, once it is loaded.
    pub(crate) fn model(&self) -> Option<&ModelCard> {
        match &self.load {
            Load::Ready(model) => Some(model),
            Load::Running(_) | Load::Failed(_) => None,
        }
    }

    /// Whether something moves on the screen without anybody doing something.
    pub(crate) fn is_busy(&self) -> bool {
        self.run.is_some()
            || self.race.is_some()
            || self.switch.is_some()
            || self.applying.is_some()
            || matches!(self.load, Load::Running(_))
            || self.flash.is_some()
            || self.quit_armed.is_some()
    }

    /// Whether the engine is at work with every processor this program may use, so that a picture
    /// takes time from it.
    pub(crate) fn is_crowded(&self) -> bool {
        let works = self.run.is_some() || self.race.is_some();
        works
            && self
                .threads
                .is_some_and(|threads| threads >= self.setting.usable)
    }

    /// The transcript's first line on the screen.
    pub(crate) fn top(&self) -> usize {
        match self.scroll {
            Scroll::Follow if self.is_part() => self.last_top().max(self.printed_lines()),
            Scroll::Follow => self.last_top(),
            Scroll::At(top) => top,
        }
    }

    /// Whether only the lowest lines of the terminal are used now. What is more than the end of the
    /// chat takes the whole screen for as long as it is looked at.
    pub(crate) fn is_part(&self) -> bool {
        self.printed.is_some()
            && self.view == View::Chat
            && self.help.is_none()
            && self.overlay.is_none()
            && self.select.is_none()
            && self.find.is_none()
            && self.scroll == Scroll::Follow
    }

    /// Lines of the transcript that are in the terminal's history already.
    pub(crate) fn printed_lines(&self) -> usize {
        self.printed
            .map_or(0, |entries| self.transcript.line_of_entry(entries))
    }

    /// How many entries are finished and can go into the terminal's history.
    pub(crate) fn finished_entries(&self) -> usize {
        let entries = self.transcript.entries();
        let changes = |kind: &Kind| match kind {
            Kind::Answer(answer) => *answer == AnswerState::Running,
            Kind::Race => self.race.is_some(),
            Kind::User => self.waiting,
            Kind::Note | Kind::Error => false,
        };
        let running = entries.iter().position(|entry| changes(&entry.kind));
        running.unwrap_or(entries.len())
    }

    /// Lines of the transcript below the screen.
    pub(crate) fn lines_below(&self) -> usize {
        self.last_top().saturating_sub(self.top())
    }

    /// Moves the view by so many lines; the end is followed once it is reached.
    pub(crate) fn scroll_by(&mut self, lines: i64) {
        let target = i64::try_from(self.top())
            .unwrap_or(i64::MAX)
            .saturating_add(lines);
        self.scroll_to(usize::try_from(target).unwrap_or(0));
    }

    /// Puts line `top` at the top of the view.
    pub(crate) fn scroll_to(&mut self, top: usize) {
        self.scroll = if top >= self.last_top() {
            Scroll::Follow
        } else {
            Scroll::At(top)
        };
    }

    /// Takes over a new size of the screen; what is read stays in view.
    pub(crate) fn resize(&mut self, size: (u16, u16)) {
        let anchor = self.anchor();
        self.size = size;
        self.transcript.set_width(size.0);
        self.composer
            .set_width(crate::view::layout::composer_width(size.0));
        self.hold(anchor);
    }

    /// What is at the top of the view, unless the end is followed.
    pub(super) fn anchor(&self) -> Option<Anchor> {
        match self.scroll {
            Scroll::Follow => None,
            Scroll::At(top) => Some(self.transcript.anchor(top)),
        }
    }

    /// Brings what was at the top of the view back there.
    pub(super) fn hold(&mut self, anchor: Option<Anchor>) {
        if let Some(anchor) = anchor {
            let seen = self.lines_seen();
            let line = self.transcript.reach(anchor, seen);
            self.scroll_to(line);
        }
    }

    /// Makes the rows of what was written since the last time, for drawing. What is read stays
    /// in view. Code that is seen and has no colours yet is handed out to get them.
    pub(crate) fn settle(&mut self) -> Vec<Job> {
        let seen = self.lines_seen();
        match self.scroll {
            Scroll::Follow => {
                self.transcript.settle(None, seen);
            }
            Scroll::At(top) => self.scroll = Scroll::At(self.transcript.settle(Some(top), seen)),
        }
        let mut jobs = Vec::new();
        for line in self.transcript.lines(self.top()).take(seen) {
            let Line::Text { entry, row, .. } = line else {
                continue;
            };
            if let Some(shown) = row.code
                && !self.colors.is_asked(shown.key)
                && let Some(code) = entry.code(shown.block)
            {
                jobs.extend(self.colors.ask(&code.language, &code.text));
            }
        }
        jobs
    }

    /// Makes a remark on the line above the input.
    pub(crate) fn remark(&mut self, text: impl Into<String>) {
        self.flash = Some((text.into(), self.now));
    }

    /// Lines of the transcript that are on the screen, if there are as many.
    pub(super) fn lines_seen(&self) -> usize {
        usize::from(Areas::of(self).transcript.height)
    }

    fn last_top(&self) -> usize {
        let seen = self.lines_seen();
        // The blank line under the last entry need not be seen.
        self.transcript
            .height()
            .saturating_sub(1)
            .saturating_sub(seen)
    }
}
