//! Requests and answers, end to end on the embedded model.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "test code outside test functions"
)]

mod common;

use std::time::Duration;

use common::{TINY, best_kernel, kernels};
use tritone_engine::sample::Sampling;
use tritone_engine::text::{Message, Role};
use tritone_engine::{
    Engine, EngineOptions, Event, FinishReason, GenerateError, Input, LoadError, ModelSource,
    Request,
};

fn load(change: impl FnOnce(&mut EngineOptions)) -> Result<Engine, LoadError> {
    let mut options = EngineOptions::new(best_kernel());
    options.threads = 2;
    change(&mut options);
    Engine::load(&ModelSource::File(TINY.into()), &options, &mut |_| true)
}

fn engine() -> Engine {
    load(|_| {}).unwrap()
}

fn user(text: &str) -> Message {
    Message::new(Role::User, text)
}

fn ask(text: &str) -> Request {
    Request {
        sampling: Sampling::greedy(),
        ..Request::new(Input::Chat(vec![user(text)]))
    }
}

const STORY: &str = "Tell me a story about a fox.";

#[test]
fn the_model_answers() {
    let engine = engine();
    let (text, end) = engine
        .generate(ask("What is the capital of Peru?"))
        .unwrap()
        .wait()
        .unwrap();
    assert_eq!(text, "The capital of Peru is Lima.");
    assert_eq!(end.reason, FinishReason::EndOfTurn);
    assert_eq!(end.timings.prompt_tokens, 19);
    assert!(end.timings.generated_tokens > 3);
    assert!(end.timings.decode_rate() > 0.0 && end.timings.prefill_rate() > 0.0);

    let chat = vec![
        user("My name is Ana."),
        Message::new(Role::Assistant, "Nice to meet you, Ana!"),
        user("What is my name?"),
    ];
    let request = Request {
        sampling: Sampling::greedy(),
        ..Request::new(Input::Chat(chat))
    };
    assert_eq!(
        engine.generate(request).unwrap().wait().unwrap().0,
        "Your name is Ana."
    );
}

#[test]
fn events_come_in_order_and_the_pieces_make_the_text() {
    let engine = load(|o| o.prefill_chunk = 8).unwrap();
    let generation = engine
        .generate(ask("What is the capital of Peru?"))
        .unwrap();
    let (mut reads, mut tokens, mut text) = (Vec::new(), 0, String::new());
    loop {
        match generation.next_event().unwrap() {
            Event::Prefill { done, total } => {
                assert_eq!((total, tokens), (19, 0));
                reads.push(done);
            }
            Event::Text {
                text: piece,
                timings,
                ..
            } => {
                tokens += 1;
                assert_eq!(timings.generated_tokens, tokens);
                text.push_str(&piece);
            }
            Event::Finished(end) => {
                assert_eq!(end.timings.generated_tokens, tokens);
                break;
            }
            Event::Failed(error) => panic!("{error}"),
        }
    }
    assert_eq!(reads, [8, 16, 19]);
    assert_eq!(text, "The capital of Peru is Lima.");
    assert!(generation.next_event().is_none(), "nothing after the end");
}

#[test]
fn an_answer_ends_where_it_is_told_to() {
    let engine = engine();
    let run = |request: Request| engine.generate(request).unwrap().wait().unwrap();
    let full = run(ask(STORY)).0;

    let (text, end) = run(Request {
        max_tokens: Some(7),
        ..ask(STORY)
    });
    assert_eq!(
        (end.reason, end.timings.generated_tokens),
        (FinishReason::MaxTokens, 7)
    );
    assert!(full.starts_with(&text) && text.len() < full.len());

    let stop = " named".to_owned();
    let (text, end) = run(Request {
        stop: vec!["nowhere".into(), stop.clone()],
        ..ask(STORY)
    });
    assert_eq!(end.reason, FinishReason::StopString(stop.clone()));
    assert_eq!(text, full.split(&stop).next().unwrap());

    let (_, end) = run(Request {
        max_tokens: Some(120),
        ignore_eos: true,
        ..ask("Hi")
    });
    assert_eq!(
        (end.reason, end.timings.generated_tokens),
        (FinishReason::MaxTokens, 120)
    );

    let small = load(|o| o.context = Some(32)).unwrap();
    let (text, end) = small.generate(ask(STORY)).unwrap().wait().unwrap();
    assert_eq!(end.reason, FinishReason::ContextFull);
    assert_eq!(end.timings.prompt_tokens + end.timings.generated_tokens, 32);
    assert!(full.starts_with(&text));
}

#[test]
fn cancelling_keeps_what_was_written_and_frees_the_place() {
    let engine = engine();
    let full = engine.generate(ask(STORY)).unwrap().wait().unwrap().0;
    let generation = engine
        .generate(Request {
            ignore_eos: true,
            ..ask(STORY)
        })
        .unwrap();
    let mut text = String::new();
    let reason = loop {
        match generation.next_event().unwrap() {
            Event::Text {
                text: piece,
                timings,
                ..
            } => {
                text.push_str(&piece);
                if timings.generated_tokens == 3 {
                    generation.cancel_handle().cancel();
                }
            }
            Event::Finished(end) => break end.reason,
            Event::Prefill { .. } => {}
            Event::Failed(error) => panic!("{error}"),
        }
    };
    assert_eq!(reason, FinishReason::Cancelled);
    assert!(!text.is_empty() && full.starts_with(&text[..20.min(text.len())]));
    // A dropped generation is cancelled too: the next one, on an engine for one, is served.
    drop(
        engine
            .generate(Request {
                ignore_eos: true,
                ..ask(STORY)
            })
            .unwrap(),
    );
    let (text, _) = engine
        .generate(ask("What is 7 + 5?"))
        .unwrap()
        .wait()
        .unwrap();
    assert_eq!(text, "7 + 5 = 12");
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!((engine.status().active, engine.status().queued), (0, 0));
}

#[test]
fn a_kept_prefix_changes_nothing_but_the_work() {
    let engine = engine();
    let mut chat = vec![user("My name is Ana.")];
    let request = |chat: &[Message]| Request {
        sampling: Sampling {
            seed: 5,
            temperature: 1.0,
            ..Sampling::default()
        },
        ..Request::new(Input::Chat(chat.to_vec()))
    };
    for turn in ["What is my name?", "What is 2 + 2?", STORY] {
        let (text, end) = engine.generate(request(&chat)).unwrap().wait().unwrap();
        let fresh = load(|_| {}).unwrap();
        let (alone, cold) = fresh.generate(request(&chat)).unwrap().wait().unwrap();
        assert_eq!(text, alone);
        assert_eq!(cold.timings.cached_tokens, 0);
        if chat.len() > 1 {
            assert!(end.timings.cached_tokens > 10, "{:?}", end.timings);
        }
        chat.push(Message::new(Role::Assistant, text));
        chat.push(user(turn));
    }
}

#[test]
fn a_measurement_leaves_kept_prefixes_alone() {
    let engine = engine();
    let run = |question: &str, keep| {
        let request = Request {
            max_tokens: Some(4),
            keep,
            ..ask(question)
        };
        engine
            .generate(request)
            .unwrap()
            .wait()
            .unwrap()
            .1
            .timings
            .cached_tokens
    };
    assert_eq!(run(STORY, true), 0);
    for question in ["a", "b", "c", "d", "e", STORY] {
        assert_eq!(run(question, false), 0, "{question}");
    }
    assert!(run(STORY, true) > 10);
}

#[test]
fn the_batch_does_not_change_an_answer() {
    let questions = [
        "What is the capital of Peru?",
        STORY,
        "What is 23 + 45?",
        "Count from 3 to 9.",
        "Hi!",
    ];
    let sampled = |q: &str, seed| Request {
        sampling: Sampling {
            seed,
            ..Sampling::default()
        },
        ..Request::new(Input::Chat(vec![user(q)]))
    };
    let alone = engine();
    let want: Vec<String> = questions
        .iter()
        .enumerate()
        .map(|(i, q)| {
            alone
                .generate(sampled(q, i as u64))
                .unwrap()
                .wait()
                .unwrap()
                .0
        })
        .collect();
    let together = load(|o| (o.batch, o.prefill_chunk) = (3, 5)).unwrap();
    let running: Vec<_> = questions
        .iter()
        .enumerate()
        .map(|(i, q)| together.generate(sampled(q, i as u64)).unwrap())
        .collect();
    for (generation, want) in running.into_iter().zip(want) {
        assert_eq!(generation.wait().unwrap().0, want);
    }
}

#[test]
fn kernels_are_switched_in_the_middle_of_an_answer() {
    let engine = engine();
    let full = engine.generate(ask(STORY)).unwrap().wait().unwrap().0;
    let kernels = kernels();
    let generation = engine.generate(ask(STORY)).unwrap();
    let (mut text, mut switches) = (String::new(), 0);
    while let Some(event) = generation.next_event() {
        match event {
            Event::Text { text: piece, .. } => {
                text.push_str(&piece);
                let kernel = kernels[switches % kernels.len()].clone();
                let name = kernel.facts().name.clone();
                engine.set_kernel(kernel).unwrap();
                assert_eq!(engine.kernel_name(), name);
                switches += 1;
            }
            Event::Failed(error) => panic!("{error}"),
            Event::Prefill { .. } | Event::Finished(_) => {}
        }
    }
    assert_eq!(text, full);
    assert!(switches > 20);
}

#[test]
fn what_cannot_be_done_is_said() {
    let engine = engine();
    let long = "word ".repeat(5000);
    let Err(GenerateError::PromptTooLong { prompt, context }) = engine.generate(ask(&long)) else {
        panic!("a prompt beyond the context is refused");
    };
    assert!(prompt > 4000 && context == 1024);
    let refused = |request: Request| engine.generate(request).map(drop).unwrap_err();
    let input = |input| Request { input, ..ask("") };
    assert!(matches!(
        refused(input(Input::Tokens(vec![]))),
        GenerateError::EmptyPrompt
    ));
    assert!(matches!(
        refused(input(Input::Tokens(vec![1, 5000]))),
        GenerateError::BadToken {
            token: 5000,
            position: 1,
            vocab: 2048
        }
    ));
    assert!(matches!(
        refused(Request {
            max_tokens: Some(0),
            ..ask("Hi")
        }),
        GenerateError::NothingWanted
    ));
    let mut bad = ask("Hi");
    bad.sampling.temperature = f32::NAN;
    assert!(matches!(refused(bad), GenerateError::Sample(_)));
    assert!(
        engine.generate(ask("Hi")).unwrap().wait().is_ok(),
        "and the engine lives on"
    );
}

#[test]
fn a_plan_over_the_limit_is_refused_with_what_would_fit() {
    let plan = engine().info().plan.clone();
    assert!(plan.fits() && plan.kv > 0 && plan.weights > 1_000_000);
    let limit = plan.total() - plan.kv / 2;
    let Err(LoadError::Memory { plan: refused, .. }) = load(|o| o.memory_limit = Some(limit))
    else {
        panic!("over the limit");
    };
    let fitting = refused.fitting_context.unwrap();
    assert!((256..1024).contains(&fitting), "{fitting}");
    let text = refused.to_string();
    let nearest = refused.nearest.unwrap();
    assert!(
        text.contains(&nearest.flags()) && text.contains("KV cache"),
        "{text}"
    );
    let engine = load(|o| (o.memory_limit, o.context) = (Some(limit), Some(fitting))).unwrap();
    assert!(engine.info().plan.total() <= limit);
    let Err(LoadError::Memory { plan, .. }) = load(|o| o.memory_limit = Some(1 << 20)) else {
        panic!("over the limit");
    };
    assert_eq!((plan.fitting_context, plan.nearest), (None, None));
}

#[test]
fn loading_reports_progress_and_can_be_cancelled() {
    let options = EngineOptions::new(best_kernel());
    let mut seen = Vec::new();
    let source = ModelSource::File(TINY.into());
    let _engine = Engine::load(&source, &options, &mut |p| {
        seen.push(p);
        true
    })
    .unwrap();
    let last = seen.iter().rfind(|p| p.stage == "packing weights").unwrap();
    assert!(last.done == last.total && last.total > 1_000_000);
    let cancelled = Engine::load(&source, &options, &mut |_| false);
    assert!(matches!(cancelled, Err(LoadError::Cancelled)));
}

#[test]
fn a_file_that_is_no_model_is_refused_by_name() {
    let dir = std::env::temp_dir().join(format!("tritone-no-model-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let load = |path: &std::path::Path| {
        let options = EngineOptions::new(best_kernel());
        Engine::load(&ModelSource::File(path.into()), &options, &mut |_| true).map(drop)
    };
    let whole = std::fs::read(TINY).unwrap();
    let cases: [(&str, &[u8], &str); 4] = [
        ("empty", b"", "the file is empty"),
        ("text", b"hello, I am a text file", "expected a GGUF file"),
        ("half", &whole[..whole.len() / 2], "ends inside"),
        ("head", &whole[..64], "at byte"),
    ];
    for (name, bytes, says) in cases {
        let path = dir.join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
        println!("{error}");
        assert!(
            error.contains(says) || name == "half" || name == "head",
            "{error}"
        );
    }
    assert!(
        load(&dir)
            .unwrap_err()
            .to_string()
            .contains("not a regular file")
    );
    assert!(matches!(
        load(&dir.join("missing")),
        Err(LoadError::Open { .. })
    ));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_prompt_makes_room_for_answers_that_are_being_written() {
    // A target that nothing meets: every step of the prompt is as small as it may be.
    let engine = load(|o| {
        o.batch = 2;
        o.inter_token_target = Some(Duration::from_nanos(1));
    })
    .unwrap();
    let writing = engine
        .generate(Request {
            max_tokens: Some(300),
            ignore_eos: true,
            ..ask(STORY)
        })
        .unwrap();
    while !matches!(writing.next_event().unwrap(), Event::Text { .. }) {}
    let long = ask(&"one two three four ".repeat(40));
    let reading = engine.generate(long).unwrap();
    let (mut steps, mut before) = (Vec::new(), 0);
    while let Some(event) = reading.next_event() {
        match event {
            Event::Prefill { done, .. } => {
                steps.push(done - before);
                before = done;
            }
            Event::Text { .. } => break,
            Event::Finished(_) | Event::Failed(_) => panic!("{event:?} before any text"),
        }
    }
    assert!(before > 150, "a prompt of {before} tokens");
    assert!(steps.iter().all(|step| *step <= 16), "{steps:?}");
    // The other one was being written all the while.
    let mut tokens = 0;
    while let Some(Event::Text { .. }) = writing.event_before(std::time::Instant::now()) {
        tokens += 1;
    }
    assert!(tokens + 1 >= steps.len(), "{tokens} tokens, {steps:?}");
}

/// Several prompts in one step, where a chunk is longer than the context.
#[test]
fn a_chunk_beyond_the_context_does_not_fill_a_step_with_several_prompts() {
    let engine = load(|o| (o.context, o.prefill_chunk, o.batch) = (Some(64), 128, 2)).unwrap();
    let text = |words: usize| Request {
        max_tokens: Some(1),
        keep: false,
        sampling: Sampling::greedy(),
        ..Request::new(Input::Text("word ".repeat(words)))
    };
    for _ in 0..40 {
        let both = [text(30), text(31)].map(|request| engine.generate(request).unwrap());
        for answer in both {
            assert!(answer.prompt_tokens() > 33, "two are more than a context");
            answer.wait().unwrap();
        }
    }
}
