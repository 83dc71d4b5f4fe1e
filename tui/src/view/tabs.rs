//! The names of the views, above every view but the chat.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::put;
use super::theme::Theme;
use crate::app::screen::View;
use crate::app::state::State;

/// Draws them; where they do not fit, only that of the view on the screen.
pub(super) fn draw(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let all: usize = View::ALL.iter().map(|view| view.title().len() + 1).sum();
    let fits = all <= usize::from(area.width);
    let mut column = 0;
    for view in View::ALL {
        let active = view == state.view;
        if !fits && !active {
            continue;
        }
        let style = match active {
            true => theme.selected(),
            false => theme.dim(),
        };
        column = put(buffer, area, column, 0, view.title(), style);
        column += 1;
    }
    if !fits {
        put(buffer, area, column, 0, "Esc: chat", theme.dim());
    }
}
