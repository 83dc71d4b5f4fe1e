//! The Kernels view: the list above, everything about the selected one below.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::theme::Theme;
use super::{cell, format, padded, paragraph, put};
use crate::app::backend::{KernelChoice, Unusable};
use crate::app::state::State;
use crate::app::views::kernels::{Row, entry, rows, standing};
use crate::chat::glyph::width;
use crate::race;

/// Screens narrower than this show fewer columns.
const WIDE: u16 = 72;
/// Screens wider than this show more.
const WIDEST: u16 = 104;

/// Draws it.
pub(super) fn draw(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let rows = rows(state);
    if rows.is_empty() {
        let text = match &state.strategy {
            Some(strategy) => crate::app::update::strategy_has_no_kernels(strategy),
            None => "the kernels are known once the model is loaded".to_owned(),
        };
        paragraph(buffer, area, 0, &text, theme.dim());
        return;
    }
    let height = u16::try_from(rows.len())
        .unwrap_or(u16::MAX)
        .saturating_add(1)
        .min((area.height / 2).max(2));
    let names = state.kernels.iter().map(|choice| width(&choice.name)).max();
    let names = names.unwrap_or(0);
    let names = names.clamp(6, usize::from(area.width / 4).max(6));
    put(buffer, area, 0, 0, &heading(names, area.width), theme.dim());
    let selected = state.views.kernels.selected;
    let top = selected.top(rows.len(), height - 1);
    for (line, (index, row)) in (1..height).zip(rows.iter().enumerate().skip(top)) {
        let text = match row {
            Row::Usable(choice) => usable(state, choice, names, area.width),
            Row::Unusable(kernel) => unusable(kernel, names),
        };
        let style = match (index == selected.row(rows.len()), row) {
            (true, _) => theme.selected(),
            (false, Row::Unusable(_)) => theme.dim(),
            (false, Row::Usable(choice)) if in_use(state, choice) => theme.ok(),
            (false, Row::Usable(_)) => theme.text(),
        };
        put(buffer, area, 0, line, &padded(&text, area.width), style);
    }
    let below = Rect {
        y: area.y + height,
        height: area.height.saturating_sub(height),
        ..area
    };
    let hint = match state.race.as_ref().is_some_and(|race| !race.automatic) {
        true => " Esc ends the race ",
        false => " Enter switch  r race ",
    };
    let line = "─".repeat(usize::from(area.width));
    put(buffer, below, 0, 0, &line, theme.dim());
    let start = usize::from(area.width).saturating_sub(width(hint) + 2);
    let start = u16::try_from(start).unwrap_or(0);
    put(buffer, below, start, 0, hint, theme.dim());
    let mut line = 1;
    for (text, style) in about(state, rows.get(selected.row(rows.len())), theme) {
        line = paragraph(buffer, below, line, &text, style);
    }
}

fn in_use(state: &State, choice: &KernelChoice) -> bool {
    state.kernel.as_ref() == Some(&choice.name)
}

fn heading(names: usize, columns: u16) -> String {
    let mut text = format!("  {:names$} {:>5}", "KERNEL", "SCORE");
    if columns >= WIDE {
        text.push_str(&format!("  {:14} {:7} {:>4}", "ISA", "LAYOUT", "BITS"));
    }
    text.push_str(&format!(" {:>7} {:>7}", "DECODE", "PREFILL"));
    if columns >= WIDEST {
        text.push_str(&format!(" {:>9}", "THIS CHAT"));
    }
    if columns >= WIDE {
        text.push_str("  tok/s");
    }
    text
}

/// A line of the list.
fn usable(state: &State, choice: &KernelChoice, names: usize, columns: u16) -> String {
    let card = &choice.card;
    let mark = if in_use(state, choice) { '*' } else { ' ' };
    // Of a server's kernels little is known.
    let (score, bits) = match card.isa.as_str() {
        "" => ("-".to_owned(), "-".to_owned()),
        _ => (card.score.to_string(), format!("{:.2}", card.bits)),
    };
    let mut text = format!("{mark} {} {score:>5}", cell(&choice.name, names));
    if columns >= WIDE {
        text.push_str(&format!(
            "  {} {} {bits:>4}",
            cell(&card.isa, 14),
            cell(&card.layout, 7),
        ));
    }
    let doing = doing(state, choice);
    // Where there is no room for both, what goes on now says more than rates of the past.
    if columns < WIDE && !doing.is_empty() && doing != IN_USE {
        text.push_str(&format!("  {doing}"));
        return text;
    }
    let raced = entry(state, &choice.name);
    let measured = card.measured.as_ref();
    let decode = raced
        .and_then(|entry| entry.decode)
        .or(measured.map(|speed| speed.decode));
    let prefill = raced
        .and_then(|entry| entry.prefill)
        .or(measured.map(|speed| speed.prefill));
    text.push_str(&format!(" {:>7} {:>7}", rate(decode), rate(prefill)));
    if columns >= WIDEST {
        let here = state.views.kernels.rate(&choice.name);
        text.push_str(&format!(" {:>9}", rate(here)));
    }
    if columns >= WIDE && !doing.is_empty() {
        text.push_str(&format!("  {doing}"));
    }
    text
}

/// Of the kernel that computes.
const IN_USE: &str = "in use";

/// What goes on with a kernel, in a word or two.
fn doing(state: &State, choice: &KernelChoice) -> String {
    if let Some(switch) = state.switch.as_ref().filter(|it| it.name == choice.name) {
        return match &switch.progress.last {
            Some(progress) => {
                let percent = format::percent(progress.done, progress.total);
                format!("packing {percent} %")
            }
            None => "switching".to_owned(),
        };
    }
    let running = state.race.is_some();
    match entry(state, &choice.name).map(|entry| &entry.state) {
        Some(race::State::Running) if running => "running".to_owned(),
        Some(race::State::Packing) if running => "packing".to_owned(),
        Some(race::State::Waiting) if running => "waiting".to_owned(),
        Some(race::State::Out(_)) => "out".to_owned(),
        _ if in_use(state, choice) => IN_USE.to_owned(),
        _ => String::new(),
    }
}

fn unusable(kernel: &Unusable, names: usize) -> String {
    let name = match width(&kernel.name) > names {
        true => kernel.name.clone(),
        false => cell(&kernel.name, names),
    };
    format!("  {name} {}: {}", kernel.state, kernel.why)
}

/// Everything about the selected one.
fn about(state: &State, row: Option<&Row<'_>>, theme: Theme) -> Vec<(String, Style)> {
    let choice = match row {
        None => return Vec::new(),
        Some(Row::Unusable(kernel)) => {
            return vec![
                (
                    format!("{} ({})", kernel.name, kernel.state),
                    theme.strong(),
                ),
                (kernel.why.clone(), theme.error()),
                (format!("from {}", kernel.origin), theme.text()),
            ];
        }
        Some(Row::Usable(choice)) => choice,
    };
    let card = &choice.card;
    let title = match in_use(state, choice) {
        true => format!("{} (in use)", choice.name),
        false => choice.name.clone(),
    };
    if card.isa.is_empty() {
        let text = format!("{}; {}", card.reason, card.origin);
        return vec![(title, theme.strong()), (text, theme.text())];
    }
    let mut lines = vec![
        (title, theme.strong()),
        (
            format!("score {}: {}", card.score, card.reason),
            theme.text(),
        ),
        (
            format!(
                "needs {}; layout {}, {:.2} bits a weight of this model; {}",
                card.isa, card.layout, card.bits, card.origin
            ),
            theme.text(),
        ),
    ];
    if let Some(base) = &card.base {
        let text = format!("multiplies with ternary weights; {base} does the rest");
        lines.push((text, theme.text()));
    }
    let shares = |other: &&KernelChoice| in_use(state, other) && other.card.layout != card.layout;
    if state.kernels.iter().any(|other| shares(&other)) {
        let text = "another layout than the one in use: its weights are packed first, while the old \
                    kernel goes on";
        lines.push((text.to_owned(), theme.text()));
    }
    let raced = entry(state, &choice.name).and_then(|entry| Some((entry.decode?, entry.prefill?)));
    lines.push(match (raced, &card.measured) {
        (Some((decode, prefill)), _) => (
            format!(
                "in the race of this chat: {} tok/s writing, {} reading",
                format::rate(decode),
                format::rate(prefill)
            ),
            theme.text(),
        ),
        (None, Some(speed)) => (
            format!(
                "measured with this model here on {}: {} tok/s writing, {} reading",
                speed.date,
                format::rate(speed.decode),
                format::rate(speed.prefill)
            ),
            theme.text(),
        ),
        (None, None) => (
            "no race with this model here yet; r lets the kernels race".to_owned(),
            theme.dim(),
        ),
    });
    if let Some(rate) = state.views.kernels.rate(&choice.name) {
        let text = format!("its last answer in this chat: {} tok/s", format::rate(rate));
        lines.push((text, theme.text()));
    }
    if let Some(race::State::Out(why)) = entry(state, &choice.name).map(|entry| &entry.state) {
        lines.push((format!("out of the race: {why}"), theme.error()));
    }
    if let Some(standing) = standing(state) {
        let text = match (state.race.is_some(), standing.leader()) {
            (false, _) => race::table::verdict(standing),
            (true, Some(leader)) => format!("{} is ahead", leader.name),
            (true, None) => "the race has begun".to_owned(),
        };
        lines.push((text, theme.active()));
    }
    if !state.choice.is_empty() {
        lines.push((format!("automatic choice: {}", state.choice), theme.dim()));
    }
    lines
}

fn rate(rate: Option<f64>) -> String {
    rate.map_or_else(|| "-".to_owned(), format::rate)
}
