//! The Kernels view: the kernels there are; Enter switches to one.

use crossterm::event::{KeyCode, KeyEvent};

use super::list::Selected;
use crate::app::msg::Effect;
use crate::app::state::State;
use crate::app::update;

/// What the view holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kernels {
    pub(crate) selected: Selected,
}

/// Takes a key.
pub(super) fn key(state: &mut State, event: KeyEvent) -> Option<Vec<Effect>> {
    let rows = state.kernels.len();
    if state.views.kernels.selected.key(event, rows) {
        return Some(Vec::new());
    }
    match event.code {
        KeyCode::Enter => {
            let row = state.views.kernels.selected.row(rows);
            let name = state.kernels.get(row)?.name.clone();
            Some(update::kernel(state, &name))
        }
        _ => None,
    }
}

/// The view comes to the front.
pub(super) fn entered(state: &mut State) -> Vec<Effect> {
    let mut kernels = state.kernels.iter();
    let active = kernels.position(|choice| state.kernel.as_ref() == Some(&choice.name));
    state.views.kernels.selected.set(active.unwrap_or(0));
    Vec::new()
}
