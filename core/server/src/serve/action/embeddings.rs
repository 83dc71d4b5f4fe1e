//! Vectors of texts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::oneshot;
use tritone_engine::{Cancel, EmbedRequest, Embedding, Engine, GenerateError, Input};

use super::{aside, json};
use crate::api::{EmbeddingsRequest, Tokens, embeddings};
use crate::guard::Content;
use crate::schedule::{Dispatcher, Seat, failure};
use crate::serve::charge::Charged;
use crate::serve::pass::Visit;
use crate::{ApiError, ErrorKind};

/// Ends what was asked for when nobody waits for it any more.
struct Pending(Cancel);

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// `/v1/embeddings`.
pub(super) async fn vectors(visit: Visit) -> Result<Response, ApiError> {
    let body = json(&visit).await?;
    let app = &visit.app;
    let request = EmbeddingsRequest::parse(&body, &app.config.limits)?;
    let live = app.model(request.model.as_deref())?;
    let width = live.engine.model().recipe().hidden;
    if let Some(wanted) = request.dimensions.filter(|wanted| *wanted != width) {
        let text = format!("'dimensions' is {wanted}: vectors of this model have {width}");
        return Err(ApiError::invalid("dimensions", text));
    }
    let dispatcher = app.dispatcher()?;
    let estimate = request.tokens_estimate();
    let client = visit.pass.client;
    let (charged, quota) = Charged::new(app, client, estimate)?;
    // A few seats for the request; with each of them one text after the other takes its turn.
    let lanes = live.slots.min(request.texts.len()).max(1);
    let share = estimate / lanes as u64;
    let seats = dispatcher.reserve(client, lanes, share);
    let seats = match seats {
        // Where there is room for no more than one, that does.
        Err(_) if lanes > 1 => dispatcher.reserve(client, 1, estimate)?,
        seats => seats?,
    };
    let lanes = seats.len();
    let texts = check(&app.guard.content(), request.texts)?;
    let shared = Lanes {
        engine: live.engine.clone(),
        deadline: dispatcher.deadline(),
        dispatcher,
        seats: Mutex::new(seats),
    };

    let mut vectors = Vec::with_capacity(texts.len());
    let mut tokens = Tokens::default();
    let answers = stream::iter(texts).map(|text| shared.one(text));
    let mut answers = std::pin::pin!(answers.buffered(lanes));
    while let Some(found) = answers.next().await {
        let found = found?;
        tokens.prompt += found.tokens;
        vectors.push(found.vector);
    }
    charged.used(tokens);
    visit.told.read(tokens.prompt);
    let model = &live.model;
    let mut response =
        Json(embeddings(model, &vectors, request.encoding, tokens.prompt)).into_response();
    quota.put(response.headers_mut());
    Ok(response)
}

/// The texts after the rules of this server.
fn check(content: &Content, texts: Vec<String>) -> Result<Vec<String>, ApiError> {
    let text = |text: String| Ok(content.prompt("input", &text)?.text.into_owned());
    texts.into_iter().map(text).collect()
}

/// What the texts of a request share.
struct Lanes {
    engine: Engine,
    dispatcher: Arc<Dispatcher>,
    deadline: Instant,
    /// Seats that no text has now; there are as many as texts under way.
    seats: Mutex<Vec<Seat>>,
}

impl Lanes {
    fn seats(&self) -> MutexGuard<'_, Vec<Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The vector of a text, when it is its turn.
    async fn one(&self, text: String) -> Result<Embedding, ApiError> {
        let seat = self.seats().pop();
        let seat = seat.ok_or_else(|| ApiError::new(ErrorKind::Internal, "a seat is missing"))?;
        let mut seat = self.dispatcher.turn(seat, self.deadline).wait().await?;
        let found = vector(self.engine.clone(), text).await;
        seat.rest();
        self.seats().push(seat);
        found
    }
}

/// The vector of a text. Tokenising takes its time, so it is done aside.
async fn vector(engine: Engine, text: String) -> Result<Embedding, ApiError> {
    let (sender, answer) = oneshot::channel();
    let begin = move || {
        let request = EmbedRequest {
            truncate: false,
            ..EmbedRequest::new(Input::Text(text))
        };
        let then = Box::new(move |found| drop(sender.send(found)));
        engine.embed_into(&request, then)
    };
    let refused = |error: &GenerateError| {
        let mut error = failure(error);
        error.param = error.param.map(|_| "input".into());
        error
    };
    let handle = aside(begin).await?.map_err(|error| refused(&error))?;
    let _pending = Pending(handle.cancel);
    let found = answer.await.unwrap_or(Err(GenerateError::Stopped));
    found.map_err(|error| refused(&error))
}
