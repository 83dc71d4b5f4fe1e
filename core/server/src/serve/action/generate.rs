//! Answers to conversations and continuations of texts.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use tokio::time::Instant;
use tritone_engine::sample::Sampling;
use tritone_engine::{Input, Request, Timings};

use super::answer::{Choice, Told, Written};
use super::{aside, json};
use crate::api::{ChatRequest, CompletionRequest, Format, Kind, Reply, Settings};
use crate::serve::app::Live;
use crate::serve::charge::Charged;
use crate::serve::pass::Visit;
use crate::serve::queue::Step;
use crate::serve::refusal::refusal;
use crate::serve::request_id;
use crate::serve::stream::{self, Merged};
use crate::{ApiError, ErrorKind};

/// What is wanted, whichever route it came by.
struct Wanted {
    kind: Kind,
    model: Option<String>,
    prompts: Vec<Input>,
    settings: Settings,
    thinking: Option<bool>,
    continue_last: bool,
    estimate: u64,
}

/// `/v1/chat/completions`.
pub(super) async fn chat(visit: Visit) -> Result<Response, ApiError> {
    let body = json(&visit).await?;
    let limits = &visit.app.config.limits;
    let request = ChatRequest::parse(&body, limits, &Sampling::default())?;
    if request.format != Format::Text {
        let text = "answers in the form of a JSON schema are not supported by this build";
        return Err(ApiError::new(ErrorKind::NotSupported, text).param("response_format"));
    }
    let estimate = request.tokens_estimate();
    let wanted = Wanted {
        kind: Kind::Chat,
        model: request.model,
        prompts: vec![Input::Chat(request.messages)],
        settings: request.settings,
        thinking: request.thinking,
        continue_last: request.continue_last,
        estimate,
    };
    answer(visit, wanted).await
}

/// `/v1/completions`.
pub(super) async fn completion(visit: Visit) -> Result<Response, ApiError> {
    let body = json(&visit).await?;
    let limits = &visit.app.config.limits;
    let request = CompletionRequest::parse(&body, limits, &Sampling::default())?;
    let estimate = request.tokens_estimate();
    let wanted = Wanted {
        kind: Kind::Completion,
        model: request.model,
        prompts: request
            .prompts
            .iter()
            .map(|prompt| prompt.input())
            .collect(),
        settings: request.settings,
        thinking: None,
        continue_last: false,
        estimate,
    };
    answer(visit, wanted).await
}

async fn answer(visit: Visit, wanted: Wanted) -> Result<Response, ApiError> {
    let app = Arc::clone(&visit.app);
    let live = app.model(wanted.model.as_deref())?;
    let queue = app.queue()?;
    let (choices, estimate) = (wanted.settings.choices, wanted.estimate);
    // First for this client, then for all; both before anything is tokenised.
    let (charged, quota) = Charged::new(&app, visit.pass.client, estimate)?;
    let mut ticket = queue.reserve(wanted.prompts.len() * choices, estimate)?;
    let salt = app.guard.salt(visit.pass.client);
    let (kind, stream) = (wanted.kind, wanted.settings.stream);
    let capped = wanted
        .settings
        .asked_tokens
        .map(|asked| (asked, wanted.settings.max_tokens));
    let loaded = Arc::clone(&live);
    let requests = aside(move || requests(&loaded, wanted, salt)).await??;
    ticket.correct(requests.iter().map(needed).sum());

    let deadline = Instant::from_std(visit.begun) + app.config.schedule.total_time;
    let patience = visit.patience();
    let answers = requests
        .into_iter()
        .map(|request| queue.answer(request, patience, deadline));
    let answers = Merged::new(answers.collect());
    let reply = Reply {
        kind,
        id: request_id::made(match kind {
            Kind::Chat => "chatcmpl-",
            Kind::Completion => "cmpl-",
        }),
        created: app.now(),
        model: live.model.clone(),
        fingerprint: live.fingerprint(),
        capped,
    };
    let told = Told {
        reply,
        choices,
        live,
        charged,
        told: visit.told.clone(),
        ticket,
    };
    let mut response = match stream {
        None => whole(answers, told).await?,
        Some(stream) => {
            let keep_alive = app.config.keep_alive;
            streamed(answers, Written::new(told, stream), keep_alive).await?
        }
    };
    quota.put(response.headers_mut());
    Ok(response)
}

/// What the engine is asked, one request for each answer. Takes as long as tokenising does.
fn requests(live: &Live, wanted: Wanted, salt: u64) -> Result<Vec<Request>, ApiError> {
    let settings = &wanted.settings;
    let seed = request_id::number();
    let context = live.engine.info().context;
    let mut requests = Vec::new();
    for input in wanted.prompts {
        let mut request = Request {
            max_tokens: Some(settings.max_tokens),
            stop: settings.stop.clone(),
            ignore_eos: settings.ignore_eos,
            thinking: wanted.thinking,
            continue_last: wanted.continue_last,
            salt,
            min_tokens: settings.min_tokens,
            ..Request::new(input)
        };
        let tokens = live.engine.model().encode_request(&request);
        let tokens = tokens.map_err(|error| refusal(&error))?;
        if tokens.len() >= context {
            let prompt = tokens.len();
            return Err(refusal(&tritone_engine::GenerateError::PromptTooLong {
                prompt,
                context,
            }));
        }
        request.input = Input::Tokens(tokens);
        request.continue_last = false;
        request.thinking = None;
        for choice in 0..settings.choices {
            let mut request = request.clone();
            // Choices differ by their seeds, also those of several prompts in one request.
            request.sampling = settings.sampling_of(choice, seed);
            requests.push(request);
        }
    }
    Ok(requests)
}

/// Tokens of prompt and answer at most.
fn needed(request: &Request) -> u64 {
    let prompt = match &request.input {
        Input::Tokens(tokens) => tokens.len(),
        _ => 0,
    };
    (prompt + request.max_tokens.unwrap_or(0)) as u64
}

/// Waits for all answers. This future holds them: whoever leaves ends them.
async fn whole(mut answers: Merged, told: Told) -> Result<Response, ApiError> {
    let mut choices: Vec<Choice> = Vec::new();
    while let Some((index, step)) = answers.next().await {
        if choices.len() <= index {
            choices.resize_with(index + 1, Choice::default);
        }
        let Some(choice) = choices.get_mut(index) else {
            continue;
        };
        match step {
            Step::Reading => {}
            Step::Text {
                text,
                token,
                likelihood,
                timings,
            } => {
                choice.text.push_str(&text);
                choice.add(&told.live, token, likelihood.as_deref());
                choice.timings = timings;
            }
            Step::Ended(finish, timings) => {
                choice.timings = timings;
                choice.finish = Some(finish);
                told.ended(&timings, finish);
            }
            Step::Failed(error) => return Err(error),
        }
    }
    let first = choices
        .first()
        .map(|choice| choice.timings)
        .unwrap_or_default();
    let tokens = told.tokens(choices.iter().map(|choice| &choice.timings));
    told.charged.used(tokens);
    let logprobs = choices.iter().any(|choice| !choice.likelihoods.is_empty());
    let answered: Option<Vec<_>> = choices
        .into_iter()
        .map(|choice| choice.answered(logprobs))
        .collect();
    let answered = answered
        .ok_or_else(|| ApiError::new(ErrorKind::Internal, "an answer ended without saying why"))?;
    let mut response = Json(told.reply.whole(&answered, tokens)).into_response();
    put_timing(&mut response, &first);
    Ok(response)
}

/// Says where the time went.
fn put_timing(response: &mut Response, timings: &Timings) {
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let text = format!(
        "queue;dur={:.1}, prefill;dur={:.1}, decode;dur={:.1}",
        ms(timings.queued),
        ms(timings.prefill),
        ms(timings.decode)
    );
    if let Ok(value) = HeaderValue::from_str(&text) {
        let name = HeaderName::from_static("server-timing");
        response.headers_mut().insert(name, value);
    }
}

/// Begins a stream as soon as an answer has its turn: until then a refusal is an ordinary answer with its own
/// status.
async fn streamed(
    mut answers: Merged,
    written: Written,
    keep_alive: std::time::Duration,
) -> Result<Response, ApiError> {
    let mut waiting = VecDeque::new();
    match answers.next().await {
        Some((_, Step::Failed(error))) => return Err(error),
        Some(step) => waiting.push_back(step),
        None => {}
    }
    let body = stream::body(answers, waiting, written, keep_alive);
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies are not to collect it.
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    headers.insert(unbuffered, HeaderValue::from_static("no"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_prompt_and_answer() {
        let request = Request {
            max_tokens: Some(5),
            ..Request::new(Input::Tokens(vec![1, 2, 3]))
        };
        assert_eq!(needed(&request), 8);
    }
}
