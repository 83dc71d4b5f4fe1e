//! The view at every size, and what keys do in it.

use crossterm::event::KeyCode;
use tritone_monitor::{Metric, Sample};

use crate::app::headless::{Headless, LOOK, loaded};
use crate::app::msg::{Effect, Msg};

const SIZES: [(u16, u16); 3] = [(40, 12), (80, 24), (120, 40)];

/// What a machine does in the second `second`: an answer every twenty seconds, read and then written.
fn fill(second: u64, sample: &mut Sample) {
    let phase = second % 20;
    sample.set(
        Metric::Resident,
        (212_u64 << 20) as f64 + 2e6 * second as f64,
    );
    sample.set(Metric::ResidentLimit, (1024_u64 << 20) as f64);
    let busy = (4..16).contains(&phase);
    sample.set(Metric::Cpu, if busy { 55.0 } else { 4.0 });
    sample.set(Metric::CpuProcess, if busy { 50.0 } else { 0.0 });
    sample.set_cores((0..4).map(|core| {
        if busy {
            95.0 - 20.0 * f64::from(core)
        } else {
            3.0
        }
    }));
    sample.set(Metric::Active, f64::from(busy));
    sample.set(Metric::Queued, 0.0);
    sample.set(Metric::KvUsed, 5.0 + phase as f64);
    sample.set(Metric::KvPages, 64.0);
    sample.set(Metric::KvBytes, (5 + phase) as f64 * 65536.0);
    sample.set(Metric::Failed, 0.0);
    sample.set(Metric::Cancelled, 0.0);
    sample.set(Metric::Finished, f64::from(phase == 16));
    match phase {
        4..=6 => {
            sample.set(Metric::PrefillRate, 180.0 + 10.0 * phase as f64);
            sample.set(Metric::CacheHits, 40.0);
        }
        7..=15 => {
            let rate = if second < 60 { 31.0 } else { 22.0 } + (second % 3) as f64;
            sample.set(Metric::DecodeRate, rate);
            sample.set(Metric::TokenLatency, 1000.0 / rate);
            for (metric, share) in [
                (Metric::StepMatmul, 61.0),
                (Metric::StepAttention, 18.0),
                (Metric::StepHead, 15.0),
                (Metric::StepOther, 6.0),
            ] {
                sample.set(metric, share);
            }
        }
        _ => {}
    }
    if phase == 7 {
        sample.set(Metric::FirstToken, 3100.0);
    }
}

/// Two minutes of it, with another kernel after one.
fn watched(columns: u16, rows: u16) -> Headless {
    let mut session = Headless::loaded(columns, rows);
    for second in 1..=120 {
        session.wait(1000);
        if second == 60 {
            session.send(Msg::KernelSet(Ok("scalar".to_owned())));
        }
        session.sample(1000, |sample| fill(second, sample));
    }
    session.key(KeyCode::F(3)).key(KeyCode::Char('-'));
    session
}

fn at_all_sizes(name: &str, script: impl Fn(&mut Headless)) {
    for (columns, rows) in SIZES {
        let mut session = watched(columns, rows);
        script(&mut session);
        insta::assert_snapshot!(format!("{name}_{columns}x{rows}"), session.screen());
    }
}

#[test]
fn live() {
    at_all_sizes("live", |_| {});
}

#[test]
fn frozen_with_a_cursor_and_zoomed() {
    at_all_sizes("frozen", |session| {
        session.key(KeyCode::Char('+')).key(KeyCode::Char('f'));
        for _ in 0..12 {
            session.key(KeyCode::Left);
        }
        // What is measured meanwhile does not move the picture.
        for second in 121..=130 {
            session.wait(1000);
            session.sample(1000, |sample| fill(second, sample));
        }
    });
}

#[test]
fn summary() {
    at_all_sizes("summary", |session| {
        session.key(KeyCode::Char('s'));
    });
}

#[test]
fn alert() {
    at_all_sizes("alert", |session| {
        for second in 121..=124 {
            session.wait(1000);
            session.sample(1000, |sample| {
                fill(second, sample);
                sample.set(Metric::Resident, 950.0 * f64::from(1 << 20));
            });
        }
    });
}

#[test]
fn ascii_has_no_dots() {
    let mut session = watched(80, 24);
    session.state.setting.look.ascii = true;
    let screen = session.screen();
    assert!(screen.is_ascii(), "{screen}");
    insta::assert_snapshot!("ascii_80x24", screen);
}

#[test]
fn many_cpus() {
    let mut session = Headless::loaded(80, 24);
    session.wait(1000).sample(1000, |sample| {
        sample.set_cores((0..64).map(|core| f64::from(core) * 100.0 / 63.0));
    });
    session.key(KeyCode::F(3));
    let screen = session.screen();
    assert!(
        screen.contains("32 of 64 CPUs are more than half busy"),
        "{screen}"
    );
    session.state.setting.look = crate::view::theme::Look {
        ascii: true,
        ..LOOK
    };
    assert!(
        session.screen().contains("0000001111"),
        "{}",
        session.screen()
    );
}

#[test]
fn nothing_yet() {
    let mut session = Headless::new(80, 24);
    session.key(KeyCode::F(3)).key(KeyCode::Char('e'));
    assert!(session.screen().contains("nothing was measured yet"));
    assert!(session.take_effects().is_empty());
    // Keys that move in what is not there.
    for code in [
        KeyCode::Left,
        KeyCode::Home,
        KeyCode::Char('-'),
        KeyCode::Char('s'),
        KeyCode::End,
    ] {
        session.key(code);
        session.screen();
    }
}

#[test]
fn escape_lets_go_step_by_step() {
    let mut session = watched(80, 24);
    session.key(KeyCode::Char('f')).key(KeyCode::Char('s'));
    session.key(KeyCode::Esc);
    assert!(!session.state.views.monitor.summary);
    assert!(session.state.views.monitor.frozen.is_some());
    session.key(KeyCode::Esc);
    assert_eq!(session.state.views.monitor.frozen, None);
    session.key(KeyCode::Esc);
    assert_eq!(session.state.view, crate::app::screen::View::Chat);
}

#[test]
fn the_cursor_takes_the_picture_along() {
    let mut session = watched(80, 24);
    session.key(KeyCode::Char('+'));
    let (from, to) = session.state.views.monitor.window();
    for _ in 0..70 {
        session.key(KeyCode::Left);
    }
    let monitor = &session.state.views.monitor;
    let (moved, _) = monitor.window();
    assert!(moved < from && monitor.moment() == moved, "{moved} {from}");
    session.key(KeyCode::Home);
    let monitor = &session.state.views.monitor;
    assert_eq!(Some(monitor.moment()), monitor.history.begin());
    session.key(KeyCode::End);
    assert_eq!(session.state.views.monitor.window(), (from, to));
}

#[test]
fn everything_that_is_kept_is_exported_and_said_where() {
    let mut session = watched(80, 24);
    session.key(KeyCode::Char('e'));
    let effects = session.take_effects();
    let [Effect::Export { records, to }] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert!(to.file.is_none() && to.csv && to.json);
    // 121 samples, and as events: model, profile, kernel, kernel.
    assert_eq!(records.len(), 125);
    session.send(Msg::Exported(Ok("/s/monitor-1.json and .csv".to_owned())));
    assert!(session.screen().contains("/s/monitor-1.json and .csv"));
    session.send(Msg::Exported(Err("no room".to_owned())));
    session.key(KeyCode::Esc);
    assert!(session.screen().contains("no room"));
    for (argument, file, csv) in [
        ("a/b.csv", Some("a/b.csv"), true),
        ("~/b.JSON", Some("~/b.JSON"), false),
        ("b json", Some("b"), false),
        ("csv", None, true),
    ] {
        session.say(&format!("/monitor-export {argument}"));
        let effects = session.take_effects();
        let [Effect::Export { to, .. }] = effects.as_slice() else {
            panic!("{argument}: {effects:?}");
        };
        let seen = (to.file.as_deref(), to.csv, to.json);
        assert_eq!(seen, (file, csv, !csv), "{argument}");
    }
    session.say("/monitor-export b.txt");
    assert!(session.take_effects().is_empty());
    assert!(session.screen().contains("FILE.csv, FILE.json"));
}

#[test]
fn where_there_is_little_room_an_alert_and_the_model_take_turns_and_the_context_stays() {
    let mut session = Headless::loaded(40, 12);
    for _ in 0..40 {
        session.wait(1000).sample(1000, |sample| {
            sample.set(Metric::Cpu, 96.0);
            sample.set(Metric::CpuProcess, 10.0);
        });
    }
    let line = |session: &Headless| {
        let screen = session.screen();
        screen.lines().nth(11).unwrap_or_default().to_owned()
    };
    let still = line(&session);
    assert!(
        still.contains("! CPU: others") && still.contains("ctx 0/1024"),
        "{still}"
    );
    session.state.setting.animations = true;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..8 {
        session.wait(1000).sample(1000, |_| {});
        let line = line(&session);
        assert!(line.contains("ctx 0/1024"), "{line}");
        let name = line.contains("! Tritone Tiny");
        seen.insert((name, line.contains("CPU")));
    }
    assert_eq!(seen, [(false, true), (true, false)].into());
}

#[test]
fn requests_that_a_race_ended_are_not_cancelled_ones() {
    let mut session = Headless::loaded(80, 24);
    let cancelled = |session: &mut Headless| {
        let sample = |sample: &mut Sample| sample.set(Metric::Cancelled, 3.0);
        session.wait(1000).sample(1000, sample);
        session.state.views.monitor.value(Metric::Cancelled)
    };
    assert_eq!(cancelled(&mut session), Some(3.0));
    session.say("/race");
    assert_eq!(cancelled(&mut session), Some(0.0));
    session.key(KeyCode::Esc);
    session.state.race = None;
    assert_eq!(
        cancelled(&mut session),
        Some(0.0),
        "they are counted after its end"
    );
    assert_eq!(cancelled(&mut session), Some(3.0));
}

#[test]
fn an_alert_is_said_once_and_stays_in_the_status_while_it_lasts() {
    let mut session = Headless::loaded(80, 24);
    let memory = |session: &mut Headless, mib: f64| {
        session.wait(1000).sample(1000, |sample| {
            sample.set(Metric::Resident, mib * f64::from(1 << 20));
            sample.set(Metric::ResidentLimit, 1024.0 * f64::from(1 << 20));
        });
    };
    for _ in 0..10 {
        memory(&mut session, 950.0);
    }
    let screen = session.screen();
    let said = screen.matches("! memory 93 % of the limit").count();
    assert_eq!((said, screen.matches("! mem").count()), (1, 2), "{screen}");
    for _ in 0..3 {
        memory(&mut session, 300.0);
    }
    assert_eq!(
        session.screen().matches("! mem").count(),
        1,
        "the note stays"
    );
    let kinds: Vec<_> = session
        .events
        .iter()
        .map(|event| event.kind.name())
        .collect();
    assert_eq!(kinds[kinds.len() - 2..], ["alert", "alert_over"]);
}

#[test]
fn a_race_of_slow_kernels_is_no_alert() {
    let mut session = Headless::loaded(80, 24);
    session.say("/race");
    for _ in 0..5 {
        session
            .wait(1000)
            .sample(1000, |sample| sample.set(Metric::DecodeRate, 1.0));
    }
    assert_eq!(session.state.views.monitor.alerts().count(), 0);
}

#[test]
fn what_happened_before_the_first_sample_is_on_the_axis() {
    let mut session = Headless::new(80, 24);
    session.wait(500).send(Msg::Loaded(Box::new(loaded(&[]))));
    session.wait(500).memory(1 << 20);
    let history = &session.state.views.monitor.history;
    let newest = history.latest().map(|sample| sample.at).unwrap();
    let ago: Vec<u64> = history.events().map(|event| newest - event.at).collect();
    assert_eq!(ago, [500, 500, 500]);
}
