//! The Logs view.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::put;
use super::theme::Theme;
use crate::app::state::State;

/// Draws it.
pub(super) fn draw(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    put(buffer, area, 0, 0, state.view.title(), theme.dim());
}
