//! Drawing. Everything here reads the state and changes nothing.
//!
//! Only the 16 colours of the terminal's own palette are used, on its own background, and none
//! where colours are not wanted; what a colour says is also said in words.

mod ascii;
mod chart;
pub(crate) mod disputed;
pub(crate) mod format;
pub(crate) mod help;
mod kernels;
pub(crate) mod layout;
mod logs;
mod markdown;
mod models;
mod monitor;
mod motion;
mod picker;
mod popup;
mod profiles;
pub(crate) mod queue;
mod rule;
mod sessions;
mod strategies;
mod strip;
pub(crate) mod tabs;
pub(crate) mod theme;
mod transcript;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use crate::app::screen::View;
use crate::app::state::{Load, State};
use crate::chat::composer::Part;
use crate::chat::glyph::{self, Glyph, clusters};
use crate::chat::wrap::Wrapped;
use layout::{Areas, MIN_COLUMNS, MIN_ROWS};
use theme::Theme;

/// Draws the whole screen and puts the cursor into the input.
pub(crate) fn draw(state: &State, frame: &mut Frame<'_>) {
    let place = frame.area();
    let cursor;
    if place.y == 0 && (place.width, place.height) == state.size {
        cursor = paint(state, frame.buffer_mut());
    } else {
        // A part of the screen, or a screen that has another size since, of which the state does not
        // know yet: the picture is made as if it were all of what the state knows.
        let (columns, rows) = state.size;
        let mut picture = Buffer::empty(Rect::new(0, 0, columns, rows));
        let at = paint(state, &mut picture);
        cursor = at
            .map(|at| Position::new(at.x + place.x, at.y + place.y))
            .filter(|at| place.contains(*at));
        put_picture(&picture, place, frame.buffer_mut());
    }
    if state.setting.look.ascii {
        ascii::fold(frame.buffer_mut());
    }
    disputed::mark(frame.buffer_mut());
    if let Some(cursor) = cursor {
        frame.set_cursor_position(cursor);
    }
}

/// Puts as much of a picture as fits into `place`.
fn put_picture(picture: &Buffer, place: Rect, buffer: &mut Buffer) {
    let both = picture.area.intersection(Rect {
        x: 0,
        y: 0,
        ..place
    });
    for at in both.positions() {
        let cell = &picture[at];
        // Half a wide character would tear the line.
        if usize::from(at.x) + glyph::width(cell.symbol()).max(1) <= usize::from(both.width) {
            buffer[(place.x + at.x, place.y + at.y)] = cell.clone();
        }
    }
}

/// The lines of the transcript from `top` to before `end`, for the terminal's history.
pub(crate) fn history(state: &State, top: usize, end: usize) -> Buffer {
    let height = u16::try_from(end.saturating_sub(top)).unwrap_or(u16::MAX);
    let area = Rect::new(0, 0, state.size.0, height);
    let mut buffer = Buffer::empty(area);
    let theme = Theme::new(state.setting.look);
    transcript::lines(state, theme, top, area, &mut buffer);
    if state.setting.look.ascii {
        ascii::fold(&mut buffer);
    }
    buffer
}

/// Paints the screen and returns where the cursor belongs.
fn paint(state: &State, buffer: &mut Buffer) -> Option<Position> {
    let theme = Theme::new(state.setting.look);
    let area = buffer.area;
    let areas = Areas::of(state);
    if areas.too_small {
        too_small(area, buffer);
        return None;
    }
    rule::draw(state, theme, areas.rule, buffer);
    strip::draw(state, theme, areas.strip, buffer);
    let mut cursor = view(state, theme, &areas, buffer);
    if let Some(overlay) = &state.overlay {
        cursor = picker::draw(overlay, theme, areas.help, buffer);
    } else if let Some(top) = state.help {
        help::draw(top, state, theme, areas.help, buffer);
        cursor = None;
    }
    cursor
}

/// Draws the view and returns where the cursor belongs.
fn view(state: &State, theme: Theme, areas: &Areas, buffer: &mut Buffer) -> Option<Position> {
    if state.view != View::Chat {
        tabs::draw(state, theme, areas.tabs, buffer);
    }
    let area = areas.body;
    match state.view {
        View::Chat => {
            transcript::draw(state, theme, areas.transcript, buffer);
            queue::draw(state, theme, areas.queue, buffer);
            popup::draw(state, theme, areas.transcript, buffer);
            return Some(composer(state, theme, areas.composer, buffer));
        }
        View::Monitor => monitor::draw(state, theme, area, buffer),
        View::Kernels => kernels::draw(state, theme, area, buffer),
        View::Profiles => profiles::draw(state, theme, area, buffer),
        View::Models => models::draw(state, theme, area, buffer),
        View::Strategies => strategies::draw(state, theme, area, buffer),
        View::Sessions => sessions::draw(state, theme, area, buffer),
        View::Logs => logs::draw(state, theme, area, buffer),
    }
    None
}

/// Draws the input and returns where the cursor belongs.
fn composer(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) -> Position {
    let (cursor_row, cursor_column) = state.composer.cursor_cell();
    let top = (cursor_row + 1).saturating_sub(usize::from(area.height));
    put(
        buffer,
        area,
        0,
        0,
        if top == 0 { ">" } else { "^" },
        theme.strong(),
    );
    if state.composer.text().is_empty() {
        let invitation = match state.load {
            Load::Running(_) => "write your message; it is sent when the model is there",
            Load::Ready(_) | Load::Failed(_) => "write a message",
        };
        put(buffer, area, layout::PROMPT, 0, invitation, theme.dim());
    }
    for (row, pieces) in (0..area.height).zip(state.composer.rows(top)) {
        let mut column = layout::PROMPT;
        for (text, part) in pieces {
            let style = match part {
                Part::Text => theme.text(),
                Part::Chip => theme.accent(),
                Part::Selected => theme.selected(),
            };
            column = put(buffer, area, column, row, text, style);
        }
    }
    let row = u16::try_from(cursor_row - top).unwrap_or(0);
    Position::new(area.x + layout::PROMPT + cursor_column, area.y + row)
}

fn too_small(area: Rect, buffer: &mut Buffer) {
    let (width, height) = (area.width, area.height);
    let text = format!("terminal too small: need {MIN_COLUMNS}x{MIN_ROWS}, have {width}x{height}");
    let wrapped = Wrapped::new(&text, width);
    for (row, line) in (0..height).zip(wrapped.rows()) {
        put(
            buffer,
            area,
            0,
            row,
            &text[line.start..line.end],
            Style::new(),
        );
    }
}

/// Draws `text` into `area`, `column` and `row` from its corner, and returns the column behind it.
/// What does not fit is left out.
///
/// This is the only way by which text gets onto the screen.
fn put(buffer: &mut Buffer, area: Rect, column: u16, row: u16, text: &str, style: Style) -> u16 {
    let mut column = column;
    if row >= area.height {
        return column;
    }
    for (_, cluster) in clusters(text, 0) {
        let Glyph::Cells { symbol, width } = Glyph::of(cluster) else {
            continue;
        };
        if column.saturating_add(width) > area.width {
            break;
        }
        let (x, y) = (area.x + column, area.y + row);
        match buffer.cell_mut((x, y)) {
            Some(cell) if width == 1 => {
                cell.set_symbol(symbol).set_style(style);
            }
            _ => {
                buffer.set_stringn(x, y, symbol, usize::from(width), style);
            }
        }
        column += width;
    }
    column
}

/// Shortens `text` to `cells`, with an ellipsis if something is lost.
fn shorten(text: &str, cells: usize) -> String {
    if glyph::width(text) <= cells {
        return text.to_owned();
    }
    match cells.checked_sub(1) {
        Some(cells) => format!("{}…", glyph::fit(text, cells)),
        None => String::new(),
    }
}

/// The lowest `rows` of `area`, emptied.
fn panel(area: Rect, rows: u16, buffer: &mut Buffer) -> Rect {
    let height = rows.min(area.height);
    let panel = Rect {
        y: area.y + area.height - height,
        height,
        ..area
    };
    for position in panel.positions() {
        buffer[position].reset();
    }
    panel
}

/// Draws `content` from `line` on, broken at the edge, and returns the line behind it.
fn paragraph(buffer: &mut Buffer, area: Rect, line: u16, content: &str, style: Style) -> u16 {
    let wrapped = Wrapped::new(content, area.width);
    let mut line = line;
    for row in wrapped.rows() {
        if line >= area.height {
            break;
        }
        put(buffer, area, 0, line, &content[row.start..row.end], style);
        line += 1;
    }
    line
}

/// `line` as wide as the screen, so that a selection is a bar.
fn padded(line: &str, columns: u16) -> String {
    let columns = usize::from(columns);
    let line = shorten(line, columns);
    let gap = columns.saturating_sub(glyph::width(&line));
    format!("{line}{}", " ".repeat(gap))
}

/// `text` cut or filled up to so many cells.
fn cell(text: &str, cells: usize) -> String {
    let text = glyph::fit(text, cells);
    format!(
        "{text}{}",
        " ".repeat(cells.saturating_sub(glyph::width(text)))
    )
}

#[cfg(test)]
mod tests;
