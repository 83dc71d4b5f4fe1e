use std::fs;
use std::sync::Arc;
use std::time::Duration;

use tritone_abi::{Facts, Kernel, LayoutId, Ops, Score};
use tritone_engine::{Engine, EngineOptions, Input, Request};

use super::choose::{ANOTHER_BUILD, Candidate, Candidates, NOT_MEASURED, Why, choose, plausible};
use super::store::{self, Key, Store};
use super::{Entry, Standing, State, run, table};
use crate::cli::setup;

/// A kernel that does nothing.
struct Named(Facts);

impl Kernel for Named {
    fn facts(&self) -> &Facts {
        &self.0
    }

    fn score(&self) -> Score {
        Score {
            rank: 1,
            reason: String::new(),
        }
    }
}

fn candidate(name: &str, build: &str, rank: u32, layout: u32) -> Candidate {
    let facts = Facts {
        name: name.to_owned(),
        version: "1".to_owned(),
        build_id: build.to_owned(),
        isa: String::new(),
        layout: LayoutId(layout),
        row_align: 1,
        ops: Ops::ALL,
    };
    Candidate {
        kernel: Arc::new(Named(facts)),
        rank,
        reason: "because".to_owned(),
        build: build.to_owned(),
    }
}

fn candidates() -> Candidates {
    Candidates {
        best: candidate("best", "b1", 40, 1),
        others: vec![
            candidate("other", "b1", 20, 1),
            candidate("slow", "b1", 1, 1),
        ],
    }
}

fn entry(name: &str, build: &str, rates: Option<(f64, f64)>) -> Entry {
    Entry {
        name: name.to_owned(),
        build_id: build.to_owned(),
        rank: 1,
        bits: 2.0,
        first: Some(Duration::from_millis(120)),
        decode: rates.map(|rates| rates.0),
        prefill: rates.map(|rates| rates.1),
        share_of_read: None,
        state: State::Measured,
    }
}

fn standing(entries: Vec<Entry>) -> Standing {
    Standing {
        entries,
        finished: true,
        cancelled: false,
    }
}

fn key(model: &str) -> Key {
    Key {
        cpu: "A Processor".to_owned(),
        isa: vec!["some".to_owned()],
        threads: 2,
        model: model.to_owned(),
    }
}

/// 2026-11-23.
const DAY: u64 = 1_795_392_000;

/// The choice after a race with these results.
fn after(entries: Vec<Entry>) -> super::choose::Choice {
    let mut store = Store::default();
    store.add(&key("m"), DAY, &standing(entries));
    choose(&candidates(), store.find(&key("m")))
}

#[test]
fn a_race_decides_if_it_had_the_kernel_with_the_highest_score() {
    let none = choose(&candidates(), None);
    assert!(
        matches!(&none.why, Why::Score { rank: 40, unmeasured, .. } if *unmeasured == NOT_MEASURED)
    );
    let won = after(vec![
        entry("best", "b1", Some((6.0, 20.0))),
        entry("other", "b1", Some((8.0, 30.0))),
    ]);
    assert_eq!(won.kernel.facts().name, "other");
    assert_eq!(
        won.explanation(),
        "other: measured 8.0 tok/s on this machine and model on 2026-11-23; best 6.0"
    );
    // Decoding fastest is not enough: 128/9 + 128/5 is longer than 128/6 + 128/20.
    let turn = after(vec![
        entry("best", "b1", Some((6.0, 20.0))),
        entry("other", "b1", Some((9.0, 5.0))),
    ]);
    assert_eq!(turn.kernel.facts().name, "best");
    // A little faster is no reason against a higher score.
    let close = after(vec![
        entry("best", "b1", Some((6.0, 20.0))),
        entry("other", "b1", Some((6.2, 20.5))),
    ]);
    assert_eq!(
        close.explanation(),
        "best: measured 6.0 tok/s on this machine and model on 2026-11-23; other 6.2"
    );
    // The kernel with the highest score is new.
    let stale = after(vec![
        entry("best", "b0", Some((1.0, 1.0))),
        entry("other", "b1", Some((8.0, 30.0))),
    ]);
    assert_eq!(stale.kernel.facts().name, "best");
    assert!(matches!(stale.why, Why::Score { unmeasured, .. } if unmeasured == ANOTHER_BUILD));
    // A kernel that is not here any more cannot win.
    let gone = after(vec![
        entry("best", "b1", Some((6.0, 20.0))),
        entry("gone", "b1", Some((99.0, 99.0))),
    ]);
    assert_eq!(gone.kernel.facts().name, "best");
}

#[test]
fn rates_that_are_none_decide_nothing() {
    for rates in [
        (0.0, 1.0),
        (f64::NAN, 1.0),
        (-1.0, 1.0),
        (1.0, f64::INFINITY),
    ] {
        let choice = after(vec![
            entry("best", "b1", Some((6.0, 20.0))),
            entry("other", "b1", Some(rates)),
        ]);
        // An infinite prefill leaves a turn of 128 decoded tokens, which is longer.
        assert_eq!(choice.kernel.facts().name, "best", "{rates:?}");
    }
}

#[test]
fn only_near_kernels_of_one_layout_race_unasked() {
    let names = |candidates: &Candidates| -> Vec<String> {
        let kernels = plausible(candidates, &*candidates.best.kernel);
        kernels
            .iter()
            .map(|kernel| kernel.facts().name.clone())
            .collect()
    };
    assert_eq!(names(&candidates()), ["best", "other"]);
    let alone = Candidates {
        best: candidate("best", "b1", 20, 1),
        others: vec![candidate("scalar", "b1", 1, 1)],
    };
    assert!(names(&alone).is_empty());
    let packed = Candidates {
        best: candidate("best", "b1", 20, 1),
        others: vec![candidate("smaller", "b1", 19, 2)],
    };
    assert!(names(&packed).is_empty());
}

#[test]
fn races_are_kept_found_and_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/kernels.json");
    assert_eq!(Store::read(&path).unwrap(), Store::default());
    let first = standing(vec![
        entry("best", "b1", Some((6.0, 20.0))),
        entry("slow", "b1", Some((1.0, 1.0))),
    ]);
    store::record(&path, &key("m"), DAY, &first).unwrap();
    store::record(&path, &key("n"), DAY, &first).unwrap();
    // A second race of fewer kernels keeps what the first said of the others.
    let second = standing(vec![
        entry("best", "b2", Some((7.0, 21.0))),
        entry("odd", "b1", None),
    ]);
    store::record(&path, &key("m"), DAY + 1, &second).unwrap();
    let read = Store::read(&path).unwrap();
    assert_eq!(read.len(), 2);
    let race = read.find(&key("m")).unwrap();
    let kernels: Vec<_> = (race.kernels.iter())
        .map(|speed| {
            (
                speed.name.as_str(),
                speed.build_id.as_str(),
                speed.unix_time,
            )
        })
        .collect();
    assert_eq!(kernels, [("best", "b2", DAY + 1), ("slow", "b1", DAY)]);
    for other in [
        Key {
            threads: 1,
            ..key("m")
        },
        Key {
            cpu: "B".to_owned(),
            ..key("m")
        },
        Key {
            isa: Vec::new(),
            ..key("m")
        },
        key("o"),
    ] {
        assert_eq!(read.find(&other), None);
    }
    // Nothing measured, nothing changed.
    let nothing = standing(vec![entry("best", "b3", None)]);
    assert!(!Store::default().add(&key("m"), DAY, &nothing));

    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "no half-written file stays");
    assert_eq!(store::forget(&path).unwrap(), Some(2));
    assert_eq!(store::forget(&path).unwrap(), None);
}

#[test]
fn damaged_files_are_left_out_with_the_reason_and_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kernels.json");
    let long = " ".repeat(2 << 20);
    for (content, reason) in [
        ("", "EOF"),
        ("[1, 2", "invalid type"),
        (
            "{\"schema\": \"tritone-kernels/9\", \"races\": []}",
            "expected 'tritone-kernels/1'",
        ),
        (
            "{\"schema\": \"tritone-kernels/1\", \"races\": 3}",
            "invalid type",
        ),
        (long.as_str(), "longer than"),
    ] {
        fs::write(&path, content).unwrap();
        let said = Store::read(&path).unwrap_err();
        assert!(said.contains(reason), "{said}");
    }
    let race = standing(vec![entry("best", "b1", Some((6.0, 20.0)))]);
    store::record(&path, &key("m"), DAY, &race).unwrap();
    assert_eq!(Store::read(&path).unwrap().len(), 1);
}

#[test]
fn the_file_does_not_grow_without_end() {
    let mut store = Store::default();
    let race = standing(vec![entry("best", "b1", Some((6.0, 20.0)))]);
    for i in 0..250 {
        assert!(store.add(&key(&i.to_string()), DAY, &race));
    }
    assert_eq!(store.len(), 200);
    assert_eq!(store.find(&key("49")), None);
    assert!(store.find(&key("50")).is_some() && store.find(&key("249")).is_some());
}

#[test]
fn the_place_follows_the_environment() {
    let path = |pairs: &[(&str, &str)]| {
        store::path(&|name| {
            let pair = pairs.iter().find(|pair| pair.0 == name);
            pair.map(|pair| pair.1.to_owned())
        })
    };
    let expected = Some("/c/tritone/kernels.json".into());
    assert_eq!(path(&[("XDG_CACHE_HOME", "/c"), ("HOME", "/h")]), expected);
    let home = Some("/h/.cache/tritone/kernels.json".into());
    assert_eq!(
        path(&[("XDG_CACHE_HOME", "relative"), ("HOME", "/h")]),
        home
    );
    assert_eq!(path(&[("HOME", "h")]), None);
}

#[test]
fn tables_mark_the_leader() {
    let mut race = standing(vec![
        entry("best", "b1", Some((6.04, 120.4))),
        entry("other", "b1", Some((8.0, 300.0))),
        entry("slow", "b1", None),
    ]);
    race.entries[0].share_of_read = Some(0.512);
    race.entries[2].state = State::Out("no such shape".to_owned());
    race.entries[2].first = None;
    let wide = table::lines(&race, 80).join("\n");
    let narrow = table::lines(&race, 37).join("\n");
    let verdict = table::verdict(&race);
    insta::assert_snapshot!(format!("{wide}\n\n{narrow}\n\n{verdict}"));
    race.entries[0].decode = Some(7.9);
    race.entries[0].prefill = Some(290.0);
    race.entries[0].rank = 2;
    let close = table::verdict(&race);
    assert!(
        close.starts_with("best wins") && close.ends_with("beat the higher score"),
        "{close}"
    );
    let nothing = Standing {
        cancelled: true,
        ..Standing::default()
    };
    assert_eq!(
        table::verdict(&nothing),
        "stopped early, nothing has changed"
    );
}

/// The tiny model on the best kernel, and all kernels.
fn engine() -> (Engine, Vec<Arc<dyn Kernel>>) {
    let registry = setup::registry(&Default::default());
    let options = EngineOptions::new(registry.best().unwrap());
    let engine = Engine::load(&setup::source(None), &options, &mut |_| true).unwrap();
    let kernels = registry.kernels().iter().filter_map(|found| found.kernel());
    (engine, kernels.cloned().collect())
}

fn terms(milliseconds: u64, keep_pages: bool) -> run::Terms {
    run::Terms {
        budget: Duration::from_millis(milliseconds),
        keep_pages,
    }
}

#[test]
fn every_kernel_answers_and_the_engine_goes_on_as_before() {
    let (engine, kernels) = engine();
    let before = engine.kernel_name();
    let answer = |engine: &Engine| {
        let mut request = Request::new(Input::Text("Once upon a time".to_owned()));
        request.max_tokens = Some(8);
        engine.generate(request).unwrap().wait().unwrap().0
    };
    let said = answer(&engine);
    let (mut reports, mut packed) = (0, false);
    let limit = |_: &dyn Kernel| Some(1e12);
    let terms = terms(200, false);
    let standing = run::race(&engine, &kernels, terms, Some(&limit), &mut |standing| {
        reports += 1;
        let mut entries = standing.entries.iter();
        packed |= entries.any(|entry| entry.state == State::Packing);
        true
    });
    assert!(standing.is_complete() && !standing.cancelled);
    assert!(reports > kernels.len());
    let layout = |kernel: &Arc<dyn Kernel>| kernel.facts().layout;
    let other = |kernel| layout(kernel) != layout(&kernels[0]);
    assert_eq!(packed, kernels.iter().any(other));
    assert_eq!(standing.entries.len(), kernels.len());
    for entry in &standing.entries {
        assert!(entry.turn().unwrap() > 0.0, "{entry:?}");
        assert!(entry.first.is_some() && entry.bits > 1.5);
        // Weights of 2 bits and a head of 1 MiB against a terabyte a second.
        let share = entry.share_of_read.unwrap();
        assert!(
            share > 0.0 && share < entry.decode.unwrap() * 1e-5,
            "{entry:?}"
        );
    }
    assert!(standing.leader().is_some());
    assert_eq!(engine.kernel_name(), before);
    assert_eq!(answer(&engine), said);
}

#[test]
fn a_race_ends_when_it_is_told_to() {
    let (engine, kernels) = engine();
    let (before, mut left) = (engine.kernel_name(), 2);
    let terms = terms(60_000, false);
    let standing = run::race(&engine, &kernels, terms, None, &mut |_| {
        left -= 1;
        left > 0
    });
    assert!(standing.cancelled && !standing.is_complete());
    assert_eq!(engine.kernel_name(), before);
}

/// Tokens of `prompt` that are found in the cache.
fn cached(engine: &Engine, prompt: &[u32]) -> usize {
    let mut request = Request::new(Input::Tokens(prompt.to_vec()));
    request.max_tokens = Some(1);
    request.ignore_eos = true;
    let finished = engine.generate(request).unwrap().wait().unwrap().1;
    finished.timings.cached_tokens
}

#[test]
fn a_race_that_nobody_asked_for_leaves_the_chat_in_the_cache() {
    let (engine, kernels) = engine();
    let pages = engine.status().kv_pages;
    for share in [pages / 2, pages] {
        // One token is generated.
        let prompt: Vec<u32> = (0..share as u32 * 64 - 1)
            .map(|i| i % 200 + share as u32)
            .collect();
        assert_eq!(cached(&engine, &prompt), 0);
        let kept = cached(&engine, &prompt);
        assert!(kept > 0);
        let standing = run::race(&engine, &kernels, terms(200, true), None, &mut |_| true);
        // There was room in one half, and then none any more.
        assert_eq!(standing.is_complete(), share == pages / 2, "{standing:?}");
        assert_eq!(standing.cancelled, share != pages / 2);
        assert_eq!(cached(&engine, &prompt), kept);
    }
}
