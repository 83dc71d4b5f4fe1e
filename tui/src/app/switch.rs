//! Switching to another kernel, in the background if its weights have to be packed.

use tritone_engine::LoadProgress;

use super::meter::Progress;
use super::msg::Effect;
use super::state::{State, Switch};
use crate::chat::transcript::Kind;

/// Begins to switch to the kernel `name`, one at a time.
pub(super) fn begin(state: &mut State, name: &str) -> Vec<Effect> {
    if let Some(switch) = &state.switch {
        let text = format!("switching to {} is not done yet: Esc stops it", switch.name);
        state.remark(text);
        return Vec::new();
    }
    state.switch = Some(Switch {
        name: name.to_owned(),
        progress: Progress::default(),
        stopping: false,
    });
    vec![Effect::SetKernel(name.to_owned())]
}

/// Gives the switch up; `None` when there is none.
pub(super) fn stop(state: &mut State) -> Option<Vec<Effect>> {
    let switch = state.switch.as_mut().filter(|switch| !switch.stopping)?;
    switch.stopping = true;
    Some(vec![Effect::StopSwitch])
}

/// Shows how far packing has come.
pub(super) fn goes_on(state: &mut State, new: LoadProgress) {
    if let Some(switch) = &mut state.switch {
        switch.progress.record(state.now, new);
    }
}

/// Takes in what came of it: the kernel that is used now, or why the old one stays.
pub(super) fn ended(state: &mut State, result: Result<String, String>) {
    let stopped = state.switch.take().is_some_and(|switch| switch.stopping);
    match result {
        Ok(name) => {
            let text = format!("the kernel is {name} now");
            state.transcript.push(Kind::Note, text);
            state.kernel = Some(name);
            state.views.kernels.changed(state.now);
            state.kernel_named = true;
        }
        Err(_) if stopped => {
            let old = state.kernel.as_deref().unwrap_or("the old one");
            let text = format!("switching was stopped; the kernel is {old} still");
            state.transcript.push(Kind::Note, text);
        }
        Err(why) => state.transcript.push(Kind::Error, why),
    }
}
