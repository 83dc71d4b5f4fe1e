//! What was said, as entries that know their rows.
//!
//! Rows are made for what is seen and its neighbours only. Of the other entries of a long
//! transcript it is known how many rows they have, or, after a change of the width, believed;
//! what is believed becomes known before it is seen, and [`Transcript::settle`] then says where
//! the line at the top of the screen has gone.

use std::sync::OnceLock;

use tritone_store::Number;

use super::body::Body;
use super::entries::Entries;
use super::find;
use super::markdown::{Code, Rich, RowView};

/// Rows that are made at once, whether or not they are seen: a transcript of no more is always
/// known.
const AT_ONCE: usize = 8_000;

/// Rows that are kept, about.
const MOST_HELD: usize = 24_000;

/// Cells to the left of every entry's text.
pub(crate) const INDENT: u16 = 2;

/// How an answer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AnswerState {
    /// More is to come.
    Running,
    /// The model finished it.
    Complete,
    /// It ended early; the text says how.
    Ended(&'static str),
}

/// Who an entry is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The person.
    User,
    /// The model.
    Answer(AnswerState),
    /// The program, for information.
    Note,
    /// The program: something did not work.
    Error,
    /// The program: a race between kernels, which changes while it runs.
    Race,
}

/// One entry.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Who it is from.
    pub(crate) kind: Kind,
    /// The text as it came.
    pub(crate) text: String,
    /// The message of the conversation that it shows, if it is one.
    pub(crate) node: Option<Number>,
    /// The message's place among its siblings, from 1 on, and how many there are.
    place: (usize, usize),
    /// The line under it; empty if there is none.
    mark: String,
    /// The rows, if they were needed since the width changed.
    body: OnceLock<Body>,
    /// How many rows there are, or are believed to be.
    rows: usize,
    /// They are as many as that.
    known: bool,
    /// The text has grown since the rows were made.
    stale: bool,
}

impl Entry {
    fn is_open(&self) -> bool {
        self.kind == Kind::Answer(AnswerState::Running)
    }

    /// Code block number `at` on the screen, from 0.
    pub(crate) fn code(&self, at: usize) -> Option<&Code> {
        self.body.get()?.codes().get(at)
    }

    /// The rows, made now if they were not yet.
    fn body(&self, page: Page) -> &Body {
        self.body.get_or_init(|| {
            let rich = matches!(self.kind, Kind::Answer(_)) && !page.raw;
            Body::new(&self.text, text_width(page.width), rich, self.is_open())
        })
    }

    /// Makes the rows, or takes in what the text has grown by.
    fn measure(&mut self, page: Page) {
        let open = self.is_open();
        match self.body.get_mut() {
            Some(body) if self.stale => body.update(&self.text, open),
            _ => {}
        }
        self.stale = false;
        self.rows = self.body(page).height();
        self.known = true;
    }

    /// Forgets the rows, and believes that there are `rows`.
    fn forget(&mut self, rows: usize) {
        self.body.take();
        self.rows = rows.max(1);
        self.known = false;
        self.stale = false;
    }

    /// About how many rows the text takes.
    fn estimate(&self, width: u16) -> usize {
        let breaks = self.text.bytes().filter(|&byte| byte == b'\n').count();
        breaks + self.text.len() / usize::from(text_width(width)) + 1
    }

    /// The line under a message of which there are several versions, or an answer that did not end
    /// by itself.
    pub(crate) fn mark(&self) -> Option<&str> {
        Some(self.mark.as_str()).filter(|mark| !mark.is_empty())
    }

    fn make_mark(&mut self) {
        self.mark.clear();
        let (at, count) = self.place;
        if count > 1 {
            self.mark = format!("{at}/{count}");
        }
        if let Kind::Answer(AnswerState::Ended(how)) = &self.kind {
            let space = if count > 1 { " " } else { "" };
            self.mark.push_str(space);
            self.mark.push_str(how);
        }
    }

    /// Lines on the screen: the rows, the mark, and a blank line.
    pub(super) fn height(&self) -> usize {
        self.rows + usize::from(self.mark().is_some()) + 1
    }

    fn prefix(&self) -> &'static str {
        match self.kind {
            Kind::Note => "note: ",
            Kind::Error => "error: ",
            Kind::User | Kind::Answer(_) | Kind::Race => "",
        }
    }
}

/// A line of the transcript on the screen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Line<'a> {
    /// A row of an entry.
    Text {
        /// The entry.
        entry: &'a Entry,
        /// The row.
        row: RowView<'a>,
        /// Whether it is the entry's first row.
        first: bool,
    },
    /// The mark under an answer.
    Mark(&'a str),
    /// The space between entries.
    Blank,
}

/// How entries are shown.
#[derive(Clone, Copy, Debug)]
struct Page {
    width: u16,
    /// Answers are shown as they came.
    raw: bool,
}

/// All entries, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Transcript {
    entries: Entries,
    page: Page,
    /// Rows that were made and are kept, about.
    held: usize,
    /// The running answer has grown.
    stale: bool,
    /// So many of the first entries are what they were when somebody last asked.
    intact: usize,
}

/// A place in the transcript that keeps its meaning when the width changes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Anchor {
    entry: usize,
    byte: usize,
    /// Rows of that byte before the one.
    below: usize,
    /// Lines behind the rows, for the mark and the blank line.
    behind: usize,
}

/// A place that a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hit {
    entry: usize,
    byte: usize,
}

impl Transcript {
    /// Nothing said yet; `width` is that of the screen.
    pub(crate) fn new(width: u16) -> Self {
        Self {
            entries: Entries::default(),
            page: Page { width, raw: false },
            held: 0,
            stale: false,
            intact: 0,
        }
    }

    /// How many of the first entries have neither gone nor begun to change since the last call.
    pub(crate) fn take_intact(&mut self) -> usize {
        std::mem::replace(&mut self.intact, usize::MAX)
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Adds an entry.
    pub(crate) fn push(&mut self, kind: Kind, text: impl Into<String>) {
        let mut entry = Entry {
            kind,
            text: String::new(),
            node: None,
            place: (1, 1),
            mark: String::new(),
            body: OnceLock::new(),
            rows: 1,
            known: false,
            stale: false,
        };
        entry.text.push_str(entry.prefix());
        entry.text.push_str(&text.into());
        entry.rows = entry.estimate(self.page.width);
        entry.make_mark();
        self.entries.push(entry);
        if self.held < AT_ONCE {
            self.measure(self.entries.len() - 1);
        }
    }

    /// Makes the rows of entry `at`, if they are not known and there.
    fn measure(&mut self, at: usize) {
        let Some(entry) = self.entries.get(at) else {
            return;
        };
        if entry.known && !entry.stale && entry.body.get().is_some() {
            return;
        }
        let page = self.page;
        if let Some(entry) = self.entries.edit(at) {
            entry.measure(page);
            self.held += entry.rows;
        }
    }

    /// Makes the rows anew for another page.
    fn turn(&mut self, page: Page) {
        let old = std::mem::replace(&mut self.page, page);
        let (was, is) = (text_width(old.width), text_width(page.width));
        for entry in self.entries.iter_mut() {
            let rows = entry.rows * usize::from(was) / usize::from(is);
            entry.forget(rows);
        }
        self.held = 0;
        for at in (0..self.entries.len()).rev() {
            if self.held >= AT_ONCE {
                break;
            }
            self.measure(at);
        }
        self.entries.index();
    }

    /// Makes the rows around line `line` of entry `entry` that `seen` lines of screen may need
    /// next. Returns the number of that line.
    fn around(&mut self, entry: usize, line: usize, seen: usize) -> usize {
        // Two pages above and below, so that the next step knows where it goes.
        let margin = seen.saturating_mul(2) + 8;
        self.measure(entry);
        let (mut first, mut above) = (entry, line);
        while above < margin && first > 0 {
            first -= 1;
            self.measure(first);
            above += self.entries[first].height();
        }
        let height = self.entries.get(entry).map_or(0, Entry::height);
        let (mut last, mut below) = (entry + 1, height.saturating_sub(line));
        while below < margin + seen && last < self.entries.len() {
            self.measure(last);
            below += self.entries[last].height();
            last += 1;
        }
        if self.held > MOST_HELD {
            self.sweep(first..last);
        }
        self.entries.index();
        self.entries.before(entry) + line
    }

    /// Lets the rows go of entries that are not among `kept`.
    fn sweep(&mut self, kept: std::ops::Range<usize>) {
        self.held = 0;
        for (at, entry) in self.entries.iter_mut().enumerate() {
            if kept.contains(&at) || entry.is_open() {
                self.held += entry.rows;
            } else {
                entry.body.take();
            }
        }
    }

    /// Shows `text` in place of what the last race said; says whether there is one.
    pub(crate) fn set_race(&mut self, text: &str) -> bool {
        let race = |entry: &Entry| entry.kind == Kind::Race;
        let Some(at) = self.entries.iter().rposition(race) else {
            return false;
        };
        if let Some(entry) = self.entries.edit(at) {
            text.clone_into(&mut entry.text);
            entry.forget(1);
        }
        self.measure(at);
        true
    }

    /// The running answer, if there is one.
    fn running(&self) -> Option<usize> {
        self.entries.iter().rposition(Entry::is_open)
    }

    /// Adds to the running answer. Its rows follow when they are needed, with
    /// [`settle`](Self::settle).
    pub(crate) fn extend_answer(&mut self, text: &str) {
        if let Some(at) = self.running()
            && let Some(entry) = self.entries.edit(at)
        {
            entry.text.push_str(text);
            entry.stale = true;
            self.stale = true;
        }
    }

    /// Makes the rows that are needed to draw `seen` lines from line `top` on, or up to the end.
    /// Returns the number that line `top` has now.
    pub(crate) fn settle(&mut self, top: Option<usize>, seen: usize) -> usize {
        if std::mem::take(&mut self.stale)
            && let Some(at) = self.entries.iter().rposition(|entry| entry.stale)
        {
            self.measure(at);
        }
        let (entry, line) = match top {
            Some(top) => self.entries.locate(top),
            None => (self.entries.len(), 0),
        };
        let believed = self.entries.get(entry).map_or(0, Entry::height);
        self.measure(entry);
        let known = self.entries.get(entry).map_or(0, Entry::height);
        let line = if known == believed {
            line
        } else {
            line * known / believed.max(1)
        };
        self.around(entry, line, seen)
    }

    /// Whether answers are shown as they came.
    pub(crate) fn is_raw(&self) -> bool {
        self.page.raw
    }

    /// Shows answers as they came, or as Markdown again.
    pub(crate) fn set_raw(&mut self, raw: bool) {
        self.turn(Page { raw, ..self.page });
    }

    /// Ends the running answer, which is kept even if it says nothing: its mark tells why.
    pub(crate) fn end_answer(&mut self, state: AnswerState) {
        if let Some(at) = self.running() {
            if let Some(entry) = self.entries.edit(at) {
                entry.kind = Kind::Answer(state);
                entry.make_mark();
                entry.stale = true;
            }
            self.measure(at);
        }
    }

    /// Adds the message `node` of the conversation.
    pub(crate) fn push_message(
        &mut self,
        kind: Kind,
        text: impl Into<String>,
        node: Number,
        place: (usize, usize),
    ) {
        self.push(kind, text);
        if let Some(entry) = self.entries.edit(self.entries.len() - 1) {
            entry.node = Some(node);
            entry.place = place;
            entry.make_mark();
        }
        self.entries.index();
    }

    fn at(&self, node: Number) -> Option<usize> {
        let shows = |entry: &Entry| entry.node == Some(node);
        self.entries.iter().rposition(shows)
    }

    /// Takes a message away; what stands around it stays.
    pub(crate) fn remove(&mut self, node: Number) {
        if let Some(at) = self.at(node) {
            self.entries.remove(at);
            self.intact = self.intact.min(at);
        }
    }

    /// Takes everything after a message away, or everything but what stands before all messages.
    pub(crate) fn cut_after(&mut self, node: Option<Number>) {
        let keep = match node {
            Some(node) => self.at(node).map(|at| at + 1),
            None => self.entries.iter().position(|entry| entry.node.is_some()),
        };
        self.entries.truncate(keep.unwrap_or(self.entries.len()));
        self.intact = self.intact.min(self.entries.len());
    }

    /// An answer that ended goes on.
    pub(crate) fn resume(&mut self, node: Number) {
        let Some(at) = self.at(node) else { return };
        self.intact = self.intact.min(at);
        if let Some(entry) = self.entries.edit(at) {
            entry.kind = Kind::Answer(AnswerState::Running);
            entry.make_mark();
            entry.stale = true;
        }
        self.measure(at);
    }

    /// The lines of a message: the first, and how many.
    pub(crate) fn lines_of(&self, node: Number) -> Option<(usize, usize)> {
        let at = self.at(node)?;
        Some((self.entries.before(at), self.entries[at].height()))
    }

    /// The first line of a message, once everything around it is known that `seen` lines of screen
    /// may need, and how many lines it has.
    pub(crate) fn reach_message(&mut self, node: Number, seen: usize) -> Option<(usize, usize)> {
        let at = self.at(node)?;
        self.around(at, 0, seen);
        self.lines_of(node)
    }

    /// The code blocks of the last answer that has any.
    pub(crate) fn last_codes(&self) -> Vec<Code> {
        let answers = self.entries.iter().rev();
        answers
            .filter(|entry| matches!(entry.kind, Kind::Answer(_)))
            .map(|entry| {
                Rich::new(&entry.text, self.page.width, entry.is_open())
                    .codes()
                    .to_vec()
            })
            .find(|codes| !codes.is_empty())
            .unwrap_or_default()
    }

    /// All places that say `text`, whatever the case of its letters.
    pub(crate) fn find(&self, text: &str) -> Vec<Hit> {
        let mut hits = Vec::new();
        for (entry, said) in self.entries.iter().enumerate() {
            let bytes = find::all(&said.text, text).map(|range| range.start);
            hits.extend(bytes.map(|byte| Hit { entry, byte }));
        }
        hits
    }

    /// The place of a hit.
    pub(crate) fn place_of(hit: Hit) -> Anchor {
        Anchor {
            entry: hit.entry,
            byte: hit.byte,
            ..Anchor::default()
        }
    }

    /// The line that shows `anchor`, once everything around it is known that `seen` lines of
    /// screen may need.
    pub(crate) fn reach(&mut self, anchor: Anchor, seen: usize) -> usize {
        self.measure(anchor.entry);
        let line = self.line_of(anchor) - self.entries.before(anchor.entry);
        self.around(anchor.entry, line, seen)
    }

    /// Text of the last answer that says something.
    pub(crate) fn last_answer(&self) -> Option<&str> {
        self.entries
            .iter()
            .rev()
            .find(|entry| matches!(entry.kind, Kind::Answer(_)) && !entry.text.is_empty())
            .map(|entry| entry.text.as_str())
    }

    /// Takes over the width of the screen.
    pub(crate) fn set_width(&mut self, width: u16) {
        if self.page.width != width {
            self.turn(Page { width, ..self.page });
        }
    }

    /// Makes the rows of the entries from number `first` on, so that their lines are what is drawn.
    pub(crate) fn measure_from(&mut self, first: usize) {
        for at in first..self.entries.len() {
            self.measure(at);
        }
    }

    /// The first line of entry `at`, or the one behind the last.
    pub(crate) fn line_of_entry(&self, at: usize) -> usize {
        self.entries.before(at.min(self.entries.len()))
    }

    /// Lines of all entries.
    pub(crate) fn height(&self) -> usize {
        self.entries.before(self.entries.len())
    }

    /// The lines from number `top` on.
    pub(crate) fn lines(&self, top: usize) -> impl Iterator<Item = Line<'_>> {
        let (first, mut skip) = self.entries.locate(top);
        let page = self.page;
        self.entries[first..].iter().flat_map(move |entry| {
            let skipped = std::mem::take(&mut skip);
            entry_lines(entry, page, skipped)
        })
    }

    /// What line `top` shows, for [`line_of`](Self::line_of) after a change of width.
    pub(crate) fn anchor(&self, top: usize) -> Anchor {
        let (entry, line) = self.entries.locate(top);
        let Some(body) = self.entries.get(entry).map(|entry| entry.body(self.page)) else {
            return Anchor::default();
        };
        let last = body.height().saturating_sub(1);
        let row = line.min(last);
        let byte = body.source(row);
        Anchor {
            entry,
            byte,
            below: row.saturating_sub(body.row_of(byte)),
            behind: line - row,
        }
    }

    /// The line that shows `anchor` now.
    pub(crate) fn line_of(&self, anchor: Anchor) -> usize {
        let before = self.entries.before(anchor.entry);
        let entry = self.entries.get(anchor.entry);
        let Some(body) = entry.map(|entry| entry.body(self.page)) else {
            return before;
        };
        let last = body.height().saturating_sub(1);
        if anchor.behind > 0 {
            return before + last + anchor.behind;
        }
        let first = body.row_of(anchor.byte);
        let source = body.source(first);
        let below = (first + 1..=last)
            .take(anchor.below)
            .take_while(|&row| body.source(row) == source)
            .count();
        before + first + below
    }
}

/// Cells of text on a screen of `width`.
pub(crate) fn text_width(width: u16) -> u16 {
    // One cell stays free on the right, so that a full row and the border of the screen differ.
    width.saturating_sub(INDENT + 1).max(1)
}

/// The lines of an entry but the first `skip`.
fn entry_lines(entry: &Entry, page: Page, skip: usize) -> impl Iterator<Item = Line<'_>> {
    let body = entry.body(page);
    let height = body.height();
    let rows = (skip..height).filter_map(move |at| {
        let row = body.row(&entry.text, at)?;
        let first = at == 0;
        Some(Line::Text { entry, row, first })
    });
    rows.chain(
        entry
            .mark()
            .map(Line::Mark)
            .into_iter()
            .chain([Line::Blank])
            .skip(skip.saturating_sub(height)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk() -> Transcript {
        let mut talk = Transcript::new(20);
        talk.push(Kind::User, "one two three four five six");
        talk.push(Kind::Answer(AnswerState::Running), "");
        talk.extend_answer("seven eight nine ");
        talk.extend_answer("ten eleven twelve");
        talk.end_answer(AnswerState::Ended("(stopped)"));
        talk
    }

    fn shown(talk: &Transcript, top: usize) -> Vec<String> {
        seen(talk, top, usize::MAX)
    }

    fn seen(talk: &Transcript, top: usize, count: usize) -> Vec<String> {
        talk.lines(top)
            .take(count)
            .map(|line| match line {
                Line::Text { row, .. } => row.text.to_owned(),
                Line::Mark(mark) => mark.to_owned(),
                Line::Blank => String::new(),
            })
            .collect()
    }

    #[test]
    fn lines_from_any_place() {
        let talk = talk();
        let all = shown(&talk, 0);
        assert_eq!(
            all,
            [
                "one two three",
                "four five six",
                "",
                "seven eight nine",
                "ten eleven twelve",
                "(stopped)",
                "",
            ]
        );
        assert_eq!(talk.height(), all.len());
        for top in 0..=all.len() {
            assert_eq!(shown(&talk, top), all[top..], "from {top}");
        }
    }

    #[test]
    fn an_anchor_keeps_its_text_when_the_width_changes() {
        let mut talk = talk();
        for top in 0..talk.height() {
            let anchor = talk.anchor(top);
            let before = shown(&talk, top)[0].clone();
            talk.set_width(9);
            let line = talk.line_of(anchor);
            let after = shown(&talk, line)[0].clone();
            assert!(before.starts_with(&after), "{before:?} became {after:?}");
            talk.set_width(20);
            assert_eq!(talk.line_of(anchor), top);
        }
    }

    #[test]
    fn messages_can_be_taken_away_with_or_without_what_follows() {
        let mut talk = Transcript::new(20);
        talk.push(Kind::Note, "before");
        for node in 1..=4 {
            talk.push_message(Kind::User, format!("number {node}"), node, (1, 2));
            talk.push(Kind::Note, "between");
        }
        assert_eq!(talk.lines_of(2), Some((7, 3)));
        assert_eq!(talk.entries()[1].mark(), Some("1/2"));
        talk.remove(3);
        assert_eq!((talk.entries().len(), talk.lines_of(3)), (8, None));
        talk.cut_after(Some(1));
        assert_eq!(talk.entries().len(), 2);
        talk.cut_after(None);
        let left: Vec<&str> = talk.entries().iter().map(|e| e.text.as_str()).collect();
        assert_eq!(left, ["note: before"]);
    }

    /// A transcript too long to be known at once, and all of its lines.
    fn long(width: u16) -> (Transcript, Vec<String>) {
        let mut talk = Transcript::new(width);
        let mut lines = Vec::new();
        for number in 0..2_000 {
            let mut one = Transcript::new(width);
            let words = "word ".repeat(number % 37);
            let text = format!(
                "# {number}\n\n{words}\n\n- a\n- b\n\n| a | b |\n|---|---|\n| {words} | x |"
            );
            for kind in [Kind::User, Kind::Answer(AnswerState::Complete)] {
                one.push(kind.clone(), text.clone());
                talk.push(kind, text.clone());
            }
            lines.extend(shown(&one, 0));
        }
        (talk, lines)
    }

    #[test]
    fn a_long_transcript_is_known_where_it_is_seen() {
        const SEEN: usize = 20;
        let (mut talk, lines) = long(40);
        assert!(lines.len() > 4 * AT_ONCE);
        assert_ne!(
            talk.height(),
            lines.len(),
            "the test is about what is only believed"
        );
        let page = |talk: &Transcript, top| seen(talk, top, SEEN);
        // From the end up to the start, page by page.
        let mut behind = lines.len();
        talk.settle(None, SEEN);
        let mut top = talk.height() - SEEN;
        loop {
            top = talk.settle(Some(top), SEEN);
            assert_eq!(
                page(&talk, top),
                lines[behind - SEEN..behind],
                "{behind} lines from the start"
            );
            if behind == SEEN {
                break;
            }
            let step = (SEEN - 2).min(behind - SEEN);
            behind -= step;
            top -= step;
        }
        assert_eq!(top, 0);
        assert_eq!(talk.height(), lines.len(), "everything was seen");
        let held: usize = talk
            .entries
            .iter()
            .filter_map(|e| e.body.get())
            .map(Body::height)
            .sum();
        assert!(held <= MOST_HELD + 2 * AT_ONCE, "{held} rows are kept");
        // Another width forgets; what is read stays.
        let line = lines.iter().position(|line| line == "1000").unwrap();
        let anchor = talk.anchor(line);
        talk.set_width(33);
        let top = talk.reach(anchor, SEEN);
        let top = talk.settle(Some(top), SEEN);
        assert_eq!(page(&talk, top)[0], "1000");
    }
}
