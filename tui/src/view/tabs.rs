//! The names of the views, above every view but the chat.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::put;
use super::theme::Theme;
use crate::app::screen::View;
use crate::app::state::State;

/// The views whose names are shown on a line of this width, and where: all, or only that of the view
/// on the screen where they do not fit.
fn shown(active: View, width: u16) -> Vec<(View, u16)> {
    let all: usize = View::ALL.iter().map(|view| view.title().len() + 1).sum();
    let fits = all <= usize::from(width);
    let mut column = 0_u16;
    let mut shown = Vec::new();
    for view in View::ALL {
        if fits || view == active {
            shown.push((view, column));
            let title = u16::try_from(view.title().len()).unwrap_or(u16::MAX);
            column = column.saturating_add(title).saturating_add(1);
        }
    }
    shown
}

/// The view whose name is at `column`.
pub(crate) fn at(active: View, width: u16, column: u16) -> Option<View> {
    let shown = shown(active, width);
    let found = shown.iter().rev().find(|(_, start)| *start <= column)?;
    let end = usize::from(found.1) + found.0.title().len();
    (usize::from(column) < end).then_some(found.0)
}

/// Draws them.
pub(super) fn draw(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let shown = shown(state.view, area.width);
    let mut end = 0;
    for (view, column) in &shown {
        let style = match *view == state.view {
            true => theme.selected(),
            false => theme.dim(),
        };
        end = put(buffer, area, *column, 0, view.title(), style);
    }
    if shown.len() < View::ALL.len() {
        put(buffer, area, end + 1, 0, "Esc: chat", theme.dim());
    }
}
