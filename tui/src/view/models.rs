//! The Models view: a table, and what there is to say about the selected model.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::theme::Theme;
use super::{format, put, shorten};
use crate::app::host::ModelRow;
use crate::app::state::State;
use crate::app::views::models::Models;
use crate::chat::glyph::width;

/// Screens narrower than this have name, size and memory only.
const NARROW: u16 = 70;
/// Lines about the selected model.
const DETAIL: u16 = 3;

/// Draws it.
pub(super) fn draw(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let models = &state.views.models;
    let line = |y: u16| Rect {
        y: area.y + y.min(area.height),
        height: area.height.saturating_sub(y).min(1),
        ..area
    };
    heading(models, theme, line(0), buffer);
    let shown = models.shown();
    if shown.is_empty() {
        empty(models, theme, line(1), buffer);
        return;
    }
    let columns = Columns::of(&shown, area.width);
    columns.titles(theme, line(1), buffer);
    let detail = if area.height > 8 + DETAIL { DETAIL } else { 1 };
    let height = area.height.saturating_sub(2 + detail);
    let row = models.selected.row(shown.len());
    let top = models.selected.top(shown.len(), height);
    for (y, (index, model)) in (2..2 + height).zip(shown.iter().enumerate().skip(top)) {
        let style = match (index == row, model.why_not.is_some() || !model.fits) {
            (true, _) => theme.selected(),
            (false, true) => theme.dim(),
            (false, false) => theme.text(),
        };
        columns.row(model, style, line(y), buffer);
    }
    let below = Rect {
        y: area.y + area.height.saturating_sub(detail),
        height: detail.min(area.height),
        ..area
    };
    if let Some(model) = shown.get(row) {
        about(model, theme, below, buffer);
    }
}

/// How many there are, what is shown of them and what keys do.
fn heading(models: &Models, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let shown = models.shown().len();
    let all = models.list.rows.len();
    let count = match (models.looking, models.filter.is_empty()) {
        (Some((_, 0)), _) => "looking for models".to_owned(),
        (Some((done, of)), _) => format!("looking at model {done} of {of}"),
        (None, true) if all == 1 => "1 model".to_owned(),
        (None, true) => format!("{all} models"),
        (None, false) => format!("{shown} of {all} models"),
    };
    let mut column = put(buffer, area, 0, 0, &count, theme.strong());
    if models.filtering || !models.filter.is_empty() {
        let cursor = if models.filtering { "_" } else { "" };
        let filter = format!("  /{}{cursor}", models.filter);
        column = put(buffer, area, column, 0, &filter, theme.marker());
    }
    let keys = match (models.filtering, models.looking.is_some()) {
        (true, _) => "Enter: keep  Esc: all",
        (false, true) => "Esc: stop",
        (false, false) => "Enter: load  /: filter  r: look again",
    };
    let room = area.width.saturating_sub(column + 2);
    if width(keys) <= usize::from(room) {
        put(buffer, area, column + 2, 0, keys, theme.dim());
    }
}

fn empty(models: &Models, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let text = match (&models.failed, models.looking) {
        (Some(why), _) => why.as_str(),
        (None, Some(_)) => return,
        (None, None) if models.filter.is_empty() => "no model was found; r looks again",
        (None, None) => "no model has that in its name",
    };
    put(buffer, area, 0, 0, text, theme.dim());
}

/// Where the columns are.
struct Columns {
    name: u16,
    ty: u16,
    wide: bool,
}

impl Columns {
    fn of(shown: &[&ModelRow], columns: u16) -> Self {
        let wide = columns >= NARROW;
        let longest = |text: fn(&ModelRow) -> &str, least: usize| {
            let longest = shown.iter().map(|row| width(text(row))).max();
            u16::try_from(longest.unwrap_or(0).max(least)).unwrap_or(u16::MAX)
        };
        let ty = if wide {
            longest(|row| &row.format, 4).min(8)
        } else {
            0
        };
        // Mark, size, memory and what is between.
        let others = 2 + 2 + 9 + 9 + if wide { ty + 2 + 24 } else { 0 };
        Self {
            name: longest(|row| &row.name, 5).min(columns.saturating_sub(others)),
            ty,
            wide,
        }
    }

    fn titles(&self, theme: Theme, area: Rect, buffer: &mut Buffer) {
        let titles = ["model", "type", "size", "memory", "runs here"];
        self.cells(titles, theme.dim(), area, buffer);
    }

    fn row(&self, model: &ModelRow, style: Style, area: Rect, buffer: &mut Buffer) {
        let blank = " ".repeat(usize::from(area.width));
        put(buffer, area, 0, 0, &blank, style);
        let size = format::bytes(model.bytes);
        let memory = match model.memory {
            Some((total, _)) => format::bytes(total),
            None => "-".to_owned(),
        };
        let verdict = match (&model.why_not, model.memory) {
            (Some(why), _) => why.clone(),
            (None, Some(_)) if !model.fits => "too large for the limit".to_owned(),
            (None, _) if model.active => "in use".to_owned(),
            (None, _) => "yes".to_owned(),
        };
        let cells = [&model.name, &model.format, &size, &memory, &verdict];
        self.cells(cells.map(String::as_str), style, area, buffer);
        if model.active {
            put(buffer, area, 0, 0, "*", style);
        }
    }

    fn cells(&self, cells: [&str; 5], style: Style, area: Rect, buffer: &mut Buffer) {
        let [name, ty, size, memory, verdict] = cells;
        let mut column = 2;
        let mut cell = |text: &str, width: u16, buffer: &mut Buffer| {
            let width = width.min(area.width.saturating_sub(column));
            let text = shorten(text, usize::from(width));
            put(buffer, area, column, 0, &text, style);
            column += width + 2;
        };
        cell(name, self.name, buffer);
        if self.wide {
            cell(ty, self.ty, buffer);
        }
        cell(size, 7, buffer);
        cell(memory, 7, buffer);
        if self.wide {
            cell(verdict, area.width, buffer);
        }
    }
}

/// The selected model in words.
fn about(model: &ModelRow, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let mut lines = Vec::new();
    let memory = match (&model.why_not, model.memory) {
        (Some(why), _) => format!("does not run: {why}"),
        (None, Some((total, Some(limit)))) => format!(
            "would take {} of a limit of {}{}",
            format::bytes(total),
            format::bytes(limit),
            if model.fits { "" } else { ": it does not fit" }
        ),
        (None, Some((total, None))) => format!("would take {}", format::bytes(total)),
        (None, None) => "what it would take is known once it is converted".to_owned(),
    };
    lines.push(memory);
    let mut what = vec![model.format.clone()];
    what.extend(model.architecture.clone());
    what.extend(
        model
            .parameters
            .map(|count| format!("{} weights", format::parameters(count))),
    );
    lines.push(what.join(", "));
    let place = match model.path.as_str() {
        "" => model.place.clone(),
        path => format!("{}: {path}", model.place),
    };
    lines.push(place);
    for (row, line) in (0..area.height).zip(lines) {
        let line = shorten(&line, usize::from(area.width));
        put(buffer, area, 0, row, &line, theme.dim());
    }
}

#[cfg(test)]
mod tests;
