//! The text formats of Prometheus (0.0.4) and OpenMetrics (1.0).

use std::fmt::Write;
use std::sync::atomic::AtomicU64;

use crate::guard::{SecurityCounts, SecurityEvent};

use super::{Gauges, Histogram, Metrics, Phase, ROUTES, Rejected, STATUSES, get};

/// Which text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`.
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

impl Format {
    /// What an `Accept` header asks for.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    /// The `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

struct Writer {
    text: String,
    format: Format,
}

impl Writer {
    /// The lines before a family. In OpenMetrics a counter's family is named without `_total`.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let name = match self.format {
            Format::OpenMetrics if kind == "counter" => name.trim_end_matches("_total"),
            _ => name,
        };
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(name);
        for (i, (label, value)) in labels.iter().enumerate() {
            let open = if i == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{open}{label}=\"{}\"", escaped(value));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {}", number(value));
    }

    fn counter(&mut self, name: &str, help: &str, value: &AtomicU64) {
        self.family(name, "counter", help);
        self.sample(name, &[], get(value) as f64);
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, "histogram", help);
        let (buckets, sum) = histogram.read();
        let bucket = format!("{name}_bucket");
        for (bound, count) in &buckets {
            self.sample(&bucket, &[("le", &number(*bound))], *count as f64);
        }
        let count = buckets.last().map_or(0, |(_, count)| *count);
        self.sample(&format!("{name}_sum"), &[], sum);
        self.sample(&format!("{name}_count"), &[], count as f64);
    }
}

fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else {
        value.to_string()
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Everything, as text. `security` is what the guard counts.
#[must_use]
pub fn render(
    metrics: &Metrics,
    gauges: &Gauges,
    security: &SecurityCounts,
    format: Format,
) -> String {
    let mut w = Writer {
        text: String::with_capacity(16 << 10),
        format,
    };
    about(&mut w, gauges);
    requests(&mut w, metrics, gauges, security);
    w.counter(
        "tritone_prompt_tokens_total",
        "Tokens of prompts that were read.",
        &metrics.prompt_tokens,
    );
    w.counter(
        "tritone_generation_tokens_total",
        "Tokens that were written.",
        &metrics.generated_tokens,
    );
    w.counter(
        "tritone_prefix_cache_queries_total",
        "Prompt tokens that were looked for in the KV cache.",
        &metrics.prompt_tokens,
    );
    w.counter(
        "tritone_prefix_cache_hits_total",
        "Prompt tokens that were found there.",
        &metrics.cached_tokens,
    );
    w.counter(
        "tritone_response_cache_queries_total",
        "Requests whose answer could have been kept.",
        &metrics.response_queries,
    );
    w.counter(
        "tritone_response_cache_hits_total",
        "Requests whose answer was.",
        &metrics.response_hits,
    );
    w.gauge(
        "tritone_response_cache_bytes",
        "Bytes of kept answers.",
        gauges.cache.bytes as f64,
    );
    let histograms = [
        (
            "tritone_time_to_first_token_seconds",
            "From arrival to the first token.",
            &metrics.first_token,
        ),
        (
            "tritone_inter_token_latency_seconds",
            "Between two tokens of an answer.",
            &metrics.inter_token,
        ),
        (
            "tritone_request_duration_seconds",
            "From arrival to the end of the answer.",
            &metrics.duration,
        ),
        (
            "tritone_queue_duration_seconds",
            "Wait for a place in the engine.",
            &metrics.queue,
        ),
    ];
    for (name, help, histogram) in histograms {
        w.histogram(name, help, histogram);
    }
    process(&mut w, gauges);
    aliases(&mut w, gauges);
    if format == Format::OpenMetrics {
        w.text.push_str("# EOF\n");
    }
    w.text
}

fn about(w: &mut Writer, gauges: &Gauges) {
    w.family("tritone_build_info", "gauge", "Version of the program.");
    w.sample(
        "tritone_build_info",
        &[("version", env!("CARGO_PKG_VERSION"))],
        1.0,
    );
    w.family(
        "tritone_model_info",
        "gauge",
        "The model and the kernel that runs it.",
    );
    let labels = [
        ("model", gauges.model.as_str()),
        ("kernel", gauges.kernel.as_str()),
    ];
    w.sample("tritone_model_info", &labels, 1.0);
    w.gauge(
        "tritone_threads",
        "Threads of the engine.",
        gauges.threads as f64,
    );
}

fn requests(w: &mut Writer, metrics: &Metrics, gauges: &Gauges, security: &SecurityCounts) {
    let name = "tritone_requests_total";
    w.family(
        name,
        "counter",
        "Requests that are over, by route, status and outcome.",
    );
    for (route, statuses) in ROUTES.iter().zip(&metrics.requests) {
        for (status, count) in STATUSES.iter().zip(statuses) {
            // Series begin with their first event; there would be a hundred empty ones.
            if get(count) > 0 {
                let outcome = match status {
                    200 | 204 => "ok",
                    499 => "cancelled",
                    429 | 503 => "busy",
                    500..=599 => "failed",
                    _ => "refused",
                };
                let status = status.to_string();
                let labels = [("route", *route), ("status", &status), ("outcome", outcome)];
                w.sample(name, &labels, get(count) as f64);
            }
        }
    }
    let schedule = &gauges.schedule;
    w.gauge(
        "tritone_requests_running",
        "Answers that are being written.",
        schedule.running as f64,
    );
    w.gauge(
        "tritone_requests_waiting",
        "Answers that wait.",
        schedule.waiting as f64,
    );
    w.gauge(
        "tritone_queue_limit",
        "Answers that may wait.",
        schedule.queue_limit as f64,
    );
    w.gauge(
        "tritone_queued_tokens",
        "Tokens that waiting answers may take.",
        schedule.tokens_waiting as f64,
    );
    w.gauge(
        "tritone_slots",
        "Answers that are written at once.",
        schedule.slots as f64,
    );
    w.gauge(
        "tritone_batch_size",
        "Sequences in the running batch.",
        gauges.batch as f64,
    );
    w.gauge(
        "tritone_kv_cache_utilization_ratio",
        "Pages of the KV cache in use, of all.",
        gauges.kv_ratio,
    );
    w.family(
        "tritone_engine_steps_total",
        "counter",
        "Steps that the engine has done.",
    );
    w.sample("tritone_engine_steps_total", &[], gauges.steps as f64);
    let name = "tritone_rejected_total";
    w.family(name, "counter", "Requests that got no answer, by reason.");
    for (why, count) in Rejected::ALL.iter().zip(&metrics.rejected) {
        w.sample(name, &[("reason", why.name())], get(count) as f64);
    }
    let name = "tritone_cancelled_total";
    w.family(
        name,
        "counter",
        "Answers that were cancelled, by what was being done for them.",
    );
    for (phase, count) in Phase::ALL.iter().zip(&metrics.cancelled) {
        w.sample(name, &[("phase", phase.name())], get(count) as f64);
    }
    w.counter(
        "tritone_retries_seen_total",
        "Requests that clients sent once more.",
        &metrics.retries,
    );
    let name = "tritone_security_events_total";
    w.family(name, "counter", "What the guard did, by kind.");
    for event in SecurityEvent::ALL {
        w.sample(name, &[("event", event.name())], security.get(event) as f64);
    }
}

fn process(w: &mut Writer, gauges: &Gauges) {
    if let Some(log) = gauges.log {
        let name = "tritone_request_log_lines_total";
        w.family(
            name,
            "counter",
            "Lines of the request log, by what became of them.",
        );
        for (what, count) in [
            ("written", log.written),
            ("dropped", log.dropped),
            ("failed", log.failed),
        ] {
            w.sample(name, &[("outcome", what)], count as f64);
        }
    }
    if let Some(seconds) = gauges.cpu_seconds {
        w.family("process_cpu_seconds_total", "counter", "Processor time.");
        w.sample("process_cpu_seconds_total", &[], seconds);
    }
    if let Some(bytes) = gauges.resident_bytes {
        w.gauge(
            "process_resident_memory_bytes",
            "Resident memory.",
            bytes as f64,
        );
    }
    if let Some(files) = gauges.open_files {
        w.gauge("process_open_fds", "Open file descriptors.", files as f64);
    }
    if let Some(seconds) = gauges.start_seconds {
        w.gauge(
            "process_start_time_seconds",
            "Start of the process since 1970.",
            seconds,
        );
    }
}

/// Names of vLLM, which routers and scalers look for.
fn aliases(w: &mut Writer, gauges: &Gauges) {
    let schedule = &gauges.schedule;
    for (name, help, value) in [
        (
            "vllm:num_requests_running",
            "As tritone_requests_running.",
            schedule.running as f64,
        ),
        (
            "vllm:num_requests_waiting",
            "As tritone_requests_waiting.",
            schedule.waiting as f64,
        ),
        (
            "vllm:kv_cache_usage_perc",
            "As tritone_kv_cache_utilization_ratio.",
            gauges.kv_ratio,
        ),
    ] {
        w.family(name, "gauge", help);
        w.sample(name, &[("model_name", &gauges.model)], value);
    }
    let name = "vllm:cache_config_info";
    w.family(
        name,
        "gauge",
        "Pages of the KV cache, and positions of one.",
    );
    let pages = gauges.kv_pages.to_string();
    w.sample(
        name,
        &[("block_size", "64"), ("num_gpu_blocks", &pages)],
        1.0,
    );
}
