//! Other sizes, forms and limits while an engine runs: in the middle of answers and between them.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod common;

use std::time::Duration;

use common::{TINY, best_kernel};
use tritone_abi::KvFormat;
use tritone_engine::sample::Sampling;
use tritone_engine::text::{Message, Role};
use tritone_engine::{
    Engine, EngineOptions, Event, FinishReason, Forms, Generation, Head, Input, LoadError,
    ModelSource, Request,
};

fn options() -> EngineOptions {
    EngineOptions {
        context: Some(512),
        prefill_chunk: 64,
        ..EngineOptions::new(best_kernel())
    }
}

fn load(options: &EngineOptions) -> Engine {
    Engine::load(&ModelSource::File(TINY.into()), options, &mut |_| true).unwrap()
}

fn chat(turns: &[&str]) -> Request {
    let roles = [Role::User, Role::Assistant].into_iter().cycle();
    let message = |(role, text): (Role, &&str)| Message::new(role, *text);
    Request {
        sampling: Sampling {
            seed: 11,
            ..Sampling::default()
        },
        ignore_eos: true,
        max_tokens: Some(80),
        ..Request::new(Input::Chat(roles.zip(turns).map(message).collect()))
    }
}

/// The tokens of an answer; `at` is called before the `n`-th is read.
fn tokens(generation: &Generation, n: usize, at: impl FnOnce()) -> (Vec<u32>, FinishReason) {
    let (mut tokens, mut at) = (Vec::new(), Some(at));
    loop {
        if tokens.len() == n
            && let Some(at) = at.take()
        {
            at();
        }
        match generation.next_event().unwrap() {
            Event::Text { token, .. } => tokens.push(token),
            Event::Finished(end) => return (tokens, end.reason),
            Event::Prefill { .. } => {}
            Event::Failed(error) => panic!("{error}"),
        }
    }
}

const TURNS: [&str; 3] = ["Tell me a story.", "Once upon a time.", "And then?"];

#[test]
fn threads_chunk_pace_and_limit_change_in_the_middle_of_an_answer() {
    let (undisturbed, _) = tokens(&load(&options()).generate(chat(&TURNS)).unwrap(), 0, || ());
    let engine = load(&options());
    let running = engine.generate(chat(&TURNS)).unwrap();
    let limit = engine.info().plan.total() + (64 << 20);
    let (tokens, _) = tokens(&running, 5, || {
        for (threads, prefill_chunk) in [(2, 16), (1, 128), (3, 64)] {
            let other = EngineOptions {
                threads,
                prefill_chunk,
                inter_token_target: Some(Duration::from_millis(threads as u64)),
                memory_limit: Some(limit),
                ..options()
            };
            let said = engine.reconfigure(&other, &mut |_| true).unwrap();
            assert!(said.is_empty(), "{said:?}");
            assert_eq!(engine.threads(), threads);
            assert_eq!(engine.info().plan.limit, Some(limit));
        }
        assert_eq!(engine.status().active, 1, "the answer still runs");
    });
    assert_eq!(tokens, undisturbed);
}

#[test]
fn forms_and_sizes_change_between_answers_and_the_weights_stay() {
    let all = [
        (512, 1, Head::F16, KvFormat::Q8),
        (320, 1, Head::Q6, KvFormat::Q8),
        (1024, 3, Head::Q4Exact, KvFormat::F16),
        (512, 1, Head::F16, KvFormat::F16),
    ];
    let engine = load(&options());
    let first = tokens(&engine.generate(chat(&TURNS)).unwrap(), 0, || ()).0;
    let mut last = Vec::new();
    for (context, batch, head, kv) in all {
        let other = EngineOptions {
            context: Some(context),
            batch,
            forms: Forms { head, kv },
            ..options()
        };
        let mut stages = Vec::new();
        let said = engine.reconfigure(&other, &mut |progress| {
            stages.push(progress.stage);
            true
        });
        assert_eq!(said.unwrap(), Vec::<String>::new());
        assert!(!stages.contains(&"packing weights"), "{stages:?}");
        let info = engine.info();
        assert_eq!((info.context, info.plan.forms), (context, other.forms));
        assert_eq!(engine.status().kv_pages, info.plan.capacity.kv_pages);
        assert_eq!(info.plan, other.plan(engine.model()).unwrap());
        last = tokens(&engine.generate(chat(&TURNS)).unwrap(), 0, || ()).0;
        let fresh = load(&other);
        let alone = tokens(&fresh.generate(chat(&TURNS)).unwrap(), 0, || ()).0;
        assert_eq!(last, alone, "{context} {batch} {head}");
    }
    assert_eq!(last, first, "back where it began");
}

#[test]
fn what_would_alter_an_answer_waits_for_its_end_and_holds_what_comes_after() {
    let smaller = EngineOptions {
        context: Some(256),
        forms: Forms {
            head: Head::Q4,
            kv: KvFormat::Q8,
        },
        ..options()
    };
    let expected = |options: &EngineOptions| {
        tokens(&load(options).generate(chat(&TURNS)).unwrap(), 0, || ()).0
    };
    let engine = load(&options());
    let running = engine.generate(chat(&TURNS)).unwrap();
    std::thread::scope(|scope| {
        let mut change = None;
        let (first, _) = tokens(&running, 3, || {
            change = Some(scope.spawn(|| {
                let mut waited = false;
                let result = engine.reconfigure(&smaller, &mut |progress| {
                    waited |= progress.stage == "waiting for the running answer";
                    true
                });
                (result, waited)
            }));
        });
        assert_eq!(
            first,
            expected(&options()),
            "the running answer is not altered"
        );
        change.unwrap().join().unwrap().0.unwrap();
    });
    let after = tokens(&engine.generate(chat(&TURNS)).unwrap(), 0, || ()).0;
    assert_eq!(after, expected(&smaller));
}

#[test]
fn waiting_can_be_given_up_and_everything_stays() {
    let engine = load(&options());
    let before = engine.info();
    let long = Request {
        max_tokens: None,
        ..chat(&TURNS)
    };
    let running = engine.generate(long).unwrap();
    let other = EngineOptions {
        context: Some(300),
        ..options()
    };
    let mut given_up = None;
    let (_, reason) = tokens(&running, 2, || {
        given_up = Some(engine.reconfigure(&other, &mut |_| false));
    });
    match given_up.unwrap() {
        // The usual way; an answer that ended first would have let it happen.
        Err(LoadError::Cancelled) => assert_eq!(engine.info().context, before.context),
        Ok(_) => assert_eq!(engine.info().context, 300),
        Err(error) => panic!("{error}"),
    }
    assert_eq!(reason, FinishReason::ContextFull);
    assert!(engine.generate(chat(&TURNS)).unwrap().wait().is_ok());
}

#[test]
fn a_conversion_can_be_given_up() {
    let engine = load(&options());
    let other = EngineOptions {
        forms: Forms {
            head: Head::Q8,
            ..Forms::default()
        },
        ..options()
    };
    let given_up = engine.reconfigure(&other, &mut |progress| {
        progress.stage != "converting the head"
    });
    assert!(
        matches!(given_up, Err(LoadError::Cancelled)),
        "{given_up:?}"
    );
    assert_eq!(engine.info().plan.forms, Forms::default());
    assert!(engine.generate(chat(&TURNS)).unwrap().wait().is_ok());
}

#[test]
fn what_does_not_fit_is_refused_with_the_breakdown_and_everything_stays() {
    let engine = load(&options());
    let before = engine.info();
    let other = EngineOptions {
        context: Some(1 << 16),
        memory_limit: Some(100 << 20),
        ..options()
    };
    let Err(LoadError::Memory { plan, .. }) = engine.reconfigure(&other, &mut |_| true) else {
        panic!("over the limit");
    };
    assert!(plan.total() > 100 << 20 && plan.nearest.is_some());
    assert_eq!(engine.info().plan, before.plan);
    let ternary = EngineOptions {
        forms: Forms {
            head: Head::Ternary,
            ..Forms::default()
        },
        ..options()
    };
    let refused = engine.reconfigure(&ternary, &mut |_| true).unwrap_err();
    assert!(refused.to_string().contains("not ternary"), "{refused}");
    assert!(engine.generate(chat(&TURNS)).unwrap().wait().is_ok());
}

#[test]
fn a_prompt_that_waits_while_the_context_shrinks_is_told() {
    let engine = load(&options());
    let running = engine.generate(chat(&TURNS)).unwrap();
    let long = "word ".repeat(150);
    let waiting = engine.generate(chat(&[&long])).unwrap();
    let other = EngineOptions {
        context: Some(64),
        ..options()
    };
    let _ = tokens(&running, 1, || {
        std::thread::scope(|scope| {
            scope.spawn(|| engine.reconfigure(&other, &mut |_| true).unwrap());
            running.cancel_handle().cancel();
        });
    });
    let error = waiting.wait().map(|(text, end)| (text, end.reason));
    match error {
        Err(error) => assert!(error.to_string().contains("context holds 64"), "{error}"),
        // It was faster than the change.
        Ok((_, reason)) => assert_ne!(reason, FinishReason::Cancelled),
    }
}
