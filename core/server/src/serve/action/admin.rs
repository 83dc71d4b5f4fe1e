//! The admin routes: what runs, and other kernels and profiles while it runs.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tritone_monitor::EventKind;
use tritone_probe::unix_ms;

use super::{aside, json};
use crate::ApiError;
use crate::serve::app::Live;
use crate::serve::pass::Visit;

/// What the server is doing.
pub(super) fn status(visit: &Visit) -> Response {
    let app = &visit.app;
    let mut status = json!({
        "phase": app.life.phase().name(),
        "uptime_seconds": app.started.elapsed().as_secs(),
        "open": app.open.load(Ordering::SeqCst),
    });
    if let Some((live, dispatcher)) = app.live.get() {
        let engine = live.engine.status();
        status["model"] = json!(live.model);
        status["kernel"] = json!(live.engine.kernel_name());
        status["threads"] = json!(live.engine.threads());
        status["profile"] = json!(live.control.profile());
        let requests = dispatcher.status();
        status["requests"] = json!({
            "running": requests.running,
            "waiting": requests.waiting,
            "slots": requests.slots,
            "queue_limit": requests.queue_limit,
        });
        status["engine"] = json!({
            "active": engine.active,
            "queued": engine.queued,
            "kv_pages_used": engine.kv_pages_used,
            "kv_pages": engine.kv_pages,
        });
    }
    Json(status).into_response()
}

/// Without `since`, this much is told, in milliseconds.
const RECENT: u64 = 60_000;

/// What was measured, from `?since=` on, in milliseconds since 1970.
pub(super) async fn monitor(visit: &Visit) -> Result<Response, ApiError> {
    let since = since(visit.parts.uri.query().unwrap_or_default())?;
    let live = visit.app.live()?;
    let slots = visit.app.dispatcher()?.status().slots;
    let app = Arc::clone(&visit.app);
    // A day is a megabyte.
    aside(move || Json(app.monitor.told(&live, slots, since)).into_response()).await
}

fn since(query: &str) -> Result<u64, ApiError> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    match pairs.find(|(name, _)| *name == "since") {
        None => Ok(unix_ms().saturating_sub(RECENT)),
        Some((_, value)) => value.parse().map_err(|_| {
            ApiError::invalid(
                "since",
                "'since' has to be a time in milliseconds since 1970",
            )
        }),
    }
}

/// The kernels there are.
pub(super) fn kernels(visit: &Visit) -> Result<Response, ApiError> {
    let live = visit.app.live()?;
    let kernels = live.control.kernels();
    let kernels = kernels.iter().map(|kernel| {
        json!({
            "name": kernel.name,
            "usable": kernel.usable,
            "reason": kernel.reason,
            "active": kernel.active,
        })
    });
    Ok(Json(json!({"kernels": kernels.collect::<Vec<_>>()})).into_response())
}

/// What is to be changed.
#[derive(Clone, Copy)]
pub(super) enum What {
    Kernel,
    Profile,
}

/// Goes on with another kernel or profile. Returns when that is done; answers go on meanwhile.
pub(super) async fn switch(visit: Visit, what: What) -> Result<Response, ApiError> {
    let body = json(&visit).await?;
    let name = match body.get("name") {
        Some(Value::String(name)) if !name.is_empty() => name.clone(),
        _ => return Err(ApiError::invalid("name", "expected `name`, a text")),
    };
    let live = visit.app.live()?;
    let app = Arc::clone(&visit.app);
    aside(move || {
        let _one = app.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let done = change(&live, what, &name);
        let notices = done.map_err(|why| ApiError::invalid("name", why).code("not_changed"))?;
        match what {
            What::Kernel => app.monitor.happened(EventKind::Kernel, &name),
            What::Profile => app.monitor.happened(EventKind::Profile, &name),
        }
        Ok(Json(json!({
            "kernel": live.engine.kernel_name(),
            "profile": live.control.profile(),
            "notices": notices,
        }))
        .into_response())
    })
    .await?
}

fn change(live: &Live, what: What, name: &str) -> Result<Vec<String>, String> {
    match what {
        What::Kernel => live.control.switch_kernel(name),
        What::Profile => live.control.switch_profile(name),
    }
}
