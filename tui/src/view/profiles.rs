//! The Profiles view: the list above, everything about the selected one below.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::theme::Theme;
use super::{cell, padded, paragraph, put};
use crate::app::profiles::ProfileCard;
use crate::app::state::State;
use crate::app::views::profiles::{Role, details};
use crate::chat::glyph::width;

/// Screens narrower than this show fewer columns.
const WIDE: u16 = 64;

/// Draws it.
pub(super) fn draw(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let view = &state.views.profiles;
    let cards = match &view.cards {
        None => {
            put(buffer, area, 0, 0, "looking for profiles ...", theme.dim());
            return;
        }
        Some(Err(why)) => {
            paragraph(buffer, area, 0, why, theme.error());
            return;
        }
        Some(Ok(cards)) => cards,
    };
    let rows = cards.rows.len();
    // Half of the screen at most, with the names of the columns.
    let height = u16::try_from(rows)
        .unwrap_or(u16::MAX)
        .saturating_add(1)
        .min((area.height / 2).max(2));
    let names = cards.rows.iter().map(|row| width(&row.name)).max();
    let names = names
        .unwrap_or(0)
        .clamp(7, usize::from(area.width / 3).max(7));
    put(buffer, area, 0, 0, &header(names, area.width), theme.dim());
    let top = view.selected.top(rows, height - 1);
    for (line, (index, row)) in (1..height).zip(cards.rows.iter().enumerate().skip(top)) {
        let style = match index == view.selected.row(rows) {
            true => theme.selected(),
            false if row.says.is_err() => theme.error(),
            false => theme.text(),
        };
        put(
            buffer,
            area,
            0,
            line,
            &listed(row, names, area.width),
            style,
        );
    }
    let below = Rect {
        y: area.y + height,
        height: area.height - height,
        ..area
    };
    if let Some(row) = view.current() {
        put(
            buffer,
            below,
            0,
            0,
            &"─".repeat(usize::from(area.width)),
            theme.dim(),
        );
        let hint = " Enter apply  e look again  PgDn more ";
        let start = usize::from(area.width).saturating_sub(width(hint) + 2);
        put(
            buffer,
            below,
            u16::try_from(start).unwrap_or(0),
            0,
            hint,
            theme.dim(),
        );
        let lines = details(row, view.selection());
        let mut line = 1;
        for (role, content) in lines.iter().skip(view.scroll) {
            if line >= below.height {
                break;
            }
            line = paragraph(buffer, below, line, content, style(theme, *role));
        }
    }
}

fn style(theme: Theme, role: Role) -> Style {
    match role {
        Role::Heading => theme.strong(),
        Role::Text => theme.text(),
        Role::Dim => theme.dim(),
        Role::Good => theme.ok(),
        Role::Bad => theme.error(),
    }
}

fn header(names: usize, columns: u16) -> String {
    let head = format!("  {:names$}  THREADS  MEMORY", "PROFILE");
    match columns >= WIDE {
        true => format!("{head}   PRIORITY     BATCH  CONTEXT  FITS"),
        false => format!("{head}  FITS"),
    }
}

/// A line of the list.
fn listed(row: &ProfileCard, names: usize, columns: u16) -> String {
    let mark = if row.used { '*' } else { ' ' };
    let name = cell(&row.name, names);
    let says = match &row.says {
        Ok(says) => says,
        Err(_) => {
            let line = format!("{mark} {name}  cannot be used");
            return padded(&line, columns);
        }
    };
    let fits = match &says.plan {
        None => "",
        Some(plan) if plan.fits() => "yes",
        Some(_) => "no",
    };
    // As many as would run, not as many as are wanted.
    let threads = match &says.plan {
        Some(plan) => plan.threads.to_string(),
        None => says.value("threads").to_owned(),
    };
    let memory = says.value("memory_mb");
    let line = match columns >= WIDE {
        true => format!(
            "{mark} {name}  {threads:>7}  {memory:>6}   {:11}  {:>5}  {:>7}  {fits}",
            says.value("priority"),
            says.value("batch"),
            says.value("context"),
        ),
        false => format!("{mark} {name}  {threads:>7}  {memory:>6}  {fits}"),
    };
    padded(&line, columns)
}

#[cfg(test)]
mod tests;
