//! The line between the conversation and the input: what is going on, and what can be done.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use tritone_engine::LoadProgress;

use super::format;
use super::motion;
use super::theme::Theme;
use super::{put, shorten};
use crate::app::commands::Action;
use crate::app::meter::Meter;
use crate::app::screen::View;
use crate::app::select;
use crate::app::state::{Load, Phase, Run, State};
use crate::app::update::hints;
use crate::app::vi::Mode;
use crate::app::{complete, context};
use crate::chat::composer::chip::thousands;
use crate::chat::glyph::width;

/// Cells of line on both sides of a text.
const EDGE: usize = 2;

/// Most cells of the keys of an order that is not finished.
const PENDING: usize = 6;

/// Draws the line.
pub(super) fn draw(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    put(
        buffer,
        area,
        0,
        0,
        &"─".repeat(usize::from(area.width)),
        theme.dim(),
    );
    let mut start = 2;
    if state.view == View::Chat
        && let Some(vi) = &state.vi
    {
        let mode = vi.mode(&state.composer);
        let label = match vi.pending() {
            "" => mode.label().to_owned(),
            keys => format!("{} {}", mode.label(), shorten(keys, PENDING)),
        };
        let style = match mode {
            Mode::Insert => theme.text(),
            Mode::Normal => theme.strong(),
            Mode::Visual | Mode::VisualLine => theme.selected(),
        };
        put(buffer, area, start, 0, &format!(" {label} "), style);
        start += u16::try_from(width(&label)).unwrap_or(0) + 3;
    }
    let room = usize::from(area.width).saturating_sub(usize::from(start) + EDGE + 2);
    let (left, style) = activity(state, theme, room);
    let left = shorten(&left, room);
    if !left.is_empty() {
        put(buffer, area, start, 0, &format!(" {left} "), style);
    }
    let taken = if left.is_empty() {
        0
    } else {
        width(&left) + EDGE + 2
    };
    let right = choices(state, room.saturating_sub(taken));
    if !right.is_empty() {
        let start = usize::from(area.width).saturating_sub(width(&right) + EDGE + 2);
        let start = u16::try_from(start).unwrap_or(0);
        put(buffer, area, start, 0, &format!(" {right} "), theme.dim());
    }
}

/// The most pressing thing to say.
fn activity(state: &State, theme: Theme, room: usize) -> (String, Style) {
    if state.quit_armed.is_some() {
        let key = state.setting.keymap.label(Action::Interrupt);
        return (format!("press {key} again to quit"), theme.warning());
    }
    if let Some((text, _)) = &state.flash {
        return (text.clone(), theme.warning());
    }
    if let Some(selected) = state.select {
        let about = select::about(state, selected);
        let full = format!("{about}: {}", select::HELP);
        let text = if width(&full) <= room { full } else { about };
        return (text, theme.active());
    }
    if state.conversation.editing.is_some() && state.run.is_none() {
        let text = "editing: Enter sends a new version, Esc leaves the old one";
        return (text.to_owned(), theme.active());
    }
    let wheel = motion::wheel(state, theme);
    if let Some(text) = work(state, room.saturating_sub(width(&wheel))) {
        return (format!("{wheel}{text}"), theme.active());
    }
    if let Some(said) = tight(state, theme, room) {
        return said;
    }
    if let Some(race) = &state.race {
        let text = if race.automatic {
            "measuring the kernels for a second"
        } else {
            "the kernels race"
        };
        return (format!("{wheel}{text}"), theme.active());
    }
    match state.lines_below() {
        0 if matches!(state.load, Load::Failed(_)) => ("no model".to_owned(), theme.error()),
        0 => (String::new(), theme.text()),
        lines => (format!("{lines} more lines below"), theme.warning()),
    }
}

/// What the program waits for.
fn work(state: &State, room: usize) -> Option<String> {
    if let Load::Running(progress) = &state.load {
        return Some(match &progress.last {
            None => "opening the model".to_owned(),
            Some(last) => loading(state, "", last, &progress.meter, room),
        });
    }
    if let Some(switch) = &state.switch {
        let (name, meter) = (&switch.name, &switch.progress.meter);
        return Some(match &switch.progress.last {
            _ if switch.stopping => "stopping".to_owned(),
            None => format!("switching to {name}"),
            Some(last) => loading(state, &format!("{name}: "), last, meter, room),
        });
    }
    if let Some(applying) = &state.applying {
        let meter = &applying.progress.meter;
        return Some(match &applying.progress.last {
            _ if applying.stopping => "stopping".to_owned(),
            None => format!("loading {}", applying.order.summary()),
            Some(last) => loading(state, "", last, meter, room),
        });
    }
    state.run.as_ref().map(|run| answer(state, run, room))
}

/// What the next message does to the context, if it gets tight.
fn tight(state: &State, theme: Theme, room: usize) -> Option<(String, Style)> {
    let plan = state.plan.as_ref()?;
    let about = if plan.exact { "" } else { "about " };
    if plan.too_long && plan.draft > 0 {
        let (used, limit) = (thousands(plan.used), thousands(plan.limit));
        let choices = [
            format!("too long: {about}{used} tokens, the context holds {limit}"),
            format!("too long: {about}{used} of {limit} tokens"),
            format!("too long: {used}/{limit}"),
        ];
        return Some((roomiest(choices, room), theme.error()));
    }
    if plan.turns <= state.left_out {
        return None;
    }
    let (turns, tokens) = (context::oldest(plan.turns), thousands(plan.tokens));
    if state.keep_all {
        let choices = [
            format!("does not fit without {turns}, {about}{tokens} tokens; /keep off lets them go"),
            format!("does not fit without {turns}"),
            "does not fit".to_owned(),
        ];
        return Some((roomiest(choices, room), theme.error()));
    }
    let head = format!("the next message leaves out {turns}");
    let choices = [
        format!("{head}, {about}{tokens} tokens; /keep refuses instead"),
        format!("{head}, {about}{tokens} tokens"),
        format!("leaves out {turns}"),
    ];
    Some((roomiest(choices, room), theme.warning()))
}

/// `packing weights 42 % 1.2 GiB/s ETA 0:03` after `what`, or less of it.
fn loading(
    state: &State,
    what: &str,
    progress: &LoadProgress,
    meter: &Meter,
    room: usize,
) -> String {
    let percent = format::percent(progress.done, progress.total);
    let speed = meter
        .rate()
        .map(|rate| format!(" {}/s", format::bytes(rate as u64)));
    let speed = speed.unwrap_or_default();
    let eta = eta(meter, progress.total);
    let head = format!("{what}{} {percent} %", progress.stage);
    let bar = motion::bar(state, progress.done, progress.total);
    let choices = [
        format!("{head}{bar}{speed}{eta}"),
        format!("{head}{speed}{eta}"),
        format!("{head}{eta}"),
        head,
    ];
    roomiest(choices, room)
}

fn answer(state: &State, run: &Run, room: usize) -> String {
    let elapsed = format::seconds(state.now.saturating_sub(run.started));
    let text = match &run.phase {
        _ if run.cancelled => "stopping".to_owned(),
        Phase::Decode => format!("answering {elapsed} s"),
        Phase::Prefill { total: None, .. } => format!("reading the prompt {elapsed} s"),
        Phase::Prefill {
            done,
            total: Some(total),
        } => {
            let percent = format::percent(*done as u64, *total as u64);
            let speed = run
                .prefill
                .rate()
                .map(|rate| format!(" {} tok/s", format::rate(rate)));
            let speed = speed.unwrap_or_default();
            let eta = eta(&run.prefill, *total as u64);
            let head = format!("reading {done}/{total} tokens {percent} %");
            let short = format!("reading {percent} %{eta}");
            roomiest(
                [format!("{head}{speed}{eta}"), format!("{head}{eta}"), short],
                room,
            )
        }
    };
    match state.lines_below() {
        0 => text,
        lines => format!("{text}, {lines} more lines below"),
    }
}

/// ` ETA 0:03`, once it can be told.
fn eta(meter: &Meter, total: u64) -> String {
    let remaining = meter.remaining(total);
    remaining
        .map(|time| format!(" ETA {}", format::clock(time)))
        .unwrap_or_default()
}

/// The first text that fits, or the last one.
fn roomiest<const N: usize>(texts: [String; N], room: usize) -> String {
    let mut texts = texts.into_iter();
    let mut text = texts.next().unwrap_or_default();
    for next in texts {
        if width(&text) <= room {
            break;
        }
        text = next;
    }
    text
}

/// Hints, as many as fit; what belongs to the list over the input while there is one.
fn choices(state: &State, room: usize) -> String {
    let chat = state.view == View::Chat;
    let parts: Vec<String> = if chat && !complete::candidates(state).is_empty() {
        ["Tab completes", "Up and Down choose", "Esc closes"]
            .map(str::to_owned)
            .to_vec()
    } else if let Some(usage) = complete::usage(state).filter(|_| chat) {
        vec![usage]
    } else {
        hints(state)
            .map(|(key, what)| match key.strip_prefix('/') {
                Some(_) => key,
                None => format!("{key} {what}"),
            })
            .collect()
    };
    let mut text = String::new();
    for part in parts {
        let separator = if text.is_empty() { "" } else { " · " };
        if width(&text) + width(separator) + width(&part) <= room {
            text.push_str(separator);
            text.push_str(&part);
        }
    }
    text
}
