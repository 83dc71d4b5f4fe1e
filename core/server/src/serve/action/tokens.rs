//! Tokens of texts, and texts of tokens.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use tritone_engine::Input;

use super::{aside, json};
use crate::ApiError;
use crate::api::{DetokenizeRequest, TokenizeRequest, detokenized, tokenized};
use crate::schedule::failure;
use crate::serve::pass::Visit;

/// `/tokenize`.
pub(super) async fn tokenize(visit: Visit) -> Result<Response, ApiError> {
    let body = json(&visit).await?;
    let request = TokenizeRequest::parse(&body, &visit.app.config.limits)?;
    let live = visit.app.live()?;
    let input = match request {
        TokenizeRequest::Text(text) => Input::Text(text),
        TokenizeRequest::Chat(messages) => Input::Chat(messages),
    };
    aside(move || {
        let tokens = live.engine.model().encode(&input);
        let tokens = tokens.map_err(|error| failure(&error))?;
        Ok(Json(tokenized(&tokens, live.engine.info().context)).into_response())
    })
    .await?
}

/// `/detokenize`.
pub(super) async fn detokenize(visit: Visit) -> Result<Response, ApiError> {
    let body = json(&visit).await?;
    let live = visit.app.live()?;
    let vocab = live.engine.model().tokenizer().vocab_size();
    let request = DetokenizeRequest::parse(&body, vocab)?;
    aside(move || {
        let text = live.engine.model().tokenizer().decode(&request.tokens);
        Ok(Json(detokenized(&text)).into_response())
    })
    .await?
}
