//! One input for the reader of logs, for the fuzz target and the replay of its corpus.

use tritone_monitor::{Alerts, History, Limits, Metric, Record, export, summary};

/// Reads a log of lines and does with it what the program does. Returns how many records there were.
pub(crate) fn exercise(input: &[u8]) -> usize {
    let mut alerts = Alerts::new(Limits {
        memory_bytes: 1 << 30,
        near_limit: true,
        cpu_percent: 80.0,
        min_tokens_per_second: 5.0,
        error_rate_percent: 5.0,
        latency_ms: 5000.0,
    });
    let mut history = History::new();
    let mut records = Vec::new();
    for line in input.split(|byte| *byte == b'\n') {
        let Some(record) = std::str::from_utf8(line)
            .ok()
            .and_then(|line| Record::from_json(line).ok())
        else {
            continue;
        };
        // What was read is written so that the same is read.
        let again = Record::from_json(&record.to_json());
        assert_eq!(again.as_ref(), Ok(&record));
        match &record {
            Record::Sample(sample) => {
                for change in alerts.look(sample) {
                    assert!(!format!("{change:?}").is_empty());
                }
                for alert in alerts.active() {
                    assert!(!alert.to_string().is_empty() && !alert.short().is_empty());
                }
                history.push(sample.clone());
            }
            Record::Event(event) => history.mark(event.clone()),
        }
        records.push(record);
    }
    assert!(history.bytes() <= History::MAX_BYTES);
    let (from, to) = (history.begin().unwrap_or(0), u64::MAX);
    for &metric in Metric::ALL {
        assert_eq!(history.series(metric, from, to, 80).len(), 80);
        assert!(history.total(metric, from, to) >= 0.0);
    }
    let samples = records.iter().filter_map(|record| match record {
        Record::Sample(sample) => Some(sample),
        Record::Event(_) => None,
    });
    let _ = summary::of_samples(samples);
    let _ = summary::of_history(&history, from);
    let mut table = Vec::new();
    let mut document = Vec::new();
    assert!(export::csv(&records, &mut table).is_ok());
    assert!(export::json(&records, &mut document).is_ok());
    records.len()
}
