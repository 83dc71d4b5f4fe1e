//! What supervisors ask: alive, ready, which version.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::Method;
use serde_json::json;

use crate::guard::{Scope, needed};
use crate::serve::pass::Visit;
use crate::serve::phase::Phase;
use crate::serve::route::{ROUTES, Verb};
use crate::{ApiError, ErrorKind, api};

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
        Phase::Ready if !app.queue()?.has_room() => Err(not("the queue is full")),
        Phase::Ready => Ok(Json(json!({
            "status": "ready",
            "open": app.open.load(Ordering::SeqCst),
        }))
        .into_response()),
        Phase::Loading => Err(not("the model is being loaded")),
        Phase::Draining | Phase::Over => Err(not("the server is about to stop")),
    }
}

/// The description of the interface.
pub(super) fn openapi() -> Response {
    // A path that ends in `/` has a name behind it.
    let paths: Vec<String> = ROUTES
        .iter()
        .map(|route| match route.path.strip_suffix('/') {
            Some(path) => format!("{path}/{{model}}"),
            None => route.path.to_owned(),
        })
        .collect();
    let routes = ROUTES.iter().zip(&paths).map(|(route, path)| {
        let method = if route.method == Verb::Get {
            Method::GET
        } else {
            Method::POST
        };
        let keyed = needed(&method, route.path, false) != Scope::Public;
        (
            route.method.name(),
            path.as_str(),
            route.action.about(),
            keyed,
        )
    });
    Json(api::openapi(routes, env!("CARGO_PKG_VERSION"))).into_response()
}

/// Which program this is.
pub(super) fn version(visit: &Visit) -> Response {
    let model = visit.app.live.get().map(|(live, _)| live.model.clone());
    Json(json!({
        "name": "tritone",
        "version": env!("CARGO_PKG_VERSION"),
        "model": model,
    }))
    .into_response()
}
