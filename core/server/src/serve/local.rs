//! The server without a socket: requests of this process, answered as a client's would be.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, HOST};
use http_body_util::BodyExt as _;

use super::app::{App, Config, Live};
use super::pass;
use crate::Schedule;
use crate::guard::{Guard, GuardConfig, GuardError, InstallSecret, KeySources};

/// Answers requests of this process. Clones are handles to the same one.
#[derive(Clone)]
pub struct Local {
    app: Arc<App>,
    slots: usize,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// Status code.
    pub status: u16,
    /// What logs call the request.
    pub request_id: String,
    /// Body.
    pub body: Bytes,
}

impl Local {
    /// Answers with a model. There are no keys, and no limits of clients: who asks is the process itself. Called on
    /// the runtime that answers are made on.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn new(mut config: Config, live: Live) -> Result<Self, GuardError> {
        let slots = live.slots;
        config.schedule = Schedule {
            // Places for as many as are asked for at once, and for the answers of each.
            queue_max: slots * 2 * config.limits.choices,
            queued_tokens_max: u64::MAX,
            ..config.schedule
        };
        let secret = InstallSecret::ephemeral()?;
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (guard, _) = Guard::new(
            &GuardConfig::default(),
            loopback,
            KeySources::default(),
            secret,
        )?;
        let app = App::new(config, guard);
        app.ready(live);
        let app = Arc::new(app);
        Ok(Self { app, slots })
    }

    /// Answers that are written at once.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Posts a body to a route, and waits for the whole answer. Dropping the future ends it.
    pub async fn post(&self, route: &str, body: Bytes) -> LocalReply {
        let request = Request::post(route)
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(body));
        let Ok(request) = request else {
            return LocalReply {
                status: 400,
                request_id: String::new(),
                body: Bytes::from_static(b"{}"),
            };
        };
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let response = pass::through(Arc::clone(&self.app), peer, request).await;
        let status = response.status().as_u16();
        let id = response.headers().get("x-request-id");
        let request_id = id
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let body = response.into_body().collect().await;
        LocalReply {
            status,
            request_id,
            body: body
                .map(http_body_util::Collected::to_bytes)
                .unwrap_or_default(),
        }
    }
}
