//! The Monitor view: charts over one time axis, and below them what goes on now.
//!
//! Three forms: on low screens a chart is one line, on others as many as there is room for; what is
//! left out goes from the bottom.

mod bars;
mod charts;
mod summary;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::format::age;
use super::theme::Theme;
use super::{put, shorten};
use crate::app::state::State;
use crate::app::views::monitor::Monitor;
use crate::chat::glyph::width;

/// Screens narrower than this have short words only.
const NARROW: u16 = 60;

/// Draws it.
pub(super) fn draw(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let monitor = &state.views.monitor;
    let [head, rest] = split(area, 1);
    heading(monitor, theme, head, buffer);
    if monitor.summary {
        summary::draw(monitor, theme, rest, buffer);
        return;
    }
    if monitor.history.latest().is_none() {
        put(buffer, rest, 0, 0, "nothing was measured yet", theme.dim());
        return;
    }
    let below = bars::height(monitor, rest);
    let [above, below] = split(rest, rest.height.saturating_sub(below));
    charts::draw(monitor, theme, above, buffer);
    bars::draw(monitor, theme, below, buffer);
}

/// The first `rows` of an area, and the others.
fn split(area: Rect, rows: u16) -> [Rect; 2] {
    let rows = rows.min(area.height);
    let first = Rect {
        height: rows,
        ..area
    };
    let rest = Rect {
        y: area.y + rows,
        height: area.height - rows,
        ..area
    };
    [first, rest]
}

/// Alerts, or how much is seen and what keys do.
fn heading(monitor: &Monitor, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let span = age(monitor.span());
    let state = match monitor.frozen {
        None => format!("last {span}"),
        Some(frozen) => {
            let ago = age(monitor.newest().saturating_sub(frozen.cursor));
            format!("frozen, {ago} ago, {span} wide")
        }
    };
    let frozen = monitor.frozen.is_some();
    let mut column = put(
        buffer,
        area,
        0,
        0,
        &state,
        if frozen {
            theme.marker()
        } else {
            theme.strong()
        },
    );
    let alerts: Vec<String> = monitor.alerts().map(|alert| format!("! {alert}")).collect();
    let room = usize::from(area.width.saturating_sub(column + 2));
    let (text, style) = if alerts.is_empty() {
        let keys = [
            if frozen {
                "f go on  ←→ move  + - zoom  s summary  e export"
            } else {
                "f freeze  + - zoom  s summary  e export"
            },
            if frozen {
                "f go on  ←→ + - s e"
            } else {
                "f + - s e"
            },
        ];
        let fitting = keys.into_iter().find(|keys| width(keys) <= room);
        (fitting.unwrap_or("").to_owned(), theme.dim())
    } else {
        (shorten(&alerts.join("  "), room), theme.error())
    };
    column = area
        .width
        .saturating_sub(u16::try_from(width(&text)).unwrap_or(area.width));
    put(buffer, area, column, 0, &text, style);
}

/// A bar that is full to `share`.
fn bar(
    buffer: &mut Buffer,
    area: Rect,
    (column, row): (u16, u16),
    cells: u16,
    share: f64,
    full: Style,
    rest: Style,
) {
    let share = share.clamp(0.0, 1.0);
    // At most the number of cells.
    let filled = (share * f64::from(cells)).round() as u16;
    let text = "█".repeat(usize::from(filled));
    let column = put(buffer, area, column, row, &text, full);
    put(
        buffer,
        area,
        column,
        row,
        &"░".repeat(usize::from(cells - filled)),
        rest,
    );
}

#[cfg(test)]
mod tests;
