//! What a click means, where the program has the mouse.

use super::msg::Effect;
use super::screen::View;
use super::state::State;
use super::update::show;
use crate::view::{layout::Areas, tabs};

/// The left button was pressed there.
pub(super) fn click(state: &mut State, column: u16, row: u16) -> Vec<Effect> {
    let areas = Areas::of(state);
    let free = state.overlay.is_none() && state.help.is_none() && !areas.too_small;
    if free
        && state.view != View::Chat
        && areas.tabs.contains((column, row).into())
        && let Some(view) = tabs::at(state.view, areas.tabs.width, column)
    {
        return show(state, view);
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyCode;

    use super::super::headless::Headless;
    use super::super::msg::Msg;
    use super::*;

    #[test]
    fn a_click_on_a_tab_shows_that_view() {
        let mut session = Headless::loaded(80, 24);
        session.send(Msg::Click(6, 0));
        assert_eq!(session.state.view, View::Chat, "there are no tabs here");
        session.key(KeyCode::F(4)).send(Msg::Click(6, 0));
        assert_eq!(session.state.view, View::Monitor);
        session.send(Msg::Click(6, 5));
        assert_eq!(session.state.view, View::Monitor, "that is no tab");
        session.send(Msg::Click(1, 0));
        assert_eq!(session.state.view, View::Chat);
    }
}
