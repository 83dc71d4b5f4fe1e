//! `/v1/models`: the one model there is.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::ApiError;
use crate::serve::app::Live;
use crate::serve::pass::Visit;

/// The list.
pub(super) fn list(visit: &Visit) -> Result<Response, ApiError> {
    let live = visit.app.live()?;
    let entry = entry(visit, &live);
    Ok(Json(json!({"object": "list", "data": [entry]})).into_response())
}

/// One by its name.
pub(super) fn one(visit: &Visit) -> Result<Response, ApiError> {
    let live = visit.app.model(Some(&visit.rest))?;
    Ok(Json(entry(visit, &live)).into_response())
}

/// The length of the context is there twice, as vLLM and as llama.cpp say it: clients look for either.
fn entry(visit: &Visit, live: &Live) -> Value {
    let info = live.engine.info();
    json!({
        "id": live.model,
        "object": "model",
        "created": visit.app.created,
        "owned_by": "tritone",
        "max_model_len": info.context,
        "meta": {
            "n_ctx": info.context,
            "n_ctx_train": info.trained_context,
            "n_vocab": info.vocab,
            "n_params": info.parameters,
            "size": info.file_bytes,
        },
    })
}
