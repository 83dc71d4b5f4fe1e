use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    memory_bytes: 1024 << 20,
    near_limit: true,
    cpu_percent: 80.0,
    min_tokens_per_second: 5.0,
    error_rate_percent: 5.0,
    latency_ms: 5000.0,
};

/// Shows one value a second and returns what changed, with the second.
fn show(metric: Metric, values: &[Option<f64>]) -> Vec<(usize, AlertChange)> {
    let mut alerts = Alerts::new(LIMITS);
    let mut changes = Vec::new();
    for (second, value) in values.iter().enumerate() {
        let mut sample = Sample::new(1_000_000 + 1000 * second as u64, 1000);
        sample.set(Metric::ResidentLimit, 1000.0 * MIB);
        sample.set_known(metric, *value);
        changes.extend(
            alerts
                .look(&sample)
                .into_iter()
                .map(|change| (second, change)),
        );
    }
    changes
}

fn kinds(changes: &[(usize, AlertChange)]) -> Vec<(usize, AlertKind, bool)> {
    changes
        .iter()
        .map(|(at, change)| match change {
            AlertChange::Raised(alert) => (*at, alert.kind, true),
            AlertChange::Over(alert) => (*at, alert.kind, false),
        })
        .collect()
}

#[test]
fn nine_tenths_of_the_limit_raise_and_a_tremble_does_not() {
    let mib = |mib: f64| Some(mib * MIB);
    let values: Vec<_> = [
        890.0, 910.0, 890.0, 910.0, 910.0, 910.0, 880.0, 910.0, 870.0, 860.0, 840.0, 840.0, 840.0,
    ]
    .map(mib)
    .to_vec();
    let changes = show(Metric::Resident, &values);
    assert_eq!(
        kinds(&changes),
        [
            (5, AlertKind::MemoryLimit, true),
            (12, AlertKind::MemoryLimit, false)
        ]
    );
    let AlertChange::Raised(alert) = changes[0].1 else {
        panic!("raised first");
    };
    assert_eq!(alert.to_string(), "memory 91 % of the limit");
    assert_eq!(alert.since, 1_003_000);
}

#[test]
fn speed_counts_while_something_is_decoded() {
    let mut values = vec![None; 10];
    values.extend([Some(3.0); 3]);
    values.extend([None; 20]);
    values.extend([Some(8.0); 3]);
    let changes = show(Metric::DecodeRate, &values);
    assert_eq!(
        kinds(&changes),
        [(12, AlertKind::Speed, true), (35, AlertKind::Speed, false)]
    );
    let AlertChange::Raised(alert) = changes[0].1 else {
        panic!("raised first");
    };
    assert_eq!(alert.to_string(), "3.0 tok/s (alert below 5)");
}

#[test]
fn what_is_not_measured_any_more_is_over_after_a_while() {
    let mut values = vec![Some(3.0); 3];
    values.extend([None; 310]);
    let changes = kinds(&show(Metric::DecodeRate, &values));
    assert_eq!(changes[1], (303, AlertKind::Speed, false));
}

#[test]
fn a_busy_processor_is_worth_a_word_when_it_lasts() {
    let changes = show(Metric::Cpu, &[Some(95.0); 40]);
    assert_eq!(kinds(&changes), [(30, AlertKind::Cpu, true)]);
    assert_eq!(kinds(&show(Metric::Cpu, &[Some(80.0); 40])), []);
}

#[test]
fn one_slow_answer_is_enough() {
    let mut values = vec![None, Some(6100.0), None, Some(4500.0), Some(1000.0)];
    let changes = show(Metric::FirstToken, &values);
    assert_eq!(
        kinds(&changes),
        [
            (1, AlertKind::Latency, true),
            (4, AlertKind::Latency, false)
        ]
    );
    let AlertChange::Raised(alert) = changes[0].1 else {
        panic!("raised first");
    };
    assert_eq!(
        alert.to_string(),
        "first token after 6.1 s (alert above 5.0)"
    );
    values[1] = Some(5000.0);
    assert_eq!(kinds(&show(Metric::FirstToken, &values)), []);
}

#[test]
fn errors_are_counted_over_five_minutes_and_several_requests() {
    let mut alerts = Alerts::new(LIMITS);
    let mut end = |second: u64, failed: f64, finished: f64| {
        let mut sample = Sample::new(1_000_000 + 1000 * second, 1000);
        sample.set(Metric::Failed, failed);
        sample.set(Metric::Finished, finished);
        alerts.look(&sample)
    };
    assert_eq!(end(0, 1.0, 3.0), [], "four requests are no rate");
    let raised = end(1, 0.0, 1.0);
    assert!(matches!(raised[..], [AlertChange::Raised(alert)]
        if alert.to_string() == "20 % of requests failed (alert above 5)"));
    assert_eq!(end(200, 0.0, 4.0), []);
    assert!(matches!(end(400, 0.0, 5.0)[..], [AlertChange::Over(_)]));
}

#[test]
fn a_sequence_has_its_share_of_the_speed() {
    let mut alerts = Alerts::new(LIMITS);
    for second in 0..3 {
        let mut sample = Sample::new(1_000_000 + 1000 * second, 1000);
        sample.set(Metric::DecodeRate, 12.0);
        sample.set(Metric::Active, 3.0);
        alerts.look(&sample);
    }
    assert_eq!(alerts.active().map(|a| a.value).collect::<Vec<_>>(), [4.0]);
}

proptest! {
    /// An alert lasts, and stays away, for at least as many samples as it takes; and between the two
    /// thresholds nothing ever changes.
    #[test]
    fn nothing_flaps(values in prop::collection::vec(800.0..1000.0_f64, 1..300)) {
        let shown: Vec<_> = values.iter().map(|mib| Some(mib * MIB)).collect();
        let changes = kinds(&show(Metric::Resident, &shown));
        let changes: Vec<_> = changes
            .into_iter()
            .filter(|(_, kind, _)| *kind == AlertKind::MemoryLimit)
            .collect();
        for (index, (at, _, raised)) in changes.iter().enumerate() {
            prop_assert_eq!(*raised, index % 2 == 0, "raised and over in turn");
            let row = &values[(at + 1 - IN_A_ROW as usize)..=*at];
            let beyond = |v: &f64| if *raised { *v > 900.0 } else { *v <= 850.1 };
            prop_assert!(row.iter().all(beyond));
        }
        for pair in changes.windows(2) {
            prop_assert!(pair[1].0 - pair[0].0 >= IN_A_ROW as usize);
        }
    }

    #[test]
    fn a_tremble_between_the_thresholds_changes_nothing(
        start in any::<bool>(),
        values in prop::collection::vec(851.0..900.0_f64, 1..200),
    ) {
        let mut shown = vec![Some(if start { 950.0 } else { 100.0 } * MIB); 5];
        shown.extend(values.iter().map(|mib| Some(mib * MIB)));
        prop_assert_eq!(show(Metric::Resident, &shown).len(), usize::from(start));
    }
}
