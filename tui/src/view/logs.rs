//! The Logs view.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use tracing::Level;

use super::theme::Theme;
use super::{put, shorten};
use crate::app::state::State;
use crate::chat::glyph::width;
use crate::chat::wrap::Wrapped;
use crate::logs::Record;

/// Screens narrower than this leave out the time and the module.
const WIDE: u16 = 72;

/// Draws it.
pub(super) fn draw(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let logs = &state.views.logs;
    let shown = logs.shown();
    header(state, shown.len(), theme, area, buffer);
    let list = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1),
        ..area
    };
    if shown.is_empty() {
        let text = match logs.shelf.len() {
            0 => "nothing was logged yet; `--log debug` logs more",
            _ => "no record of this level and with this text",
        };
        put(buffer, list, 0, 0, text, theme.dim());
        return;
    }
    let at = logs.at(&shown);
    // The selected record is the last on the screen, but for what follows it where there is room.
    let mut rows = Vec::new();
    let mut first = at + 1;
    while first > 0 && rows.len() < usize::from(list.height) {
        first -= 1;
        let Some((_, record)) = shown.get(first) else {
            break;
        };
        let lines = lines(record, list.width, logs.wrap);
        let selected = first == at && !logs.follows();
        let lines = lines.into_iter().map(|line| (line, record.level, selected));
        rows.splice(0..0, lines);
    }
    let surplus = rows.len().saturating_sub(usize::from(list.height));
    rows.drain(..surplus);
    for (_, record) in shown.iter().skip(at + 1) {
        if rows.len() >= usize::from(list.height) {
            break;
        }
        let lines = lines(record, list.width, logs.wrap);
        rows.extend(lines.into_iter().map(|line| (line, record.level, false)));
    }
    for (line, (text, level, selected)) in (0..list.height).zip(&rows) {
        let style = match selected {
            true => theme.selected(),
            false => style(theme, *level),
        };
        put(buffer, list, 0, line, text, style);
    }
}

/// How much is shown of what, and the keys that change it.
fn header(state: &State, shown: usize, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let logs = &state.views.logs;
    let mut text = format!("{shown} of {}", logs.shelf.len());
    if logs.shelf.dropped > 0 {
        text.push_str(&format!(", {} older ones dropped", logs.shelf.dropped));
    }
    text.push_str(&format!(" · {}", word(logs.level).trim_end()));
    if logs.level != Level::ERROR {
        text.push_str(" and worse");
    }
    let cursor = if logs.typing { "_" } else { "" };
    if logs.typing || !logs.filter.is_empty() {
        text.push_str(&format!(" · /{}{cursor}", logs.filter));
    }
    if !logs.follows() {
        text.push_str(" · stopped");
    }
    let keys = match logs.typing {
        true => "Enter: done  Esc: no filter",
        false => "1-5 level  / filter  w wrap  f follow  c copy",
    };
    let end = put(
        buffer,
        area,
        0,
        0,
        &shorten(&text, usize::from(area.width)),
        theme.strong(),
    );
    let start = usize::from(area.width).saturating_sub(width(keys));
    if start > usize::from(end) + 1 {
        let start = u16::try_from(start).unwrap_or(0);
        put(buffer, area, start, 0, keys, theme.dim());
    }
}

/// The level, in five cells.
fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn ",
        Level::INFO => "info ",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

fn style(theme: Theme, level: Level) -> Style {
    match level {
        Level::ERROR => theme.error(),
        Level::WARN => theme.warning(),
        Level::INFO => theme.text(),
        Level::DEBUG | Level::TRACE => theme.dim(),
    }
}

/// The lines of a record: one, or as many as it takes.
fn lines(record: &Record, columns: u16, wrap: bool) -> Vec<String> {
    let mut text = String::new();
    if columns >= WIDE {
        text.push_str(&record.time());
        text.push(' ');
    }
    text.push_str(word(record.level));
    text.push(' ');
    if columns >= WIDE {
        text.push_str(record.module());
        text.push_str(": ");
    }
    // A record is a line, whatever is in it.
    text.push_str(&record.text.replace(['\n', '\r', '\t'], " "));
    if !wrap {
        return vec![shorten(&text, usize::from(columns))];
    }
    let wrapped = Wrapped::new(&text, columns);
    let rows = wrapped.rows().iter();
    rows.map(|row| text[row.start..row.end].to_owned())
        .collect()
}
