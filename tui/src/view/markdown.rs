//! Rows of an answer, in the theme's styles.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::put;
use super::theme::{Code, Theme};
use crate::app::state::State;
use crate::chat::markdown::RowView;
use crate::chat::markdown::look::{Look, Role, Token};
use crate::chat::transcript::{INDENT, text_width};
use crate::chat::{find, glyph};

/// The rows before and behind one in the same text, as they are read on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Around<'a> {
    pub(super) before: Option<&'a str>,
    pub(super) behind: Option<&'a str>,
}

/// Draws a row of the transcript; `base` is the style of what has no look of its own.
pub(super) fn draw(
    row: RowView<'_>,
    around: Around<'_>,
    base: Style,
    state: &State,
    area: Rect,
    line: u16,
    buffer: &mut Buffer,
) {
    let theme = Theme::new(state.setting.look);
    let mut column = INDENT;
    let mut at = 0;
    let colors = row
        .code
        .and_then(|code| Some((code, state.colors.of(code.key)?)));
    let plain = colors.map_or(row.text.len(), |(code, _)| code.skip);
    for span in row.spans {
        let end = (at + span.len).min(plain);
        let text = row.text.get(at..end).unwrap_or_default();
        let style = base.patch(style(theme, span.look));
        column = put(buffer, area, column, line, text, style);
        at = at.max(end);
    }
    if let Some((code, spans)) = colors {
        let mut before = code.offset;
        for span in spans {
            let left = span.len.saturating_sub(before);
            before = before.saturating_sub(span.len);
            let end = (at + left).min(row.text.len());
            let text = row.text.get(at..end).unwrap_or_default();
            let style = base.patch(style(theme, span.look));
            column = put(buffer, area, column, line, text, style);
            at = end;
        }
    }
    let rest = row.text.get(at..).unwrap_or_default();
    put(buffer, area, column, line, rest, base);
    if let Some(find) = &state.find {
        let room = usize::from(text_width(area.width));
        for range in hits(row.text, around, &find.text, room) {
            let before = cells(row.text.get(..range.start).unwrap_or_default());
            let width = cells(row.text.get(range).unwrap_or_default());
            let found = Rect {
                x: area.x.saturating_add(INDENT).saturating_add(before),
                y: area.y + line,
                width,
                height: 1,
            };
            buffer.set_style(found.intersection(area), theme.selected());
        }
    }
}

/// Where `row` has what is looked for, or a part of it where it goes on in the next row.
fn hits(row: &str, around: Around<'_>, wanted: &str, room: usize) -> Vec<Range<usize>> {
    let mut hits: Vec<Range<usize>> = find::all(row, wanted).collect();
    let begun = around
        .behind
        .and_then(|behind| across(row, behind, wanted, room));
    hits.extend(begun.map(|(start, _)| start..row.trim_end().len()));
    let ended = around
        .before
        .and_then(|before| across(before, row, wanted, room));
    let indent = row.len() - row.trim_start().len();
    hits.extend(ended.map(|(_, end)| indent..indent + end));
    hits
}

/// A hit that begins in the first of two rows and ends in the second: where it begins, and how much of the
/// second it takes. A line is broken at a blank, or, where the first row is full, maybe within a word.
fn across(first: &str, second: &str, wanted: &str, room: usize) -> Option<(usize, usize)> {
    let (first, second) = (first.trim_end(), second.trim_start());
    let full = glyph::width(first) >= room;
    let blanks: &[&str] = if full { &[" ", ""] } else { &[" "] };
    blanks.iter().find_map(|blank| {
        let text = format!("{first}{blank}{second}");
        let begin = first.len() + blank.len();
        let mut hits = find::all(&text, wanted);
        let over = hits.find(|hit| hit.start < first.len() && hit.end > begin)?;
        Some((over.start, over.end - begin))
    })
}

fn cells(text: &str) -> u16 {
    u16::try_from(glyph::width(text)).unwrap_or(u16::MAX)
}

/// The style of a look. Without colours only bold, dim and underlined are left.
fn style(theme: Theme, look: Look) -> Style {
    let colors = theme.accent().fg.is_some();
    let mut style = match look.role {
        Role::Text => Style::new(),
        Role::Heading(1) => theme.heading().add_modifier(Modifier::UNDERLINED),
        Role::Heading(_) => theme.heading(),
        Role::Code if colors => theme.code(Code::Function),
        Role::Code => theme.strong(),
        Role::Link => theme.link(),
        Role::Address | Role::Markup | Role::Frame => theme.dim(),
        Role::Token(token) => self::token(theme, token),
    };
    if look.strong {
        style = style.add_modifier(Modifier::BOLD);
    }
    if look.emphasis {
        style = style.add_modifier(if colors {
            Modifier::ITALIC
        } else {
            Modifier::UNDERLINED
        });
    }
    if look.struck {
        style = style.add_modifier(if colors {
            Modifier::CROSSED_OUT
        } else {
            Modifier::DIM
        });
    }
    style
}

fn token(theme: Theme, token: Token) -> Style {
    match token {
        Token::Plain => theme.code(Code::Plain),
        Token::Keyword => theme.code(Code::Keyword),
        Token::Type | Token::Name => theme.code(Code::Type),
        Token::Function => theme.code(Code::Function),
        Token::String => theme.code(Code::String),
        Token::Constant => theme.code(Code::Number),
        Token::Comment if theme.accent().fg.is_none() => theme.dim(),
        Token::Comment => theme.code(Code::Comment),
        Token::Inserted => theme.ok(),
        Token::Deleted => theme.error(),
    }
}

#[cfg(test)]
mod tests;
