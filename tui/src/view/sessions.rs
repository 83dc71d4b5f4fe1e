//! The Sessions view: the list, and the session that is selected.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use tritone_store::{Role, Tree};

use super::theme::Theme;
use super::{put, shorten};
use crate::app::keep::Row;
use crate::app::state::State;
use crate::app::views::sessions::{Field, Sessions};
use crate::chat::glyph::width;
use crate::chat::wrap::Wrapped;

/// From this width on the preview stands beside the list.
const WIDE: u16 = 100;
/// From this height on it stands below.
const TALL: u16 = 14;

/// Draws it.
pub(super) fn draw(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let view = &state.views.sessions;
    let head = Rect {
        height: 1.min(area.height),
        ..area
    };
    heading(view, theme, head, buffer);
    let rest = Rect {
        y: area.y + head.height,
        height: area.height - head.height,
        ..area
    };
    let (list, look) = parts(rest);
    match &view.rows {
        _ if !state.keeping => {
            put(
                buffer,
                list,
                0,
                0,
                "Nothing is kept in this chat (--no-save).",
                theme.dim(),
            );
        }
        None => {
            put(buffer, list, 0, 0, "reading ...", theme.dim());
        }
        Some(rows) if rows.is_empty() => {
            let text = match view.search.is_empty() {
                true => "There are no earlier chats: write one, it is kept.",
                false => "Nothing was found: every word has to be there, or its beginning.",
            };
            put(buffer, list, 0, 0, text, theme.dim());
        }
        Some(rows) => {
            let now = state.conversation.kept.as_ref().map(|kept| kept.0);
            lines(rows, view, now, theme, list, buffer);
        }
    }
    if let Some(look) = look {
        preview(view, theme, look, buffer);
    }
}

/// Where the list is, and the preview if there is room.
fn parts(area: Rect) -> (Rect, Option<Rect>) {
    if area.width >= WIDE {
        let list = area.width / 2;
        let look = Rect {
            x: area.x + list + 1,
            width: area.width - list - 1,
            ..area
        };
        return (
            Rect {
                width: list,
                ..area
            },
            Some(look),
        );
    }
    if area.height >= TALL {
        let look = area.height * 2 / 5;
        let list = area.height - look;
        let below = Rect {
            y: area.y + list,
            height: look,
            ..area
        };
        return (
            Rect {
                height: list,
                ..area
            },
            Some(below),
        );
    }
    (area, None)
}

/// What is typed, or what can be done.
fn heading(view: &Sessions, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let (label, text) = match &view.field {
        Some(Field::Search) => ("search: ", &view.search),
        Some(Field::Title(_, text)) => ("title: ", text),
        Some(Field::Tags(_, text)) => ("tags: ", text),
        Some(Field::File(_, text)) => ("file (.md or .json): ", text),
        None if view.search.is_empty() => {
            let help = match area.width {
                0..66 => "Enter opens, / search, n t d u x",
                _ => "Enter opens  / search  n title  t tags  d delete  u undo  x export",
            };
            put(buffer, area, 0, 0, help, theme.dim());
            return;
        }
        None => ("found: ", &view.search),
    };
    let column = put(buffer, area, 0, 0, label, theme.dim());
    // The end of the text is what is being typed.
    let room = usize::from(area.width.saturating_sub(column + 1));
    let mut shown = text.as_str();
    while width(shown) > room {
        let mut rest = shown.chars();
        rest.next();
        shown = rest.as_str();
    }
    let column = put(buffer, area, column, 0, shown, theme.strong());
    if view.field.is_some() {
        put(buffer, area, column, 0, "_", theme.strong());
    }
}

/// The list; a session that was found has a second line with what was found.
fn lines(
    rows: &[Row],
    view: &Sessions,
    now: Option<i64>,
    theme: Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let each = if rows.iter().any(|row| row.hit.is_some()) {
        2
    } else {
        1
    };
    let top = view.selected.top(rows.len(), area.height / each);
    let selected = view.selected.row(rows.len());
    let shown = rows.iter().enumerate().skip(top);
    for (line, (at, row)) in (0..area.height).step_by(usize::from(each)).zip(shown) {
        let style = if at == selected {
            theme.strong()
        } else {
            theme.text()
        };
        let mark = if at == selected { ">" } else { " " };
        put(buffer, area, 0, line, mark, style);
        session(row, now, theme, style, area, line, buffer);
        if let Some(hit) = &row.hit {
            let mut column = 4;
            for piece in &hit.snippet {
                let style = if piece.found {
                    theme.active()
                } else {
                    theme.dim()
                };
                column = put(buffer, area, column, line + 1, &piece.text, style);
            }
        }
    }
}

/// A session: when and what; how much, the model and the tags where there is room.
fn session(
    row: &Row,
    now: Option<i64>,
    theme: Theme,
    style: Style,
    area: Rect,
    line: u16,
    buffer: &mut Buffer,
) {
    let details = &row.session.details;
    let state = match row {
        _ if now == Some(row.session.id) => "here",
        row if row.elsewhere => "open elsewhere",
        row if row.session.unfinished => "cut off",
        _ => "",
    };
    let mut right = state.to_owned();
    if area.width >= 50 || state.is_empty() {
        let space = if state.is_empty() { "" } else { "  " };
        right.push_str(&format!("{space}{} msgs", row.session.messages));
    }
    if area.width >= 72 {
        let model = details.model.as_deref().unwrap_or("-");
        right.push_str(&format!("  {}", shorten(model, 16)));
    }
    let start = area
        .width
        .saturating_sub(u16::try_from(width(&right)).unwrap_or(area.width));
    let column = put(
        buffer,
        area,
        2,
        line,
        &format!("{:<11} ", row.when),
        theme.dim(),
    );
    let room = usize::from(start.saturating_sub(column + 1));
    let title = shorten(&details.title, room);
    let column = put(buffer, area, column, line, &title, style);
    let tags: String = details.tags.iter().map(|tag| format!(" #{tag}")).collect();
    let room = usize::from(start.saturating_sub(column + 1));
    put(
        buffer,
        area,
        column,
        line,
        &shorten(&tags, room),
        theme.user(),
    );
    put(buffer, area, start, line, &right, theme.dim());
}

/// The end of the conversation that is selected.
fn preview(view: &Sessions, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let tree = match (&view.preview, view.row()) {
        (Some((id, tree)), Some(row)) if *id == row.session.id => tree,
        _ => return,
    };
    let beside = area.x > 0;
    for row in 0..area.height {
        if beside {
            put(buffer, area, 0, row, "│", theme.dim());
        }
    }
    let area = if beside {
        Rect {
            x: area.x + 2,
            width: area.width.saturating_sub(2),
            ..area
        }
    } else {
        put(
            buffer,
            area,
            0,
            0,
            &"─".repeat(usize::from(area.width)),
            theme.dim(),
        );
        Rect {
            y: area.y + 1,
            height: area.height.saturating_sub(1),
            ..area
        }
    };
    let (found, about) = match view.row() {
        Some(row) => (row.hit.as_ref().and_then(|hit| hit.message), about(row)),
        None => (None, String::new()),
    };
    put(buffer, area, 0, 0, &about, theme.dim());
    let area = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1),
        ..area
    };
    let text = conversation(tree, found, area);
    for (row, (from, line)) in (0..area.height).zip(text) {
        let style = match from {
            Role::User => theme.user(),
            Role::Assistant => theme.text(),
        };
        put(buffer, area, 0, row, &line, style);
    }
}

/// What a session is held with, in a line.
fn about(row: &Row) -> String {
    let details = &row.session.details;
    let mut about = format!("chat {}", row.session.id);
    about.extend(details.model.iter().map(|model| format!(" · {model}")));
    about.extend(details.tags.iter().map(|tag| format!(" #{tag}")));
    about
}

/// The lines of a conversation: from the message that was found on, or as much of its end as fits.
fn conversation(tree: &Tree, found: Option<u32>, area: Rect) -> Vec<(Role, String)> {
    let path = tree.path();
    let room = usize::from(area.height);
    let mut text: Vec<(Role, String)> = Vec::new();
    let from = found.and_then(|found| path.iter().position(|&number| number == found));
    let last = path.len().saturating_sub(room.max(1));
    for message in path[from.unwrap_or(last)..]
        .iter()
        .filter_map(|&n| tree.get(n))
    {
        // Of a long message no more than the view could show.
        let beginning: String = message
            .text
            .chars()
            .take(room * usize::from(area.width))
            .collect();
        let mark = if message.role == Role::User {
            "> "
        } else {
            "  "
        };
        let wrapped = Wrapped::new(&beginning, area.width.saturating_sub(3).max(1));
        for (at, row) in wrapped.rows().iter().enumerate() {
            let mark = if at == 0 { mark } else { "  " };
            text.push((
                message.role,
                format!("{mark}{}", &beginning[row.start..row.end]),
            ));
        }
    }
    let skipped = match from {
        Some(_) => 0,
        None => text.len().saturating_sub(room),
    };
    text.split_off(skipped)
}

#[cfg(test)]
mod tests;
