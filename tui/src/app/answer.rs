//! Answers: beginning, hearing and ending them.

use std::time::Duration;

use tritone_engine::{Event, FinishReason, GenerateError, Input, Request, Timings};

use super::meter::Meter;
use super::msg::Effect;
use super::state::{Load, Phase, Run, Scroll, State};
use crate::chat::transcript::{AnswerState, Kind};

/// Without a token for this long the rate is 0, not what it was.
const SILENCE: Duration = Duration::from_secs(2);

/// Asks for an answer to what the transcript says, or notes that one is wanted.
pub(super) fn begin(state: &mut State) -> Vec<Effect> {
    state.scroll = Scroll::Follow;
    state.flash = None;
    if !matches!(state.load, Load::Ready(_)) {
        state.waiting = true;
        return Vec::new();
    }
    let messages = state.transcript.messages(state.system.as_deref());
    let mut request = Request::new(Input::Chat(messages));
    request.sampling = state.sampling.clone();
    request.sampling.seed = state.sampling.seed.wrapping_add(state.repeats);
    request.max_tokens = state.setting.max_tokens;
    request.thinking = state.thinking;
    state
        .transcript
        .push(Kind::Answer(AnswerState::Running), "");
    let id = state.next_id;
    state.next_id += 1;
    state.run = Some(Run {
        id,
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
    vec![Effect::Generate {
        id,
        request: Box::new(request),
    }]
}

/// Answers the last message again, with the next seed; what came after it goes.
pub(super) fn again(state: &mut State) -> Vec<Effect> {
    let mut effects = Vec::new();
    if state.waiting {
        state.remark("the model is still being loaded");
        return effects;
    }
    if state.model().is_none() {
        state.remark("there is no model");
        return effects;
    }
    if !state.transcript.rewind_to_last_user() {
        state.remark("there is no message to answer yet");
        return effects;
    }
    if state.run.take().is_some() {
        effects.push(Effect::Cancel);
    }
    effects.extend(super::race::stop(state));
    state.repeats += 1;
    effects.extend(begin(state));
    effects
}

/// Takes in what answer `id` says; answers that were given up are not listened to.
pub(super) fn heard(state: &mut State, id: u64, event: Event) {
    let now = state.now;
    let Some(run) = state.run.as_mut().filter(|run| run.id == id) else {
        return;
    };
    run.heard = now;
    match event {
        Event::Prefill { done, total } => {
            run.prefill.record(now, done as u64);
            run.phase = Phase::Prefill {
                done,
                total: Some(total),
            };
            state.rates.prefill = run.prefill.rate().or(state.rates.prefill);
            state.context_used = done;
        }
        Event::Text { text, timings, .. } => {
            run.phase = Phase::Decode;
            run.decode
                .record(timings.decode, timings.generated_tokens as u64);
            state.rates.decode = run.decode.rate().or(state.rates.decode);
            count(state, &timings);
            state.transcript.extend_answer(&text);
        }
        Event::Finished(finished) => {
            count(state, &finished.timings);
            if finished.timings.generated_tokens > 1 {
                state.rates.decode = Some(finished.timings.decode_rate());
            }
            state.last = Some(finished.timings);
            state.transcript.end_answer(match finished.reason {
                FinishReason::EndOfTurn | FinishReason::StopString(_) => AnswerState::Complete,
                FinishReason::MaxTokens => AnswerState::Ended("(token limit reached)"),
                FinishReason::ContextFull => {
                    AnswerState::Ended("(context full: /clear starts a new chat)")
                }
                FinishReason::Cancelled => AnswerState::Ended("(stopped)"),
            });
            state.run = None;
        }
        Event::Failed(error) => failed(state, &error),
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
fn failed(state: &mut State, error: &GenerateError) {
    state.run = None;
    let mut text = error.to_string();
    if state.transcript.drop_empty_answer() {
        if state.composer.text().is_empty()
            && let Some(question) = state.transcript.take_last_user()
        {
            state.composer.set(question);
            text.push_str("\nYour message is back in the input.");
        }
    } else {
        state.transcript.end_answer(AnswerState::Ended("(failed)"));
    }
    state.transcript.push(Kind::Error, text);
}
