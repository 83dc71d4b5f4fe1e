//! What `/metrics` says, read back by the rules of the formats.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tritone_server::guard::{LogCounts, SecurityCounts, SecurityEvent};
use tritone_server::metrics::{Format, Gauges, Metrics, Phase, Rejected, open_telemetry, render};

/// Family to type, and every sample: name with labels, and value.
struct Read {
    types: HashMap<String, String>,
    samples: Vec<(String, f64)>,
}

/// Reads a text, and checks what every text has to keep to.
fn read(text: &str, format: Format) -> Read {
    let (mut types, mut samples) = (HashMap::new(), Vec::new());
    let (mut helped, mut seen) = (HashSet::new(), HashSet::new());
    let lines: Vec<_> = text.lines().collect();
    assert!(text.ends_with('\n'));
    if format == Format::OpenMetrics {
        assert_eq!(lines.last(), Some(&"# EOF"));
    }
    for line in lines {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(
                help.ends_with('.') && helped.insert(name.to_owned()),
                "{line}"
            );
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(helped.contains(name), "{line}");
            types.insert(name.to_owned(), kind.to_owned());
        } else if line != "# EOF" {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let name = sample.split('{').next().unwrap();
            let of = ["", "_total", "_bucket", "_sum", "_count"];
            let family = of
                .iter()
                .filter_map(|end| name.strip_suffix(end))
                .find(|f| types.contains_key(*f));
            let kind = &types[family.unwrap_or_else(|| panic!("no family: {line}"))];
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(seen.insert(sample.to_owned()), "twice: {line}");
            let value = if value == "+Inf" {
                f64::INFINITY
            } else {
                value.parse().unwrap()
            };
            samples.push((sample.to_owned(), value));
        }
    }
    Read { types, samples }
}

fn busy() -> (Metrics, Gauges, SecurityCounts) {
    let (metrics, security) = (Metrics::new(), SecurityCounts::default());
    metrics.request("/v1/chat/completions", 200, Duration::from_millis(30));
    metrics.request("/v1/chat/completions", 503, Duration::from_millis(1));
    metrics.request("/etc/passwd", 404, Duration::from_millis(1));
    metrics.request("/v1/models", 299, Duration::from_millis(1));
    metrics.rejected(Rejected::QueueFull);
    metrics.cancelled(Phase::Decode);
    metrics.prompt_tokens(10, 4);
    metrics.generated(7);
    metrics.first_token(Duration::from_secs(400));
    metrics.inter_token(Duration::from_millis(20));
    security.note(SecurityEvent::KeyWrong);
    let gauges = Gauges {
        model: "a \"model\"\\\nwith everything".to_owned(),
        kernel: "avx2".to_owned(),
        kv_ratio: 0.25,
        resident_bytes: Some(1 << 30),
        cpu_seconds: Some(1.5),
        open_files: Some(9),
        log: Some(LogCounts {
            written: 5,
            dropped: 1,
            failed: 0,
        }),
        start_seconds: Some(1.7e9),
        ..Gauges::default()
    };
    (metrics, gauges, security)
}

#[test]
fn both_formats_keep_their_rules_and_say_the_same() {
    let (metrics, gauges, security) = busy();
    let read = |format| read(&render(&metrics, &gauges, &security, format), format);
    let (old, new) = (read(Format::Prometheus), read(Format::OpenMetrics));
    assert_eq!(old.samples, new.samples);
    let value = |name: &str| {
        let found = old.samples.iter().find(|(sample, _)| sample == name);
        found.unwrap_or_else(|| panic!("no {name}")).1
    };
    assert_eq!(
        value(r#"tritone_requests_total{route="/v1/chat/completions",status="200",outcome="ok"}"#),
        1.0
    );
    assert_eq!(
        value(r#"tritone_requests_total{route="other",status="404",outcome="refused"}"#),
        1.0
    );
    assert_eq!(
        value(r#"tritone_requests_total{route="/v1/models",status="500",outcome="failed"}"#),
        1.0
    );
    assert_eq!(value(r#"tritone_rejected_total{reason="queue_full"}"#), 1.0);
    assert_eq!(value(r#"tritone_cancelled_total{phase="decode"}"#), 1.0);
    assert_eq!(
        value(r#"tritone_security_events_total{event="key_wrong"}"#),
        1.0
    );
    assert_eq!(value("tritone_prompt_tokens_total"), 10.0);
    assert_eq!(value("tritone_prefix_cache_hits_total"), 4.0);
    assert_eq!(value("tritone_generation_tokens_total"), 7.0);
    assert_eq!(
        value(r#"tritone_time_to_first_token_seconds_bucket{le="320"}"#),
        0.0
    );
    assert_eq!(
        value(r#"tritone_time_to_first_token_seconds_bucket{le="+Inf"}"#),
        1.0
    );
    assert_eq!(value("tritone_time_to_first_token_seconds_sum"), 400.0);
    assert_eq!(
        value(r#"tritone_inter_token_latency_seconds_bucket{le="0.02"}"#),
        1.0
    );
    assert_eq!(value("process_open_fds"), 9.0);
    assert_eq!(
        value(r#"tritone_request_log_lines_total{outcome="dropped"}"#),
        1.0
    );
    let info = old
        .samples
        .iter()
        .find(|(name, _)| name.starts_with("tritone_model_info"))
        .unwrap();
    assert!(
        info.0.contains(r#"model="a \"model\"\\\nwith everything""#),
        "{}",
        info.0
    );
    assert_eq!(old.types["tritone_slots"], "gauge");
    assert_eq!(new.types["tritone_rejected"], "counter");
}

#[test]
fn names_have_units_and_only_aliases_have_colons() {
    let (metrics, gauges, security) = busy();
    let text = render(&metrics, &gauges, &security, Format::Prometheus);
    for (name, kind) in read(&text, Format::Prometheus).types {
        let own = name
            .strip_prefix("tritone_")
            .or_else(|| name.strip_prefix("process_"));
        let Some(own) = own else {
            assert!(name.starts_with("vllm:"), "{name}");
            continue;
        };
        assert!(
            own.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
            "{name}"
        );
        if kind == "histogram" {
            assert!(own.ends_with("_seconds"), "{name}");
        }
    }
}

#[test]
fn no_request_makes_a_series_of_its_own() {
    let (metrics, gauges, security) = busy();
    let count = || {
        render(&metrics, &gauges, &security, Format::Prometheus)
            .lines()
            .count()
    };
    let before = count();
    for i in 0..1000 {
        metrics.request(&format!("/secret-{i}"), 404, Duration::ZERO);
    }
    assert_eq!(count(), before);
}

#[test]
fn the_other_names_tell_the_same_numbers() {
    let (metrics, gauges, _) = busy();
    let all = open_telemetry(&metrics, &gauges);
    let find = |name: &str| {
        let metrics = all["metrics"].as_array().unwrap();
        metrics
            .iter()
            .find(|metric| metric["name"] == name)
            .unwrap()
            .clone()
    };
    let first = &find("gen_ai.server.time_to_first_token")["histogram"];
    let counts = first["bucket_counts"].as_array().unwrap();
    assert_eq!(
        counts.len(),
        first["explicit_bounds"].as_array().unwrap().len() + 1
    );
    assert_eq!(
        (counts.last().unwrap(), &first["count"]),
        (&1.into(), &1.into())
    );
    let usage = find("gen_ai.client.token.usage");
    assert_eq!(usage["sum"][1]["value"], 7);
    assert_eq!(usage["sum"][1]["attributes"]["gen_ai.token.type"], "output");
}
