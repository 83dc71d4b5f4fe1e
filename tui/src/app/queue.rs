//! Messages that wait for the running answer to end.

use super::desk::Ask;
use super::msg::Effect;
use super::overlay::Overlay;
use super::picker::{Item, Picker};
use super::state::{Load, State};
use crate::chat::composer::draft::Draft;

/// Most messages that wait.
const MOST: usize = 50;

/// The messages, the next one first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    waiting: Vec<Draft>,
}

impl Queue {
    /// What waits, the next one first.
    pub(crate) fn waiting(&self) -> &[Draft] {
        &self.waiting
    }
}

/// Whether the messages wait for nothing but a key: the answer before them was stopped.
pub(crate) fn is_held(state: &State) -> bool {
    !state.queue.waiting.is_empty() && state.run.is_none() && !state.waiting
}

/// What is in the input waits.
pub(super) fn add(state: &mut State) -> Vec<Effect> {
    if state.queue.waiting.len() >= MOST {
        state.remark(format!("{MOST} messages wait already; this one stays here"));
        return Vec::new();
    }
    let draft = state.composer.take();
    state.queue.waiting.push(draft.clone());
    vec![Effect::Desk(Ask::Remember(draft))]
}

/// Sends the first message that waits, if one can be sent now.
pub(super) fn next(state: &mut State) -> Vec<Effect> {
    let ready = state.run.is_none() && !state.waiting && matches!(state.load, Load::Ready(_));
    if !ready || state.queue.waiting.is_empty() {
        return Vec::new();
    }
    let draft = state.queue.waiting.remove(0);
    match super::input::say(state, &draft) {
        Ok(effects) => effects,
        Err(why) => {
            state.queue.waiting.insert(0, draft);
            state.remark(why);
            Vec::new()
        }
    }
}

/// Takes the message that was queued last back into the input.
pub(super) fn edit_last(state: &mut State) {
    let last = state.queue.waiting.len().checked_sub(1);
    match last {
        Some(last) => edit(state, last),
        None => state.remark("no message waits"),
    }
}

fn edit(state: &mut State, at: usize) {
    if !state.composer.is_blank() {
        state.remark("send or delete what is in the input first");
        return;
    }
    if at < state.queue.waiting.len() {
        let draft = state.queue.waiting.remove(at);
        state.composer.set_draft(draft);
    }
}

/// `/queue`: what waits, to take one of it back; `/queue clear` takes all away.
pub(super) fn command(state: &mut State, argument: &str) {
    let count = state.queue.waiting.len();
    match argument {
        _ if count == 0 => state.remark("no message waits"),
        "" => {
            let item = |(at, draft): (usize, &Draft)| Item {
                value: at.to_string(),
                label: draft.headline().to_owned(),
                detail: String::new(),
            };
            let items = state.queue.waiting.iter().enumerate().map(item).collect();
            let picker = Picker::new("waiting messages: Enter edits", items, |state, value| {
                if let Ok(at) = value.parse() {
                    edit(state, at);
                }
                Vec::new()
            });
            state.overlay = Some(Overlay::Picker(picker));
        }
        "clear" => {
            state.queue.waiting.clear();
            state.remark(format!(
                "{count} waiting messages are taken back; they are in the history"
            ));
        }
        _ => state.remark("it is /queue or /queue clear"),
    }
}

/// The program ends: what was not sent is kept for the next time. What waits is in the history
/// already.
pub(crate) fn keep(state: &State) -> Vec<Effect> {
    if state.composer.is_blank() {
        return Vec::new();
    }
    vec![Effect::Desk(Ask::Remember(state.composer.draft()))]
}
