use proptest::prelude::*;

use super::*;
use crate::event::EventKind;
use crate::sample::MAX_CORES;

fn sample(at: u64, span: u64, value: f64) -> Sample {
    let mut sample = Sample::new(at, span);
    sample.set(Metric::Cpu, value);
    sample.set(Metric::DecodeTokens, 2.0);
    sample
}

fn means(points: &[Option<Point>]) -> Vec<Option<f64>> {
    points.iter().map(|point| point.map(|p| p.mean)).collect()
}

#[test]
fn samples_fill_the_columns_they_cover() {
    let mut history = History::new();
    for second in 1..=4 {
        history.push(sample(second * 1000, 1000, second as f64));
    }
    let fine = history.series(Metric::Cpu, 0, 4000, 8);
    let expected = [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0].map(Some);
    assert_eq!(means(&fine), expected);
    let coarse = history.series(Metric::Cpu, 0, 4000, 2);
    assert_eq!(
        coarse[1],
        Some(Point {
            min: 3.0,
            mean: 3.5,
            max: 4.0
        })
    );
    assert_eq!(
        means(&history.series(Metric::Power, 0, 4000, 2)),
        [None, None]
    );
    assert!(
        history
            .series(Metric::Cpu, 5, 5, 3)
            .iter()
            .all(Option::is_none)
    );
}

#[test]
fn a_suspended_computer_leaves_a_gap() {
    let mut history = History::new();
    history.push(sample(1_000_000, 1000, 10.0));
    // An hour later; the interval says how long the program ran.
    history.push(sample(4_600_000, 1000, 20.0));
    let points = history.series(Metric::Cpu, 999_000, 4_600_000, 3601);
    let known: Vec<usize> = (0..points.len()).filter(|&i| points[i].is_some()).collect();
    assert_eq!(known, [0, 3600]);
    assert_eq!(history.sample_at(999_500).map(|s| s.at), Some(1_000_000));
    assert_eq!(history.sample_at(2_000_000), None);
}

#[test]
fn a_gap_inside_a_minute_is_seen_when_only_minutes_are_left() {
    let mut history = History::new();
    // Ten seconds, thirty seconds of nothing, ten seconds.
    for second in (1..=10).chain(41..=50) {
        history.push(sample(600_000 + second * 1000, 1000, 5.0));
    }
    for second in 0..(RAW as u64 + TENS as u64 * 10) {
        history.push(sample(700_000 + second * 1000, 1000, 7.0));
    }
    let points = history.series(Metric::Cpu, 600_000, 650_000, 5);
    let known: Vec<bool> = points.iter().map(Option::is_some).collect();
    assert_eq!(known, [true, false, false, false, true]);
}

#[test]
fn a_clock_that_is_set_back_keeps_the_order() {
    let mut history = History::new();
    for second in 1..=10 {
        history.push(sample(1_000_000 + second * 1000, 1000, 1.0));
    }
    history.mark(Event::new(1_005_000, EventKind::Kernel, "lut"));
    history.push(sample(500_000, 1000, 2.0));
    let times: Vec<u64> = history.samples().map(|s| s.at).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    assert_eq!(times.last(), Some(&500_000));
    assert_eq!(times[9], 499_000, "the axis goes on");
    assert_eq!(history.events().next().map(|e| e.at), Some(494_000));
}

#[test]
fn a_day_of_seconds_is_kept_in_minutes() {
    let mut history = History::new();
    let day = 86_400;
    for second in 1..=day + 7200 {
        history.push(sample(second * 1000, 1000, f64::from(second % 60 == 30)));
    }
    let now = (day + 7200) * 1000;
    assert!(history.begin().unwrap() <= now - DAY + MINUTE);
    assert!(history.begin().unwrap() >= now - DAY - MINUTE);
    // A peak of one second in every minute is still there, a day later.
    let points = history.series(Metric::Cpu, now - DAY + MINUTE, now, 1439);
    assert!(
        points
            .iter()
            .all(|point| point.is_some_and(|p| p.max == 1.0 && p.min == 0.0))
    );
    let total: f64 = history
        .records(0)
        .iter()
        .filter_map(|record| match record {
            Record::Sample(sample) => sample.get(Metric::DecodeTokens),
            Record::Event(_) => None,
        })
        .sum();
    let seconds = (now - history.begin().unwrap()) as f64 / 1000.0;
    assert!(
        (total - 2.0 * seconds).abs() <= 2.0 * 70.0,
        "{total} of {seconds} s"
    );
    assert!(history.bytes() <= History::MAX_BYTES, "{}", history.bytes());
}

#[test]
fn a_full_history_on_a_large_machine_is_within_the_bound() {
    let mut history = History::new();
    for minute in 1..=3000_u64 {
        let mut sample = sample(minute * 60_000, 60_000, 1.0);
        sample.set_cores([50.0; 2 * MAX_CORES]);
        history.push(sample);
    }
    for tenth in 1..=20_000_u64 {
        let at = 3000 * 60_000 + tenth * 100;
        let mut sample = sample(at, 100, 1.0);
        sample.set_cores([50.0; 2 * MAX_CORES]);
        history.push(sample);
        history.mark(Event::new(at, EventKind::Alert, &"x".repeat(1000)));
    }
    assert_eq!((history.raw.len(), history.events.len()), (RAW, EVENTS));
    assert_eq!(history.minutes.len(), MINUTES);
    assert!(history.bytes() <= History::MAX_BYTES, "{}", history.bytes());
    assert!(history.bytes() > 1 << 20, "{}", history.bytes());
}

#[test]
fn coarse_columns_say_what_fine_ones_do() {
    let mut history = History::new();
    for second in 1..=4000_u64 {
        let at = 1_000_000 + second * 1000;
        history.push(sample(at, 1000, (second % 977) as f64));
    }
    let (from, to) = (1_000_000, 5_000_000);
    let fine = history.series(Metric::Cpu, from, to, 4000);
    let peak = |points: &[Option<Point>]| {
        let peaks = points.iter().flatten().map(|point| point.max);
        peaks.fold(0.0, f64::max)
    };
    for columns in [40, 200, 1000] {
        let coarse = history.series(Metric::Cpu, from, to, columns);
        assert!(coarse.iter().all(Option::is_some), "{columns}");
        assert_eq!(peak(&coarse), peak(&fine));
    }
    let last = |columns| {
        history
            .series(Metric::Cpu, from, to, columns)
            .pop()
            .flatten()
    };
    assert_eq!(last(4000).map(|p| p.mean), Some(92.0));
    assert_eq!(last(40).map(|p| p.max), Some(976.0));
    let part = history.series(Metric::Cpu, 4_990_000, 5_000_000, 10);
    assert_eq!(part[9], fine[3999]);
    assert_eq!(history.total(Metric::DecodeTokens, 4_990_000, to), 20.0);
}

proptest! {
    /// Whatever the clock does, the rings keep their bounds and their order.
    #[test]
    fn rings_are_bounded_and_in_order(
        steps in prop::collection::vec((prop_oneof![
            Just(100_i64), Just(1000), Just(60_000), -10_000_000..10_000_000_i64, any::<i64>()
        ], any::<u16>(), any::<f64>()), 1..400),
        columns in 0..300_usize,
    ) {
        let mut history = History::new();
        let mut now = 1_700_000_000_000_u64;
        for (step, span, value) in steps {
            now = now.saturating_add_signed(step);
            history.push(sample(now, u64::from(span), value));
            history.mark(Event::new(now, EventKind::Kernel, "k"));
            prop_assert_eq!(history.latest().map(|s| s.at), Some(now));
        }
        prop_assert!(history.raw.len() <= RAW && history.tens.len() <= TENS);
        prop_assert!(history.minutes.len() <= MINUTES && history.events.len() <= EVENTS);
        prop_assert!(history.bytes() <= History::MAX_BYTES);
        prop_assert!(history.samples().map(|s| s.at).is_sorted());
        let points = history.series(Metric::Cpu, now.saturating_sub(100_000), now, columns);
        prop_assert_eq!(points.len(), columns);
        for point in points.into_iter().flatten() {
            prop_assert!(point.min <= point.max);
        }
    }
}
