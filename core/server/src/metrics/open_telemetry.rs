//! The same numbers under the names of OpenTelemetry's conventions for generative AI (development state, 2026), as JSON.

use serde_json::{Value, json};

use super::{Gauges, Histogram, Metrics, get};

/// Histograms and counts with the conventions' names and attributes.
#[must_use]
pub fn open_telemetry(metrics: &Metrics, gauges: &Gauges) -> Value {
    let attributes = json!({
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "tritone",
        "gen_ai.request.model": gauges.model,
        "gen_ai.response.model": gauges.model,
    });
    let histogram = |name: &str, histogram: &Histogram| {
        let (buckets, sum) = histogram.read();
        // The conventions count every bucket by itself; the last has no bound.
        let mut before = 0;
        let counts: Vec<u64> = buckets
            .iter()
            .map(|(_, all)| all - std::mem::replace(&mut before, *all))
            .collect();
        let bounds: Vec<f64> = buckets
            .iter()
            .map(|(bound, _)| *bound)
            .filter(|b| b.is_finite())
            .collect();
        json!({
            "name": name,
            "unit": "s",
            "histogram": {
                "explicit_bounds": bounds,
                "bucket_counts": counts,
                "sum": sum,
                "count": before,
                "attributes": attributes,
            },
        })
    };
    let tokens = |kind: &str, count: u64| {
        let mut attributes = attributes.clone();
        attributes["gen_ai.token.type"] = json!(kind);
        json!({"value": count, "attributes": attributes})
    };
    json!({
        "schema": 1,
        "resource": {"service.name": "tritone", "service.version": env!("CARGO_PKG_VERSION")},
        "uptime_seconds": metrics.started.elapsed().as_secs_f64(),
        "metrics": [
            histogram("gen_ai.server.request.duration", &metrics.duration),
            histogram("gen_ai.server.time_to_first_token", &metrics.first_token),
            histogram("gen_ai.server.time_per_output_token", &metrics.inter_token),
            {
                "name": "gen_ai.client.token.usage",
                "unit": "{token}",
                "sum": [
                    tokens("input", get(&metrics.prompt_tokens)),
                    tokens("output", get(&metrics.generated_tokens)),
                ],
            },
        ],
    })
}
