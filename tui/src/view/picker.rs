//! A list to choose from, and a question, over the view.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::theme::Theme;
use super::{panel, put, shorten};
use crate::app::overlay::{Confirm, Overlay};
use crate::app::picker::Picker;
use crate::chat::glyph::width;
use crate::chat::wrap::Wrapped;

/// Draws the overlay over `area` and returns where the cursor belongs.
pub(super) fn draw(
    overlay: &Overlay,
    theme: Theme,
    area: Rect,
    buffer: &mut Buffer,
) -> Option<Position> {
    match overlay {
        Overlay::Picker(picker) => Some(list(picker, theme, area, buffer)),
        Overlay::Confirm(confirm) => {
            question(confirm, theme, area, buffer);
            None
        }
    }
}

fn list(picker: &Picker, theme: Theme, area: Rect, buffer: &mut Buffer) -> Position {
    let rows = u16::try_from(picker.matching().len()).unwrap_or(u16::MAX);
    let foot = u16::from(picker.footnote().is_some());
    let most = (area.height / 2).max(4 + foot);
    let wanted = rows.max(1).saturating_add(2 + foot);
    let mut area = panel(area, wanted.min(most), buffer);
    let line = "─".repeat(usize::from(area.width));
    put(buffer, area, 0, 0, &line, theme.dim());
    let title = shorten(&picker.title, usize::from(area.width).saturating_sub(14));
    put(buffer, area, 2, 0, &format!(" {title} "), theme.strong());
    let count = format!(" {} of {} ", picker.matching().len(), picker.count());
    let start = usize::from(area.width).saturating_sub(width(&count) + 2);
    let start = u16::try_from(start).unwrap_or(0);
    put(buffer, area, start, 0, &count, theme.dim());
    if let Some(note) = picker.footnote() {
        let note = shorten(note, usize::from(area.width));
        put(buffer, area, 0, area.height - 1, &note, theme.dim());
        area.height -= 1;
    }
    let column = put(buffer, area, 0, 1, "> ", theme.strong());
    let column = put(buffer, area, column, 1, picker.filter(), theme.text());
    let height = area.height.saturating_sub(2);
    let top = picker
        .selected()
        .saturating_sub(usize::from(height.max(1)) - 1);
    if picker.matching().len() == 0 {
        put(buffer, area, 2, 2, "nothing matches", theme.dim());
    }
    for (row, (index, item)) in (0..height).zip(picker.matching().enumerate().skip(top)) {
        if picker.is_marked(item) {
            put(buffer, area, 0, row + 2, "*", theme.active());
        }
        let room = usize::from(area.width.saturating_sub(2));
        let label = shorten(&item.label, room);
        let style = match index == picker.selected() {
            true => theme.selected(),
            false => theme.text(),
        };
        put(buffer, area, 2, row + 2, &label, style);
        let behind = width(&label) + 2;
        if behind < room {
            let detail = shorten(&item.detail, room - behind);
            let column = u16::try_from(behind + 2).unwrap_or(u16::MAX);
            put(buffer, area, column, row + 2, &detail, theme.dim());
        }
    }
    Position::new(
        (area.x + column).min(area.right().saturating_sub(1)),
        area.y + 1,
    )
}

fn question(confirm: &Confirm, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let text = format!("{} Enter or y: yes; any other key: no", confirm.question);
    let wrapped = Wrapped::new(&text, area.width.max(1));
    let rows = u16::try_from(wrapped.rows().len()).unwrap_or(u16::MAX);
    let area = panel(area, rows, buffer);
    for (row, line) in (0..area.height).zip(wrapped.rows()) {
        put(
            buffer,
            area,
            0,
            row,
            &text[line.start..line.end],
            theme.warning(),
        );
    }
}
