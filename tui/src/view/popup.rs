//! The list over the input: what it may become.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::theme::Theme;
use super::{panel, put, shorten};
use crate::app::complete::{self, Candidate};
use crate::app::state::State;
use crate::chat::glyph::width;

/// Most rows of the list.
const MOST: u16 = 8;

/// Widest first column.
const WIDEST: usize = 28;

/// Rows of the list, where there is room for it.
pub(crate) fn rows(state: &State) -> u16 {
    let found = complete::candidates(state).len();
    u16::try_from(found).unwrap_or(u16::MAX).min(MOST)
}

/// Draws the list over the lowest rows of `area`, the transcript's.
pub(super) fn draw(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let found = complete::candidates(state);
    if found.is_empty() {
        return;
    }
    let rows = u16::try_from(found.len()).unwrap_or(u16::MAX);
    // Where only the lowest lines are used they are there for the list.
    let most = match state.is_part() {
        true => area.height,
        false => area.height.div_ceil(2),
    };
    let height = rows.min(MOST).min(most);
    let area = panel(area, height, buffer);
    let selected = complete::selected(state, found.len());
    let top = (selected + 1).saturating_sub(usize::from(height));
    let seen: Vec<(usize, &Candidate)> = found
        .iter()
        .enumerate()
        .skip(top)
        .take(usize::from(height))
        .collect();
    let room = usize::from(area.width.saturating_sub(4));
    let labels = seen.iter().map(|(_, found)| width(&found.label));
    let widest = WIDEST.min(room / 2);
    let column = labels.max().unwrap_or(0).min(widest);
    for (row, (at, found)) in (0..height).zip(seen) {
        let mark = if at == selected { ">" } else { " " };
        put(buffer, area, 0, row, mark, theme.accent());
        let label = shorten(&found.label, column);
        let style = match at == selected {
            true => theme.selected(),
            false => theme.strong(),
        };
        let behind = put(buffer, area, 2, row, &label, style);
        let start = u16::try_from(column + 4)
            .unwrap_or(u16::MAX)
            .max(behind + 2);
        let rest = usize::from(area.width.saturating_sub(start));
        if rest >= 8 {
            put(
                buffer,
                area,
                start,
                row,
                &shorten(&found.detail, rest),
                theme.dim(),
            );
        }
    }
    let below = found.len().saturating_sub(top + usize::from(height));
    if below > 0 {
        let text = format!(" +{below} ");
        let start = usize::from(area.width).saturating_sub(width(&text));
        let start = u16::try_from(start).unwrap_or(0);
        put(buffer, area, start, height - 1, &text, theme.dim());
    }
}
