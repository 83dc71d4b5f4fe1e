//! What is told about a request when it has ended: once, in one place, however it ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::StatusCode;

use super::app::App;
use super::route::Found;
use super::watched::Record;
use crate::ApiError;
use crate::guard::{ClientId, Pass};

/// The record of a request; clones are the same one.
#[derive(Clone)]
pub(super) struct Told(Arc<Inner>);

struct Inner {
    id: String,
    /// The path of the route: what a client sent is no label.
    route: &'static str,
    begun: Instant,
    facts: Mutex<Facts>,
}

#[derive(Default)]
struct Facts {
    client: Option<ClientId>,
    status: Option<StatusCode>,
    code: Option<&'static str>,
    prompt_tokens: usize,
    completion_tokens: usize,
    finish: Option<&'static str>,
    failed: bool,
    over: bool,
}

/// Tells that the client left, unless the answer has a head by then.
pub(super) struct OnLeave(Option<Told>);

impl OnLeave {
    pub(super) fn stays(mut self) {
        self.0 = None;
    }
}

impl Drop for OnLeave {
    fn drop(&mut self) {
        if let Some(told) = self.0.take() {
            told.finished(false);
        }
    }
}

impl Told {
    pub(super) fn new(_app: &Arc<App>, found: &Found, id: &str, begun: Instant) -> Self {
        let route = match found {
            Found::Route(route, _) => route.path,
            Found::Method(_) | Found::Nothing => "other",
        };
        Self(Arc::new(Inner {
            id: id.to_owned(),
            route,
            begun,
            facts: Mutex::default(),
        }))
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn on_leave(self) -> OnLeave {
        OnLeave(Some(self))
    }

    pub(super) fn client(&self, pass: &Pass) {
        self.facts().client = Some(pass.client);
    }

    pub(super) fn refused(&self, error: &ApiError) {
        self.facts().code = Some(error.code.unwrap_or_else(|| error.kind.name()));
    }

    pub(super) fn answered(&self, status: StatusCode) {
        self.facts().status = Some(status);
    }

    /// A choice ended.
    pub(super) fn usage(&self, prompt: usize, completion: usize, finish: &'static str) {
        let mut facts = self.facts();
        facts.prompt_tokens = prompt;
        facts.completion_tokens += completion;
        facts.finish = Some(finish);
    }

    /// A stream ended with an error in it.
    pub(super) fn failed(&self, error: &ApiError) {
        let mut facts = self.facts();
        facts.failed = true;
        facts.code = Some(error.code.unwrap_or_else(|| error.kind.name()));
    }

    /// The request is over.
    pub(super) fn finished(&self, complete: bool) {
        let mut facts = self.facts();
        if std::mem::replace(&mut facts.over, true) {
            return;
        }
        let outcome = match facts.status {
            _ if !complete => "cancelled",
            _ if facts.failed => "error",
            Some(status) if status.is_server_error() => "error",
            Some(status) if status.is_client_error() => "refused",
            _ => "ok",
        };
        tracing::info!(
            request_id = %self.0.id,
            client = facts.client.map(tracing::field::display),
            route = self.0.route,
            status = facts.status.map(|status| status.as_u16()),
            outcome,
            code = facts.code,
            prompt_tokens = facts.prompt_tokens,
            completion_tokens = facts.completion_tokens,
            finish_reason = facts.finish,
            ms = self.0.begun.elapsed().as_secs_f64() * 1e3,
            "request"
        );
    }
}

impl Record for Told {
    fn ended(self, complete: bool) {
        self.finished(complete);
    }
}
