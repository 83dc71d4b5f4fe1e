//! What supervisors ask: alive, ready, which version.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE};
use serde_json::json;

use crate::guard::{RequestLog, Scope, needed};
use crate::metrics::{Format, Gauges, open_telemetry, render};
use crate::schedule::Status;
use crate::serve::app::{App, loading};
use crate::serve::pass::Visit;
use crate::serve::phase::Phase;
use crate::serve::process;
use crate::serve::route::{ROUTES, Verb};
use crate::{ApiError, ErrorKind, api};

/// Alive: the process answers, and its engine moves while there is work. Touches no lock that work holds.
pub(super) fn health(visit: &Visit) -> Result<Response, ApiError> {
    let app = &visit.app;
    if !is_moving(app) {
        let text =
            "the engine stands still though there is work: the process has to be started again";
        return Err(ApiError::new(ErrorKind::Unavailable, text).code("engine_stuck"));
    }
    Ok(Json(json!({
        "status": "ok",
        "phase": app.life.phase().name(),
        "uptime_seconds": app.started.elapsed().as_secs(),
    }))
    .into_response())
}

/// Looks at the engine.
fn is_moving(app: &App) -> bool {
    let Some((live, _)) = app.live.get() else {
        return true;
    };
    let status = live.engine.status();
    let pending = status.active + status.queued > 0;
    let mut watchdog = app.watchdog.lock().unwrap_or_else(PoisonError::into_inner);
    watchdog.look(Instant::now(), status.counters.steps, pending)
}

/// Numbers for Prometheus, or under the names of OpenTelemetry.
pub(super) fn metrics(visit: &Visit) -> Result<Response, ApiError> {
    let app = &visit.app;
    let (live, dispatcher) = app.live.get().ok_or_else(loading)?;
    let mut gauges = Gauges::of(dispatcher, &live.model);
    process::look(&mut gauges);
    gauges.start_seconds = Some(app.created as f64);
    gauges.log = app.guard.log().map(RequestLog::counts);
    let accept = visit.parts.headers.get(ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("application/json")) {
        return Ok(Json(open_telemetry(&app.metrics, &gauges)).into_response());
    }
    let format = Format::accepted(accept);
    let text = render(&app.metrics, &gauges, app.guard.counts(), format);
    Ok(([(CONTENT_TYPE, format.content_type())], text).into_response())
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
        Phase::Ready if is_full(&app.dispatcher()?.status()) => Err(not("the queue is full")),
        Phase::Ready => Ok(Json(json!({
            "status": "ready",
            "open": app.open.load(Ordering::SeqCst),
        }))
        .into_response()),
        Phase::Loading => Err(not("the model is being loaded")),
        Phase::Draining | Phase::Over => Err(not("the server is about to stop")),
    }
}

/// Whether one more answer would be refused.
fn is_full(status: &Status) -> bool {
    status.running + status.waiting >= status.slots + status.queue_limit
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
