//! `/v1/models`: the one model there is.

use axum::Json;
use axum::response::{IntoResponse as _, Response};

use crate::ApiError;
use crate::api::{self, ModelCard};
use crate::serve::app::Live;
use crate::serve::pass::Visit;

/// The list.
pub(super) fn list(visit: &Visit) -> Result<Response, ApiError> {
    let live = visit.app.live()?;
    Ok(Json(api::models(&[card(visit, &live)])).into_response())
}

/// One by its name.
pub(super) fn one(visit: &Visit) -> Result<Response, ApiError> {
    let live = visit.app.model(Some(&visit.rest))?;
    Ok(Json(api::model(&card(visit, &live))).into_response())
}

fn card(visit: &Visit, live: &Live) -> ModelCard {
    let info = live.engine.info();
    ModelCard {
        id: live.model.clone(),
        created: visit.app.created,
        context: info.context,
        trained_context: info.trained_context,
        parameters: info.parameters,
        vocab: info.vocab,
        width: info.hidden,
        bytes: info.file_bytes,
        asks_for_thinking: info.asks_for_thinking,
    }
}
