//! The help, made from the table of commands.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::put;
use super::theme::Theme;
use crate::app::commands::COMMANDS;
use crate::app::keymap::Keymap;
use crate::chat::glyph::width;
use crate::chat::wrap::Wrapped;

/// Cells between what is pressed and what happens.
const GAP: usize = 2;

/// Screens narrower than this have the explanation below the command.
const WIDE: u16 = 60;

/// Widest usage that shares its row with the explanation.
const WIDEST: usize = 20;

/// Notes under the table.
const FOOT: [&str; 2] = [
    "Up and Down move in the input and, at its edges, go through what you sent before.",
    "Other keys edit as in a shell: Ctrl+A, E, K, U, W, Alt+B, F.",
];

/// Rows of the help on a screen of `columns`.
pub(crate) fn height(columns: u16, keymap: &Keymap) -> usize {
    rows(columns, keymap).len()
}

/// A row: what is pressed, and what happens.
type Row = (String, String);

fn rows(columns: u16, keymap: &Keymap) -> Vec<Row> {
    let mut rows = vec![
        ("Keys and commands".to_owned(), String::new()),
        Row::default(),
    ];
    let usages: Vec<String> = COMMANDS
        .iter()
        .map(|command| command.usage(keymap))
        .collect();
    let left = left_column(columns, &usages);
    for (command, usage) in COMMANDS.iter().zip(usages) {
        // A usage that is wider than its column has a row for itself.
        let mut usage = if width(&usage) + GAP > left {
            rows.push((usage, String::new()));
            String::new()
        } else {
            usage
        };
        for line in broken(command.help, usize::from(columns).saturating_sub(left + 1)) {
            rows.push((std::mem::take(&mut usage), line));
        }
    }
    for note in FOOT {
        rows.push(Row::default());
        for line in broken(note, usize::from(columns).saturating_sub(1)) {
            rows.push((line, String::new()));
        }
    }
    rows.push(Row::default());
    rows.push(("Esc closes".to_owned(), String::new()));
    rows
}

fn left_column(columns: u16, usages: &[String]) -> usize {
    if columns < WIDE {
        return 4;
    }
    let widest = usages
        .iter()
        .map(|usage| width(usage))
        .filter(|width| *width <= WIDEST)
        .max();
    widest.unwrap_or(0) + GAP
}

fn broken(text: &str, cells: usize) -> Vec<String> {
    let wrapped = Wrapped::new(text, u16::try_from(cells).unwrap_or(u16::MAX));
    wrapped
        .rows()
        .iter()
        .map(|row| text[row.start..row.end].to_owned())
        .collect()
}

/// Draws the help from row `top` on over `area`.
pub(super) fn draw(top: usize, keymap: &Keymap, theme: Theme, area: Rect, buffer: &mut Buffer) {
    for position in area.positions() {
        buffer[position].reset();
    }
    let all = rows(area.width, keymap);
    let usages: Vec<String> = COMMANDS
        .iter()
        .map(|command| command.usage(keymap))
        .collect();
    let column = u16::try_from(left_column(area.width, &usages)).unwrap_or(0);
    for (row, (left, right)) in (0..area.height).zip(all.iter().skip(top)) {
        put(buffer, area, 0, row, left, theme.strong());
        put(buffer, area, column, row, right, theme.text());
    }
    let below = all.len().saturating_sub(top + usize::from(area.height));
    if below > 0 {
        // The line that says so takes one more.
        let below = below + 1;
        let text = format!(" {below} more lines: Down ");
        let start = area
            .width
            .saturating_sub(u16::try_from(width(&text)).unwrap_or(0));
        let last = area.height.saturating_sub(1);
        for x in 0..area.width {
            buffer[(area.x + x, area.y + last)].reset();
        }
        put(buffer, area, start, last, &text, theme.dim());
    }
}
