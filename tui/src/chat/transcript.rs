//! What was said, as entries that know their rows.

use tritone_engine::text::{Message, Role};

use super::body::Body;
use super::find;
use super::markdown::{Code, Rich, RowView};

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
    body: Body,
    /// The text has grown since the rows were made.
    stale: bool,
}

impl Entry {
    fn is_open(&self) -> bool {
        self.kind == Kind::Answer(AnswerState::Running)
    }

    /// Code block number `at` on the screen, from 0.
    pub(crate) fn code(&self, at: usize) -> Option<&Code> {
        self.body.codes().get(at)
    }

    /// Makes the rows anew.
    fn lay_out(&mut self, width: u16, raw: bool) {
        let rich = matches!(self.kind, Kind::Answer(_)) && !raw;
        self.body = Body::new(&self.text, text_width(width), rich, self.is_open());
        self.stale = false;
    }

    /// Takes in what the text has grown by.
    fn settle(&mut self) {
        if std::mem::take(&mut self.stale) {
            let open = self.is_open();
            self.body.update(&self.text, open);
        }
    }

    /// The line under an answer that did not end by itself.
    pub(crate) fn mark(&self) -> Option<&'static str> {
        match &self.kind {
            Kind::Answer(AnswerState::Ended(mark)) => Some(mark),
            _ => None,
        }
    }

    /// Lines on the screen: the rows, the mark, and a blank line.
    fn height(&self) -> usize {
        self.body.height() + usize::from(self.mark().is_some()) + 1
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
    Mark(&'static str),
    /// The space between entries.
    Blank,
}

/// All entries, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Transcript {
    entries: Vec<Entry>,
    width: u16,
    /// Answers are shown as they came.
    raw: bool,
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
            entries: Vec::new(),
            width,
            raw: false,
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Adds an entry.
    pub(crate) fn push(&mut self, kind: Kind, text: impl Into<String>) {
        let mut entry = Entry {
            kind,
            text: String::new(),
            body: Body::new("", 1, false, false),
            stale: false,
        };
        entry.text.push_str(entry.prefix());
        entry.text.push_str(&text.into());
        entry.lay_out(self.width, self.raw);
        self.entries.push(entry);
    }

    /// Shows `text` in place of what the last race said; says whether there is one.
    pub(crate) fn set_race(&mut self, text: &str) -> bool {
        let mut entries = self.entries.iter_mut().rev();
        let Some(entry) = entries.find(|entry| entry.kind == Kind::Race) else {
            return false;
        };
        text.clone_into(&mut entry.text);
        entry.lay_out(self.width, self.raw);
        true
    }

    /// The running answer, if there is one.
    fn running(&mut self) -> Option<&mut Entry> {
        self.entries
            .iter_mut()
            .rev()
            .find(|entry| entry.kind == Kind::Answer(AnswerState::Running))
    }

    /// Adds to the running answer. Its rows follow when they are needed, with
    /// [`settle`](Self::settle).
    pub(crate) fn extend_answer(&mut self, text: &str) {
        if let Some(entry) = self.running() {
            entry.text.push_str(text);
            entry.stale = true;
        }
    }

    /// Makes the rows of what was written since the last time; says whether there was anything.
    pub(crate) fn settle(&mut self) -> bool {
        let entry = self.entries.iter_mut().rev().find(|entry| entry.stale);
        entry.map(Entry::settle).is_some()
    }

    /// Whether answers are shown as they came.
    pub(crate) fn is_raw(&self) -> bool {
        self.raw
    }

    /// Shows answers as they came, or as Markdown again.
    pub(crate) fn set_raw(&mut self, raw: bool) {
        self.raw = raw;
        for entry in &mut self.entries {
            entry.lay_out(self.width, raw);
        }
    }

    /// Ends the running answer, which is kept even if it says nothing: its mark tells why.
    pub(crate) fn end_answer(&mut self, state: AnswerState) {
        if let Some(entry) = self.running() {
            entry.kind = Kind::Answer(state);
            entry.stale = true;
            entry.settle();
        }
    }

    /// Takes the running answer away if nothing was written; says whether it did.
    pub(crate) fn drop_empty_answer(&mut self) -> bool {
        let at = self.entries.iter().rposition(|entry| {
            entry.kind == Kind::Answer(AnswerState::Running) && entry.text.is_empty()
        });
        at.map(|at| self.entries.remove(at)).is_some()
    }

    /// Takes away the last entry if it is from the person, and returns its text.
    pub(crate) fn take_last_user(&mut self) -> Option<String> {
        self.entries
            .pop_if(|entry| entry.kind == Kind::User)
            .map(|entry| entry.text)
    }

    /// Takes away everything after the last message of the person, so that it can be answered
    /// again. Returns false if there is no such message.
    pub(crate) fn rewind_to_last_user(&mut self) -> bool {
        let Some(at) = self
            .entries
            .iter()
            .rposition(|entry| entry.kind == Kind::User)
        else {
            return false;
        };
        self.entries.truncate(at + 1);
        true
    }

    /// The code blocks of the last answer that has any.
    pub(crate) fn last_codes(&self) -> Vec<Code> {
        let answers = self.entries.iter().rev();
        answers
            .filter(|entry| matches!(entry.kind, Kind::Answer(_)))
            .map(|entry| {
                Rich::new(&entry.text, self.width, entry.is_open())
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

    /// The line that shows a hit.
    pub(crate) fn line_of_hit(&self, hit: Hit) -> usize {
        self.line_of(Anchor {
            entry: hit.entry,
            byte: hit.byte,
            ..Anchor::default()
        })
    }

    /// Text of the last answer that says something.
    pub(crate) fn last_answer(&self) -> Option<&str> {
        self.entries
            .iter()
            .rev()
            .find(|entry| matches!(entry.kind, Kind::Answer(_)) && !entry.text.is_empty())
            .map(|entry| entry.text.as_str())
    }

    /// The conversation for the model, with neighbours of one role joined by an empty line (after
    /// a message that got no answer there are two of the person), because templates want the roles
    /// to alternate.
    pub(crate) fn messages(&self, system: Option<&str>) -> Vec<Message> {
        let mut messages: Vec<Message> = Vec::new();
        if let Some(system) = system {
            messages.push(Message {
                role: Role::System,
                content: system.to_owned(),
            });
        }
        for entry in &self.entries {
            let role = match entry.kind {
                Kind::User => Role::User,
                Kind::Answer(_) if !entry.text.is_empty() => Role::Assistant,
                Kind::Answer(_) | Kind::Note | Kind::Error | Kind::Race => continue,
            };
            match messages.last_mut() {
                Some(last) if last.role == role => {
                    last.content.push_str("\n\n");
                    last.content.push_str(&entry.text);
                }
                _ => messages.push(Message {
                    role,
                    content: entry.text.clone(),
                }),
            }
        }
        messages
    }

    /// Takes over the width of the screen.
    pub(crate) fn set_width(&mut self, width: u16) {
        if self.width == width {
            return;
        }
        self.width = width;
        for entry in &mut self.entries {
            entry.lay_out(width, self.raw);
        }
    }

    /// Lines of all entries.
    pub(crate) fn height(&self) -> usize {
        self.entries.iter().map(Entry::height).sum()
    }

    /// The lines from number `top` on.
    pub(crate) fn lines(&self, top: usize) -> impl Iterator<Item = Line<'_>> {
        let (first, skip) = self.locate(top);
        self.entries[first..]
            .iter()
            .flat_map(entry_lines)
            .skip(skip)
    }

    /// What line `top` shows, for [`line_of`](Self::line_of) after a change of width.
    pub(crate) fn anchor(&self, top: usize) -> Anchor {
        let (entry, line) = self.locate(top);
        let Some(body) = self.entries.get(entry).map(|entry| &entry.body) else {
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
        let before = self
            .entries
            .iter()
            .take(anchor.entry)
            .map(Entry::height)
            .sum::<usize>();
        let Some(body) = self.entries.get(anchor.entry).map(|entry| &entry.body) else {
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

    /// The entry that line `top` is in, and which of its lines it is.
    fn locate(&self, top: usize) -> (usize, usize) {
        let mut left = top;
        for (at, entry) in self.entries.iter().enumerate() {
            let height = entry.height();
            if left < height {
                return (at, left);
            }
            left -= height;
        }
        (self.entries.len(), 0)
    }
}

fn text_width(width: u16) -> u16 {
    // One cell stays free on the right, so that a full row and the border of the screen differ.
    width.saturating_sub(INDENT + 1).max(1)
}

fn entry_lines(entry: &Entry) -> impl Iterator<Item = Line<'_>> {
    let body = &entry.body;
    let rows = (0..body.height()).filter_map(|at| {
        let row = body.row(&entry.text, at)?;
        let first = at == 0;
        Some(Line::Text { entry, row, first })
    });
    rows.chain(entry.mark().map(Line::Mark))
        .chain([Line::Blank])
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
        talk.lines(top)
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
    fn the_model_hears_alternating_roles_and_no_notes() {
        let mut talk = talk();
        talk.push(Kind::Note, "the kernel is scalar now");
        talk.push(Kind::User, "unanswered");
        talk.push(Kind::Answer(AnswerState::Ended("(stopped)")), "");
        talk.push(Kind::User, "again");
        let said: Vec<_> = talk
            .messages(Some("be brief"))
            .into_iter()
            .map(|message| (message.role, message.content))
            .collect();
        assert_eq!(
            said,
            [
                (Role::System, "be brief".to_owned()),
                (Role::User, "one two three four five six".to_owned()),
                (
                    Role::Assistant,
                    "seven eight nine ten eleven twelve".to_owned()
                ),
                (Role::User, "unanswered\n\nagain".to_owned()),
            ]
        );
    }

    #[test]
    fn rewinding_keeps_the_question() {
        let mut talk = talk();
        assert!(talk.rewind_to_last_user());
        assert_eq!(talk.entries().len(), 1);
        assert_eq!(talk.last_answer(), None);
        assert!(!Transcript::new(20).rewind_to_last_user());
    }
}
