//! What is told about a request when it has ended: once, in one place, however it ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::StatusCode;
use tritone_engine::Timings;
use tritone_monitor::utc;

use super::app::App;
use super::route::Found;
use super::watched::Record;
use crate::ApiError;
use crate::guard::{Entry, Pass, RequestLog, trace_id};
use crate::metrics::{ROUTES, Rejected};

/// The status in the counts for a client that left before it had one.
const LEFT: u16 = 499;

/// The record of a request; clones are the same one.
#[derive(Clone)]
pub(super) struct Told(Arc<Inner>);

struct Inner {
    app: Arc<App>,
    begun: Instant,
    facts: Mutex<Facts>,
}

/// What is known so far.
struct Facts {
    entry: Entry,
    status: Option<StatusCode>,
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
    pub(super) fn new(
        app: &Arc<App>,
        found: &Found,
        id: &str,
        headers: &HeaderMap,
        begun: Instant,
    ) -> Self {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let retry = header("x-stainless-retry-count").and_then(|count| count.parse::<u64>().ok());
        if retry.is_some_and(|count| count > 0) {
            app.metrics.retry_seen();
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let entry = Entry {
            time: utc(u64::try_from(now.as_millis()).unwrap_or(u64::MAX)),
            request_id: id.to_owned(),
            // What a client sent is no label.
            route: match found {
                Found::Route(route, _) => route.path,
                Found::Method(_) | Found::Nothing => "other",
            },
            trace_id: header("traceparent").and_then(trace_id).map(str::to_owned),
            ..Entry::default()
        };
        Self(Arc::new(Inner {
            app: Arc::clone(app),
            begun,
            facts: Mutex::new(Facts {
                entry,
                status: None,
                failed: false,
                over: false,
            }),
        }))
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn on_leave(self) -> OnLeave {
        OnLeave(Some(self))
    }

    pub(super) fn client(&self, pass: &Pass) {
        let entry = &mut self.facts().entry;
        entry.client = Some(pass.client.to_string());
        entry.key = pass.key.as_deref().map(str::to_owned);
    }

    /// The answer is a refusal.
    pub(super) fn refused(&self, error: &ApiError) {
        self.facts().entry.error = Some(error.code.unwrap_or_else(|| error.kind.name()));
        if let Some(why) = why(error) {
            self.0.app.metrics.rejected(why);
        }
    }

    pub(super) fn answered(&self, status: StatusCode) {
        self.facts().status = Some(status);
    }

    /// The answer is a stream.
    pub(super) fn streams(&self) {
        self.facts().entry.stream = true;
    }

    /// A prompt was read, and nothing is written.
    pub(super) fn read(&self, tokens: usize) {
        self.facts().entry.prompt_tokens = Some(tokens as u64);
    }

    /// A choice ended.
    pub(super) fn usage(&self, timings: &Timings, finish: &'static str) {
        let ms = |time: Duration| u64::try_from(time.as_millis()).ok();
        let entry = &mut self.facts().entry;
        entry.prompt_tokens = Some(timings.prompt_tokens as u64);
        entry.cached_tokens = Some(timings.cached_tokens as u64);
        let written = entry.completion_tokens.unwrap_or(0);
        entry.completion_tokens = Some(written + timings.generated_tokens as u64);
        entry.queue_ms = ms(timings.queued);
        entry.prefill_ms = ms(timings.first_token.saturating_sub(timings.queued));
        entry.decode_ms = ms(timings.decode);
        entry.finish_reason = Some(finish);
    }

    /// Rules that flagged the prompt or an answer.
    pub(super) fn flags(&self, names: Vec<Arc<str>>) {
        let flags = &mut self.facts().entry.flags;
        for name in names {
            if !flags.iter().any(|flag| **flag == *name) {
                flags.push(name.to_string());
            }
        }
    }

    /// Text that was asked, for a log that wants it.
    pub(super) fn prompt(&self, text: &str) {
        self.keep(text, |entry| &mut entry.prompt);
    }

    /// Text that was answered, for a log that wants it.
    pub(super) fn answer(&self, text: &str) {
        self.keep(text, |entry| &mut entry.answer);
    }

    fn keep(&self, text: &str, place: impl Fn(&mut Entry) -> &mut Option<String>) {
        let room = self.0.app.guard.log().and_then(RequestLog::text_room);
        if let Some(room) = room {
            let mut facts = self.facts();
            let kept = place(&mut facts.entry).get_or_insert_default();
            let room = room.saturating_sub(kept.len());
            kept.push_str(&text[..text.floor_char_boundary(room)]);
        }
    }

    /// A stream ended with an error in it.
    pub(super) fn failed(&self, error: &ApiError) {
        let mut facts = self.facts();
        facts.failed = true;
        facts.entry.error = Some(error.code.unwrap_or_else(|| error.kind.name()));
    }

    /// The request is over.
    pub(super) fn finished(&self, complete: bool) {
        let mut facts = self.facts();
        if std::mem::replace(&mut facts.over, true) {
            return;
        }
        let took = self.0.begun.elapsed();
        let status = match facts.status {
            Some(status) if complete => status.as_u16(),
            _ => LEFT,
        };
        let outcome = match status {
            LEFT => "cancelled",
            500.. => "error",
            400.. => "refused",
            _ if facts.failed => "error",
            _ => "ok",
        };
        let entry = &mut facts.entry;
        entry.status = status;
        entry.total_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let app = &self.0.app;
        // Both spellings of a path are one route.
        let route = ["/v1", ""].iter().find_map(|version| {
            let path = format!("{version}{}", entry.route.trim_start_matches("/v1"));
            ROUTES.iter().find(|counted| **counted == path)
        });
        // A stream that failed on its way had a good head.
        let counted = if outcome == "error" && status < 400 {
            500
        } else {
            status
        };
        let route = route.copied().unwrap_or("other");
        app.metrics.request(route, counted, took);
        tracing::info!(
            request_id = %entry.request_id,
            client = entry.client,
            route = entry.route,
            status,
            outcome,
            error = entry.error,
            prompt_tokens = entry.prompt_tokens,
            completion_tokens = entry.completion_tokens,
            finish_reason = entry.finish_reason,
            ms = entry.total_ms,
            "request"
        );
        if let Some(log) = app.guard.log() {
            entry.strategy = app.live.get().map(|(live, _)| live.engine.kernel_name());
            log.write(std::mem::take(entry));
        }
    }
}

/// Why a request was refused, where the scheduler did not count it.
fn why(error: &ApiError) -> Option<Rejected> {
    use crate::ErrorKind as Kind;
    Some(match (error.kind, error.code) {
        (_, Some("content_filter")) => Rejected::Filter,
        (_, Some("loading")) => Rejected::Loading,
        (Kind::Key, _) => Rejected::Key,
        (Kind::RateLimit, Some("rate_limit_exceeded")) => Rejected::RateLimit,
        (Kind::TooLarge | Kind::Headers, _) => Rejected::TooLarge,
        (Kind::Invalid | Kind::MediaType, _) => Rejected::Invalid,
        _ => return None,
    })
}

impl Record for Told {
    fn ended(self, complete: bool) {
        self.finished(complete);
    }
}
