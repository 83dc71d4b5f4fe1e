//! The list of entries, with an index of their lines.

use std::ops::{Deref, DerefMut};

use super::transcript::Entry;

/// Entries, and how many lines there are up to the end of each. The index covers a beginning of
/// the list: what changes an entry cuts it there, and [`index`](Self::index) completes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    list: Vec<Entry>,
    ends: Vec<usize>,
}

impl Deref for Entries {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        &self.list
    }
}

impl DerefMut for Entries {
    /// Whatever is changed this way, the index begins anew.
    fn deref_mut(&mut self) -> &mut [Entry] {
        self.ends.clear();
        &mut self.list
    }
}

impl Entries {
    pub(super) fn push(&mut self, entry: Entry) {
        self.list.push(entry);
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.list.truncate(len);
        self.ends.truncate(len);
    }

    pub(super) fn remove(&mut self, at: usize) -> Entry {
        self.ends.truncate(at);
        self.list.remove(at)
    }

    /// Entry `at`, to be changed.
    pub(super) fn edit(&mut self, at: usize) -> Option<&mut Entry> {
        self.ends.truncate(at);
        self.list.get_mut(at)
    }

    /// Completes the index.
    pub(super) fn index(&mut self) {
        let mut end = self.ends.last().copied().unwrap_or(0);
        let rest = self.list.iter().skip(self.ends.len());
        self.ends.extend(rest.map(|entry| {
            end += entry.height();
            end
        }));
    }

    /// Lines before entry `at`.
    pub(super) fn before(&self, at: usize) -> usize {
        let indexed = at.min(self.ends.len());
        let begin = indexed.checked_sub(1).map_or(0, |last| self.ends[last]);
        let rest = self.list.get(indexed..at.min(self.list.len()));
        begin
            + rest
                .unwrap_or_default()
                .iter()
                .map(Entry::height)
                .sum::<usize>()
    }

    /// The entry that line `line` is in, and which of its lines it is.
    pub(super) fn locate(&self, line: usize) -> (usize, usize) {
        let at = self.ends.partition_point(|&end| end <= line);
        let mut left = line - at.checked_sub(1).map_or(0, |last| self.ends[last]);
        for (at, entry) in self.list.iter().enumerate().skip(at) {
            let height = entry.height();
            if left < height {
                return (at, left);
            }
            left -= height;
        }
        (self.list.len(), 0)
    }
}
