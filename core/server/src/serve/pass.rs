//! The way of a request from its head to the head of its answer.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{ALLOW, HeaderValue, SERVER};
use http::request::Parts;
use http::{Method, Request, StatusCode};
use tokio::sync::OwnedSemaphorePermit;

use super::app::{App, shortened};
use super::record::Told;
use super::route::{Found, Verb, find};
use super::watched::{Open, Watched};
use super::{action, body, request_id};
use crate::guard::Pass;
use crate::{ApiError, ErrorKind};

/// A request that may be answered.
pub(super) struct Visit {
    pub(super) app: Arc<App>,
    pub(super) parts: Parts,
    /// What follows the path of the route.
    pub(super) rest: String,
    pub(super) body: Bytes,
    /// The room it takes.
    pub(super) _room: Option<OwnedSemaphorePermit>,
    pub(super) pass: Pass,
    /// What is told about it in the end.
    pub(super) told: Told,
}

impl Visit {
    /// How long the client says it waits for a first sign, if it says so: OpenAI's clients do.
    pub(super) fn patience(&self) -> Option<Duration> {
        let said = self.parts.headers.get("x-stainless-read-timeout")?;
        let seconds: f64 = said.to_str().ok()?.trim().parse().ok()?;
        (seconds > 0.0).then(|| Duration::try_from_secs_f64(seconds).ok())?
    }
}

/// Answers a request, whatever happens.
pub(super) async fn through(app: Arc<App>, peer: SocketAddr, request: Request<Body>) -> Response {
    let begun = Instant::now();
    let open = Open::new(&app);
    let (parts, body) = request.into_parts();
    let id = request_id::of(&parts.headers);
    let found = find(&parts.method, parts.uri.path());
    let told = Told::new(&app, &found, &id, &parts.headers, begun);
    let (head, headers) = (parts.method == Method::HEAD, parts.headers.clone());
    // Dropped with this future when the client leaves: then the request ends as cancelled.
    let left = told.clone().on_leave();

    let answer = answer(&app, peer, parts, body, found, told.clone());
    let mut response = match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => refused(error, &told, &id),
        Err(_) => {
            tracing::error!(request_id = %id, "a handler panicked");
            let error = ApiError::new(ErrorKind::Internal, "the server failed at this request");
            refused(error, &told, &id)
        }
    };
    let status = response.status();
    let headers_out = response.headers_mut();
    request_id::put(&id, headers_out);
    headers_out.insert(SERVER, HeaderValue::from_static("tritone"));
    app.guard
        .permit(&headers, status == StatusCode::NO_CONTENT, headers_out);
    told.answered(status);
    left.stays();
    if head {
        // A length is said, and nothing is sent.
        told.finished(true);
        return response;
    }
    response.map(|body| Body::new(Watched::new(body, told, open)))
}

/// A refusal; a fault of ours names the request, so that it can be found in the log.
fn refused(mut error: ApiError, told: &Told, id: &str) -> Response {
    if error.kind.status().is_server_error() && error.kind == ErrorKind::Internal {
        error.message.push_str(&format!(" (request {id})"));
    }
    told.refused(&error);
    error.into_response()
}

async fn answer(
    app: &Arc<App>,
    peer: SocketAddr,
    parts: Parts,
    sent: Body,
    found: Found,
    told: Told,
) -> Result<Response, ApiError> {
    if app.guard.is_preflight(&parts)? {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    body::check_length(&parts.headers, &app.config.limits)?;
    let pass = app.guard.check(&parts, peer)?;
    told.client(&pass);
    let (route, rest) = match found {
        Found::Route(route, rest) => (route, rest),
        Found::Method(methods) => return Ok(wrong_method(&parts, &methods, &told)),
        Found::Nothing => {
            let path = shortened(parts.uri.path());
            let text = format!("there is no route '{path}'; GET /openapi.json lists them");
            return Err(ApiError::new(ErrorKind::NotFound, text).code("unknown_route"));
        }
    };
    let (body, room) = match route.method {
        Verb::Post => {
            body::check_type(&parts.headers)?;
            let (body, room) = body::read(sent, &app.config.limits, &app.bodies).await?;
            (body, Some(room))
        }
        Verb::Get => (Bytes::new(), None),
    };
    let quota = pass.quota;
    let visit = Visit {
        app: Arc::clone(app),
        parts,
        rest,
        body,
        _room: room,
        pass,
        told,
    };
    let mut response = action::act(route.action, visit).await?;
    quota.put(response.headers_mut());
    Ok(response)
}

fn wrong_method(parts: &Parts, methods: &[&str], told: &Told) -> Response {
    let methods = methods.join(", ");
    let text = format!("{} takes {methods}, not {}", parts.uri.path(), parts.method);
    let error = ApiError::new(ErrorKind::Method, text).code("method_not_allowed");
    told.refused(&error);
    let mut response = error.into_response();
    if let Ok(value) = HeaderValue::from_str(&methods) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}
