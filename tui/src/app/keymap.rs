//! Which key calls which command: what the table says, changed by the person's settings.

use crossterm::event::{KeyCode, KeyModifiers};

use super::chord::Chord;
use super::commands::{Action, COMMANDS, Command};

/// The key that takes undoing back where vi keys edit the input, unless the settings gave it away.
pub(crate) const VI_REDO: Chord = Chord {
    code: KeyCode::Char('r'),
    modifiers: KeyModifiers::CONTROL,
};

/// The keys in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keymap {
    /// In the order of the table.
    rows: Vec<(Action, Vec<Chord>)>,
    /// What [`VI_REDO`] calls while no vi keys are used, and its place among the keys.
    lent: Option<(Action, usize)>,
    /// The settings gave [`VI_REDO`] to another command.
    is_given: bool,
}

/// A key that calls another command than the table says, because the settings say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) chord: Chord,
    /// Whose key it was.
    pub(crate) from: Action,
    pub(crate) by: Action,
}

impl Default for Keymap {
    fn default() -> Self {
        Self::new(&[]).0
    }
}

impl Keymap {
    /// The keys of the table with those of `changes` in place of theirs. A key that the settings
    /// give to a command is taken from all others; which, is said.
    pub(crate) fn new(changes: &[(Action, Vec<Chord>)]) -> (Self, Vec<Taken>) {
        let mut taken = Vec::new();
        let row = |command: &Command| {
            let action = command.action;
            if let Some((_, chords)) = changes.iter().find(|(changed, _)| *changed == action) {
                return (action, chords.clone());
            }
            let mut kept = Vec::new();
            for key in command.keys {
                let chord = Chord::new(key.code, key.modifiers);
                match changes.iter().find(|(_, chords)| chords.contains(&chord)) {
                    Some((by, _)) => taken.push(Taken {
                        chord,
                        from: action,
                        by: *by,
                    }),
                    None => kept.push(chord),
                }
            }
            (action, kept)
        };
        let rows = COMMANDS.iter().map(row).collect();
        let own = |action: Action| {
            let command = COMMANDS.iter().find(|command| command.action == action);
            command.is_some_and(|command| {
                let mut keys = command.keys.iter();
                keys.any(|key| Chord::new(key.code, key.modifiers) == VI_REDO)
            })
        };
        let mut given = changes.iter();
        let is_given = given.any(|(action, keys)| keys.contains(&VI_REDO) && !own(*action));
        let keymap = Self {
            rows,
            lent: None,
            is_given,
        };
        (keymap, taken)
    }

    /// Whether vi keys edit the input: one key is theirs then.
    pub(crate) fn set_vi(&mut self, vi: bool) {
        if let Some((action, at)) = self.lent.take() {
            let row = self.rows.iter_mut().find(|(of, _)| *of == action);
            if let Some((_, chords)) = row {
                chords.insert(at.min(chords.len()), VI_REDO);
            }
        }
        if !vi || self.is_given {
            return;
        }
        for (action, chords) in &mut self.rows {
            if let Some(at) = chords.iter().position(|chord| *chord == VI_REDO) {
                chords.remove(at);
                self.lent = Some((*action, at));
            }
        }
    }

    /// What the key calls.
    pub(crate) fn action(&self, chord: Chord) -> Option<Action> {
        let row = self.rows.iter().find(|(_, chords)| chords.contains(&chord));
        row.map(|(action, _)| *action)
    }

    /// The keys that call it, the one to show first.
    pub(crate) fn chords(&self, action: Action) -> &[Chord] {
        let row = self.rows.iter().find(|(of, _)| *of == action);
        row.map_or(&[], |(_, chords)| chords)
    }

    /// The key to name in a sentence: `Esc`, or how else it is done.
    pub(crate) fn label(&self, action: Action) -> String {
        let command = COMMANDS.iter().find(|command| command.action == action);
        match self.chords(action).first() {
            Some(chord) => chord.to_string(),
            None => command
                .and_then(|command| command.names.first())
                .map_or_else(|| name(action), |name| format!("/{name}")),
        }
    }
}

/// The name of an action in settings: `next-kernel`, `show-monitor`.
pub(crate) fn name(action: Action) -> String {
    let mut name = String::new();
    for c in format!("{action:?}").chars() {
        match c {
            '(' | ')' | ' ' | ',' => {}
            c if c.is_ascii_uppercase() => {
                if !name.is_empty() {
                    name.push('-');
                }
                name.push(c.to_ascii_lowercase());
            }
            c => name.push(c),
        }
    }
    name
}

/// The action of this name.
pub(crate) fn action(wanted: &str) -> Option<Action> {
    let mut actions = COMMANDS.iter().map(|command| command.action);
    actions.find(|action| name(*action) == wanted)
}

/// Whether the program could not be used any more without a key for it.
pub(crate) fn is_needed(action: Action) -> bool {
    matches!(action, Action::Send | Action::Interrupt)
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;

    #[test]
    fn every_action_has_a_name_of_its_own_and_its_keys_are_called_as_they_are_read() {
        let mut names: Vec<String> = COMMANDS.iter().map(|row| name(row.action)).collect();
        for (row, name) in COMMANDS.iter().zip(&names) {
            assert_eq!(action(name), Some(row.action));
            assert!(
                name.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
                "{name}"
            );
            for key in row.keys {
                let chord = Chord::new(key.code, key.modifiers);
                assert_eq!(chord.to_string(), key.label);
                assert_eq!(Chord::parse(key.label), Ok(chord));
            }
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!(name(Action::QuitIfEmpty), "quit-if-empty");
    }

    #[test]
    fn settings_come_first_and_take_keys_from_others() {
        let ctrl = |c| Chord::new(KeyCode::Char(c), KeyModifiers::CONTROL);
        let (keymap, taken) = Keymap::new(&[
            (Action::Copy, vec![ctrl('r'), ctrl('y')]),
            (Action::Suspend, vec![]),
        ]);
        assert_eq!(keymap.action(ctrl('r')), Some(Action::Copy));
        assert_eq!(keymap.chords(Action::Copy), [ctrl('r'), ctrl('y')]);
        assert_eq!(keymap.label(Action::Copy), "Ctrl+R");
        assert_eq!(keymap.label(Action::Regenerate), "/regen");
        assert_eq!(keymap.action(ctrl('z')), None, "unbound");
        let expected = Taken {
            chord: ctrl('r'),
            from: Action::Regenerate,
            by: Action::Copy,
        };
        assert_eq!(taken, [expected]);
        let mut given = keymap.clone();
        given.set_vi(true);
        assert_eq!(given, keymap, "what the settings say holds");
        assert_eq!(Keymap::default().action(ctrl('z')), Some(Action::Suspend));
        let mut keymap = Keymap::default();
        keymap.set_vi(true);
        assert_eq!(keymap.action(ctrl('r')), None, "vi takes undoing back");
        assert_eq!(keymap.label(Action::Regenerate), "/regen");
        keymap.set_vi(false);
        assert_eq!(keymap, Keymap::default());
    }
}
