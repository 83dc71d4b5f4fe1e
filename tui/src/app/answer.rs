//! Answers: beginning, hearing and ending them.

use std::time::Duration;

use tritone_engine::{Event, FinishReason, GenerateError, Input, Request, Timings};
use tritone_store::{Number, Role, State as End};

use super::conversation;
use super::meter::Meter;
use super::msg::Effect;
use super::state::{Load, Phase, Run, Scroll, State};
use super::update;
use super::views;
use crate::chat::transcript::Kind;

/// Without a token for this long the rate is 0, not what it was.
const SILENCE: Duration = Duration::from_secs(2);

/// Asks for an answer to what was said last, or notes that one is wanted.
pub(super) fn begin(state: &mut State) -> Vec<Effect> {
    state.scroll = Scroll::Follow;
    state.flash = None;
    if !matches!(state.load, Load::Ready(_)) || super::apply::is_changing_model(state) {
        state.waiting = true;
        return Vec::new();
    }
    let parent = state.conversation.tree.active();
    begin_under(state, parent)
}

/// Asks for an answer to message `parent`.
pub(super) fn begin_under(state: &mut State, parent: Option<Number>) -> Vec<Effect> {
    let (node, mut effects) = conversation::begin_answer(state, parent);
    effects.push(ask(state, node, false));
    effects
}

/// Asks for the text of answer `node`, or for more of it.
fn ask(state: &mut State, node: Number, more: bool) -> Effect {
    let tree = &state.conversation.tree;
    let mut messages = conversation::turns(tree, state.system.as_deref());
    super::context::cut(state, &mut messages);
    let tree = &state.conversation.tree;
    let mut request = Request::new(Input::Chat(messages));
    request.sampling = state.sampling.clone();
    let seed = tree.get(node).and_then(|message| message.seed);
    request.sampling.seed = seed.unwrap_or(request.sampling.seed);
    request.max_tokens = state.setting.max_tokens;
    request.thinking = state.thinking;
    request.continue_last = more;
    state.scroll = Scroll::Follow;
    let id = state.next_id;
    state.next_id += 1;
    state.run = Some(Run {
        id,
        node,
        started: state.now,
        heard: state.now,
        phase: Phase::Prefill {
            done: 0,
            total: None,
        },
        prefill: Meter::default(),
        decode: Meter::default(),
        cancelled: false,
    });
    Effect::Generate {
        id,
        request: Box::new(request),
    }
}

/// Answers the last message again, with the next seed; the answer it had stays beside the new one.
pub(super) fn again(state: &mut State) -> Vec<Effect> {
    match conversation::last_user(state) {
        Some(number) => again_under(state, number),
        None => {
            state.remark("there is no message to answer yet");
            Vec::new()
        }
    }
}

/// Answers this message again.
pub(super) fn again_under(state: &mut State, parent: Number) -> Vec<Effect> {
    if let Some(why) = not_now(state) {
        state.remark(why);
        return Vec::new();
    }
    let mut effects = conversation::abandon(state);
    effects.extend(super::race::stop(state));
    effects.extend(begin_under(state, Some(parent)));
    effects
}

/// Goes on with the last answer.
pub(super) fn go_on(state: &mut State) -> Vec<Effect> {
    let tree = &state.conversation.tree;
    let last = tree.active().and_then(|number| tree.get(number));
    let why = match last {
        _ if state.run.is_some() => Some("an answer is on its way"),
        _ if not_now(state).is_some() => not_now(state),
        None => Some("there is no answer to go on with"),
        Some(last) if last.role == Role::User => {
            Some("the last message has no answer yet: /regen answers it")
        }
        Some(last) if last.text.is_empty() => {
            Some("the last answer says nothing yet: /regen answers again")
        }
        Some(_) => None,
    };
    let (Some(number), None) = (last.map(|last| last.number), why) else {
        state.remark(why.unwrap_or_default());
        return Vec::new();
    };
    let mut effects = super::race::stop(state);
    effects.extend(conversation::reopen(state, number));
    effects.push(ask(state, number, true));
    effects
}

/// Why no answer can be asked for now.
fn not_now(state: &State) -> Option<&'static str> {
    match state.model() {
        _ if state.waiting => Some("the model is still being loaded"),
        None => Some("there is no model"),
        Some(_) => None,
    }
}

/// Takes in what answer `id` says; answers that were given up are not listened to.
pub(super) fn heard(state: &mut State, id: u64, event: Event) -> Vec<Effect> {
    let now = state.now;
    let Some(run) = state.run.as_mut().filter(|run| run.id == id) else {
        return Vec::new();
    };
    run.heard = now;
    let node = run.node;
    match event {
        Event::Prefill { done, total } => {
            run.prefill.record(now, done as u64);
            run.phase = Phase::Prefill {
                done,
                total: Some(total),
            };
            state.rates.prefill = run.prefill.rate().or(state.rates.prefill);
            state.context_used = done;
            Vec::new()
        }
        Event::Text { text, timings, .. } => {
            run.phase = Phase::Decode;
            run.decode
                .record(timings.decode, timings.generated_tokens as u64);
            state.rates.decode = run.decode.rate().or(state.rates.decode);
            count(state, &timings);
            conversation::extend(state, node, &text)
        }
        Event::Finished(finished) => {
            count(state, &finished.timings);
            if finished.timings.generated_tokens > 1 {
                state.rates.decode = Some(finished.timings.decode_rate());
                views::kernels::answered(state, finished.timings.decode_rate());
            }
            state.last = Some(finished.timings);
            state.run = None;
            let end = match finished.reason {
                FinishReason::EndOfTurn | FinishReason::StopString(_) => End::Complete,
                FinishReason::MaxTokens => End::Length,
                FinishReason::ContextFull => End::Context,
                FinishReason::Cancelled => End::Stopped,
            };
            conversation::finish(state, node, end, Some(&finished.timings))
        }
        Event::Failed(error) => failed(state, node, &error),
    }
}

/// Lets the rate fall to 0 when the running answer says nothing.
pub(super) fn silence(state: &mut State) {
    if let Some(run) = &state.run
        && state.now.saturating_sub(run.heard) > SILENCE
    {
        match run.phase {
            Phase::Decode => state.rates.decode = Some(0.0),
            Phase::Prefill { .. } => state.rates.prefill = state.rates.prefill.and(Some(0.0)),
        }
    }
}

fn count(state: &mut State, timings: &Timings) {
    state.context_used = timings.prompt_tokens + timings.generated_tokens;
    if timings.prefill_rate() > 0.0 {
        state.rates.prefill = Some(timings.prefill_rate());
    }
}

/// An answer that never began leaves its question in the input, to be changed and sent again.
fn failed(state: &mut State, node: Number, error: &GenerateError) -> Vec<Effect> {
    state.run = None;
    let mut text = error.to_string();
    if let Some(advice) = views::strategies::advice(state) {
        text.push('\n');
        text.push_str(&advice);
    }
    let tree = &state.conversation.tree;
    let silent = tree.get(node).is_none_or(|message| message.text.is_empty());
    let mut effects = Vec::new();
    if silent {
        effects.extend(conversation::take_back(state, node).1);
        let last = state.conversation.tree.active();
        let answered = state.conversation.tree.children(last).next().is_some();
        if state.composer.text().is_empty()
            && !answered
            && let Some(last) = last.filter(|_| conversation::last_user(state) == last)
        {
            let (question, kept) = conversation::take_back(state, last);
            effects.extend(kept);
            state.composer.set(question.unwrap_or_default());
            text.push_str("\nYour message is back in the input.");
        }
    } else {
        effects.extend(conversation::finish(state, node, End::Failed, None));
        if state
            .strategy
            .as_deref()
            .is_some_and(update::is_attached_to)
        {
            text.push_str("\n/regen asks the server again.");
        }
    }
    state.transcript.push(Kind::Error, text);
    effects
}
