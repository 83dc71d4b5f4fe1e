//! The admin routes: what runs, and other kernels and profiles while it runs.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

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
