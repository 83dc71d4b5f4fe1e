//! The Monitor view.

use crossterm::event::KeyEvent;

use crate::app::msg::Effect;
use crate::app::state::State;

/// What the view holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Monitor {}

/// Takes a key.
pub(super) fn key(_state: &mut State, _event: KeyEvent) -> Option<Vec<Effect>> {
    None
}

/// The view comes to the front.
pub(super) fn entered(_state: &mut State) -> Vec<Effect> {
    Vec::new()
}
