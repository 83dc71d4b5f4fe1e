//! The findings for people.

use super::finding::{Finding, Level};
use crate::chat::glyph;
use crate::cli::console::visible;

/// Columns of the level, the name, and the text behind them.
const LEVEL: usize = 9;
const NAME: usize = 18;

/// The listing, area by area, wrapped at `width` columns.
pub(super) fn text(findings: &[Finding], width: usize, color: bool) -> String {
    let indent = 2 + LEVEL + NAME;
    let room = width.saturating_sub(indent).max(30);
    let mut text = String::new();
    let mut area = "";
    for finding in findings {
        if finding.area != area {
            if !area.is_empty() {
                text.push('\n');
            }
            area = finding.area;
            text.push_str(&heading(area));
            text.push('\n');
        }
        let level = paint(finding.level, color);
        let mut lines = wrapped(&finding.value, room);
        lines.extend(
            finding
                .advice
                .iter()
                .flat_map(|advice| wrapped(advice, room)),
        );
        let first = lines.first().map_or("", String::as_str);
        text.push_str(&format!("  {level}{:NAME$}{first}\n", finding.name));
        for line in lines.iter().skip(1) {
            text.push_str(&format!("{:indent$}{line}\n", ""));
        }
    }
    text.push('\n');
    text.push_str(&summary(findings));
    text.push('\n');
    text
}

fn heading(area: &str) -> String {
    let mut letters = area.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// Lines of whole words, at most `width` columns where the words allow it: a command or a path is never
/// cut, so that it can be copied.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let text = visible(text);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && glyph::width(&line) + 1 + glyph::width(word) > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// The level, filled up to its column.
fn paint(level: Level, color: bool) -> String {
    let word = format!("{:LEVEL$}", level.word());
    let code = match level {
        Level::Ok => "32",
        Level::Note => "36",
        Level::Warning => "33",
        Level::Problem => "1;31",
    };
    match color {
        true => format!("\x1b[{code}m{word}\x1b[0m"),
        false => word,
    }
}

/// How many of each kind, in a sentence.
fn summary(findings: &[Finding]) -> String {
    let count = |level| {
        findings
            .iter()
            .filter(|finding| finding.level == level)
            .count()
    };
    let parts: Vec<String> = [Level::Problem, Level::Warning, Level::Note]
        .into_iter()
        .filter(|&level| count(level) > 0)
        .map(|level| {
            let s = if count(level) == 1 { "" } else { "s" };
            format!("{} {}{s}", count(level), level.word())
        })
        .collect();
    match parts.is_empty() {
        true => "All is well.".to_owned(),
        false => format!("{}.", parts.join(", ")),
    }
}
