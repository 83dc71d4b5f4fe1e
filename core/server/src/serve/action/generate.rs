//! Answers to conversations and continuations of texts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use tritone_engine::sample::Sampling;
use tritone_engine::{GenerateError, Input, Request, Timings};

use super::answer::{Choice, Told, Written};
use super::responded::Responded;
use super::{aside, json};
use crate::api::{
    ChatRequest, CompletionRequest, Echo, Format, Kind, Reply, ResponseReply, ResponsesRequest,
    Settings,
};
use crate::schedule::{Repeatable, Update, failure};
use crate::serve::app::{App, Live};
use crate::serve::charge::Charged;
use crate::serve::pass::Visit;
use crate::serve::stream::{self, Frames, Merged};
use crate::serve::{record, request_id};
use crate::{ApiError, ErrorKind};

/// What is wanted, whichever route it came by.
struct Wanted {
    kind: Kind,
    model: Option<String>,
    prompts: Vec<Input>,
    settings: Settings,
    thinking: Option<bool>,
    continue_last: bool,
    format: Format,
    estimate: u64,
    /// Of a request to the responses interface.
    echo: Option<Echo>,
}

/// `/v1/chat/completions`.
pub(super) async fn chat(visit: Visit) -> Result<Response, ApiError> {
    let body = json(&visit).await?;
    let limits = &visit.app.config.limits;
    let request = ChatRequest::parse(&body, limits, &Sampling::default())?;
    answer(visit, of_chat(request, None)).await
}

/// `/v1/responses`.
pub(super) async fn responses(visit: Visit) -> Result<Response, ApiError> {
    let body = json(&visit).await?;
    let limits = &visit.app.config.limits;
    let ResponsesRequest { chat, echo } =
        ResponsesRequest::parse(&body, limits, &Sampling::default())?;
    answer(visit, of_chat(chat, Some(echo))).await
}

fn of_chat(request: ChatRequest, echo: Option<Echo>) -> Wanted {
    let estimate = request.tokens_estimate();
    Wanted {
        kind: Kind::Chat,
        model: request.model,
        prompts: vec![Input::Chat(request.messages)],
        settings: request.settings,
        thinking: request.thinking,
        continue_last: request.continue_last,
        format: request.format,
        estimate,
        echo,
    }
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
        format: Format::Text,
        estimate,
        echo: None,
    };
    answer(visit, wanted).await
}

async fn answer(visit: Visit, wanted: Wanted) -> Result<Response, ApiError> {
    let app = Arc::clone(&visit.app);
    let live = app.model(wanted.model.as_deref())?;
    let dispatcher = app.dispatcher()?;
    refuse_likelihoods(&app, &wanted)?;
    let client = visit.pass.client;
    let (choices, answers) = (
        wanted.settings.choices,
        wanted.prompts.len() * wanted.settings.choices,
    );
    // First for this client, then for all; both before anything is tokenised.
    let (charged, quota) = Charged::new(&app, client, wanted.estimate)?;
    let each = wanted.estimate.div_ceil(answers.max(1) as u64);
    let seats = dispatcher.reserve(client, answers, each)?;

    let (kind, stream) = (wanted.kind, wanted.settings.stream);
    let max_tokens = wanted.settings.max_tokens;
    let capped = wanted
        .settings
        .asked_tokens
        .map(|asked| (asked, max_tokens));
    let repeatable = wanted.settings.is_repeatable();
    let response = wanted.echo.clone().map(|echo| ResponseReply {
        id: request_id::made("resp_"),
        item: request_id::made("msg_"),
        created: app.now(),
        model: live.model.clone(),
        echo,
    });
    let format = match &wanted.format {
        Format::Text => String::new(),
        Format::Schema(schema) => schema.to_string(),
    };
    let (loaded, shared, told) = (Arc::clone(&live), Arc::clone(&app), visit.told.clone());
    let salt = app.guard.salt(client);
    let requests = aside(move || requests(&shared, &loaded, &told, wanted, salt)).await??;

    let (patience, fingerprint) = (visit.patience(), live.fingerprint());
    let repeatable = repeatable.then_some(Repeatable {
        fingerprint: &fingerprint,
        format: &format,
    });
    let submit = seats.into_iter().zip(requests).map(|(mut seat, request)| {
        seat.correct(needed(&request));
        dispatcher.submit(seat, request, patience, repeatable)
    });
    let answering = Merged::new(submit.collect());
    let reply = Reply {
        kind,
        id: request_id::made(match kind {
            Kind::Chat => "chatcmpl-",
            Kind::Completion => "cmpl-",
        }),
        created: app.now(),
        model: live.model.clone(),
        fingerprint,
        capped,
    };
    let told = Told {
        reply,
        answers,
        choices,
        live,
        charged,
        told: visit.told.clone(),
    };
    let content = app.guard.content();
    let filters = || content.stream();
    let mut made: Vec<_> = (0..answers).map(|_| Choice::new(filters())).collect();
    let mut response = match stream {
        None => whole(answering, told, made, response).await?,
        Some(stream) => {
            visit.told.streams();
            let keep_alive = app.config.keep_alive;
            match (response, made.pop()) {
                (Some(reply), Some(choice)) => {
                    let responded = Responded::new(told, reply, choice);
                    streamed(answering, responded, keep_alive).await?
                }
                (_, last) => {
                    made.extend(last);
                    let written = Written::new(told, stream, made);
                    streamed(answering, written, keep_alive).await?
                }
            }
        }
    };
    quota.put(response.headers_mut());
    Ok(response)
}

/// The likelihood of a token would tell what the rules for answers hold back.
fn refuse_likelihoods(app: &App, wanted: &Wanted) -> Result<(), ApiError> {
    if wanted.settings.sampling.logprobs && app.guard.content().rules_answers() {
        let text =
            "this server has rules for its answers and tells no likelihoods: leave logprobs out";
        return Err(ApiError::invalid("logprobs", text).code("content_filter"));
    }
    Ok(())
}

/// A prompt after the rules of this server. They are about text, whichever way it comes.
fn checked(app: &App, live: &Live, told: &record::Told, input: Input) -> Result<Input, ApiError> {
    let content = app.guard.content();
    let look = |param: &str, text: &str| {
        let checked = content.prompt(param, text)?;
        told.prompt(&checked.text);
        told.flags(checked.flags);
        Ok::<_, ApiError>(checked.text.into_owned())
    };
    Ok(match input {
        Input::Text(text) => Input::Text(look("prompt", &text)?),
        Input::Chat(mut messages) => {
            for (index, message) in messages.iter_mut().enumerate() {
                message.content = look(&format!("messages[{index}].content"), &message.content)?;
            }
            Input::Chat(messages)
        }
        Input::Tokens(tokens) => {
            let text = live.engine.model().tokenizer().decode(&tokens);
            let left = look("prompt", &text)?;
            if left == text {
                Input::Tokens(tokens)
            } else {
                Input::Text(left)
            }
        }
    })
}

/// What the engine is asked, one request for each answer. Takes as long as tokenising does.
fn requests(
    app: &App,
    live: &Live,
    told: &record::Told,
    wanted: Wanted,
    salt: u64,
) -> Result<Vec<Request>, ApiError> {
    let settings = &wanted.settings;
    let seed = request_id::number();
    let context = live.engine.info().context;
    let refused = |error: &GenerateError| {
        let mut error = failure(error);
        if wanted.kind == Kind::Completion && error.param.as_deref() == Some("messages") {
            error.param = Some("prompt".into());
        }
        error
    };
    let grammar = match &wanted.format {
        Format::Text => None,
        Format::Schema(schema) => Some(live.grammars.schema(schema)?),
    };
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
            grammar: grammar.clone(),
            ..Request::new(checked(app, live, told, input)?)
        };
        let tokens = live.engine.model().encode_request(&request);
        let tokens = tokens.map_err(|error| refused(&error))?;
        let prompt = tokens.len();
        if prompt >= context {
            return Err(refused(&GenerateError::PromptTooLong { prompt, context }));
        }
        if prompt > app.config.limits.prompt_tokens {
            let most = app.config.limits.prompt_tokens;
            let text = format!("the prompt has {prompt} tokens; {most} are allowed");
            return Err(ApiError::new(ErrorKind::Invalid, text).code("prompt_too_long"));
        }
        request.input = Input::Tokens(tokens);
        request.continue_last = false;
        request.thinking = None;
        for choice in 0..settings.choices {
            let mut request = request.clone();
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
async fn whole(
    mut answers: Merged,
    told: Told,
    mut choices: Vec<Choice>,
    response: Option<ResponseReply>,
) -> Result<Response, ApiError> {
    let mut open = choices.len();
    while open > 0
        && let Some((index, update)) = answers.next().await
    {
        let Some(choice) = choices.get_mut(index).filter(|choice| choice.is_open()) else {
            continue;
        };
        if let Update::Failed(error) = update {
            return Err(error);
        }
        if let Some(finish) = choice.take(&told.live, update) {
            told.ended(choice, finish);
            // A rule may have ended it before the model did.
            answers.close(index);
            open -= 1;
        }
    }
    let first = choices.first().map(|choice| choice.timings);
    let tokens = told.tokens(&choices);
    told.charged.used(tokens);
    let answered: Option<Vec<_>> = choices.into_iter().map(Choice::answered).collect();
    let answered = answered
        .ok_or_else(|| ApiError::new(ErrorKind::Internal, "an answer ended without saying why"))?;
    let body = match (&response, answered.first()) {
        (Some(reply), Some(answered)) => reply.whole(answered, tokens),
        _ => told.reply.whole(&answered, tokens),
    };
    let mut response = Json(body).into_response();
    put_timing(&mut response, &first.unwrap_or_default());
    Ok(response)
}

/// Says where the time went.
fn put_timing(response: &mut Response, timings: &Timings) {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
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
    written: impl Frames,
    keep_alive: Duration,
) -> Result<Response, ApiError> {
    let mut waiting = VecDeque::new();
    match answers.next().await {
        Some((_, Update::Failed(error))) => return Err(error),
        Some(update) => waiting.push_back(update),
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
