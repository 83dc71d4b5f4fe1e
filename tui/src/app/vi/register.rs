//! What was deleted or copied, to be put somewhere else.

use std::collections::BTreeMap;

use crate::chat::composer::draft::Draft;

/// Text with its chips, and whether it is whole lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) draft: Draft,
    pub(super) lines: bool,
}

/// The registers.
#[derive(Clone, Debug, Default)]
pub(super) struct Registers {
    /// What was deleted or copied last.
    last: Held,
    /// What was copied last.
    copied: Held,
    named: BTreeMap<char, Held>,
}

impl Registers {
    /// Keeps what is deleted or `copied`, under a name if there is one. Some are not kept: `"_`.
    pub(super) fn keep(&mut self, name: Option<char>, held: Held, copied: bool) {
        match name {
            Some('_') => return,
            Some(name @ 'a'..='z') => {
                self.named.insert(name, held.clone());
            }
            // A capital letter adds.
            Some(name @ 'A'..='Z') => {
                let kept = self.named.entry(name.to_ascii_lowercase()).or_default();
                if (kept.lines || held.lines) && !kept.draft.text.is_empty() {
                    kept.draft.append(&Draft::plain("\n"));
                }
                kept.lines |= held.lines;
                kept.draft.append(&held.draft);
            }
            _ if copied => self.copied = held.clone(),
            _ => {}
        }
        self.last = held;
    }

    /// What is kept under a name, or what was kept last.
    pub(super) fn get(&self, name: Option<char>) -> Option<&Held> {
        let held = match name {
            Some('_') => return None,
            Some('0') => &self.copied,
            Some(name) if name.is_ascii_alphabetic() => {
                self.named.get(&name.to_ascii_lowercase())?
            }
            _ => &self.last,
        };
        (held.lines || !held.draft.text.is_empty()).then_some(held)
    }
}
