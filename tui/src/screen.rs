//! The screen without a terminal and without an engine, to measure what it costs.
//!
//! It is the program's own state, layout and drawing; only that the bytes for the terminal are
//! counted instead of written, and that somebody else says what the model would. With the feature
//! `bench` only; `benches/screen.rs` uses it.

use std::cell::Cell;
use std::io::{self, BufWriter, Write};
use std::rc::Rc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use tritone_engine::{Event, FinishReason, Finished};

use crate::app::headless::{Headless, timings};
use crate::app::msg::Msg;
use crate::app::state::State;
use crate::app::update::update;
use crate::chat::markdown::{Highlighter, Job};
use crate::chat::transcript::{AnswerState, Kind};
use crate::term::steady::Steady;
use crate::view;

/// Counts bytes and keeps none.
struct Counter(Rc<Cell<u64>>);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set(self.0.get() + bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A session on a screen that nobody sees.
pub struct Screen {
    state: State,
    terminal: Terminal<Steady<BufWriter<Counter>>>,
    bytes: Rc<Cell<u64>>,
    now: Duration,
    tokens: usize,
    jobs: Vec<Job>,
}

impl Screen {
    /// A session with a model, on a screen of `columns` and `rows`.
    ///
    /// # Errors
    ///
    /// If the terminal library refuses, which it has no reason to.
    pub fn new(columns: u16, rows: u16) -> io::Result<Self> {
        let bytes = Rc::new(Cell::new(0));
        let writer = BufWriter::with_capacity(1 << 16, Counter(Rc::clone(&bytes)));
        let viewport = Viewport::Fixed(Rect::new(0, 0, columns, rows));
        let options = TerminalOptions { viewport };
        Ok(Self {
            state: Headless::loaded(columns, rows).state,
            terminal: Terminal::with_options(Steady::new(writer), options)?,
            bytes,
            now: Duration::from_secs(1),
            tokens: 0,
            jobs: Vec::new(),
        })
    }

    /// Adds a question and its answer to the transcript.
    pub fn exchange(&mut self, question: &str, answer: &str) {
        self.state.transcript.push(Kind::User, question);
        let kind = Kind::Answer(AnswerState::Complete);
        self.state.transcript.push(kind, answer);
    }

    /// Lines of the transcript, as far as they are known.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.state.transcript.height()
    }

    /// Asks a question; the answer begins.
    pub fn ask(&mut self, question: &str) {
        self.tell(Msg::Paste(question.to_owned()));
        self.press(KeyCode::Enter);
        self.tokens = 0;
    }

    /// The model writes one more token.
    pub fn token(&mut self, text: &str) {
        self.tokens += 1;
        self.hear(Event::Text {
            text: text.to_owned(),
            token: 7,
            likelihood: None,
            timings: timings(self.tokens),
        });
    }

    /// The model ends its answer.
    pub fn finish(&mut self) {
        self.hear(Event::Finished(Finished {
            reason: FinishReason::EndOfTurn,
            timings: timings(self.tokens.max(1)),
        }));
    }

    /// Time passes.
    pub fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    /// What comes ten times a second while an answer is written.
    pub fn tick(&mut self) {
        self.tell(Msg::Tick);
    }

    /// Turns the wheel by so many lines; down is positive.
    pub fn scroll(&mut self, lines: i32) {
        self.tell(Msg::Wheel(lines));
    }

    /// Goes to the first line of the transcript.
    pub fn top(&mut self) {
        let event = KeyEvent::new(KeyCode::Home, KeyModifiers::CONTROL);
        self.tell(Msg::Key(event));
    }

    /// Draws a picture and returns how many bytes a terminal would have got.
    ///
    /// # Errors
    ///
    /// If the terminal library refuses, which it has no reason to.
    pub fn draw(&mut self) -> io::Result<u64> {
        let before = self.bytes.get();
        self.jobs.extend(self.state.settle());
        let state = &self.state;
        self.terminal.draw(|frame| view::draw(state, frame))?;
        Ok(self.bytes.get() - before)
    }

    /// Colours the code that was seen since the last time, which the program does on a thread of
    /// its own. Returns how many lines it was.
    pub fn highlight(&mut self, painter: &mut Painter) -> usize {
        let mut lines = 0;
        for job in std::mem::take(&mut self.jobs) {
            let colored = painter.0.run(&job, &mut || true);
            lines += colored.len();
            self.tell(Msg::Highlighted(colored));
        }
        lines
    }

    fn press(&mut self, code: KeyCode) {
        self.tell(Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    fn hear(&mut self, event: Event) {
        let id = self.state.next_id - 1;
        self.tell(Msg::Answer { id, event });
    }

    fn tell(&mut self, msg: Msg) {
        // What is to be done outside is done by nobody.
        drop(update(&mut self.state, self.now, msg));
    }
}

/// Colours code.
pub struct Painter(Highlighter);

impl Default for Painter {
    /// Loads the grammars, which takes a while.
    fn default() -> Self {
        Self(Highlighter::new())
    }
}
