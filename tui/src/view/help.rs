//! The help, made from the table of commands.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::put;
use super::theme::Theme;
use crate::app::commands::{COMMANDS, Command, Group};
use crate::app::state::State;
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

/// The keys of vi, where they edit the input.
const VI_TITLE: &str = "The keys of vi";
const VI: [(&str, &str); 13] = [
    (
        "Esc",
        "NORMAL: keys are orders. There, Esc stops an answer, as Ctrl+C does in every mode",
    ),
    (
        "i a I A o O",
        "INSERT: keys write; Ctrl+R and a register put what it holds",
    ),
    ("Enter", "sends in every mode"),
    (
        "h j k l",
        "move; k in the first line and j in the last go through what you sent; gj, gk by rows",
    ),
    ("w b e ge W B E", "by words"),
    ("0 ^ $ g_ gg G { } %", "in the line and in the text"),
    ("f F t T ; ,", "to a character in the line"),
    (
        "d c y",
        "with a motion, twice, or with iw aw i\" a\" i( a[ ip and so on; x X s S C D Y",
    ),
    (
        "p P \"a",
        "put what was deleted or copied; \"a names a register, \"+ is the clipboard",
    ),
    ("r ~ g~ gu gU J", "replace, change case, join"),
    ("u Ctrl+R .", "undo, redo, do the last change again"),
    ("v V", "VISUAL: select; o goes to the other end"),
    (
        "/ :",
        "search what you sent, all commands; Ctrl+F, B, E, Y scroll the conversation",
    ),
];

/// Rows of the help on the screen.
pub(crate) fn height(state: &State) -> usize {
    rows(state).0.len()
}

/// A row: what is pressed, and what happens.
type Row = (String, String);

/// The rows, and where the second column begins.
fn rows(state: &State) -> (Vec<Row>, usize) {
    let columns = state.size.0;
    let keymap = &state.setting.keymap;
    let filter = state.help_filter.as_str();
    let mut rows = vec![heading(filter), Row::default()];
    let usages: Vec<String> = COMMANDS
        .iter()
        .map(|command| command.usage(keymap))
        .collect();
    let left = left_column(columns, &usages);
    let before = rows.len();
    for group in Group::ALL {
        let of_group = |(command, usage): &(&Command, &String)| {
            Group::of(command.action) == group && is_found(command, usage, filter)
        };
        let found: Vec<_> = COMMANDS.iter().zip(&usages).filter(of_group).collect();
        if found.is_empty() {
            continue;
        }
        if rows.len() > before {
            rows.push(Row::default());
        }
        rows.push((group.title().to_owned(), String::new()));
        for (command, usage) in found {
            // A usage that is wider than its column has a row for itself.
            let mut usage = if width(usage) + GAP > left {
                rows.push((format!("  {usage}"), String::new()));
                String::new()
            } else {
                format!("  {usage}")
            };
            for line in broken(command.help, usize::from(columns).saturating_sub(left + 3)) {
                rows.push((std::mem::take(&mut usage), line));
            }
        }
    }
    if state.vi.is_some() {
        vi_rows(&mut rows, left, before, columns, filter);
    }
    if rows.len() == before {
        rows.push(("nothing is called so".to_owned(), String::new()));
    }
    if filter.is_empty() {
        for note in FOOT {
            rows.push(Row::default());
            for line in broken(note, usize::from(columns).saturating_sub(1)) {
                rows.push((line, String::new()));
            }
        }
    }
    rows.push(Row::default());
    let end = match filter {
        "" => "Esc closes",
        _ => "Esc ends the search",
    };
    rows.push((end.to_owned(), String::new()));
    (rows, left + 2)
}

/// Adds the keys of vi.
fn vi_rows(rows: &mut Vec<Row>, left: usize, before: usize, columns: u16, filter: &str) {
    let mut titled = false;
    for (keys, help) in VI {
        if !holds(&format!("{VI_TITLE} {keys} {help}"), filter) {
            continue;
        }
        if !std::mem::replace(&mut titled, true) {
            if rows.len() > before {
                rows.push(Row::default());
            }
            rows.push((VI_TITLE.to_owned(), String::new()));
        }
        let mut keys = format!("  {keys}");
        if width(&keys) + GAP > left + 2 {
            rows.push((std::mem::take(&mut keys), String::new()));
        }
        for line in broken(help, usize::from(columns).saturating_sub(left + 3)) {
            rows.push((std::mem::take(&mut keys), line));
        }
    }
}

fn heading(filter: &str) -> Row {
    let text = match filter {
        "" => "Keys and commands (type to search)".to_owned(),
        filter => format!("Keys and commands with \"{filter}\""),
    };
    (text, String::new())
}

/// Whether usage or help say it, in whatever case.
fn is_found(command: &Command, usage: &str, filter: &str) -> bool {
    let names = command.names.join(" ");
    holds(&format!("{usage} {names} {}", command.help), filter)
}

/// Whether a text has all words of the filter, in whatever case.
fn holds(text: &str, filter: &str) -> bool {
    let all = text.to_lowercase();
    filter
        .to_lowercase()
        .split_whitespace()
        .all(|word| all.contains(word))
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
pub(super) fn draw(top: usize, state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    for position in area.positions() {
        buffer[position].reset();
    }
    let (all, column) = rows(state);
    let column = u16::try_from(column).unwrap_or(0);
    for (row, (left, right)) in (0..area.height).zip(all.iter().skip(top)) {
        let title = left == VI_TITLE || Group::ALL.iter().any(|group| group.title() == left);
        let style = match title {
            true => theme.heading(),
            false => theme.strong(),
        };
        put(buffer, area, 0, row, left, style);
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
