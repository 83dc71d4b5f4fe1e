//! From a key to what it does.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::chord::Chord;
use super::commands::Action;
use super::state::State;
use crate::chat::composer::Move;

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A command of the table.
    Run(Action),
    /// A character to write.
    Insert(char),
    /// Delete the cluster before the cursor, or after it.
    Delete {
        /// Before.
        back: bool,
    },
    /// Delete up to there.
    DeleteTo(Move),
    /// Move the cursor.
    Go(Move),
    /// Move the cursor and select what it passes.
    Select(Move),
    /// What was sent earlier, or later.
    Recall {
        /// Earlier.
        older: bool,
    },
    /// Nothing.
    Nothing,
}

/// Reads a key. The table comes first; what it does not know edits the input.
pub(crate) fn meaning(state: &State, event: KeyEvent) -> Meaning {
    if event.kind == KeyEventKind::Release {
        return Meaning::Nothing;
    }
    let chord = Chord::of(event);
    if let Some(action) = state.setting.keymap.action(chord) {
        let empty = state.composer.text().is_empty();
        if action == Action::QuitIfEmpty && !empty {
            return Meaning::Delete { back: false };
        }
        return Meaning::Run(action);
    }
    edit(state, chord.code, chord.modifiers)
}

fn edit(state: &State, code: KeyCode, modifiers: KeyModifiers) -> Meaning {
    let ctrl = modifiers == KeyModifiers::CONTROL;
    let alt = modifiers == KeyModifiers::ALT;
    let word = ctrl || alt;
    if modifiers.contains(KeyModifiers::SHIFT)
        && let Some(to) = arrow(code, modifiers != KeyModifiers::SHIFT)
    {
        return Meaning::Select(to);
    }
    let empty = state.composer.text().is_empty();
    match code {
        KeyCode::Char('a') if ctrl => Meaning::Go(Move::LineStart),
        KeyCode::Char('e') if ctrl => Meaning::Go(Move::LineEnd),
        KeyCode::Char('b') if ctrl => Meaning::Go(Move::Left),
        KeyCode::Char('f') if ctrl => Meaning::Go(Move::Right),
        KeyCode::Char('n') if ctrl => Meaning::Recall { older: false },
        KeyCode::Char('h') if ctrl => Meaning::Delete { back: true },
        KeyCode::Char('w') if ctrl => Meaning::DeleteTo(Move::WordLeft),
        KeyCode::Char('u') if ctrl => Meaning::DeleteTo(Move::LineStart),
        KeyCode::Char('k') if ctrl => Meaning::DeleteTo(Move::LineEnd),
        KeyCode::Char('b') if alt => Meaning::Go(Move::WordLeft),
        KeyCode::Char('f') if alt => Meaning::Go(Move::WordRight),
        KeyCode::Char('d') if alt => Meaning::DeleteTo(Move::WordRight),
        // Ctrl+/ and Ctrl+_, as most terminals send them.
        KeyCode::Char('7' | '/' | '_') if ctrl => Meaning::Run(Action::UndoEdit),
        // AltGr arrives as Ctrl+Alt on some systems, so both together write what needs AltGr.
        KeyCode::Char(c) if !ctrl && !alt && !is_esc_and_ctrl(code, modifiers) => {
            Meaning::Insert(c)
        }
        KeyCode::Backspace if word => Meaning::DeleteTo(Move::WordLeft),
        KeyCode::Backspace => Meaning::Delete { back: true },
        KeyCode::Delete if word => Meaning::DeleteTo(Move::WordRight),
        KeyCode::Delete => Meaning::Delete { back: false },
        KeyCode::Left if word => Meaning::Go(Move::WordLeft),
        KeyCode::Left => Meaning::Go(Move::Left),
        KeyCode::Right if word => Meaning::Go(Move::WordRight),
        KeyCode::Right => Meaning::Go(Move::Right),
        KeyCode::Home if empty => Meaning::Run(Action::Top),
        KeyCode::Home => Meaning::Go(Move::LineStart),
        KeyCode::End if empty => Meaning::Run(Action::Bottom),
        KeyCode::End => Meaning::Go(Move::LineEnd),
        KeyCode::Up => Meaning::Go(Move::Up),
        KeyCode::Down => Meaning::Go(Move::Down),
        _ => Meaning::Nothing,
    }
}

/// Whether it is what terminals send for Esc and Ctrl with a letter behind it, pressed at once.
pub(super) fn is_esc_and_ctrl(code: KeyCode, modifiers: KeyModifiers) -> bool {
    modifiers == KeyModifiers::CONTROL | KeyModifiers::ALT
        && matches!(code, KeyCode::Char('a'..='z' | 'A'..='Z'))
}

/// Where a key moves the cursor; by words if `word`.
fn arrow(code: KeyCode, word: bool) -> Option<Move> {
    Some(match code {
        KeyCode::Left if word => Move::WordLeft,
        KeyCode::Right if word => Move::WordRight,
        KeyCode::Left => Move::Left,
        KeyCode::Right => Move::Right,
        KeyCode::Home => Move::LineStart,
        KeyCode::End => Move::LineEnd,
        KeyCode::Up => Move::Up,
        KeyCode::Down => Move::Down,
        _ => return None,
    })
}
