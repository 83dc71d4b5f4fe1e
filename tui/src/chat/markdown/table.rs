//! Tables: columns as wide as the screen allows, or a list where it does not.

use pulldown_cmark::Alignment;

use super::inline::Inline;
use super::look::{Look, Role};
use crate::chat::glyph;
use crate::chat::wrap::Wrapped;

/// Between two columns.
const BORDER: &str = " │ ";

/// A column is made no narrower than this, and words up to this length stay whole.
const NARROWEST: usize = 4;
const LONGEST_WORD: usize = 16;

/// Columns of a grid, at most. More become a list.
const MOST_COLUMNS: usize = 32;

/// A table that is being read.
#[derive(Clone, Debug)]
pub(super) struct Table {
    alignments: Vec<Alignment>,
    /// The first row is the header.
    rows: Vec<TableRow>,
}

#[derive(Clone, Debug)]
struct TableRow {
    source: usize,
    cells: Vec<Inline>,
}

impl Table {
    pub(super) fn new(alignments: Vec<Alignment>) -> Self {
        Self {
            alignments,
            rows: Vec::new(),
        }
    }

    /// Begins a row, which stands at byte `source` of the text.
    pub(super) fn begin_row(&mut self, source: usize) {
        self.rows.push(TableRow {
            source,
            cells: Vec::new(),
        });
    }

    /// Adds a cell to the last row.
    pub(super) fn cell(&mut self, cell: Inline) {
        if let Some(row) = self.rows.last_mut() {
            row.cells.push(cell);
        }
    }

    /// Hands out the rows on a screen of `room` cells: for each the byte of the text it comes
    /// from, and its pieces.
    pub(super) fn write(&self, room: u16, mut row: impl FnMut(usize, &[(&str, Look)])) {
        match self.widths(usize::from(room)) {
            Some(widths) => self.grid(&widths, &mut row),
            None => self.list(room, &mut row),
        }
    }

    /// Cells of the columns, if they can be beside each other.
    fn widths(&self, room: usize) -> Option<Vec<usize>> {
        let columns = self.alignments.len();
        if columns == 0 || columns > MOST_COLUMNS {
            return None;
        }
        let mut wanted = vec![1; columns];
        let mut least = vec![1; columns];
        for row in &self.rows {
            for (at, cell) in row.cells.iter().enumerate().take(columns) {
                let width = cell.width();
                wanted[at] = width.max(wanted[at]);
                least[at] = cell
                    .word(LONGEST_WORD)
                    .max(width.min(NARROWEST))
                    .max(least[at]);
            }
        }
        let room = room.checked_sub((columns - 1) * glyph::width(BORDER))?;
        if least.iter().sum::<usize>() > room {
            return None;
        }
        // What is there beyond the least goes to the columns that want most, evenly.
        let mut left = room - least.iter().sum::<usize>();
        let mut widths = least;
        loop {
            let mut wanting: Vec<usize> =
                (0..columns).filter(|&at| widths[at] < wanted[at]).collect();
            if wanting.is_empty() || left == 0 {
                return Some(widths);
            }
            wanting.sort_by_key(|&at| wanted[at] - widths[at]);
            let share = (left / wanting.len()).max(1);
            for at in wanting {
                let more = share.min(wanted[at] - widths[at]).min(left);
                widths[at] += more;
                left -= more;
            }
        }
    }

    fn grid(&self, widths: &[usize], row: &mut impl FnMut(usize, &[(&str, Look)])) {
        let blanks = " ".repeat(widths.iter().copied().max().unwrap_or(0));
        let frame = Look::from(Role::Frame);
        let line: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
        let line = line.join("─┼─");
        let mut tall = false;
        for (number, table_row) in self.rows.iter().enumerate() {
            let cells: Vec<Wrapped> = (0..widths.len())
                .map(|at| {
                    let text = table_row.cells.get(at).map_or("", |cell| &cell.text);
                    Wrapped::new(text, u16::try_from(widths[at]).unwrap_or(u16::MAX))
                })
                .collect();
            let height = cells.iter().map(|cell| cell.rows().len()).max();
            let height = height.unwrap_or(1);
            // Rows of several lines are told apart by a line.
            if number > 1 && (tall || height > 1) {
                row(table_row.source, &[(&line, frame)]);
            }
            tall = number > 0 && height > 1;
            for part in 0..height {
                let mut pieces: Vec<(&str, Look)> = Vec::new();
                for (at, cell) in cells.iter().enumerate() {
                    if at > 0 {
                        pieces.push((BORDER, frame));
                    }
                    let Some(range) = cell.rows().get(part) else {
                        pieces.push((&blanks[..widths[at]], Look::default()));
                        continue;
                    };
                    let Some(inline) = table_row.cells.get(at) else {
                        pieces.push((&blanks[..widths[at]], Look::default()));
                        continue;
                    };
                    let used = glyph::width(&inline.text[range.start..range.end]);
                    let free = widths[at].saturating_sub(used);
                    let before = match self.alignments.get(at) {
                        Some(Alignment::Right) => free,
                        Some(Alignment::Center) => free / 2,
                        _ => 0,
                    };
                    pieces.push((&blanks[..before], Look::default()));
                    let strong = number == 0;
                    let content = inline.pieces(range.start..range.end);
                    pieces.extend(content.map(|(text, look)| {
                        let strong = look.strong || strong;
                        (text, Look { strong, ..look })
                    }));
                    let last = at + 1 == widths.len();
                    let behind = if last { 0 } else { free - before };
                    pieces.push((&blanks[..behind], Look::default()));
                }
                row(table_row.source, &pieces);
            }
            if number == 0 {
                row(table_row.source, &[(&line, frame)]);
            }
        }
    }

    /// Every row as lines of `header: cell`.
    fn list(&self, room: u16, row: &mut impl FnMut(usize, &[(&str, Look)])) {
        let Some((header, body)) = self.rows.split_first() else {
            return;
        };
        let line = "─".repeat(usize::from(room));
        let only_header = body.is_empty();
        let body = if only_header { &self.rows[..] } else { body };
        for (number, table_row) in body.iter().enumerate() {
            if number > 0 {
                row(table_row.source, &[(&line, Role::Frame.into())]);
            }
            for (at, cell) in table_row.cells.iter().enumerate() {
                if cell.is_empty() {
                    continue;
                }
                let mut text = Inline::default();
                let source = table_row.source..table_row.source;
                let name = header.cells.get(at).filter(|name| !name.is_empty());
                if let Some(name) = name.filter(|_| !only_header) {
                    for (piece, look) in name.pieces(0..name.text.len()) {
                        let strong = true;
                        text.push(piece, Look { strong, ..look }, source.clone());
                    }
                    text.push(": ", Role::Frame.into(), source.clone());
                }
                for (piece, look) in cell.pieces(0..cell.text.len()) {
                    text.push(piece, look, source.clone());
                }
                for range in Wrapped::new(&text.text, room).rows() {
                    let pieces: Vec<_> = text.pieces(range.start..range.end).collect();
                    row(table_row.source, &pieces);
                }
            }
        }
    }
}
