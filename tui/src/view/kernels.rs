//! The Kernels view.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::put;
use super::theme::Theme;
use crate::app::state::State;

/// Draws it.
pub(super) fn draw(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let rows = state.kernels.len();
    let selected = state.views.kernels.selected;
    let top = selected.top(rows, area.height);
    for (line, (row, choice)) in (0..area.height).zip(state.kernels.iter().enumerate().skip(top)) {
        let active = state.kernel.as_ref() == Some(&choice.name);
        let mark = if active { '*' } else { ' ' };
        let text = format!("{mark} {}  {}", choice.name, choice.detail);
        let style = match row == selected.row(rows) {
            true => theme.selected(),
            false => theme.text(),
        };
        put(buffer, area, 0, line, &text, style);
    }
}
