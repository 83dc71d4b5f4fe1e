//! From the parser's events to rows.
//!
//! One pass without recursion: what a block stands in (quotes, list items) is a stack of
//! containers, and each row begins with what they draw. However deep the text goes, they take at
//! most half of the width.

use std::ops::Range;

use pulldown_cmark::{BlockQuoteKind, CodeBlockKind, Event, HeadingLevel, LinkType, Tag, TagEnd};

use super::code::{self, Code};
use super::inline::Inline;
use super::look::{Look, Role, Token};
use super::rows::Rows;
use super::table::Table;
use crate::chat::glyph;
use crate::chat::wrap::Wrapped;

/// What a block stands in.
#[derive(Clone, Debug)]
enum Container {
    Quote,
    Item {
        marker: String,
        /// Nothing of it was drawn yet, so its marker is to come.
        fresh: bool,
    },
}

/// A link whose text is being read.
#[derive(Clone, Debug)]
struct Link {
    address: String,
    /// Where its text begins; `None` if it is shown as it stands.
    from: Option<usize>,
}

/// What is written to.
pub(super) struct Sheet<'a> {
    pub(super) rows: &'a mut Rows,
    pub(super) codes: &'a mut Vec<Code>,
    pub(super) width: u16,
}

/// Writes events as rows.
pub(super) struct Writer<'a> {
    sheet: Sheet<'a>,
    source: &'a str,
    /// Where `source` begins in the whole text.
    base: usize,
    /// Whether links may be defined elsewhere in the text.
    references: bool,
    containers: Vec<Container>,
    /// Numbers of the next items of the lists that are open.
    lists: Vec<Option<u64>>,
    inline: Inline,
    role: Role,
    strong: usize,
    emphasis: usize,
    struck: usize,
    links: Vec<Link>,
    /// The language and, as the text, the code of the block that is being read.
    code: Option<(String, Inline)>,
    table: Option<Table>,
    /// A blank row is due before the next block.
    gap: bool,
}

impl<'a> Writer<'a> {
    /// A writer of events of `source`, which begins at byte `base` of the whole text.
    pub(super) fn new(sheet: Sheet<'a>, source: &'a str, base: usize, references: bool) -> Self {
        let gap = sheet.rows.len() > 0;
        Self {
            sheet,
            source,
            base,
            references,
            containers: Vec::new(),
            lists: Vec::new(),
            inline: Inline::default(),
            role: Role::Text,
            strong: 0,
            emphasis: 0,
            struck: 0,
            links: Vec::new(),
            code: None,
            table: None,
            gap,
        }
    }

    /// Writes an event, whose text stands in the source at `range`.
    pub(super) fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.end(tag, &range),
            Event::Text(text) => match &mut self.code {
                Some((_, code)) => {
                    let range = self.base + range.start..self.base + range.end;
                    code.push(&text, Look::default(), range);
                }
                None => self.push(&text, self.role, range),
            },
            Event::Code(text) => self.push(&text, Role::Code, range),
            Event::InlineHtml(text) if is_break(&text) => self.push("\n", Role::Text, range),
            Event::InlineHtml(text) | Event::Html(text) => self.push(&text, Role::Markup, range),
            Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.push(&text, Role::Code, range);
            }
            Event::SoftBreak | Event::HardBreak => {
                self.push("\n", Role::Text, range);
            }
            Event::FootnoteReference(label) => {
                self.push(&format!("[^{label}]"), Role::Text, range);
            }
            Event::TaskListMarker(done) => {
                let mark = if done { "[x] " } else { "[ ] " };
                self.push(mark, Role::Frame, range);
            }
            Event::Rule => {
                self.begin_block(range.start);
                let width = usize::from(self.room());
                self.row(range.start, &"─".repeat(width), Role::Frame.into());
                self.gap = true;
            }
        }
    }

    fn start(&mut self, tag: Tag<'_>, range: Range<usize>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.begin_block(range.start),
            Tag::Heading { level, .. } => {
                self.begin_block(range.start);
                self.role = Role::Heading(level_number(level));
            }
            Tag::BlockQuote(kind) => {
                self.begin_block(range.start);
                self.containers.push(Container::Quote);
                if let Some(kind) = kind {
                    let look = Look {
                        strong: true,
                        ..Look::default()
                    };
                    self.row(range.start, name_of(kind), look);
                }
            }
            Tag::CodeBlock(kind) => {
                self.begin_block(range.start);
                let language = match &kind {
                    CodeBlockKind::Fenced(info) => code::language(info),
                    CodeBlockKind::Indented => "",
                };
                self.code = Some((language.to_owned(), Inline::default()));
            }
            Tag::List(first) => {
                self.flush();
                if self.lists.is_empty() {
                    self.begin_block(range.start);
                }
                self.lists.push(first);
            }
            Tag::Item => {
                self.begin_block(range.start);
                let depth = self.lists.len();
                let marker = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        let marker = format!("{number}. ");
                        *number = number.saturating_add(1);
                        marker
                    }
                    _ => ["• ", "◦ ", "▪ "][depth.saturating_sub(1) % 3].to_owned(),
                };
                self.containers.push(Container::Item {
                    marker,
                    fresh: true,
                });
            }
            Tag::FootnoteDefinition(label) => {
                self.begin_block(range.start);
                self.containers.push(Container::Item {
                    marker: format!("[^{}]: ", glyph::fit(&label, code::LONGEST_LANGUAGE)),
                    fresh: true,
                });
            }
            Tag::Table(alignments) => {
                self.begin_block(range.start);
                self.table = Some(Table::new(alignments));
            }
            Tag::TableHead | Tag::TableRow => {
                let at = self.base + range.start;
                if let Some(table) = &mut self.table {
                    table.begin_row(at);
                }
            }
            Tag::Emphasis => self.emphasis += 1,
            Tag::Strong => self.strong += 1,
            Tag::Strikethrough => self.struck += 1,
            Tag::Link {
                link_type,
                dest_url,
                ..
            } => self.link(link_type, &dest_url, range, ""),
            Tag::Image {
                link_type,
                dest_url,
                ..
            } => self.link(link_type, &dest_url, range, "image: "),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd, range: &Range<usize>) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => {
                self.flush();
                self.gap = true;
            }
            TagEnd::Heading(_) => {
                self.flush();
                self.role = Role::Text;
                self.gap = true;
            }
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.containers.pop();
                self.gap = true;
            }
            TagEnd::CodeBlock => {
                if let Some((language, code)) = self.code.take() {
                    self.code_block(language, &code, self.base + range.start);
                }
                self.gap = true;
            }
            TagEnd::List(_) => {
                self.lists.pop();
                self.gap |= self.lists.is_empty();
            }
            TagEnd::Item | TagEnd::FootnoteDefinition => {
                self.flush();
                if let Some(Container::Item { fresh: true, .. }) = self.containers.last() {
                    self.row(range.start, "", Look::default());
                }
                self.containers.pop();
                self.gap |= tag == TagEnd::FootnoteDefinition;
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.inline);
                if let Some(table) = &mut self.table {
                    table.cell(cell);
                }
            }
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    table.write(self.room(), |source, pieces| {
                        self.begin_row(source);
                        for (text, look) in pieces {
                            self.sheet.rows.push(text, *look);
                        }
                    });
                }
                self.gap = true;
            }
            TagEnd::Emphasis => self.emphasis = self.emphasis.saturating_sub(1),
            TagEnd::Strong => self.strong = self.strong.saturating_sub(1),
            TagEnd::Strikethrough => self.struck = self.struck.saturating_sub(1),
            TagEnd::Link | TagEnd::Image => self.end_link(range),
            _ => {}
        }
    }

    /// Begins a link whose text follows, or leaves it as it stands where it may be defined in a
    /// part of the text that is not at hand.
    fn link(&mut self, kind: LinkType, address: &str, range: Range<usize>, label: &str) {
        let elsewhere = matches!(
            kind,
            LinkType::Reference | LinkType::Collapsed | LinkType::Shortcut
        );
        if elsewhere && !self.references {
            let open = if label.is_empty() { "[" } else { "![" };
            self.push(open, Role::Text, range.start..range.start + open.len());
            self.links.push(Link {
                address: String::new(),
                from: None,
            });
            return;
        }
        self.push(label, Role::Frame, range.start..range.start);
        self.links.push(Link {
            address: address.to_owned(),
            from: Some(self.inline.text.len()),
        });
    }

    /// Says where a link leads unless its text does.
    fn end_link(&mut self, range: &Range<usize>) {
        let Some(link) = self.links.pop() else { return };
        let Some(from) = link.from else {
            // What stands behind the text: `]`, `][]` or `][name]`.
            let literal = self.source.get(range.clone()).unwrap_or_default();
            let behind = match literal.strip_suffix(']').and_then(|rest| rest.rfind("][")) {
                Some(at) => at,
                None => literal.len().saturating_sub(1),
            };
            let source = self.source;
            let behind = range.start + behind..range.end;
            let literal = source.get(behind.clone()).unwrap_or_default();
            self.push(literal, Role::Text, behind);
            return;
        };
        let text = self.inline.text.get(from..).unwrap_or_default();
        let told = link.address.is_empty()
            || text == link.address
            || link.address.strip_prefix("mailto:") == Some(text);
        if !told {
            let at = range.end..range.end;
            self.push(" (", Role::Frame, at.clone());
            self.push(&link.address, Role::Address, at.clone());
            self.push(")", Role::Frame, at);
        }
    }

    /// Adds to the paragraph.
    fn push(&mut self, text: &str, role: Role, range: Range<usize>) {
        let role = match role {
            Role::Text if self.links.iter().any(|link| link.from.is_some()) => Role::Link,
            Role::Text => self.role,
            role => role,
        };
        let look = Look {
            role,
            strong: self.strong > 0,
            emphasis: self.emphasis > 0,
            struck: self.struck > 0,
        };
        let range = self.base + range.start..self.base + range.end;
        self.inline.push(text, look, range);
    }

    /// Cells beside what the containers draw.
    fn room(&self) -> u16 {
        let mut room = self.sheet.width;
        for container in &self.containers {
            room = room.saturating_sub(self.cells(container, room));
        }
        room.max(1)
    }

    /// Cells of a container where `room` are left: none if that were less than half of the width.
    fn cells(&self, container: &Container, room: u16) -> u16 {
        let cells = match container {
            Container::Quote => 2,
            Container::Item { marker, .. } => {
                u16::try_from(glyph::width(marker)).unwrap_or(u16::MAX)
            }
        };
        if room.saturating_sub(cells) < self.sheet.width.div_ceil(2) {
            0
        } else {
            cells
        }
    }

    /// Begins a row with what the containers draw.
    fn begin_row(&mut self, source: usize) {
        self.begin_row_of(source, self.containers.len());
    }

    /// Begins a row in which nothing stands but the bars of quotes.
    fn blank_row(&mut self, source: usize) {
        let quote = |container: &Container| matches!(container, Container::Quote);
        let quotes = self.containers.iter().rposition(quote);
        self.begin_row_of(self.base + source, quotes.map_or(0, |at| at + 1));
    }

    fn begin_row_of(&mut self, source: usize, containers: usize) {
        self.sheet.rows.begin(source);
        let mut room = self.sheet.width;
        for at in 0..containers {
            let cells = self.cells(&self.containers[at], room);
            room = room.saturating_sub(cells);
            match &mut self.containers[at] {
                _ if cells == 0 => {}
                Container::Quote => self.sheet.rows.push("│ ", Role::Frame.into()),
                Container::Item { marker, fresh } if *fresh => {
                    self.sheet.rows.push(marker, Role::Frame.into());
                }
                Container::Item { .. } => {
                    let blank = " ".repeat(usize::from(cells));
                    self.sheet.rows.push(&blank, Look::default());
                }
            }
            if let Container::Item { fresh, .. } = &mut self.containers[at] {
                *fresh = false;
            }
        }
    }

    fn row(&mut self, source: usize, text: &str, look: Look) {
        self.begin_row(self.base + source);
        self.sheet.rows.push(text, look);
    }

    /// Writes what is left of a paragraph and the blank row before the next block.
    pub(super) fn begin_block(&mut self, source: usize) {
        self.flush();
        if std::mem::take(&mut self.gap) {
            let fresh = self
                .containers
                .last()
                .is_some_and(|last| matches!(last, Container::Item { fresh: true, .. }));
            if !fresh {
                self.blank_row(source);
            }
        }
    }

    /// Writes the paragraph.
    fn flush(&mut self) {
        let inline = std::mem::take(&mut self.inline);
        // A block of HTML ends with a line break of its own.
        let text = inline.text.trim_end_matches(['\n', '\r']);
        if text.is_empty() {
            return;
        }
        for row in Wrapped::new(text, self.room()).rows() {
            self.begin_row(inline.source(row.start));
            for (text, look) in inline.pieces(row.start..row.end) {
                self.sheet.rows.push(text, look);
            }
        }
    }

    /// Writes a code block: a label, its lines, and an end.
    fn code_block(&mut self, language: String, code: &Inline, source: usize) {
        let mut key = code::first_key(&language);
        self.code_label(language, source);
        for (line, at) in code::lines(&code.text) {
            key = code::next_key(key, line);
            let whole = at + line.len() < code.text.len();
            self.code_line(line, whole.then_some(key), code.source(at));
        }
        if let Some(last) = self.sheet.codes.last_mut() {
            last.text.push_str(&code.text);
        }
        self.code_end();
    }

    /// Begins a code block with a row for its language and its number for `/copy code`.
    pub(super) fn code_label(&mut self, language: String, source: usize) {
        let number = self.sheet.codes.len() + 1;
        let label = if language.is_empty() {
            format!("── code {number} ")
        } else {
            format!("── {language} · code {number} ")
        };
        let room = usize::from(self.room());
        let label = glyph::fit(&label, room);
        let line = "─".repeat(room.saturating_sub(glyph::width(label)));
        self.begin_row(source);
        self.sheet.rows.push(label, Role::Frame.into());
        self.sheet.rows.push(&line, Role::Frame.into());
        self.sheet.codes.push(Code {
            language,
            text: String::new(),
        });
    }

    /// Ends a code block with a row.
    pub(super) fn code_end(&mut self) {
        let line = "─".repeat(usize::from(self.room()));
        self.begin_row(0);
        self.sheet.rows.push(&line, Role::Frame.into());
    }

    /// Writes a line of code, in as many rows as it needs. Only a whole line has a `key`.
    pub(super) fn code_line(&mut self, line: &str, key: Option<u64>, source: usize) {
        let room = self.room();
        let mark = u16::try_from(glyph::width(code::CONTINUED)).unwrap_or(0);
        let block = self.sheet.codes.len().saturating_sub(1);
        let starts = code::breaks(line, room, room.saturating_sub(mark));
        let ends = starts.iter().skip(1).copied().chain([line.len()]);
        for (&start, end) in starts.iter().zip(ends) {
            self.begin_row(source + start);
            if start > 0 && room > mark {
                self.sheet.rows.push(code::CONTINUED, Role::Frame.into());
            }
            if let Some(key) = key {
                self.sheet.rows.mark_code(key, block, start);
            }
            let look = Role::Token(Token::Plain).into();
            self.sheet.rows.push(&line[start..end], look);
        }
    }
}

fn level_number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

fn name_of(kind: BlockQuoteKind) -> &'static str {
    match kind {
        BlockQuoteKind::Note => "Note",
        BlockQuoteKind::Tip => "Tip",
        BlockQuoteKind::Important => "Important",
        BlockQuoteKind::Warning => "Warning",
        BlockQuoteKind::Caution => "Caution",
    }
}

/// Whether a tag is a line break.
fn is_break(tag: &str) -> bool {
    let name = tag.trim_start_matches('<').trim_end_matches('>');
    name.trim_end_matches('/').trim().eq_ignore_ascii_case("br")
}
