//! The loop: messages in, pictures out.

use std::future::poll_fn;
use std::io::{BufWriter, Stdout, stdout};
use std::task::Poll;
use std::time::{Duration, Instant};

use crossterm::cursor::SetCursorStyle;
use crossterm::event::{Event, EventStream};
use futures_util::{Stream, StreamExt as _};
use ratatui::layout::{Position, Rect};
use ratatui::{Terminal, TerminalOptions, Viewport};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tritone_profile::process_environment;

use super::clipboard::Clipboard;
use super::effects::Worker;
use super::frames::Frames;
use super::guard::{self, Guard, Modes, give_back};
use super::highlight::Painter;
use super::inline::Inline;
use super::input::Input;
use super::journal;
use super::sampler;
use super::signals::{Signals, Wish};
use super::steady::Steady;
use super::{Outcome, Screen as Wanted, Setup, TermError, Theme, background, panics};
use crate::app::msg::{Effect, Msg};
use crate::app::queue;
use crate::app::screen::View;
use crate::app::state::{Load, State};
use crate::app::update::update;
use crate::app::vi::Mode;
use crate::chat::transcript::Kind;
use crate::desk::Desk;
use crate::desk::editor::Errand;
use crate::keep::{Keeper, Say};
use crate::view;
use crate::view::layout::part_rows;

/// Bytes of a picture that are collected before they are written.
const BUFFER: usize = 1 << 16;

/// Most events and most messages that are taken at once, so that neither kind starves the other
/// and a picture comes in between.
const BATCH: usize = 4096;

/// Time between two ticks while something moves.
const TICK: Duration = Duration::from_millis(100);

/// An answer of the terminal that is later than this will not come.
const LATEST: Duration = Duration::from_secs(1);

/// How long the end waits for an answer that may be on its way.
const DRAIN: Duration = Duration::from_millis(60);

/// Most lines that go into the terminal's history at a time.
const MOST_LINES: usize = 500;

/// The signal of a terminal that is gone.
const HANG_UP: i32 = 1;

/// Holds a session.
pub(super) async fn hold(setup: Setup) -> Result<Outcome, TermError> {
    let (sender, receiver) = unbounded_channel();
    let signals = Signals::listen()?;
    Signals::insist()?;
    let previous = panics::install(sender.clone());
    let setting = setup.setting();
    let manners = setup.manners;
    let env: &dyn Fn(&str) -> Option<String> = &process_environment;
    let asks = manners.theme == Theme::Auto && setup.color && background::can_be_asked(env);
    let full = manners.screen == Wanted::Full;
    let modes = Modes {
        full,
        mouse: manners.mouse,
        focus: asks,
    };
    let result = async {
        let guard = Guard::enter(modes)?;
        let mut terminal = screen(None)?;
        let mut part = None;
        let size = if full {
            blank(&mut terminal)?
        } else {
            let size = terminal.size()?;
            let size = (size.width, size.height);
            part = Some(Inline::begin(terminal.backend_mut(), size, place())?);
            size
        };
        let mut state = State::new(setting, setup.sampling, setup.system, size);
        state.printed = part.map(|_| 0);
        for note in setup.notes {
            state.transcript.push(Kind::Note, note);
        }
        state.keeping = setup.keep.is_some();
        state.saving = state.keeping;
        let say = |sender: &UnboundedSender<Msg>| -> Say {
            let sender = sender.clone();
            // Nobody listens once the session is over.
            Box::new(move |kept| drop(sender.send(Msg::Kept(kept))))
        };
        let keeper = setup.keep.map(|start| {
            for note in &start.notes {
                state.transcript.push(Kind::Note, note.clone());
            }
            Keeper::start(start, say(&sender))
        });
        if setup.browse {
            let _ = sender.send(Msg::Show(View::Sessions));
        }
        let now = Instant::now();
        let logged = sender.clone();
        crate::logs::watch(move |batch| logged.send(Msg::Logs(batch)).is_ok());
        let worker = Worker::start(sender.clone(), setup.host);
        let painter = Painter::new(sender.clone());
        let clipboard = Clipboard::new(manners.clipboard, env, sender.clone());
        let (told, own) = (sender.clone(), sender.clone());
        let sampler = sampler::for_screen(sender, worker.slot(), setup.monitor);
        // Nobody listens once the session is over.
        let desk = Desk::start(Box::new(move |what| drop(told.send(Msg::Desk(what)))));
        let mut session = Session {
            keeper,
            desk,
            sender: own,
            guard,
            terminal,
            state,
            painter,
            sampler,
            worker,
            part,
            over: false,
            clipboard,
            translator: Input::default(),
            asks,
            asked: None,
            receiver,
            signals,
            input: Some(EventStream::new()),
            frames: Frames::new(now, manners.interval()),
            shape: None,
            start: now,
        };
        let outcome = session.hold().await;
        session.drain().await;
        session.farewell(true)?;
        outcome
    }
    .await;
    previous.restore();
    result
}

type Screen = Terminal<Steady<BufWriter<Stdout>>>;

/// The screen, or a part of it.
fn screen(part: Option<Rect>) -> Result<Screen, TermError> {
    let backend = Steady::new(BufWriter::with_capacity(BUFFER, stdout()));
    let viewport = part.map_or(Viewport::Fullscreen, Viewport::Fixed);
    Ok(Terminal::with_options(
        backend,
        TerminalOptions { viewport },
    )?)
}

/// Where the cursor is, if the terminal says so. Nobody else may be reading the input.
fn place() -> Option<(u16, u16)> {
    crossterm::cursor::position().ok()
}

/// Clears the screen and returns how many columns and rows it has. `Terminal::clear` would ask the
/// terminal where the cursor is, and fail with those that do not say.
fn blank(terminal: &mut Screen) -> Result<(u16, u16), TermError> {
    let size = terminal.size()?;
    terminal.resize(Rect::from((Position::ORIGIN, size)))?;
    Ok((size.width, size.height))
}

/// The shape of the cursor: where vi keys edit the input, it says what keys do. It does not blink.
fn cursor_shape(state: &State) -> Option<SetCursorStyle> {
    let mode = state.vi.as_ref()?.mode(&state.composer);
    Some(match mode {
        Mode::Insert => SetCursorStyle::SteadyBar,
        Mode::Normal | Mode::Visual | Mode::VisualLine => SetCursorStyle::SteadyBlock,
    })
}

/// The next event; `None` when there will be none any more.
async fn next_event(input: &mut Option<EventStream>) -> Option<std::io::Result<Event>> {
    match input {
        Some(input) => input.next().await,
        None => None,
    }
}

/// The next event that has arrived. The stream keeps the waker of the first question until there is an
/// answer, so that it has to be that of this task: nobody would hear of the next key otherwise.
async fn arrived<S>(input: &mut Option<S>) -> Option<Event>
where
    S: Stream<Item = std::io::Result<Event>> + Unpin,
{
    let input = input.as_mut()?;
    poll_fn(|context| {
        Poll::Ready(match input.poll_next_unpin(context) {
            Poll::Ready(Some(Ok(event))) => Some(event),
            _ => None,
        })
    })
    .await
}

struct Session {
    /// First of all, so that it is on disk when the shell is back.
    desk: Desk,
    /// For what the session has to say to itself.
    sender: UnboundedSender<Msg>,
    /// Before the guard, so that what it still holds is written before the screen is left.
    terminal: Screen,
    guard: Guard,
    state: State,
    sampler: tritone_probe::Sampler,
    worker: Worker,
    painter: Painter,
    receiver: UnboundedReceiver<Msg>,
    signals: Signals,
    /// Absent while the program is stopped.
    input: Option<EventStream>,
    /// Where the picture is, if not on the whole screen.
    part: Option<Inline>,
    /// The whole screen is used for a while all the same.
    over: bool,
    translator: Input,
    clipboard: Clipboard,
    /// The terminal is asked for its background.
    asks: bool,
    /// When it was, until it answers.
    asked: Option<Instant>,
    frames: Frames,
    /// The shape that the cursor was given.
    shape: Option<SetCursorStyle>,
    start: Instant,
    /// Last, when the screen is given back: it waits for the disk.
    keeper: Option<Keeper>,
}

impl Session {
    async fn hold(&mut self) -> Result<Outcome, TermError> {
        self.ask()?;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = self.draw_if_due()?;
            let mut events = Vec::new();
            let mut messages = Vec::new();
            tokio::select! {
                wish = self.signals.next() => match wish {
                    Wish::End(number) => {
                        self.remember();
                        return Ok(Outcome::Signal(number));
                    }
                    Wish::Stop => self.pause(false).await?,
                    #[cfg(unix)]
                    Wish::Break => panic!("broken by a signal, as asked"),
                },
                event = next_event(&mut self.input) => match event {
                    Some(Ok(event)) => events.push(event),
                    Some(Err(_)) | None => return Ok(Outcome::Signal(HANG_UP)),
                },
                Some(message) = self.receiver.recv() => messages.push(message),
                () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {}
                _ = ticks.tick(), if self.state.is_busy() => messages.push(Msg::Tick),
            }
            self.collect(&mut events, &mut messages).await;
            if !events.is_empty() {
                self.frames.hurry(Instant::now());
            }
            if events.contains(&Event::FocusGained) {
                self.ask()?;
            }
            let mut all = self.translator.messages(events);
            all.append(&mut messages);
            for message in all {
                if let Some(outcome) = self.apply(message).await? {
                    return outcome;
                }
            }
        }
    }

    /// Draws if it is time to, or says when it will be.
    fn draw_if_due(&mut self) -> Result<Option<Instant>, TermError> {
        let now = Instant::now();
        let due = self.frames.due(self.state.revision);
        if due.is_none_or(|due| due > now) {
            return Ok(due);
        }
        for job in self.state.settle() {
            self.painter.ask(job);
        }
        self.lay_out()?;
        let state = &self.state;
        self.terminal.draw(|frame| view::draw(state, frame))?;
        let crowded = state.is_crowded();
        let shape = cursor_shape(state);
        if shape != self.shape {
            self.shape = shape;
            guard::set_shape(self.terminal.backend_mut(), shape)?;
        }
        self.frames
            .drawn(now, Instant::now(), state.revision, crowded);
        Ok(None)
    }

    /// Where only the lowest lines are used: puts what is finished into the terminal's history, and
    /// gives the rest the rows it needs.
    fn lay_out(&mut self) -> Result<(), TermError> {
        let Some(mut part) = self.part else {
            return Ok(());
        };
        let over = !self.state.is_part();
        if over != self.over {
            self.over = over;
            guard::set_alternate(self.terminal.backend_mut(), over)?;
            if over {
                self.terminal = screen(None)?;
                let size = blank(&mut self.terminal)?;
                self.state.resize(size);
            } else {
                let (columns, height) = (part.area().width, part.area().height);
                part.set_height(self.terminal.backend_mut(), height)?;
                self.state.resize((columns, height));
                self.terminal = screen(Some(part.area()))?;
                self.part = Some(part);
            }
        }
        if over {
            return Ok(());
        }
        let before = part;
        // What has changed or gone since is printed again when it is finished.
        let intact = self.state.transcript.take_intact();
        let printed = self.state.printed.unwrap_or(0).min(intact);
        self.state.printed = Some(printed);
        self.state.transcript.measure_from(printed);
        let finished = self.state.finished_entries();
        let mut wiped = self.print(&mut part, finished)?;
        let (columns, rows) = part.size();
        let height = part_rows(&self.state, rows);
        if height != part.area().height {
            part.set_height(self.terminal.backend_mut(), height)?;
            wiped = true;
        }
        if wiped || part != before {
            self.state.resize((columns, height));
            self.terminal = screen(Some(part.area()))?;
            guard::set_bottom(Some(part.area().bottom()));
            self.part = Some(part);
        }
        Ok(())
    }

    /// Puts the entries before `end` into the terminal's history, if they are not there; says whether
    /// there were any. The picture is gone then.
    fn print(&mut self, part: &mut Inline, end: usize) -> Result<bool, TermError> {
        let count = self.state.transcript.entries().len();
        let printed = self.state.printed.unwrap_or(0).min(count);
        let (mut top, end) = (
            self.state.transcript.line_of_entry(printed),
            self.state.transcript.line_of_entry(end),
        );
        let any = top < end;
        while top < end {
            let next = end.min(top + MOST_LINES);
            let lines = view::history(&self.state, top, next);
            part.print(self.terminal.backend_mut(), &lines)?;
            top = next;
        }
        let end = self.state.finished_entries().max(printed);
        self.state.printed = Some(end.min(count));
        Ok(any)
    }

    /// Takes the picture away where it is not on a screen of its own; what was said stays, with
    /// `all` also what is not finished.
    fn farewell(&mut self, all: bool) -> Result<(), TermError> {
        let Some(mut part) = self.part else {
            return Ok(());
        };
        if std::mem::take(&mut self.over) {
            guard::set_alternate(self.terminal.backend_mut(), false)?;
        }
        self.state.settle();
        let end = match all {
            true => self.state.transcript.entries().len(),
            false => self.state.finished_entries(),
        };
        self.print(&mut part, end)?;
        part.end(self.terminal.backend_mut())?;
        guard::set_bottom(None);
        self.part = Some(part);
        Ok(())
    }

    /// Draws everything anew.
    fn redraw(&mut self) -> Result<(), TermError> {
        match &mut self.part {
            Some(_) if self.over => {
                blank(&mut self.terminal)?;
            }
            None => {
                blank(&mut self.terminal)?;
            }
            Some(part) => {
                part.anew(self.terminal.backend_mut())?;
                let height = part.area().height;
                part.set_height(self.terminal.backend_mut(), height)?;
                self.terminal = screen(Some(part.area()))?;
            }
        }
        self.frames.spoiled();
        Ok(())
    }

    /// Takes everything that has arrived.
    async fn collect(&mut self, events: &mut Vec<Event>, messages: &mut Vec<Msg>) {
        while events.len() < BATCH
            && let Some(event) = arrived(&mut self.input).await
        {
            events.push(event);
        }
        while messages.len() < BATCH
            && let Ok(message) = self.receiver.try_recv()
        {
            messages.push(message);
        }
    }

    /// Waits a moment for an answer of the terminal that is on its way: the shell would take it for
    /// something typed.
    async fn drain(&mut self) {
        if self.asked.is_none_or(|asked| asked.elapsed() > LATEST) {
            return;
        }
        let deadline = tokio::time::Instant::now() + DRAIN;
        loop {
            tokio::select! {
                () = sleep_until(deadline) => return,
                event = next_event(&mut self.input) => {
                    let Some(Ok(event)) = event else { return };
                    let messages = self.translator.messages(vec![event]);
                    if messages.iter().any(|message| matches!(message, Msg::Background(_))) {
                        return;
                    }
                }
            }
        }
    }

    /// Asks the terminal for its background.
    fn ask(&mut self) -> Result<(), TermError> {
        if self.asks {
            background::ask(self.terminal.backend_mut())?;
            self.asked = Some(Instant::now());
        }
        Ok(())
    }

    /// Applies a message; `Some` is the end.
    async fn apply(
        &mut self,
        message: Msg,
    ) -> Result<Option<Result<Outcome, TermError>>, TermError> {
        if let (Msg::Resize(columns, rows), Some(part)) = (&message, &mut self.part) {
            if self.over {
                part.note_size((*columns, *rows));
                let size = blank(&mut self.terminal)?;
                self.state.resize(size);
                self.frames.spoiled();
                return Ok(None);
            }
            part.resized(self.terminal.backend_mut(), (*columns, *rows))?;
            let height = part.area().height;
            part.set_height(self.terminal.backend_mut(), height)?;
            self.state.resize((*columns, height));
            self.terminal = screen(Some(part.area()))?;
            self.frames.spoiled();
            return Ok(None);
        }
        if matches!(message, Msg::Background(_)) {
            self.asked = None;
        }
        journal::note(&message);
        for effect in update(&mut self.state, self.start.elapsed(), message) {
            match effect {
                Effect::Generate { id, request } => self.worker.generate(id, *request),
                Effect::Cancel => self.worker.cancel(),
                Effect::CancelLoading => self.worker.stop_loading(),
                Effect::Apply(order) => self.worker.apply(order),
                Effect::StopApply => self.worker.stop_apply(),
                Effect::Look => self.worker.look(),
                Effect::StopLooking => self.worker.stop_looking(),
                Effect::AskStrategies => self.worker.ask_strategies(),
                Effect::Do(deed) => self.worker.deed(deed),
                Effect::StopDeed => self.worker.stop_deed(),
                Effect::SetKernel(name) => self.worker.set_kernel(name),
                Effect::StopSwitch => self.worker.stop_switch(),
                Effect::Race(order) => self.worker.race(order),
                Effect::StopRace => self.worker.stop_race(),
                Effect::Keep(what) => {
                    if let Some(keeper) = &self.keeper {
                        keeper.order(*what);
                    }
                }
                Effect::AskStatus => self.worker.ask_status(),
                Effect::AskProfiles => self.worker.ask_profiles(),
                Effect::Count { keys, texts } => self.worker.count(keys, texts),
                Effect::Desk(ask) => self.desk.ask(ask),
                Effect::EditText(text) => self.edit(&text).await?,
                Effect::Record(event) => self.sampler.record(event),
                Effect::Export { records, to } => self.worker.export(records, to),
                Effect::Copy(text) => self.clipboard.copy(self.terminal.backend_mut(), text)?,
                Effect::CopyOtherWay { text, why } => {
                    let out = self.terminal.backend_mut();
                    self.clipboard.other_way(out, &text, why)?;
                }
                Effect::Redraw => self.redraw()?,
                Effect::Suspend => self.pause(true).await?,
                Effect::Quit => {
                    let end = match &self.state.load {
                        Load::Failed(why) => Err(TermError::Load(why.clone())),
                        Load::Running(_) | Load::Ready(_) => Ok(Outcome::Quit),
                    };
                    return Ok(Some(end));
                }
            }
        }
        Ok(None)
    }

    /// Lets the person edit a text in an editor of their own, which has the terminal meanwhile. The
    /// model goes on; what it says is shown afterwards.
    async fn edit(&mut self, text: &str) -> Result<(), TermError> {
        let errand = match Errand::begin(text) {
            Ok(errand) => errand,
            Err(why) => {
                let _ = self.sender.send(Msg::Edited(Err(why)));
                return Ok(());
            }
        };
        self.drain().await;
        self.input = None;
        self.farewell(false)?;
        give_back();
        let mut command = errand.command();
        // Waiting must not keep the runtime from anything else it has to do.
        let ended = tokio::task::spawn_blocking(move || command.status()).await;
        let ended = ended.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        // Ctrl+C in the editor was for the editor.
        tokio::task::yield_now().await;
        self.signals.forget_interrupts();
        let result = errand.end(ended);
        self.come_back()?;
        let _ = self.sender.send(Msg::Edited(result));
        Ok(())
    }

    /// What is in the input is there again in the next session.
    fn remember(&self) {
        for effect in queue::keep(&self.state) {
            if let Effect::Desk(ask) = effect {
                self.desk.ask(ask);
            }
        }
    }

    /// Takes the terminal again.
    fn come_back(&mut self) -> Result<(), TermError> {
        self.guard.take()?;
        self.shape = None;
        let size = self.terminal.size()?;
        let (columns, rows) = (size.width, size.height);
        if self.part.is_some() {
            let out = self.terminal.backend_mut();
            self.part = Some(Inline::begin(out, (columns, rows), place())?);
            self.state.resize((columns, self.state.size.1));
        } else {
            blank(&mut self.terminal)?;
            self.state.resize((columns, rows));
            let _ = self.sender.send(Msg::Resize(columns, rows));
        }
        self.input = Some(EventStream::new());
        self.ask()?;
        self.frames.spoiled();
        self.state.revision += 1;
        Ok(())
    }

    /// Stops the program until it is told to go on, with the terminal given back meanwhile.
    ///
    /// The terminal goes first: once another process of the job has stopped, the shell may have
    /// taken it. The input is read by a thread that must not see what is typed into the shell, and
    /// that holds a lock which the next stream needs, so it ends before that one begins.
    async fn pause(&mut self, whole_job: bool) -> Result<(), TermError> {
        if !self.signals.has_shell() {
            self.state
                .remark("there is no shell to go back to; /quit leaves");
            self.state.revision += 1;
            return Ok(());
        }
        self.drain().await;
        self.input = None;
        self.farewell(false)?;
        give_back();
        if whole_job {
            self.signals.stop_job().await?;
        }
        self.signals.stop()?;
        self.come_back()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use super::*;

    /// Keeps the waker of the first question that it has no answer to, as that of the terminal does.
    #[derive(Default)]
    struct Stubborn {
        events: Vec<Event>,
        waker: Option<Waker>,
    }

    impl Stream for Stubborn {
        type Item = std::io::Result<Event>;

        fn poll_next(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Self::Item>> {
            match self.events.pop() {
                Some(event) => Poll::Ready(Some(Ok(event))),
                None => {
                    let waker = context.waker().clone();
                    self.waker.get_or_insert(waker);
                    Poll::Pending
                }
            }
        }
    }

    #[tokio::test]
    async fn looking_for_what_has_arrived_leaves_a_waker_that_wakes_this_task() {
        let mut input = Some(Stubborn {
            events: vec![Event::FocusGained],
            waker: None,
        });
        assert_eq!(arrived(&mut input).await, Some(Event::FocusGained));
        assert_eq!(arrived(&mut input).await, None);
        let own = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
        let kept = input.and_then(|input| input.waker);
        assert!(kept.is_some_and(|kept| kept.will_wake(&own)));
    }
}
