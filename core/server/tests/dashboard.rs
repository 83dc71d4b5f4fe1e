//! The dashboard and the alerts ask only for what `/metrics` has.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;
use tritone_server::guard::SecurityCounts;
use tritone_server::metrics::{Format, Gauges, Metrics, render};

/// Names of all series.
fn series() -> HashSet<String> {
    let metrics = Metrics::new();
    metrics.request("/v1/chat/completions", 200, Duration::ZERO);
    let gauges = Gauges {
        resident_bytes: Some(1),
        cpu_seconds: Some(1.0),
        open_files: Some(1),
        start_seconds: Some(1.0),
        ..Gauges::default()
    };
    let text = render(
        &metrics,
        &gauges,
        &SecurityCounts::default(),
        Format::Prometheus,
    );
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| line.split(['{', ' ']).next().unwrap().to_owned())
        .collect()
}

/// Names of metrics in a PromQL expression: words that begin like one of ours and are no label.
fn asked(expression: &str) -> Vec<String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    let ours = words.filter(|word| word.starts_with("tritone_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}

fn file(path: &str) -> String {
    let path = format!("{}/../../deploy/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn every_panel_shows_something_that_is_there() {
    let dashboard: Value = serde_json::from_str(&file("grafana/tritone.json")).unwrap();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 30);
    let (series, mut shown) = (series(), HashSet::new());
    let mut ids = HashSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()));
        assert_eq!(
            panel["datasource"]["uid"], "${DS_PROMETHEUS}",
            "{}",
            panel["title"]
        );
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty());
        for target in targets {
            let expression = target["expr"].as_str().unwrap();
            let names = asked(expression);
            assert!(!names.is_empty(), "{expression}");
            for name in names {
                assert!(series.contains(&name), "{name} in {expression}");
                shown.insert(name);
            }
        }
    }
    // What the reference of the server says an operator looks at.
    for name in [
        "tritone_requests_total",
        "tritone_time_to_first_token_seconds_bucket",
        "tritone_inter_token_latency_seconds_bucket",
        "tritone_generation_tokens_total",
        "tritone_requests_waiting",
        "tritone_kv_cache_utilization_ratio",
        "tritone_prefix_cache_hits_total",
        "tritone_cancelled_total",
        "process_resident_memory_bytes",
    ] {
        assert!(shown.contains(name), "{name} is nowhere");
    }
}

#[test]
fn every_alert_asks_for_something_that_is_there() {
    let (text, series) = (file("prometheus/alerts.yml"), series());
    // No program of ours reads YAML: the rules keep to one shape, which is checked as text.
    let mut alerts = 0;
    for rule in text.split("- alert: ").skip(1) {
        alerts += 1;
        let name = rule.lines().next().unwrap();
        for part in ["expr: ", "labels: {severity: ", "annotations: {summary: \""] {
            assert!(rule.contains(part), "{name} has no {part}");
        }
        let expression = rule
            .split("expr: ")
            .nth(1)
            .unwrap()
            .split("labels: ")
            .next()
            .unwrap();
        let names = asked(expression);
        assert!(!names.is_empty() || expression.starts_with("up{"), "{name}");
        for metric in names {
            assert!(series.contains(&metric), "{metric} in {name}");
        }
    }
    assert!(alerts >= 5);
}
