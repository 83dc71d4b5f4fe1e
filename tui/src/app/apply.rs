//! Running on something else: another model, another profile, another setting.

use tritone_engine::LoadProgress;

use super::host::{NotLoaded, Order};
use super::meter::Progress;
use super::msg::{Effect, Loaded};
use super::state::{Load, State};
use crate::chat::transcript::Kind;

/// A change that is going on.
#[derive(Clone, Debug)]
pub(crate) struct Applying {
    /// What was asked for.
    pub(crate) order: Order,
    /// How far it has come.
    pub(crate) progress: Progress,
    /// It is to be given up.
    pub(crate) stopping: bool,
}

/// Begins to carry out `order`, one at a time. Another model does not come in the middle of an answer;
/// profile and settings may: what would alter the answer waits for its end.
pub(crate) fn begin(state: &mut State, order: Order) -> Vec<Effect> {
    if let Some(applying) = &state.applying {
        let text = format!(
            "{} is not loaded yet: Esc stops it",
            applying.order.summary()
        );
        state.remark(text);
        return Vec::new();
    }
    if matches!(state.load, Load::Running(_)) {
        state.remark("the model is still being loaded");
        return Vec::new();
    }
    if state.run.is_some() && (order.model.is_some() || order.strategy.is_some()) {
        state.remark("an answer is being written: Esc stops it");
        return Vec::new();
    }
    let mut effects = super::race::stop(state);
    state.applying = Some(Applying {
        order: order.clone(),
        progress: Progress::default(),
        stopping: false,
    });
    effects.push(Effect::Apply(order));
    effects
}

/// Gives the change up; `None` when there is none.
pub(super) fn stop(state: &mut State) -> Option<Vec<Effect>> {
    let applying = state
        .applying
        .as_mut()
        .filter(|applying| !applying.stopping)?;
    applying.stopping = true;
    Some(vec![Effect::StopApply])
}

/// Shows how far it has come.
pub(super) fn goes_on(state: &mut State, new: LoadProgress) {
    if let Some(applying) = &mut state.applying {
        applying.progress.record(state.now, new);
    }
}

/// Takes in what came of it.
pub(super) fn ended(state: &mut State, result: Result<Box<Loaded>, NotLoaded>) -> Vec<Effect> {
    let Some(applying) = state.applying.take() else {
        return Vec::new();
    };
    match result {
        Ok(loaded) => {
            let text = format!("from here on: {}", applying.order.summary());
            state.transcript.push(Kind::Note, text);
            let (used, room) = (state.context_used, loaded.model.context);
            if used >= room {
                let text = format!(
                    "the conversation has taken {used} tokens so far, and the context now holds {room}: \
                     the next message may not fit"
                );
                state.transcript.push(Kind::Note, text);
            }
            let mut effects = super::update::load_done(state, *loaded);
            effects.extend(super::views::models::outdated(state));
            effects
        }
        Err(NotLoaded { why, gave_up }) if applying.stopping => {
            let text = match gave_up {
                true => format!("stopped; {why}"),
                false => "stopped; everything is as it was".to_owned(),
            };
            state.transcript.push(Kind::Note, text);
            go_on(state)
        }
        Err(NotLoaded { why, .. }) => {
            state.transcript.push(Kind::Error, why);
            go_on(state)
        }
    }
}

/// A message that waited for the change is answered by what was there before.
fn go_on(state: &mut State) -> Vec<Effect> {
    match std::mem::take(&mut state.waiting) {
        true => super::answer::begin(state),
        false => Vec::new(),
    }
}

/// Whether answers have to wait for another model.
pub(super) fn is_changing_model(state: &State) -> bool {
    let applying = state.applying.as_ref();
    applying
        .is_some_and(|applying| applying.order.model.is_some() || applying.order.strategy.is_some())
}
