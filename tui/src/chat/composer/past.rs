//! What can be brought back: edits that were made, and what was sent before.

use super::draft::Draft;

/// Most edits that can be undone.
const MOST_EDITS: usize = 400;

/// Most bytes of text that undoing keeps.
const MOST_BYTES: usize = 4 << 20;

/// Most messages that are remembered.
pub(crate) const MOST_SENT: usize = 1000;

/// What the input was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) draft: Draft,
    pub(super) cursor: usize,
}

/// What an edit does; edits of one kind in a row are undone together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// A character of a word.
    Write,
    /// A cluster is deleted.
    Erase,
    /// Anything else is undone by itself.
    Other,
}

/// Edits.
#[derive(Clone, Debug, Default)]
pub(super) struct Edits {
    undo: Vec<Moment>,
    redo: Vec<Moment>,
    last: Option<Edit>,
    step: Step,
}

/// Whether edits are put together to one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    /// They are not.
    #[default]
    None,
    /// The next one begins the step.
    Begins,
    /// The step has begun.
    Goes,
}

impl Edits {
    /// The input was `moment`, and is edited now.
    pub(super) fn record(&mut self, moment: impl FnOnce() -> Moment, edit: Edit) {
        self.redo.clear();
        let goes_on = match self.step {
            Step::None => edit != Edit::Other && self.last == Some(edit),
            Step::Begins => false,
            Step::Goes => true,
        };
        if self.step == Step::Begins {
            self.step = Step::Goes;
        }
        self.last = Some(edit);
        if goes_on {
            return;
        }
        self.undo.push(moment());
        let mut bytes: usize = self.undo.iter().map(|m| m.draft.text.len()).sum();
        let mut gone = 0;
        while self.undo.len() - gone > MOST_EDITS
            || (bytes > MOST_BYTES && gone + 1 < self.undo.len())
        {
            bytes -= self.undo[gone].draft.text.len();
            gone += 1;
        }
        self.undo.drain(..gone);
    }

    /// The next edit is undone by itself.
    pub(super) fn pause(&mut self) {
        self.last = None;
        if self.step == Step::Goes {
            self.step = Step::Begins;
        }
    }

    /// Edits up to the next pause are undone together, whatever they are.
    pub(super) fn begin(&mut self) {
        self.step = Step::Begins;
    }

    /// Edits are undone as their kind says again.
    pub(super) fn end(&mut self) {
        self.step = Step::None;
        self.last = None;
    }

    /// There is nothing to undo any more.
    pub(super) fn clear(&mut self) {
        self.undo.clear();
        self.redo.clear();
        self.pause();
    }

    /// What the input was before the last edit; `now` is what it is.
    pub(super) fn undo(&mut self, now: Moment) -> Option<Moment> {
        self.pause();
        let moment = self.undo.pop()?;
        self.redo.push(now);
        Some(moment)
    }

    /// What the input was before that was undone.
    pub(super) fn redo(&mut self, now: Moment) -> Option<Moment> {
        self.pause();
        let moment = self.redo.pop()?;
        self.undo.push(now);
        Some(moment)
    }
}

/// What was sent, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    entries: Vec<Draft>,
    /// Which entry is shown, and what was written before it was.
    recalled: Option<(usize, Draft)>,
}

impl Sent {
    pub(super) fn entries(&self) -> &[Draft] {
        &self.entries
    }

    /// Adds what was sent last.
    pub(super) fn push(&mut self, draft: Draft) {
        self.recalled = None;
        if self.entries.last() != Some(&draft) {
            self.entries.push(draft);
        }
        let over = self.entries.len().saturating_sub(MOST_SENT);
        self.entries.drain(..over);
    }

    /// Puts what was sent in earlier sessions before everything else.
    pub(super) fn load(&mut self, mut earlier: Vec<Draft>) {
        let added = earlier.len();
        earlier.append(&mut self.entries);
        self.entries = earlier;
        if let Some((at, _)) = &mut self.recalled {
            *at += added;
        }
    }

    /// Shows the same again as before something else was shown.
    pub(super) fn forget_place(&mut self) {
        self.recalled = None;
    }

    /// What was sent before what is shown now, which is `now` if nothing was recalled yet.
    pub(super) fn older(&mut self, now: impl FnOnce() -> Draft) -> Option<Draft> {
        let newest = self
            .recalled
            .as_ref()
            .map_or(self.entries.len(), |(at, _)| *at);
        let at = newest.checked_sub(1)?;
        let entry = self.entries.get(at)?.clone();
        let draft = match self.recalled.take() {
            Some((_, draft)) => draft,
            None => now(),
        };
        self.recalled = Some((at, draft));
        Some(entry)
    }

    /// What was sent after what is shown now, at last what was being written.
    pub(super) fn newer(&mut self) -> Option<Draft> {
        let (at, draft) = self.recalled.take()?;
        match self.entries.get(at + 1).cloned() {
            Some(entry) => {
                self.recalled = Some((at + 1, draft));
                Some(entry)
            }
            None => Some(draft),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Moment {
        Moment {
            draft: Draft::plain(text),
            cursor: text.len(),
        }
    }

    #[test]
    fn undoing_keeps_few_edits_and_few_bytes() {
        let mut edits = Edits::default();
        for number in 0..1000 {
            edits.record(|| moment(&number.to_string()), Edit::Other);
        }
        assert_eq!(edits.undo.len(), MOST_EDITS);
        assert_eq!(edits.undo[0].draft.text, "600");
        for _ in 0..10 {
            edits.record(|| moment(&"x".repeat(1 << 20)), Edit::Other);
        }
        let bytes: usize = edits.undo.iter().map(|m| m.draft.text.len()).sum();
        assert!(bytes <= MOST_BYTES, "{bytes}");
        edits.record(|| moment(&"x".repeat(5 << 20)), Edit::Other);
        assert_eq!(edits.undo.len(), 1, "the last one stays, however long");
    }

    #[test]
    fn earlier_sessions_come_before_this_one() {
        let mut sent = Sent::default();
        sent.push(Draft::plain("c"));
        assert_eq!(sent.older(Draft::default), Some(Draft::plain("c")));
        sent.load(vec![Draft::plain("a"), Draft::plain("b")]);
        assert_eq!(sent.older(Draft::default), Some(Draft::plain("b")));
        assert_eq!(sent.newer(), Some(Draft::plain("c")));
        for number in 0..MOST_SENT {
            sent.push(Draft::plain(number.to_string()));
        }
        assert_eq!(sent.entries().len(), MOST_SENT);
    }
}
