//! What a message does to the state.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tritone_engine::{EngineStatus, Event, FinishReason, LoadProgress, Timings};
use tritone_monitor::EventKind;

use super::answer;
use super::apply;
use super::chord::Chord;
use super::commands::{self, Action, COMMANDS};
use super::complete;
use super::context;
use super::conversation;
use super::host::Order;
use super::input;
use super::keys::{self, Meaning};
use super::msg::{Effect, Loaded, Msg};
use super::overlay;
use super::palette;
use super::pick::{self, List};
use super::pointer;
use super::queue;
use super::race;
use super::reading;
use super::sampling;
use super::screen::View;
use super::select;
use super::state::{Load, Phase, State};
use super::switch;
use super::vi;
use super::views::{self, monitor, sessions};
use crate::chat::composer::Move;
use crate::chat::transcript::Kind;
use crate::view::format;
use crate::view::layout::Areas;

/// How long a remark stays, and how long the first Ctrl+C counts.
const REMARK: Duration = Duration::from_secs(3);

/// Most arrow keys that one turn of the wheel stands for.
const MOST_NOTCHES: u32 = 50;

/// Lines that a page leaves of the one before.
const OVERLAP: u16 = 2;

/// Applies `msg`, which came at time `now`, and says what is to be done.
pub(crate) fn update(state: &mut State, now: Duration, msg: Msg) -> Vec<Effect> {
    state.now = now;
    if matches!(
        msg,
        Msg::Key(_) | Msg::Paste(_) | Msg::Wheel(_) | Msg::Loaded(_) | Msg::Answer { .. }
    ) {
        state.touched = now;
    }
    let moves_on = !matches!(
        &msg,
        Msg::Tick
            | Msg::Sample(_)
            | Msg::Loading(_)
            | Msg::Wheel(_)
            | Msg::Highlighted(_)
            | Msg::Logs(_)
            | Msg::Answer {
                event: Event::Prefill { .. } | Event::Text { .. },
                ..
            }
    );
    let mut changed = true;
    let mut effects = match msg {
        Msg::Key(event) => key(state, event),
        Msg::Paste(text) => {
            disarm(state);
            if let Some(overlay::Overlay::Picker(picker)) = &mut state.overlay {
                picker.type_in(&text);
            } else if state.help.is_none() && state.overlay.is_none() && state.view == View::Chat {
                input::paste(state, &text);
            }
            Vec::new()
        }
        Msg::Wheel(lines) => wheel(state, lines),
        Msg::Click(column, row) => pointer::click(state, column, row),
        Msg::Background(background) => {
            changed = state.setting.look.background != background;
            state.setting.look.background = background;
            Vec::new()
        }
        Msg::Copied(Ok(said) | Err(said)) => {
            state.remark(said);
            Vec::new()
        }
        Msg::NotCopied { text, why } => vec![Effect::CopyOtherWay { text, why }],
        Msg::Resize(columns, rows) => {
            state.resize((columns, rows));
            Vec::new()
        }
        Msg::Tick => {
            changed = tick(state);
            Vec::new()
        }
        Msg::Sample(sample) => {
            changed = monitor::sampled(state, *sample);
            let effects = race::when_idle(state);
            changed |= !effects.is_empty();
            effects
        }
        Msg::Happened(event) => {
            happened(state, event);
            Vec::new()
        }
        Msg::Exported(result) => {
            monitor::exported(state, result);
            Vec::new()
        }
        Msg::Loading(progress) => {
            loading(state, progress);
            Vec::new()
        }
        Msg::Loaded(loaded) => load_done(state, *loaded),
        Msg::LoadFailed(why) => {
            state.transcript.push(Kind::Error, why.clone());
            state.load = Load::Failed(why);
            give_back(state)
        }
        Msg::Answer { id, event } => {
            let heard = state.run.as_ref().is_some_and(|run| run.id == id);
            let ended =
                matches!(&event, Event::Finished(end) if end.reason != FinishReason::Cancelled);
            let mut effects = answer::heard(state, id, event);
            effects.extend(race::after_answer(state));
            // What waits behind an answer that was stopped, or failed, waits for the person.
            if heard && ended {
                effects.extend(queue::next(state));
            }
            effects
        }
        Msg::Show(view) => show(state, view),
        Msg::Kept(what) => conversation::kept(state, what),
        Msg::Applying(progress) => {
            apply::goes_on(state, progress);
            Vec::new()
        }
        Msg::Applied(result) => {
            let failure = result.as_ref().err().map(|failed| failed.why.clone());
            let mut effects = apply::ended(state, result);
            effects.extend(views::strategies::applied(state, failure.clone()));
            effects.extend(views::profiles::applied(state, failure));
            effects
        }
        Msg::Profiles(result) => {
            views::profiles::arrived(state, result);
            Vec::new()
        }
        Msg::Looking { done, of } => {
            views::models::goes_on(state, done, of);
            Vec::new()
        }
        Msg::Models(result) => {
            views::models::found(state, result);
            Vec::new()
        }
        Msg::Strategies(result) => views::strategies::found(state, result),
        Msg::DeedGoesOn(progress) => {
            views::strategies::goes_on(state, progress);
            Vec::new()
        }
        Msg::DeedDone(result) => views::strategies::done(state, result),
        Msg::Switching(progress) => {
            switch::goes_on(state, progress);
            Vec::new()
        }
        Msg::KernelSet(result) => {
            switch::ended(state, result);
            race::after_answer(state)
        }
        Msg::Race(standing) => {
            race::stands(state, standing);
            Vec::new()
        }
        Msg::RaceEnded(result) => {
            race::ended(state, *result);
            Vec::new()
        }
        Msg::Status(status) => {
            let text = stats(state, status);
            state.transcript.push(Kind::Note, text);
            Vec::new()
        }
        Msg::Desk(told) => input::told(state, told),
        Msg::Edited(result) => {
            input::edited(state, result);
            Vec::new()
        }
        Msg::Counted { keys, result } => {
            context::counted(state, &keys, result);
            Vec::new()
        }
        Msg::Highlighted(colored) => {
            state.colors.learn(colored);
            Vec::new()
        }
        Msg::Logs(batch) => {
            state.views.logs.learn(batch);
            changed = state.view == View::Logs;
            Vec::new()
        }
        Msg::Notice(text) => {
            state.transcript.push(Kind::Note, text);
            Vec::new()
        }
        Msg::Panicked(what) => {
            let text = format!(
                "a thread of the program failed: {what}. What is written stands; \
                                if no answer comes any more, quit and start again"
            );
            state.transcript.push(Kind::Error, text);
            Vec::new()
        }
    };
    effects.extend(monitor::happened(state));
    vi::settle(state);
    if moves_on {
        effects.extend(input::follow(state));
    }
    state.revision += u64::from(changed);
    effects
}

/// Scrolls what is in front; lists take it for the arrow keys.
fn wheel(state: &mut State, lines: i32) -> Vec<Effect> {
    let list = state.overlay.is_some() || (state.view != View::Chat && state.help.is_none());
    if !list {
        scroll(state, i64::from(lines));
        return Vec::new();
    }
    let code = if lines < 0 {
        KeyCode::Up
    } else {
        KeyCode::Down
    };
    let mut effects = Vec::new();
    for _ in 0..lines.unsigned_abs().min(MOST_NOTCHES) {
        effects.extend(key(state, KeyEvent::new(code, KeyModifiers::NONE)));
    }
    effects
}

fn key(state: &mut State, event: KeyEvent) -> Vec<Effect> {
    if event.kind == KeyEventKind::Release {
        return Vec::new();
    }
    if keys::is_esc_and_ctrl(event.code, event.modifiers)
        && state.setting.keymap.action(Chord::of(event)).is_none()
    {
        let mut effects = key(state, KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE));
        effects.extend(key(state, KeyEvent::new(event.code, KeyModifiers::CONTROL)));
        return effects;
    }
    // Whoever goes on does not want a list in between.
    state.pick = None;
    let meaning = keys::meaning(state, event);
    if meaning != Meaning::Run(Action::Interrupt) {
        disarm(state);
    }
    if let Some(effects) = overlay::key(state, event) {
        return effects;
    }
    if state.help.is_some() {
        return key_in_help(state, event, meaning);
    }
    if state.view != View::Chat {
        return key_in_view(state, event, meaning);
    }
    if let Some(effects) = select::key(state, event) {
        return effects;
    }
    if reading::key(state, event) {
        return Vec::new();
    }
    if let Some(effects) = vi::key(state, event, meaning) {
        return effects;
    }
    if let Some(effects) = complete::key(state, event) {
        return effects;
    }
    vi::typed(state, meaning);
    let composer = &mut state.composer;
    match meaning {
        Meaning::Run(action) => return run(state, action, ""),
        Meaning::Insert(c) => composer.insert(c.encode_utf8(&mut [0; 4])),
        Meaning::Delete { back: true } => composer.delete_back(),
        Meaning::Delete { back: false } => composer.delete_on(),
        Meaning::DeleteTo(to) => composer.delete_to(to),
        // At the edges of the text the arrows go through what was sent.
        Meaning::Go(Move::Up) => {
            let _ = composer.go(Move::Up) || composer.recall_older();
        }
        Meaning::Go(Move::Down) => {
            let _ = composer.go(Move::Down) || composer.recall_newer();
        }
        Meaning::Go(to) => {
            composer.go(to);
        }
        Meaning::Select(to) => composer.select(to),
        Meaning::Recall { older: true } => {
            composer.recall_older();
        }
        Meaning::Recall { older: false } => {
            composer.recall_newer();
        }
        Meaning::Nothing => {}
    }
    Vec::new()
}

/// The view first, then the commands that need no input; Esc goes back to the chat.
fn key_in_view(state: &mut State, event: KeyEvent, meaning: Meaning) -> Vec<Effect> {
    let urgent = matches!(meaning, Meaning::Run(action) if action.is_urgent());
    if !urgent && let Some(effects) = views::key(state, event) {
        return effects;
    }
    match meaning {
        Meaning::Run(Action::Stop) if answering(state) => stop(state),
        Meaning::Run(Action::Stop) => show(state, View::Chat),
        Meaning::Run(action) if !action.is_input() => run(state, action, ""),
        _ => Vec::new(),
    }
}

/// Something goes on that Esc stops before it does anything else.
fn answering(state: &State) -> bool {
    state.switch.is_some()
        || state.applying.is_some()
        || state.race.as_ref().is_some_and(|race| !race.automatic)
}

/// Brings a view to the front.
pub(super) fn show(state: &mut State, view: View) -> Vec<Effect> {
    state.view = view;
    views::entered(state)
}

fn key_in_help(state: &mut State, event: KeyEvent, meaning: Meaning) -> Vec<Effect> {
    match (event.code, meaning) {
        (KeyCode::Up, _) => scroll(state, -1),
        (KeyCode::Down, _) => scroll(state, 1),
        (KeyCode::Home, _) => scroll(state, i64::MIN / 2),
        (KeyCode::End, _) => scroll(state, i64::MAX / 2),
        (_, Meaning::Run(action @ (Action::PageUp | Action::PageDown))) => {
            return run(state, action, "");
        }
        (_, Meaning::Run(action)) if action.is_urgent() => {
            state.help = None;
            return run(state, action, "");
        }
        (KeyCode::Backspace, _) => {
            state.help_filter.pop();
            state.help = Some(0);
        }
        // The first Esc ends the search.
        (KeyCode::Esc, _) if !state.help_filter.is_empty() => {
            state.help_filter.clear();
            state.help = Some(0);
        }
        (KeyCode::Esc | KeyCode::Enter | KeyCode::F(_), _) => state.help = None,
        (KeyCode::Char(c), Meaning::Insert(_)) => {
            state.help_filter.push(c);
            state.help = Some(0);
        }
        (KeyCode::Char(_), _) => state.help = None,
        _ => {}
    }
    Vec::new()
}

/// Carries out a command.
pub(super) fn run(state: &mut State, action: Action, argument: &str) -> Vec<Effect> {
    match action {
        Action::Send => return input::send(state),
        Action::Newline => state.composer.insert("\n"),
        Action::Stop => return stop(state),
        Action::Interrupt => return interrupt(state),
        Action::Help => {
            state.help_filter.clear();
            state.help = Some(0);
        }
        Action::Palette => palette::open(state),
        Action::SearchHistory => palette::history(state),
        Action::Attach => return input::attach(state, argument),
        Action::EditText => return input::edit(state),
        Action::Expand => {
            if !state.composer.expand() {
                state.remark("there is no paste or file in the input");
            }
        }
        Action::UndoEdit => {
            if !state.composer.undo() {
                state.remark("there is nothing to take back");
            }
        }
        Action::RedoEdit => {
            if !state.composer.redo() {
                state.remark("nothing was taken back");
            }
        }
        Action::Composer => vi::switch(state, argument),
        Action::Queue => queue::command(state, argument),
        Action::EditQueued => queue::edit_last(state),
        Action::Keep => context::command(state, argument),
        Action::Sampling => sampling::command(state, argument),
        Action::Regenerate => return answer::again(state),
        Action::Continue => return answer::go_on(state),
        Action::SelectUp => select::enter(state, false),
        Action::SelectDown => select::enter(state, true),
        Action::Undo => return conversation::undelete(state),
        Action::Resume => return sessions::resume(state, argument),
        Action::Session => return pick::begin(state, List::Sessions),
        Action::Rename => return sessions::rename(state, argument),
        Action::Tag => return sessions::tag(state, argument),
        Action::DeleteChat => return sessions::delete_this(state),
        Action::Export => return sessions::export(state, argument),
        Action::MonitorExport => return monitor::export(state, argument),
        Action::Clear => return conversation::close(state),
        Action::System => return input::system(state, argument),
        Action::Kernel => return kernel(state, argument),
        Action::NextKernel => return next_kernel(state),
        Action::Show(view) => return show(state, view),
        Action::Model => {
            let model = Some(argument.to_owned()).filter(|name| !name.is_empty());
            if model.is_none() {
                return pick::begin(state, List::Models);
            }
            let order = Order {
                model,
                ..Order::default()
            };
            return apply::begin(state, order);
        }
        Action::Profile => {
            let profile = Some(argument.to_owned()).filter(|name| !name.is_empty());
            if profile.is_none() {
                return pick::begin(state, List::Profiles);
            }
            let order = Order {
                profile,
                ..Order::default()
            };
            return apply::begin(state, order);
        }
        Action::Strategy => return views::strategies::command(state, argument),
        Action::Race => return race::wanted(state),
        Action::Temperature
        | Action::Seed
        | Action::TopP
        | Action::TopK
        | Action::MinP
        | Action::MaxTokens => sampling::set(state, action, argument),
        Action::Think => think(state, argument),
        Action::Copy => return reading::copy(state, argument),
        Action::Raw => reading::raw(state),
        Action::Find => reading::find(state, argument),
        Action::Stats => return vec![Effect::AskStatus],
        Action::PageUp => scroll(state, -page(state)),
        Action::PageDown => scroll(state, page(state)),
        Action::Top => scroll(state, i64::MIN / 2),
        Action::Bottom => scroll(state, i64::MAX / 2),
        // The list takes the key while there is one.
        Action::Complete => {}
        Action::Redraw => return vec![Effect::Redraw],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Quit | Action::QuitIfEmpty => return quit(state),
    }
    Vec::new()
}

fn stop(state: &mut State) -> Vec<Effect> {
    if state.run.is_none() && state.conversation.editing.take().is_some() {
        state.composer.take();
        return Vec::new();
    }
    // The switch is what the line above the input speaks of.
    if let Some(effects) = switch::stop(state) {
        return effects;
    }
    if let Some(effects) = apply::stop(state) {
        return effects;
    }
    match (&mut state.run, &state.load) {
        (Some(run), _) => {
            run.cancelled = true;
            vec![Effect::Cancel]
        }
        (None, Load::Running(_)) if state.waiting => give_back(state),
        (None, Load::Running(_)) => quit(state),
        (None, _) => race::stop(state),
    }
}

fn interrupt(state: &mut State) -> Vec<Effect> {
    if state.run.as_ref().is_some_and(|run| !run.cancelled)
        || state.race.as_ref().is_some_and(|race| !race.automatic)
        || state.switch.as_ref().is_some_and(|switch| !switch.stopping)
        || state
            .applying
            .as_ref()
            .is_some_and(|applying| !applying.stopping)
    {
        return stop(state);
    }
    if state.quit_armed.is_some() || matches!(state.load, Load::Running(_)) {
        return quit(state);
    }
    state.quit_armed = Some(state.now);
    Vec::new()
}

fn quit(state: &mut State) -> Vec<Effect> {
    let mut effects = conversation::abandon(state);
    if matches!(state.load, Load::Running(_)) {
        effects.push(Effect::CancelLoading);
    }
    effects.extend(queue::keep(state));
    effects.push(Effect::Quit);
    effects
}

/// A message that waits for the model goes back into the input, if there is room.
fn give_back(state: &mut State) -> Vec<Effect> {
    let waited = std::mem::take(&mut state.waiting);
    let last = state.conversation.tree.active();
    match last.filter(|_| waited && state.composer.text().is_empty()) {
        Some(last) => {
            let (text, effects) = conversation::take_back(state, last);
            state.composer.set(text.unwrap_or_default());
            effects
        }
        None => Vec::new(),
    }
}

/// Switches to the kernel that is listed after the one in use.
fn next_kernel(state: &mut State) -> Vec<Effect> {
    let mut kernels = state.kernels.iter();
    let now = kernels.position(|choice| state.kernel.as_ref() == Some(&choice.name));
    let next = now.map_or(0, |now| now + 1) % state.kernels.len().max(1);
    match state.kernels.get(next).filter(|_| now != Some(next)) {
        Some(choice) => {
            let name = choice.name.clone();
            kernel(state, &name)
        }
        None => {
            state.remark("there is no other kernel");
            Vec::new()
        }
    }
}

/// Something happened where the model runs, perhaps because somebody else wanted it.
fn happened(state: &mut State, event: tritone_monitor::Event) {
    let now = event.text().to_owned();
    match event.kind {
        EventKind::Kernel if state.kernel.is_some() => state.kernel = Some(now),
        EventKind::Profile => state.setting.profile = now,
        _ => {}
    }
    state.views.monitor.history.mark(event);
}

/// Whether what runs the model is a server that this program is attached to: it is called by its address, and names of
/// strategies have no colon.
pub(crate) fn is_attached_to(strategy: &str) -> bool {
    strategy.contains(':')
}

/// What to say where somebody asks for kernels and there are none to choose between.
pub(crate) fn strategy_has_no_kernels(strategy: &str) -> String {
    if is_attached_to(strategy) {
        return format!(
            "the kernels of the server at {strategy} are for its admin key, in TRITONE_ADMIN_KEY or with --admin-key-file"
        );
    }
    format!("{strategy} chooses its kernels itself; /strategy native has those of this program")
}

pub(super) fn kernel(state: &mut State, argument: &str) -> Vec<Effect> {
    if !argument.is_empty() && state.race.as_ref().is_some_and(|race| !race.automatic) {
        state.remark("a race is running: Esc stops it");
        return Vec::new();
    }
    if let Some(strategy) = state
        .strategy
        .as_deref()
        .filter(|_| state.kernels.is_empty())
    {
        let text = strategy_has_no_kernels(strategy);
        state.remark(text);
        return Vec::new();
    }
    if !argument.is_empty() && state.model().is_some() {
        let mut effects = race::stop(state);
        effects.extend(switch::begin(state, argument));
        return effects;
    }
    if state.kernels.is_empty() {
        state.remark("the kernels are known once the model is loaded");
        return Vec::new();
    }
    palette::kernels(state);
    Vec::new()
}

fn think(state: &mut State, argument: &str) {
    if state.model().is_some_and(|model| !model.asks_for_thinking) {
        state.remark("this model cannot be told whether to think");
        return;
    }
    match argument {
        "on" => state.thinking = Some(true),
        "off" => state.thinking = Some(false),
        "" => {}
        _ => {
            state.remark("it is /think on or /think off");
            return;
        }
    }
    state.remark(match state.thinking {
        Some(true) => "the model thinks before it answers",
        Some(false) => "the model answers at once",
        None => "the model thinks or not, as its makers advise",
    });
}

fn page(state: &State) -> i64 {
    let areas = Areas::of(state);
    let height = if state.help.is_some() {
        areas.help.height
    } else {
        areas.transcript.height
    };
    i64::from(height.saturating_sub(OVERLAP).max(1))
}

/// Scrolls what is in front.
fn scroll(state: &mut State, lines: i64) {
    let Some(top) = state.help else {
        state.scroll_by(lines);
        return;
    };
    let rows = crate::view::help::height(state);
    let last = rows.saturating_sub(usize::from(Areas::of(state).help.height));
    let target = i64::try_from(top).unwrap_or(i64::MAX).saturating_add(lines);
    state.help = Some(usize::try_from(target).unwrap_or(0).min(last));
}

fn disarm(state: &mut State) {
    state.quit_armed = None;
}

/// Says whether something on the screen depends on the time that passed.
fn tick(state: &mut State) -> bool {
    let busy = state.is_busy();
    let now = state.now;
    state.quit_armed = state
        .quit_armed
        .filter(|since| now.saturating_sub(*since) < REMARK);
    state.flash = state
        .flash
        .take()
        .filter(|(_, since)| now.saturating_sub(*since) < REMARK);
    answer::silence(state);
    busy
}

fn loading(state: &mut State, new: LoadProgress) {
    if let Load::Running(progress) = &mut state.load {
        progress.record(state.now, new);
    }
}

pub(super) fn load_done(state: &mut State, loaded: Loaded) -> Vec<Effect> {
    for notice in &loaded.model.notices {
        state.transcript.push(Kind::Note, notice.clone());
    }
    if !loaded.model.ready.is_empty() {
        state.remark(loaded.model.ready.clone());
    }
    state.load = Load::Ready(loaded.model);
    context::forget(state);
    state.setting.profile = loaded.profile;
    state.views.monitor.set_limits(loaded.bounds.alerts);
    // Threads and kernels are those of this process's own engine.
    let own = loaded.strategy.is_none() || !loaded.kernels.is_empty();
    state.threads = own.then_some(loaded.threads);
    state.kernel = own.then_some(loaded.kernel);
    state.strategy = loaded.strategy;
    state.kernels = loaded.kernels;
    state.choice = loaded.choice.explanation;
    state.views.kernels.unusable = loaded.choice.unusable;
    state.views.kernels.forget(state.now);
    state.kernel_named = loaded.choice.named;
    state.unmeasured = loaded.choice.unmeasured;
    if std::mem::take(&mut state.waiting) {
        answer::begin(state)
    } else {
        Vec::new()
    }
}

fn stats(state: &State, status: EngineStatus) -> String {
    let mut lines = Vec::new();
    match &state.last {
        Some(timings) => lines.extend(answer_stats(timings)),
        None => lines.push("no answer yet".to_owned()),
    }
    if let Some(run) = &state.run {
        let doing = match run.phase {
            Phase::Prefill { .. } => "reading",
            Phase::Decode => "writing",
        };
        lines.push(format!("an answer is running: {doing}"));
    }
    let bytes = |pages: usize| format::bytes((pages * status.kv_page_bytes) as u64);
    lines.push(format!(
        "KV cache: {} of {} pages, {} of {}",
        status.kv_pages_used,
        status.kv_pages,
        bytes(status.kv_pages_used),
        bytes(status.kv_pages),
    ));
    lines.join("\n")
}

/// Counts and speeds of an answer, a line each.
pub(crate) fn answer_stats(timings: &Timings) -> [String; 3] {
    [
        format!(
            "prompt: {} tokens, {} of them from the cache, {} tok/s",
            timings.prompt_tokens,
            timings.cached_tokens,
            format::rate(timings.prefill_rate()),
        ),
        format!(
            "answer: {} tokens, {} tok/s",
            timings.generated_tokens,
            format::rate(timings.decode_rate()),
        ),
        format!(
            "first token after {}",
            format::duration(timings.first_token)
        ),
    ]
}

/// The commands to hint at now.
pub(crate) fn hints(state: &State) -> impl Iterator<Item = (String, &'static str)> {
    let racing = state.race.as_ref().is_some_and(|race| !race.automatic);
    let waiting = racing || state.switch.is_some() || state.applying.is_some();
    // Views without an input have nothing to send.
    let input = state.view == View::Chat;
    let fits = |command: &&commands::Command| input || !command.action.is_input();
    let possible = COMMANDS.iter().filter(fits);
    let possible = possible.filter(|command| (command.when)(state));
    let mut possible: Vec<_> = possible.collect();
    // Whoever waits for a race or a switch wants to know how to end it, however narrow the screen.
    possible.sort_by_key(|command| !(waiting && command.action == Action::Stop));
    let hint =
        |command: &commands::Command| Some((command.short(&state.setting.keymap), command.hint?));
    possible.into_iter().filter_map(hint)
}

#[cfg(test)]
mod tests;
