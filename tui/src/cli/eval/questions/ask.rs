//! Answers that the model writes.

use std::collections::VecDeque;

use tritone_engine::sample::Sampling;
use tritone_engine::{Cancel, Engine, Generation, Request};

use super::line::{Question, Wanted};
use super::results::Outcome;
use super::{EvalArgs, Round};

/// A question that was asked.
struct Asked<'a> {
    question: &'a Question,
    generation: Generation,
}

/// Asks `questions`, some at a time, and hands their outcomes on in order. Whether all were asked.
pub(super) fn ask(
    engine: &Engine,
    questions: &[&Question],
    args: &EvalArgs,
    round: &mut Round<'_>,
) -> anyhow::Result<bool> {
    let cancel = Cancel::default();
    round.interrupt.cancels(cancel.clone());
    let mut waiting = questions.iter();
    let mut asked: VecDeque<Result<Asked<'_>, Box<Outcome>>> = VecDeque::new();
    loop {
        while asked.len() < args.parallel as usize
            && let Some(question) = waiting.next()
        {
            asked.push_back(begin(engine, question, args));
        }
        let Some(next) = asked.pop_front() else {
            return Ok(true);
        };
        let outcome = match next {
            Ok(asked) => match answer(asked, args, &cancel) {
                Some(outcome) => outcome,
                None => return Ok(false),
            },
            Err(outcome) => *outcome,
        };
        round.done(outcome)?;
    }
}

fn begin<'a>(
    engine: &Engine,
    question: &'a Question,
    args: &EvalArgs,
) -> Result<Asked<'a>, Box<Outcome>> {
    let request = Request {
        sampling: Sampling::greedy(),
        max_tokens: Some(args.max_tokens as usize),
        stop: args.stop.clone(),
        ..Request::new(question.input.clone())
    };
    match engine.generate(request) {
        Ok(generation) => Ok(Asked {
            question,
            generation,
        }),
        Err(error) => {
            let failed = Outcome::failed(question.id.clone(), error.to_string());
            Err(Box::new(failed))
        }
    }
}

/// Waits for an answer; `None` when it was cancelled.
fn answer(asked: Asked<'_>, args: &EvalArgs, cancel: &Cancel) -> Option<Outcome> {
    use tritone_engine::{Event, GenerateError};
    let Asked {
        question,
        generation,
    } = asked;
    let id = question.id.clone();
    let mut text = String::new();
    let end = loop {
        if cancel.is_cancelled() {
            return None;
        }
        match generation.next_event() {
            Some(Event::Prefill { .. }) => {}
            Some(Event::Text { text: more, .. }) => text.push_str(&more),
            Some(Event::Finished(finished)) => break Ok(finished),
            Some(Event::Failed(error)) => break Err(error),
            None => break Err(GenerateError::Stopped),
        }
    };
    let finished = match end {
        Ok(finished) => finished,
        Err(error) => return Some(Outcome::failed(id, error.to_string())),
    };
    let Wanted::Texts(expected) = &question.wanted else {
        return Some(Outcome::failed(id, "it is a choice"));
    };
    Some(Outcome {
        id,
        right: Some(args.matching.accepts(&text, expected)),
        answer: Some(text),
        finish: Some(finished.reason.name().to_owned()),
        ..Outcome::default()
    })
}
