//! The views besides the chat: what they hold, and what keys do in them.

pub(crate) mod kernels;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod models;
pub(crate) mod monitor;
pub(crate) mod profiles;
pub(crate) mod sessions;
pub(crate) mod strategies;

use crossterm::event::KeyEvent;

use super::msg::Effect;
use super::screen::View;
use super::state::State;

/// What the views hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Views {
    pub(crate) monitor: monitor::Monitor,
    pub(crate) kernels: kernels::Kernels,
    pub(crate) profiles: profiles::Profiles,
    pub(crate) models: models::Models,
    pub(crate) strategies: strategies::Strategies,
    pub(crate) sessions: sessions::Sessions,
    pub(crate) logs: logs::Logs,
}

/// Gives a key to the view on the screen; `None` if it means nothing there.
pub(crate) fn key(state: &mut State, event: KeyEvent) -> Option<Vec<Effect>> {
    match state.view {
        View::Chat => None,
        View::Monitor => monitor::key(state, event),
        View::Kernels => kernels::key(state, event),
        View::Profiles => profiles::key(state, event),
        View::Models => models::key(state, event),
        View::Strategies => strategies::key(state, event),
        View::Sessions => sessions::key(state, event),
        View::Logs => logs::key(state, event),
    }
}

/// A view comes to the front.
pub(crate) fn entered(state: &mut State) -> Vec<Effect> {
    match state.view {
        View::Chat => Vec::new(),
        View::Monitor => monitor::entered(state),
        View::Kernels => kernels::entered(state),
        View::Profiles => profiles::entered(state),
        View::Models => models::entered(state),
        View::Strategies => strategies::entered(state),
        View::Sessions => sessions::entered(state),
        View::Logs => logs::entered(state),
    }
}
