//! Vectors of texts.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use futures_util::future::join_all;
use tokio::sync::oneshot;
use tritone_engine::{Cancel, EmbedRequest, Embedding, GenerateError, Handle, Input};

use super::{aside, json};
use crate::ApiError;
use crate::api::{EmbeddingsRequest, Tokens, embeddings};
use crate::serve::charge::Charged;
use crate::serve::pass::Visit;
use crate::serve::refusal::refusal;

/// Ends what was asked for when nobody waits for it any more.
struct Pending(Vec<Cancel>);

impl Drop for Pending {
    fn drop(&mut self) {
        for cancel in &self.0 {
            cancel.cancel();
        }
    }
}

type Answer = Result<Embedding, GenerateError>;

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
    let queue = app.queue()?;
    let estimate = request.tokens_estimate();
    let (charged, quota) = Charged::new(app, visit.pass.client, estimate)?;
    let _ticket = queue.reserve(1, estimate)?;
    let _seat = queue.seat(visit.patience()).await?;

    let (engine, texts) = (live.engine.clone(), request.texts);
    let begun = aside(move || begin(&engine, texts)).await??;
    let (cancels, answers): (Vec<_>, Vec<_>) = begun.into_iter().unzip();
    let pending = Pending(cancels);
    let mut vectors = Vec::with_capacity(answers.len());
    let mut tokens = Tokens::default();
    for answer in join_all(answers).await {
        let found = answer.unwrap_or(Err(GenerateError::Stopped));
        let found = found.map_err(|error| refusal(&error))?;
        tokens.prompt += found.tokens;
        vectors.push(found.vector);
    }
    drop(pending);
    charged.used(tokens);
    visit.told.usage(tokens.prompt, 0, "stop");
    let model = &live.model;
    let mut response =
        Json(embeddings(model, &vectors, request.encoding, tokens.prompt)).into_response();
    quota.put(response.headers_mut());
    Ok(response)
}

/// Hands the texts to the engine, which reads them together. Takes as long as tokenising does.
fn begin(
    engine: &tritone_engine::Engine,
    texts: Vec<String>,
) -> Result<Vec<(Cancel, oneshot::Receiver<Answer>)>, ApiError> {
    let mut begun = Vec::with_capacity(texts.len());
    for text in texts {
        let request = EmbedRequest {
            truncate: false,
            ..EmbedRequest::new(Input::Text(text))
        };
        let (sender, answer) = oneshot::channel();
        let then = Box::new(move |found| drop(sender.send(found)));
        match engine.embed_into(&request, then) {
            Ok(Handle { cancel, .. }) => begun.push((cancel, answer)),
            Err(error) => {
                let begun = begun.into_iter().map(|(cancel, _)| cancel);
                drop(Pending(begun.collect()));
                return Err(refusal(&error));
            }
        }
    }
    Ok(begun)
}
