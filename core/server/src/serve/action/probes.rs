//! What supervisors ask: alive, ready, which version.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::serve::pass::Visit;
use crate::serve::phase::Phase;
use crate::{ApiError, ErrorKind};

/// Alive: the process answers. Touches no lock that work holds.
pub(super) fn health(visit: &Visit) -> Response {
    let app = &visit.app;
    Json(json!({
        "status": "ok",
        "phase": app.life.phase().name(),
        "uptime_seconds": app.started.elapsed().as_secs(),
    }))
    .into_response()
}

/// Ready: a request that came now would be taken.
pub(super) fn ready(visit: &Visit) -> Result<Response, ApiError> {
    let app = &visit.app;
    let not = |why: &str| {
        ApiError::new(ErrorKind::Unavailable, format!("not ready: {why}"))
            .code("not_ready")
            .retry_after(Duration::from_secs(1))
    };
    match app.life.phase() {
        Phase::Ready => Ok(Json(json!({
            "status": "ready",
            "open": app.open.load(Ordering::SeqCst),
        }))
        .into_response()),
        Phase::Loading => Err(not("the model is being loaded")),
        Phase::Draining | Phase::Over => Err(not("the server is about to stop")),
    }
}

/// Which program this is.
pub(super) fn version(visit: &Visit) -> Response {
    let model = visit.app.live.get().map(|live| live.model.clone());
    Json(json!({
        "name": "tritone",
        "version": env!("CARGO_PKG_VERSION"),
        "model": model,
    }))
    .into_response()
}
