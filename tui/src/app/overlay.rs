//! What lies over the view and takes the keys first.

use crossterm::event::{KeyCode, KeyEvent};

use super::keys::{self, Meaning};
use super::msg::Effect;
use super::picker::{self, Picker};
use super::state::State;

/// What lies over the view.
#[derive(Clone, Debug)]
pub(crate) enum Overlay {
    /// A list to choose from.
    Picker(Picker),
    /// A question before something that is not easily undone.
    Confirm(Confirm),
}

/// A question that `y` or Enter answers with yes, and everything else with no.
#[derive(Clone, Debug)]
pub(crate) struct Confirm {
    /// The question, a sentence.
    pub(crate) question: String,
    /// What it is about, handed to `yes`.
    pub(crate) value: String,
    /// What is to be done.
    pub(crate) yes: fn(&mut State, &str) -> Vec<Effect>,
}

/// Gives a key to the overlay; `None` if there is no overlay, or it is of no concern to it.
pub(crate) fn key(state: &mut State, event: KeyEvent) -> Option<Vec<Effect>> {
    let urgent = matches!(keys::meaning(state, event), Meaning::Run(action) if action.is_urgent());
    match state.overlay.clone()? {
        // Leaving, stopping the program and drawing anew work everywhere.
        _ if urgent => {
            state.overlay = None;
            None
        }
        Overlay::Picker(_) => Some(picker::key(state, event)),
        Overlay::Confirm(confirm) => {
            state.overlay = None;
            let yes = matches!(event.code, KeyCode::Enter | KeyCode::Char('y' | 'Y'));
            Some(match yes {
                true => (confirm.yes)(state, &confirm.value),
                false => Vec::new(),
            })
        }
    }
}
