//! Markdown as it streams in: text to rows, and only what is new each time.
//!
//! The parser works line by line, so a block at the top level is finished as soon as the next one
//! has begun on a whole line: whatever follows cannot change it any more. Finished blocks are
//! parsed, wrapped and kept as rows once; the last block is done again when text comes. Of code at
//! the top level only the last line is. The one thing that reaches back is a definition
//! (`[name]: address`, a footnote): a text with one is done as a whole each time.
//!
//! A text longer than [`WINDOW`] is read in windows. What reaches back does so within a window
//! only, and a block that does not fit into one is shown as it came, so that no text takes longer
//! than its length demands.

mod code;
mod highlight;
mod inline;
pub(crate) mod look;
mod mend;
mod rows;
mod table;
mod writer;

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag};

use self::code::Fence;
use self::writer::{Sheet, Writer};
use super::wrap::Wrapped;

pub(crate) use code::Code;
pub(crate) use highlight::{Colored, Colors, Highlighter, Job};
pub(crate) use rows::RowView;
use rows::Rows;

/// Bytes that are parsed at once, at most.
const WINDOW: usize = 32 << 10;

/// The rows of a text that is Markdown, at one width.
#[derive(Clone, Debug)]
pub(crate) struct Rich {
    width: u16,
    window: usize,
    rows: Rows,
    codes: Vec<Code>,
    frozen: Frozen,
    /// The block that does not fit into a window, as it came, behind the rows.
    long: Option<Long>,
}

/// What will not change any more.
#[derive(Clone, Debug, Default)]
struct Frozen {
    /// Bytes of the text.
    bytes: usize,
    rows: usize,
    codes: usize,
    /// The code block that the text goes on with.
    fence: Option<Open>,
}

/// A code block that is not at its end.
#[derive(Clone, Debug)]
struct Open {
    fence: Fence,
    /// Key of its last whole line.
    key: u64,
    /// Bytes of its whole lines.
    len: usize,
}

#[derive(Clone, Debug)]
struct Long {
    /// Bytes of it that were seen.
    seen: usize,
    wrapped: Wrapped,
}

/// An event and where its text stands.
type Ranged<'a> = (Event<'a>, Range<usize>);

impl Rich {
    /// The rows of `text` at `width` cells. More is to come if the text is `open`.
    pub(crate) fn new(text: &str, width: u16, open: bool) -> Self {
        Self::with_window(text, width, open, WINDOW)
    }

    fn with_window(text: &str, width: u16, open: bool, window: usize) -> Self {
        let mut rich = Self {
            width: width.max(1),
            window,
            rows: Rows::default(),
            codes: Vec::new(),
            frozen: Frozen::default(),
            long: None,
        };
        rich.update(text, open);
        rich
    }

    /// Follows a text that has grown, or is not `open` any more.
    pub(crate) fn update(&mut self, text: &str, open: bool) {
        self.rows.truncate(self.frozen.rows);
        self.codes.truncate(self.frozen.codes);
        if let (Some(open), Some(code)) = (&self.frozen.fence, self.codes.last_mut()) {
            code.text.truncate(open.len);
        }
        while self.step(text, open) {}
        if self.height() == 0 {
            self.rows.begin(0);
        }
    }

    /// Rows.
    pub(crate) fn height(&self) -> usize {
        let long = self.long.as_ref();
        self.rows.len() + long.map_or(0, |long| long.wrapped.rows().len())
    }

    /// Row `at` of `text`.
    pub(crate) fn row<'a>(&'a self, text: &'a str, at: usize) -> Option<RowView<'a>> {
        let Some(at) = at.checked_sub(self.rows.len()) else {
            return self.rows.get(at);
        };
        let row = self.long.as_ref()?.wrapped.rows().get(at)?;
        Some(RowView {
            text: text.get(self.frozen.bytes..)?.get(row.start..row.end)?,
            spans: &[],
            code: None,
        })
    }

    /// The byte of the text that row `at` begins with.
    pub(crate) fn source(&self, at: usize) -> usize {
        let Some(at) = at.checked_sub(self.rows.len()) else {
            return self.rows.source(at);
        };
        let rows = self.long.as_ref().map(|long| long.wrapped.rows());
        let row = rows.and_then(|rows| rows.get(at).or(rows.last()));
        self.frozen.bytes + row.map_or(0, |row| row.start)
    }

    /// The first of the rows that show byte `source` of the text.
    pub(crate) fn row_of(&self, source: usize) -> usize {
        match (&self.long, source.checked_sub(self.frozen.bytes)) {
            (Some(long), Some(at)) => self.rows.len() + long.wrapped.row_of(at),
            _ => self.rows.row_of(source),
        }
    }

    /// The code blocks of the text.
    pub(crate) fn codes(&self) -> &[Code] {
        &self.codes
    }

    /// Goes on behind what is frozen; says whether there is more to do.
    fn step(&mut self, text: &str, open: bool) -> bool {
        let from = self.frozen.bytes;
        let rest = text.get(from..).unwrap_or_default();
        if self.frozen.fence.is_some() {
            return self.code(rest, open);
        }
        if self.long.is_some() {
            return self.long(rest);
        }
        let window = floor(rest, self.window);
        let whole = window.len() == rest.len();
        let references = text.len() <= self.window;
        let mut parser = Parser::new_ext(window, options()).into_offset_iter();
        let events: Vec<Ranged<'_>> = parser.by_ref().collect();
        if references && defines(&parser, &events) {
            if from > 0 {
                *self = Self {
                    frozen: Frozen::default(),
                    rows: Rows::default(),
                    codes: Vec::new(),
                    long: None,
                    ..*self
                };
                return true;
            }
            self.write(events, window, 0, true);
            return false;
        }
        let Some(last) = last_block(&events, window) else {
            if whole {
                self.tail(events, window, from, references, open);
            } else {
                self.begin_long();
            }
            return !whole;
        };
        let mut finished = events;
        let tail = finished.split_off(last.event);
        let progress = last.line > 0;
        if progress {
            self.write(finished, window, from, references);
            self.freeze(from + last.line);
        }
        if let Some((fence, info, end)) = opening(&tail, &window[last.line..]) {
            self.begin_code(fence, code::language(info), from + last.line, end);
            return true;
        }
        if whole {
            let tail = tail
                .into_iter()
                .map(|(event, range)| (event, range.start - last.line..range.end - last.line))
                .collect();
            self.tail(
                tail,
                &window[last.line..],
                from + last.line,
                references,
                open,
            );
        } else if !progress {
            self.begin_long();
        }
        !whole
    }

    /// Writes what may still change.
    fn tail(
        &mut self,
        events: Vec<Ranged<'_>>,
        source: &str,
        base: usize,
        references: bool,
        open: bool,
    ) {
        match mend::mend(source).filter(|_| open) {
            Some(mended) => {
                let parser = Parser::new_ext(&mended, options()).into_offset_iter();
                let events = parser.collect();
                self.write(events, &mended, base, references);
            }
            None => self.write(events, source, base, references),
        }
    }

    fn write(&mut self, events: Vec<Ranged<'_>>, source: &str, base: usize, references: bool) {
        let mut writer = Writer::new(self.sheet(), source, base, references);
        for (event, range) in events {
            writer.event(event, range);
        }
    }

    fn sheet(&mut self) -> Sheet<'_> {
        Sheet {
            rows: &mut self.rows,
            codes: &mut self.codes,
            width: self.width,
        }
    }

    /// Keeps what is written, up to byte `bytes` of the text.
    fn freeze(&mut self, bytes: usize) {
        self.frozen.bytes = bytes;
        self.frozen.rows = self.rows.len();
        self.frozen.codes = self.codes.len();
    }

    /// Begins a code block at byte `at` of the text, whose first line has `len` bytes.
    fn begin_code(&mut self, fence: Fence, language: &str, at: usize, len: usize) {
        let mut writer = Writer::new(self.sheet(), "", 0, false);
        writer.begin_block(at);
        writer.code_label(language.to_owned(), at);
        self.freeze(at + len);
        self.frozen.fence = Some(Open {
            fence,
            key: code::first_key(language),
            len: 0,
        });
    }

    /// Goes on with a code block; says whether it ended.
    fn code(&mut self, rest: &str, open: bool) -> bool {
        let Some(mut block) = self.frozen.fence.take() else {
            return true;
        };
        let mut at = self.frozen.bytes;
        // A line is whole once its end is there; a CR may be half of one.
        let whole = rest.rfind('\n').map_or(0, |end| end + 1);
        let (lines, last) = rest.split_at(whole);
        for (line, start) in code::lines(lines) {
            let base = self.frozen.bytes;
            let mut writer = Writer::new(self.sheet(), "", 0, false);
            if block.fence.closes(line) {
                writer.code_end();
                let line = rest.get(start..).unwrap_or_default();
                let end = line.find('\n').map_or(line.len(), |end| end + 1);
                self.freeze(base + start + end);
                return true;
            }
            block.key = code::next_key(block.key, line);
            // The parser takes CR before LF for no part of the text.
            let ends_in_cr = rest[start + line.len()..].starts_with('\r');
            let source = base + start + usize::from(line.is_empty() && ends_in_cr);
            writer.code_line(line, Some(block.key), source);
            self.add_code(line, true);
            block.len += line.len() + 1;
            at = base + start + line.len();
        }
        let base = self.frozen.bytes;
        at = at.max(base + whole);
        self.freeze(at);
        for (line, start) in code::lines(last) {
            let hidden = block.fence.closes(line) || open && block.fence.may_close(line);
            if !hidden {
                let mut writer = Writer::new(self.sheet(), "", 0, false);
                writer.code_line(line, None, at + start);
                self.add_code(line, false);
            }
        }
        self.frozen.fence = Some(block);
        Writer::new(self.sheet(), "", 0, false).code_end();
        false
    }

    fn add_code(&mut self, line: &str, whole: bool) {
        if let Some(code) = self.codes.last_mut() {
            code.text.push_str(line);
            code.text.push_str(if whole { "\n" } else { "" });
        }
    }

    /// Shows the text from here on as it came.
    fn begin_long(&mut self) {
        if self.rows.len() > 0 {
            self.rows.begin(self.frozen.bytes);
        }
        self.freeze(self.frozen.bytes);
        self.long = Some(Long {
            seen: 0,
            wrapped: Wrapped::new("", self.width),
        });
    }

    /// Goes on with a block that is shown as it came; says whether it ended.
    fn long(&mut self, rest: &str) -> bool {
        let Some(mut long) = self.long.take() else {
            return true;
        };
        // It ends with the first blank line behind the window.
        match blank_line(rest, floor(rest, self.window).len()) {
            Some((end, next)) => {
                let wrapped = Wrapped::new(&rest[..end], self.width);
                for row in wrapped.rows() {
                    self.rows.begin(self.frozen.bytes + row.start);
                    self.rows
                        .push(&rest[row.start..row.end], look::Look::default());
                }
                self.freeze(self.frozen.bytes + next);
                true
            }
            None => {
                long.wrapped.text_changed(rest, long.seen);
                long.seen = rest.len();
                self.long = Some(long);
                false
            }
        }
    }
}

fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_GFM
}

/// The longest beginning of `text` of at most `len` bytes.
fn floor(text: &str, len: usize) -> &str {
    &text[..text.floor_char_boundary(len)]
}

/// The first blank line from byte `from` on: where the line before it ends, and the first byte
/// behind it.
fn blank_line(text: &str, from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    loop {
        let end = at + text.get(at..)?.find('\n')?;
        let rest = text.get(end + 1..)?;
        let blank = rest.trim_start_matches([' ', '\t', '\r']);
        if blank.starts_with('\n') {
            return Some((end, end + 1 + (rest.len() - blank.len()) + 1));
        }
        at = end + 1;
    }
}

/// Whether something is defined that other parts of the text may use.
fn defines(parser: &pulldown_cmark::OffsetIter<'_>, events: &[Ranged<'_>]) -> bool {
    parser.reference_definitions().iter().next().is_some()
        || events
            .iter()
            .any(|(event, _)| matches!(event, Event::Start(Tag::FootnoteDefinition(_))))
}

/// Where the last block at the top level that begins on a whole line does so.
struct Last {
    /// Number of its first event.
    event: usize,
    /// First byte of its line.
    line: usize,
}

fn last_block(events: &[Ranged<'_>], source: &str) -> Option<Last> {
    let complete = source.rfind('\n')?;
    let mut depth = 0_usize;
    let mut last = None;
    let mut after_paragraph = false;
    for (at, (event, range)) in events.iter().enumerate() {
        let top = depth == 0;
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                continue;
            }
            _ => {}
        }
        if !top || range.start > complete {
            continue;
        }
        let line = source[..range.start].rfind('\n').map_or(0, |end| end + 1);
        // Other line ends than LF are no places to cut at, and an indented line that went on with
        // something would be code.
        let indent = &source[line..range.start];
        let code = matches!(event, Event::Start(Tag::CodeBlock(CodeBlockKind::Indented)));
        // What may be the head of a table belongs to the paragraph right before it, until the row below
        // is whole and says that it is one.
        let undecided = matches!(event, Event::Start(Tag::Table(_)))
            && source[range.start..=complete].matches('\n').count() < 2
            && after_paragraph
            && source[..line]
                .lines()
                .next_back()
                .is_some_and(|line| !line.trim().is_empty());
        after_paragraph = matches!(event, Event::Start(Tag::Paragraph));
        let cut = match code {
            _ if undecided => false,
            true => indent.trim_matches([' ', '\t']).is_empty(),
            false => indent.len() < 4 && indent.trim_matches(' ').is_empty(),
        };
        if cut && (line > 0 || at == 0) {
            last = Some(Last { event: at, line });
        } else if last.is_none() {
            last = Some(Last { event: 0, line: 0 });
        }
    }
    last
}

/// The fence that opens the block of `events`, its info string, and the bytes of its line.
fn opening<'a>(events: &[Ranged<'_>], source: &'a str) -> Option<(Fence, &'a str, usize)> {
    let Some((Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))), _)) = events.first() else {
        return None;
    };
    let end = source.find('\n')?;
    let line = source[..end].strip_suffix('\r').unwrap_or(&source[..end]);
    let (fence, info) = Fence::open(line)?;
    Some((fence, info, end + 1))
}

#[cfg(test)]
mod tests;
