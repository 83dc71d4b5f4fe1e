//! What the monitor knows: samples, events and alerts of the last 24 hours.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::{Value, json};
use tritone_engine::EngineStatus;
use tritone_monitor::{Alert, AlertChange, Alerts, Event, EventKind, History, Record, Sample};
use tritone_probe::{Bounds, Sampler, Subject, Told, Watch, unix_ms};

use super::app::Live;

/// What is known.
pub(super) struct Monitor {
    known: Arc<Mutex<Known>>,
    sampler: OnceLock<Sampler>,
}

struct Known {
    history: History,
    alerts: Alerts,
}

/// What is measured: the engine, under the profile in force.
struct Engine(Arc<Live>);

impl Subject for Engine {
    fn status(&self) -> Option<EngineStatus> {
        Some(self.0.engine.status())
    }

    fn bounds(&self) -> Bounds {
        self.0.control.bounds()
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Known {
    /// Takes a sample in; what became an alert, or is none any more, is an event.
    fn take(&mut self, sample: Sample) -> Vec<Event> {
        let at = sample.at;
        let events = self.alerts.look(&sample).into_iter().map(|change| {
            let (kind, alert) = match change {
                AlertChange::Raised(alert) => (EventKind::Alert, alert),
                AlertChange::Over(alert) => (EventKind::AlertOver, alert),
            };
            Event::new(at, kind, &alert.to_string())
        });
        let events: Vec<Event> = events.collect();
        self.history.push(sample);
        for event in &events {
            self.history.mark(event.clone());
        }
        events
    }
}

impl Monitor {
    /// Nothing is known yet.
    pub(super) fn new() -> Self {
        Self {
            known: Arc::new(Mutex::new(Known {
                history: History::new(),
                alerts: Alerts::new(Bounds::default().alerts),
            })),
            sampler: OnceLock::new(),
        }
    }

    /// Begins to measure; `note` is told what the operator should know.
    pub(super) fn start(
        &self,
        live: &Arc<Live>,
        watch: Watch,
        note: impl Fn(&str) + Send + Sync + 'static,
    ) {
        let known = Arc::clone(&self.known);
        let subject = Engine(Arc::clone(live));
        let bounds = Engine(Arc::clone(live));
        let sampler = Sampler::start(subject, watch, move |told| {
            match told {
                Told::Sample(sample) => {
                    let mut known = lock(&known);
                    // Another profile may watch for something else.
                    known.alerts.set_limits(bounds.bounds().alerts);
                    for event in known.take(*sample) {
                        tracing::info!(kind = event.kind.name(), "{}", event.text());
                    }
                }
                Told::Event(event) => lock(&known).history.mark(event),
                Told::Notice(text) => note(&text),
            }
            true
        });
        let _ = self.sampler.set(sampler);
        for (kind, text) in [
            (EventKind::Model, live.model.clone()),
            (EventKind::Profile, live.control.profile()),
            (EventKind::Kernel, live.engine.kernel_name()),
        ] {
            self.happened(kind, &text);
        }
    }

    /// Something happened now.
    pub(super) fn happened(&self, kind: EventKind, text: &str) {
        let event = Event::new(unix_ms(), kind, text);
        lock(&self.known).history.mark(event.clone());
        if let Some(sampler) = self.sampler.get() {
            sampler.record(event);
        }
    }

    /// What is known from `since` on, in milliseconds since 1970, beside what `live` is.
    pub(super) fn told(&self, live: &Live, slots: usize, since: u64) -> Value {
        let (records, alerts) = {
            let known = lock(&self.known);
            let alerts: Vec<Alert> = known.alerts.active().copied().collect();
            (known.history.records(since), alerts)
        };
        let records: Vec<Value> = records.iter().map(Record::to_value).collect();
        let bounds = live.control.bounds();
        let limits = bounds.alerts;
        let alerts = alerts.iter().map(
            |alert| json!({"since": alert.since, "value": alert.value, "text": alert.to_string()}),
        );
        let info = live.engine.info();
        json!({
            "now": unix_ms(),
            "model": live.model,
            "architecture": info.architecture,
            "parameters": info.parameters,
            "context": info.context,
            "file_bytes": info.file_bytes,
            "profile": live.control.profile(),
            "kernel": live.engine.kernel_name(),
            "threads": live.engine.threads(),
            "slots": slots,
            "interval_ms": u64::try_from(bounds.interval.as_millis()).unwrap_or(u64::MAX),
            "memory_limit": bounds.memory,
            "limits": {
                "memory_bytes": limits.memory_bytes,
                "near_limit": limits.near_limit,
                "cpu_percent": finite(limits.cpu_percent),
                "min_tokens_per_second": finite(limits.min_tokens_per_second),
                "error_rate_percent": finite(limits.error_rate_percent),
                "latency_ms": finite(limits.latency_ms),
            },
            "alerts": alerts.collect::<Vec<_>>(),
            "records": records,
        })
    }
}

/// JSON has no infinity: what is not watched is `null`.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
