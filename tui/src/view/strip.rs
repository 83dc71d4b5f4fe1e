//! The status: what runs, how fast, and what it takes.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::format;
use super::theme::Theme;
use super::{put, shorten};
use crate::app::sampling;
use crate::app::state::{Load, Phase, State};
use crate::app::views::monitor::takes_turns;
use crate::chat::glyph::width;

const SEPARATOR: &str = " · ";

/// Share of the context, in per cent, from which on it is shown as a warning.
const NEARLY_FULL: u64 = 90;

/// A piece of the status. The higher the rank, the sooner it is left out for want of room.
struct Piece {
    rank: u8,
    text: String,
    /// What is written before anything is left out.
    short: Option<String>,
    style: Style,
}

/// Draws the status into one or two lines.
pub(super) fn draw(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let piece = |rank, text: String, style| Piece {
        rank,
        text,
        short: None,
        style,
    };
    let name = || match &state.load {
        Load::Ready(model) => model.name.clone(),
        Load::Running(_) => "loading".to_owned(),
        Load::Failed(_) => "no model".to_owned(),
    };
    let via = state.strategy.as_ref();
    let via = via.map(|strategy| format!("via {strategy}"));
    // Another strategy has kernels only where it says so.
    let kernel = match (&via, &state.kernel) {
        (Some(via), None) => via.clone(),
        (_, kernel) => format!("kernel {}", kernel.as_deref().unwrap_or("-")),
    };
    let memory = || memory(state, theme);
    let mut alerts = state.views.monitor.alerts();
    let alert = alerts.next().map(|alert| {
        let text = format!("! {alert}");
        let style = match alert.is_of_others() {
            true => theme.warning(),
            false => theme.error(),
        };
        if area.height < 2 {
            // With the name in turn, and the context in any case.
            let text = match takes_turns(state) {
                true => format!("! {}", name()),
                false => format!("! {}", alert.short()),
            };
            return piece(0, text, style);
        }
        Piece {
            short: Some(format!("! {}", alert.short())),
            ..piece(0, text, style)
        }
    });
    let (context, context_style) = context(state, theme);
    let busy = |phase: fn(&Phase) -> bool| match &state.run {
        Some(run) if phase(&run.phase) => theme.active(),
        _ => theme.text(),
    };
    let decode_style = busy(|phase| matches!(phase, Phase::Decode));
    let prefill_style = busy(|phase| matches!(phase, Phase::Prefill { .. }));
    let (decode, prefill) = (state.rates.decode, state.rates.prefill);
    if area.height < 2 {
        let reading = state
            .run
            .as_ref()
            .is_some_and(|r| matches!(r.phase, Phase::Prefill { .. }));
        let (rate, style) = if reading {
            (prefill, prefill_style)
        } else {
            (decode, decode_style)
        };
        let mut line = vec![
            piece(1, name(), theme.strong()),
            piece(0, speed("", rate), style),
            piece(2, context, context_style),
            memory(),
            piece(4, kernel, theme.text()),
        ];
        // What is wrong comes first, where the name would be.
        if let Some(alert) = alert {
            line.splice(0..1, [alert]);
        }
        return write(line, theme, area, 0, buffer);
    }
    let mut first = vec![piece(0, name(), theme.strong())];
    if let Some(via) = via {
        first.push(piece(1, via, theme.accent()));
    }
    if state.strategy.is_none() || state.kernel.is_some() {
        let profile = format!("profile {}", state.setting.profile);
        first.push(piece(3, profile, theme.text()));
        first.push(piece(1, kernel, theme.text()));
        first.push(piece(2, threads(state), theme.text()));
    }
    let sampling = sampling::status(state);
    if !sampling.is_empty() {
        first.push(piece(2, sampling, theme.accent()));
    }
    let mut second = vec![
        piece(0, speed("decode ", decode), decode_style),
        piece(2, speed("prefill ", prefill), prefill_style),
        piece(1, context, context_style),
        memory(),
    ];
    second.extend(alert);
    write(first, theme, area, 0, buffer);
    write(second, theme, area, 1, buffer);
}

fn speed(label: &str, rate: Option<f64>) -> String {
    match rate {
        Some(rate) => format!("{label}{} tok/s", format::rate(rate)),
        None => format!("{label}- tok/s"),
    }
}

/// `mem 212/1024 MiB`: of the limit.
fn memory(state: &State, theme: Theme) -> Piece {
    let used = state.resident.map_or_else(|| "-".to_owned(), format::bytes);
    let short = format!("mem {used}");
    let text = match (state.resident, state.resident_limit) {
        (Some(bytes), Some(limit)) if bytes < 1 << 30 => {
            format!("mem {}/{} MiB", bytes >> 20, limit >> 20)
        }
        (Some(_), Some(limit)) => format!("{short}/{}", format::bytes(limit)),
        _ => short.clone(),
    };
    let share = match (state.resident, state.resident_limit) {
        (Some(bytes), Some(limit)) => format::percent(bytes, limit),
        _ => 0,
    };
    Piece {
        rank: 3,
        text,
        short: Some(short),
        style: if share >= NEARLY_FULL {
            theme.warning()
        } else {
            theme.text()
        },
    }
}

/// `2 of 8 threads (quota)`.
fn threads(state: &State) -> String {
    let limit = state
        .setting
        .limit
        .map(|limit| format!(" ({limit})"))
        .unwrap_or_default();
    match state.threads {
        Some(count) if state.strategy.is_some() => format::threads(count),
        Some(threads) => format!("{threads} of {} threads{limit}", state.setting.cpus),
        None => format!("{} CPUs{limit}", state.setting.cpus),
    }
}

fn context(state: &State, theme: Theme) -> (String, Style) {
    let Some(model) = state.model() else {
        return ("ctx -".to_owned(), theme.text());
    };
    // While nobody answers: what is there, and what the input would add.
    let next = state.plan.as_ref().filter(|plan| {
        // What is said goes before it is too much.
        plan.exact && (plan.draft > 0 || plan.used <= plan.limit)
    });
    let (used, more) = match next {
        Some(plan) if state.run.is_none() => (plan.used.saturating_sub(plan.draft), plan.draft),
        _ => (state.context_used, 0),
    };
    let (sum, limit) = (used.saturating_add(more) as u64, model.context as u64);
    let percent = format::percent(sum, limit);
    let style = if percent >= NEARLY_FULL {
        theme.warning()
    } else {
        theme.text()
    };
    let more = match more {
        0 => String::new(),
        more => format!(" +{more}"),
    };
    let share = if state.size.0 < 60 {
        String::new()
    } else {
        format!(" ({percent} %)")
    };
    (format!("ctx {used}/{limit}{more}{share}"), style)
}

/// Writes what fits; the name is shortened before anything of the first two ranks goes.
fn write(mut pieces: Vec<Piece>, theme: Theme, area: Rect, row: u16, buffer: &mut Buffer) {
    let room = usize::from(area.width);
    let needed = |pieces: &[Piece]| {
        pieces.iter().map(|piece| width(&piece.text)).sum::<usize>()
            + width(SEPARATOR) * pieces.len().saturating_sub(1)
    };
    for rank in (0..=4).rev() {
        for at in 0..pieces.len() {
            let over = needed(&pieces) > room;
            if let Some(piece) = pieces.get_mut(at)
                && over
                && piece.rank == rank
                && let Some(short) = piece.short.take()
            {
                piece.text = short;
            }
        }
    }
    while needed(&pieces) > room && pieces.iter().any(|piece| piece.rank > 2) {
        let last = pieces.iter().map(|piece| piece.rank).max();
        pieces.retain(|piece| Some(piece.rank) != last);
    }
    if let Some(over) = needed(&pieces).checked_sub(room)
        && let Some(name) = pieces.first_mut()
    {
        let kept = width(&name.text).saturating_sub(over).max(4);
        name.text = shorten(&name.text, kept);
    }
    while needed(&pieces) > room && pieces.len() > 1 {
        let last = pieces.iter().map(|piece| piece.rank).max();
        pieces.retain(|piece| Some(piece.rank) != last);
    }
    let mut column = 0;
    for (at, piece) in pieces.iter().enumerate() {
        if at > 0 {
            column = put(buffer, area, column, row, SEPARATOR, theme.dim());
        }
        column = put(buffer, area, column, row, &piece.text, piece.style);
    }
}
