//! Messages that wait, above the input.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::theme::Theme;
use super::{put, shorten};
use crate::app::commands::Action;
use crate::app::queue;
use crate::app::state::State;
use crate::chat::glyph::width;

/// Most rows.
const MOST: u16 = 3;

/// Rows for what waits on a screen of `height` rows.
pub(crate) fn rows(state: &State, height: u16) -> u16 {
    let waiting = u16::try_from(state.queue.waiting().len()).unwrap_or(u16::MAX);
    waiting.min(if height < 16 { 1 } else { MOST })
}

/// Draws what is sent next, and how it is edited.
pub(super) fn draw(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let waiting = state.queue.waiting();
    let keymap = &state.setting.keymap;
    let word = if queue::is_held(state) {
        "held"
    } else {
        "next"
    };
    for (row, (at, draft)) in (0..area.height).zip(waiting.iter().enumerate()) {
        let label = if at == 0 { word } else { "then" };
        let mut hint = String::new();
        if at == 0 && area.width >= 60 {
            hint = format!(" {} edits ", keymap.label(Action::EditQueued));
            if queue::is_held(state) {
                hint = format!(" {} sends ·{hint}", keymap.label(Action::Send));
            }
        }
        let below = waiting.len() - at - 1;
        if row + 1 == area.height && below > 0 {
            hint = format!(" and {below} more{hint}");
        }
        let column = put(buffer, area, 0, row, &format!("{label}: "), theme.active());
        let room = usize::from(area.width.saturating_sub(column)).saturating_sub(width(&hint));
        put(
            buffer,
            area,
            column,
            row,
            &shorten(draft.headline(), room),
            theme.text(),
        );
        let start = usize::from(area.width).saturating_sub(width(&hint));
        let start = u16::try_from(start).unwrap_or(0);
        put(buffer, area, start, row, &hint, theme.dim());
    }
}
