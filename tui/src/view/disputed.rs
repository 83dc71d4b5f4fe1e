//! Clusters that terminals take for wider or narrower than we do.
//!
//! What lies behind such a cluster in its row may not be where it was put, so it is written with every
//! picture, changed or not. The rest is done where it is written.

use ratatui::buffer::{Buffer, CellDiffOption};

use crate::chat::glyph::is_disputed;

/// So many cells of the next row may be hit by a cluster at the end of a row.
const OVERHANG: usize = 8;

/// Marks what has to be written every time.
pub(crate) fn mark(buffer: &mut Buffer) {
    let columns = usize::from(buffer.area.width).max(1);
    let mut hit = 0;
    for row in buffer.content.chunks_mut(columns) {
        let first = row.iter().position(|cell| is_disputed(cell.symbol()));
        let behind = first.map_or(columns, |at| at + 1);
        for (at, cell) in row.iter_mut().enumerate() {
            if at < hit || at >= behind {
                cell.set_diff_option(CellDiffOption::AlwaysUpdate);
            }
        }
        hit = first.map_or(0, |_| OVERHANG);
    }
}
