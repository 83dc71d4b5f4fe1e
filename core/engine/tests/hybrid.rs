//! Recurrent states: a model that keeps some answers as it would have answered afresh.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod common;
mod reference;

use std::sync::Arc;

use common::{best_kernel, kernels};
use reference::{Folded, Hybrid, Random, Shape, VOCAB};
use tempfile::NamedTempFile;
use tritone_engine::sample::Sampling;
use tritone_engine::{
    Capacity, Engine, EngineOptions, Event, Generation, Input, Model, ModelSource, Request, Runner,
    RunnerOptions, Slice, StepError, Timings, Want,
};

/// A small Bonsai 2.
fn file() -> NamedTempFile {
    let shape = Shape {
        layers: 3,
        head_norms: true,
        hybrid: Some(Hybrid {
            interval: 3,
            listed: false,
            key_heads: 2,
            value_heads: 6,
            dim: 64,
            taps: 4,
            rotated: 16,
        }),
        folded: Some(Folded {
            block: 128,
            explicit: true,
            grouped: true,
            tables: true,
        }),
        ..Shape::new("qwen35")
    };
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), Random::new(shape, 3).file()).unwrap();
    file
}

fn engine(file: &NamedTempFile, change: impl FnOnce(&mut EngineOptions)) -> Engine {
    let mut options = EngineOptions::new(best_kernel());
    options.threads = 2;
    options.context = Some(256);
    change(&mut options);
    let source = ModelSource::File(file.path().to_path_buf());
    Engine::load(&source, &options, &mut |_| true).unwrap()
}

fn prompt(seed: u32, count: usize) -> Vec<u32> {
    let token = |i: u32| (i * i * 31 + i * 7 + seed * 1013) % VOCAB as u32;
    (0..count as u32).map(token).collect()
}

fn request(tokens: &[u32], count: usize) -> Request {
    Request {
        sampling: Sampling {
            temperature: 1.0,
            seed: 9,
            ..Sampling::default()
        },
        max_tokens: Some(count),
        ignore_eos: true,
        ..Request::new(Input::Tokens(tokens.to_vec()))
    }
}

/// The tokens of an answer. `seen` is called with every one.
fn collect(generation: &Generation, mut seen: impl FnMut(usize)) -> (Vec<u32>, Timings) {
    let mut tokens = Vec::new();
    loop {
        match generation.next_event().unwrap() {
            Event::Text { token, .. } => {
                tokens.push(token);
                seen(tokens.len());
            }
            Event::Finished(end) => return (tokens, end.timings),
            Event::Prefill { .. } => {}
            Event::Failed(error) => panic!("{error}"),
        }
    }
}

fn answer(engine: &Engine, tokens: &[u32], count: usize) -> (Vec<u32>, usize) {
    let generation = engine.generate(request(tokens, count)).unwrap();
    let (answer, timings) = collect(&generation, |_| {});
    (answer, timings.cached_tokens)
}

/// The answer of an engine that has seen nothing else.
fn fresh(file: &NamedTempFile, tokens: &[u32], count: usize) -> Vec<u32> {
    let (answer, cached) = answer(&engine(file, |_| {}), tokens, count);
    assert_eq!(cached, 0);
    answer
}

#[test]
fn a_kept_state_changes_nothing_but_the_work() {
    let file = file();
    let engine = engine(&file, |o| o.prefill_chunk = 16);
    let first = prompt(1, 40);
    let (said, cached) = answer(&engine, &first, 20);
    assert_eq!((said.len(), cached), (20, 0));
    assert_eq!(said, fresh(&file, &first, 20));

    // Written anew: from the copy of the state near the end of the prompt, as often as one likes.
    for _ in 0..3 {
        assert_eq!(answer(&engine, &first, 20), (said.clone(), 32));
    }
    // Continued: from the end, which is before the last token that was chosen.
    let next = [first.clone(), said.clone(), prompt(2, 10)].concat();
    let (more, cached) = answer(&engine, &next, 12);
    assert_eq!((more, cached), (fresh(&file, &next, 12), 59));
    // The answer is left out, as templates do with thoughts: from the copy, which is now that of the
    // longer prompt and of no use.
    let without = [first.clone(), prompt(3, 10)].concat();
    let (more, cached) = answer(&engine, &without, 12);
    assert_eq!((more, cached), (fresh(&file, &without, 12), 0));
    let without = [without, prompt(4, 5)].concat();
    let (more, cached) = answer(&engine, &without, 12);
    assert_eq!((more, cached), (fresh(&file, &without, 12), 42));
    // A word in the middle is changed: nothing can be used.
    let mut edited = without;
    edited[20] ^= 1;
    let (more, cached) = answer(&engine, &edited, 12);
    assert_eq!((more, cached), (fresh(&file, &edited, 12), 0));
}

#[test]
fn states_come_back_from_conversations_that_are_over() {
    // Room for two states: every new conversation takes that of an older one.
    let file = file();
    let engine = engine(&file, |_| {});
    let want: Vec<_> = (0..4).map(|i| fresh(&file, &prompt(i, 30), 6)).collect();
    for round in 0..3 {
        for (i, want) in want.iter().enumerate() {
            let (got, _) = answer(&engine, &prompt(i as u32, 30), 6);
            assert_eq!(&got, want, "round {round}, conversation {i}");
        }
    }
    // A measurement takes the place of a copy, not of a conversation.
    let last = prompt(3, 30);
    let probe = Request {
        keep: false,
        ..request(&prompt(8, 20), 5)
    };
    let generation = engine.generate(probe).unwrap();
    assert_eq!(collect(&generation, |_| {}).0.len(), 5);
    let next = [last, want[3].clone(), prompt(5, 4)].concat();
    let (got, cached) = answer(&engine, &next, 6);
    assert_eq!((got, cached), (fresh(&file, &next, 6), 35));
}

#[test]
fn a_cancelled_answer_is_a_place_to_go_on_from() {
    let file = file();
    let engine = engine(&file, |_| {});
    let first = prompt(1, 24);
    let generation = engine.generate(request(&first, 200)).unwrap();
    let cancel = generation.cancel_handle();
    let (said, _) = collect(&generation, |count| {
        if count == 5 {
            cancel.cancel();
        }
    });
    assert!(said.len() >= 5 && said.len() < 200);
    assert_eq!(said[..5], fresh(&file, &first, 5));
    let (again, cached) = answer(&engine, &first, 8);
    assert_eq!((again, cached), (fresh(&file, &first, 8), 16));
    let next = [first, said[..3].to_vec(), prompt(2, 6)].concat();
    let (more, _) = answer(&engine, &next, 8);
    assert_eq!(more, fresh(&file, &next, 8));
}

#[test]
fn the_batch_does_not_change_an_answer() {
    let file = file();
    let prompts: Vec<_> = (0..5).map(|i| prompt(i, 10 + 9 * i as usize)).collect();
    let want: Vec<_> = prompts.iter().map(|p| fresh(&file, p, 15)).collect();
    let together = engine(&file, |o| (o.batch, o.prefill_chunk) = (3, 7));
    for _ in 0..2 {
        let running: Vec<_> = prompts
            .iter()
            .map(|prompt| together.generate(request(prompt, 15)).unwrap())
            .collect();
        for (generation, want) in running.iter().zip(&want) {
            assert_eq!(&collect(generation, |_| {}).0, want);
        }
    }
}

#[test]
fn kernels_are_switched_in_the_middle_of_an_answer() {
    let file = file();
    let first = prompt(1, 20);
    let want = fresh(&file, &first, 24);
    let (engine, kernels) = (engine(&file, |_| {}), kernels());
    let generation = engine.generate(request(&first, 24)).unwrap();
    let (got, _) = collect(&generation, |count| {
        let kernel = kernels[count % kernels.len()].clone();
        engine.set_kernel(kernel).unwrap();
    });
    assert_eq!(got, want);
}

#[test]
fn a_state_is_at_one_position() {
    let file = file();
    let source = ModelSource::File(file.path().to_path_buf());
    let model = Arc::new(Model::open(&source).unwrap());
    let capacity = Capacity::new(256, 1, 64);
    let options = RunnerOptions::new(best_kernel(), capacity);
    let mut runner = Runner::load(model, options, &mut |_| true).unwrap();
    let tokens = prompt(1, 20);
    let pages = runner.reserve(100).unwrap();
    let mut step = |start: usize, end: usize| {
        let slice = Slice {
            tokens: &tokens[start..end],
            start,
            pages: &pages,
            want: Want::Last,
        };
        let result = runner.step(&[slice]);
        result.map(|()| runner.logits(0).to_vec())
    };
    let all = step(0, 20).unwrap();
    for start in [1, 19, 10] {
        assert!(matches!(step(start, 20), Err(StepError::Batch(_))));
    }
    // From the beginning it can always be computed again.
    step(0, 11).unwrap();
    assert_eq!(step(11, 20).unwrap(), all);
    // One state for the sequence, one for a copy, and no third.
    assert!(runner.reserve(1).is_some_and(|pages| pages.count() == 1));
    assert!(runner.reserve(1).is_none());
}

#[test]
fn states_are_in_the_plan() {
    let file = file();
    let engine = engine(&file, |o| o.batch = 2);
    let plan = &engine.info().plan;
    // Two layers of 6 states of 64 x 64, and windows of 3 positions of 2 x 128 + 384 channels; three
    // sequences' worth.
    let sequence = 2 * (6 * 64 * 64 + 3 * (2 * 128 + 384)) * 4;
    assert_eq!(plan.states, 3 * sequence);
    assert!(plan.to_string().contains("states "), "{plan}");
    let recipe = engine.model().recipe();
    assert_eq!((recipe.kv_layers(), recipe.recurrent_layers()), (1, 2));
    assert_eq!(engine.status().kv_page_bytes, 2 * 64 * 2 * 64 * 2);
}
