//! What a runner can be asked besides steps.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod common;

use std::sync::Mutex;

use common::{TINY, best_kernel, bits, logits, runner, tiny};
use tritone_engine::Head;
use tritone_engine::{Model, ModelSource, Pages, Slice, Want};

#[test]
fn the_team_changes_and_the_answer_does_not() {
    let tokens: Vec<u32> = (1..40).collect();
    let mut runner = runner(best_kernel(), 1, Head::F16);
    let want = bits(&logits(&mut runner, &tokens, 7));
    for threads in [3, 1, 2, 2] {
        runner.set_threads(threads).unwrap();
        assert_eq!(runner.threads(), threads);
        assert!(bits(&logits(&mut runner, &tokens, 7)) == want, "{threads}");
    }
    runner.set_threads(0).unwrap();
    assert_eq!(runner.threads(), 1);
}

#[test]
fn every_thread_of_the_team_is_reached_once() {
    let mut runner = runner(best_kernel(), 3, Head::F16);
    let seen = Mutex::new(Vec::new());
    let here = std::thread::current().id();
    runner
        .on_threads(&|member| {
            let own = std::thread::current().id() == here;
            seen.lock().unwrap().push((member, own));
        })
        .unwrap();
    let mut seen = seen.into_inner().unwrap();
    seen.sort_unstable();
    assert_eq!(seen, [(0, true), (1, false), (2, false)]);
}

#[test]
fn a_repeated_page_can_be_read_at_any_depth() {
    let mut runner = runner(best_kernel(), 2, Head::F16);
    let tokens: Vec<u32> = (1..=64).collect();
    let deep = runner.reserve(512).unwrap();
    let mut step = |start: usize, tokens: &[u32]| {
        let slice = Slice {
            tokens,
            start,
            pages: &deep,
            want: Want::Last,
        };
        runner.step(&[slice]).unwrap();
        runner.logits(0).to_vec()
    };
    step(0, &tokens);
    let untouched = step(500, &[5]);
    runner.repeat_page(&deep, &deep).unwrap();
    let slice = Slice {
        tokens: &[5],
        start: 500,
        pages: &deep,
        want: Want::Last,
    };
    runner.step(&[slice]).unwrap();
    let filled = runner.logits(0).to_vec();
    assert!(filled.iter().all(|logit| logit.is_finite()));
    assert_ne!(untouched, filled, "the past is read");
    assert!(runner.repeat_page(&Pages::default(), &deep).is_err());
}

#[test]
fn the_content_id_follows_what_is_in_the_file() {
    let id = tiny().content_id();
    assert_eq!(id.len(), 16);
    let mut bytes = std::fs::read(TINY).unwrap();
    let open = |bytes: &[u8]| {
        let bytes = Box::leak(bytes.to_vec().into_boxed_slice());
        let source = ModelSource::Embedded { name: "m", bytes };
        Model::open(&source).unwrap().content_id()
    };
    assert_eq!(open(&bytes), id, "whatever it is called");
    // A byte of the header: the model's name.
    let at = bytes.windows(7).position(|w| w == b"general").unwrap();
    let name = bytes[at..]
        .windows(7)
        .position(|w| w == b"Tritone")
        .unwrap()
        + at;
    bytes[name] = b'X';
    assert_ne!(open(&bytes), id);
}
