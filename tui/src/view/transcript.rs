//! The conversation.

use std::ptr;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::format;
use super::markdown::{self, Around};
use super::theme::Theme;
use super::{put, shorten};
use crate::app::commands::Action;
use crate::app::context;
use crate::app::state::{Load, State};
use crate::chat::glyph::width;
use crate::chat::transcript::{AnswerState, Entry, INDENT, Kind, Line};

/// Draws the lines that are seen and, until something is said, a greeting below the notes.
pub(super) fn draw(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let entries = state.transcript.entries();
    if !entries.iter().any(|entry| entry.kind == Kind::User) {
        let notes = state
            .transcript
            .height()
            .saturating_sub(state.printed_lines());
        let notes = u16::try_from(notes).unwrap_or(u16::MAX);
        for (row, text) in (notes..area.height).zip(greeting(state)) {
            put(buffer, area, INDENT, row, &text, theme.dim());
        }
    }
    lines(state, theme, state.top(), area, buffer);
}

/// Draws the lines from number `top` on.
pub(super) fn lines(state: &State, theme: Theme, top: usize, area: Rect, buffer: &mut Buffer) {
    let kept = state.transcript.entries().get(context::outside(state));
    // Entries lie in memory in the order in which they were said.
    let is_outside =
        |entry: &Entry| kept.is_some_and(|kept| ptr::from_ref(entry) < ptr::from_ref(kept));
    let begin = top.saturating_sub(1);
    let lines = state.transcript.lines(begin);
    let lines: Vec<Line<'_>> = lines.take(usize::from(area.height) + 2).collect();
    let text_of = |at: Option<usize>, of: &Entry| match lines.get(at?)? {
        Line::Text { entry, row, .. } if ptr::eq(*entry, of) => Some(row.text),
        _ => None,
    };
    let selected = state
        .select
        .and_then(|number| state.transcript.lines_of(number));
    for (row, (place, line)) in (0..area.height).zip(lines.iter().enumerate().skip(top - begin)) {
        let at = top + usize::from(row);
        if selected.is_some_and(|(first, height)| (first..first + height - 1).contains(&at)) {
            put(buffer, area, 1, row, "│", theme.strong());
        }
        match *line {
            Line::Blank => {}
            Line::Mark(mark) => {
                put(buffer, area, INDENT, row, mark, theme.dim());
            }
            Line::Text {
                entry,
                row: text,
                first,
            } => {
                let style = match entry.kind {
                    Kind::User => theme.user(),
                    Kind::Answer(_) | Kind::Race => theme.text(),
                    Kind::Note => theme.dim(),
                    Kind::Error => theme.error(),
                };
                let said = matches!(entry.kind, Kind::User | Kind::Answer(_));
                let outside = said && is_outside(entry);
                let style = if outside { theme.dim() } else { style };
                if first && outside {
                    put(buffer, area, 0, row, "×", style);
                } else if first && entry.kind == Kind::User {
                    put(buffer, area, 0, row, ">", style);
                }
                let waits = entry.kind == Kind::Answer(AnswerState::Running);
                if waits && entry.text.is_empty() {
                    put(buffer, area, INDENT, row, "…", style);
                } else {
                    let around = Around {
                        before: text_of(place.checked_sub(1), entry),
                        behind: text_of(Some(place + 1), entry),
                    };
                    markdown::draw(text, around, style, state, area, row, buffer);
                }
            }
        }
    }
}

/// At most three lines: what this is, how to begin, where to read more.
fn greeting(state: &State) -> [String; 3] {
    let room = usize::from(state.size.0.saturating_sub(INDENT));
    let first = match &state.load {
        Load::Ready(model) => {
            // A server need not say everything.
            let parameters = format!(", {} parameters", format::parameters(model.parameters));
            let parameters = if model.parameters > 0 {
                &*parameters
            } else {
                ""
            };
            let architecture = match model.architecture.as_str() {
                "" => String::new(),
                architecture => format!(", {architecture}"),
            };
            let short = format!("{}{parameters}", model.name);
            let long = format!("{short}{architecture}, context {}", model.context);
            if width(&long) <= room {
                long
            } else {
                shorten(&short, room)
            }
        }
        Load::Running(_) => "The model is being loaded.".to_owned(),
        Load::Failed(_) => "There is no model.".to_owned(),
    };
    let send = state.setting.keymap.label(Action::Send);
    let third = match &state.resumable {
        None => "/help shows keys and commands.".to_owned(),
        Some(last) => {
            let how = match last.unfinished {
                true => " the one cut off",
                false => "",
            };
            let title = &last.details.title;
            match room {
                0..50 => format!("/help. /resume{how}: {title}"),
                _ => format!("/help: keys and commands. /resume goes on with{how}: {title}"),
            }
        }
    };
    let others = [format!("Write a message, {send} sends it."), third];
    let [second, third] = others.map(|text| shorten(&text, room));
    [first, second, third]
}
