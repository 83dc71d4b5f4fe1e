//! What each route does.

mod admin;
mod answer;
mod embeddings;
mod generate;
mod models;
mod probes;
mod responded;
mod tokens;

use axum::response::Response;
use serde_json::Value;

use super::pass::Visit;
use super::route::Action;
use crate::{ApiError, ErrorKind};

/// Does what the route is for.
pub(super) async fn act(action: Action, visit: Visit) -> Result<Response, ApiError> {
    match action {
        Action::Models => models::list(&visit),
        Action::Model => models::one(&visit),
        Action::Health => probes::health(&visit),
        Action::Ready => probes::ready(&visit),
        Action::Version => Ok(probes::version(&visit)),
        Action::AdminStatus => Ok(admin::status(&visit)),
        Action::AdminMonitor => admin::monitor(&visit).await,
        Action::AdminKernels => admin::kernels(&visit),
        Action::AdminKernel => admin::switch(visit, admin::What::Kernel).await,
        Action::AdminProfile => admin::switch(visit, admin::What::Profile).await,
        Action::Chat => generate::chat(visit).await,
        Action::Completion => generate::completion(visit).await,
        Action::Responses => generate::responses(visit).await,
        Action::Embeddings => embeddings::vectors(visit).await,
        Action::Tokenize => tokens::tokenize(visit).await,
        Action::Detokenize => tokens::detokenize(visit).await,
        Action::Metrics => probes::metrics(&visit),
        Action::OpenApi => Ok(probes::openapi()),
    }
}

/// Bodies up to this length are parsed where they arrive; longer ones would keep others waiting.
const SHORT: usize = 32 << 10;

/// The JSON of a body.
async fn json(visit: &Visit) -> Result<Value, ApiError> {
    if visit.body.is_empty() {
        return Err(ApiError::new(
            ErrorKind::Invalid,
            "the body is empty: send a JSON object",
        ));
    }
    let body = visit.body.clone();
    let parse = move || {
        serde_json::from_slice(&body).map_err(|error| {
            let text = format!("the body is no JSON: {error}");
            ApiError::new(ErrorKind::Invalid, text).code("invalid_json")
        })
    };
    if visit.body.len() <= SHORT {
        return parse();
    }
    aside(parse).await?
}

/// Runs what takes time beside the threads that answer requests.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| ApiError::new(ErrorKind::Internal, "the server failed at this request"))
}
