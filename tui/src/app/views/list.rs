//! The selected row of a list.

use crossterm::event::{KeyCode, KeyEvent};

/// Which row of a list is selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selected(usize);

impl Selected {
    /// The row, in a list of `rows`.
    pub(crate) fn row(self, rows: usize) -> usize {
        self.0.min(rows.saturating_sub(1))
    }

    /// Selects a row.
    pub(crate) fn set(&mut self, row: usize) {
        self.0 = row;
    }

    /// Moves as `event` says in a list of `rows`; false if it says nothing of the kind.
    pub(crate) fn key(&mut self, event: KeyEvent, rows: usize) -> bool {
        let now = self.row(rows);
        let last = rows.saturating_sub(1);
        self.0 = match event.code {
            KeyCode::Up => now.saturating_sub(1),
            KeyCode::Down => (now + 1).min(last),
            KeyCode::PageUp => now.saturating_sub(10),
            KeyCode::PageDown => (now + 10).min(last),
            KeyCode::Home => 0,
            KeyCode::End => last,
            _ => return false,
        };
        true
    }

    /// The first row that is seen where `height` rows are, so that the selected one is among them.
    pub(crate) fn top(self, rows: usize, height: u16) -> usize {
        let height = usize::from(height).max(1);
        self.row(rows).saturating_sub(height - 1)
    }
}
