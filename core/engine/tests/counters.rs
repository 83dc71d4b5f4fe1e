//! What an engine counts, against what its answers say.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod common;

use std::time::{Duration, Instant};

use common::{TINY, best_kernel};
use tritone_engine::sample::Sampling;
use tritone_engine::text::{Message, Role};
use tritone_engine::{
    Counters, Engine, EngineOptions, Event, Input, ModelSource, Request, StepTimes,
};

fn engine(batch: usize) -> Engine {
    let mut options = EngineOptions::new(best_kernel());
    (options.threads, options.batch, options.prefill_chunk) = (2, batch, 8);
    Engine::load(&ModelSource::File(TINY.into()), &options, &mut |_| true).unwrap()
}

fn ask(text: &str) -> Request {
    Request {
        sampling: Sampling::greedy(),
        ignore_eos: true,
        max_tokens: Some(12),
        ..Request::new(Input::Chat(vec![Message::new(Role::User, text)]))
    }
}

/// Counts when the engine has said everything it does and is idle.
fn settled(engine: &Engine) -> Counters {
    let deadline = Instant::now() + Duration::from_secs(20);
    while engine.status().active + engine.status().queued > 0 || !engine.sequences().is_empty() {
        assert!(
            Instant::now() < deadline,
            "the engine does not come to rest"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    engine.status().counters
}

#[test]
fn counts_are_those_of_the_answers() {
    let engine = engine(1);
    assert_eq!(engine.status().counters, Counters::default());
    let mut first_tokens = Vec::new();
    let (mut computed, mut cached, mut generated) = (0, 0, 0);
    for question in ["Tell me a story.", "Tell me a story.", "What is 2 + 2?"] {
        let (_, end) = engine.generate(ask(question)).unwrap().wait().unwrap();
        let timings = end.timings;
        computed += timings.prompt_tokens - timings.cached_tokens;
        cached += timings.cached_tokens;
        generated += timings.generated_tokens;
        first_tokens.push(timings.first_token);
    }
    assert!(cached > 0 && generated == 36);
    let counters = settled(&engine);
    assert_eq!(counters.prompt_tokens, computed as u64);
    assert_eq!(counters.cached_tokens, cached as u64);
    assert_eq!(counters.decoded_tokens, generated as u64);
    assert_eq!((counters.started, counters.finished), (3, 3));
    assert_eq!((counters.cancelled, counters.failed), (0, 0));
    assert_eq!(counters.first_tokens, 3);
    assert_eq!(counters.first_token_sum, first_tokens.iter().sum());
    assert_eq!(counters.first_token_last, first_tokens[2]);
    // The first token comes from the last step of the prompt, every other from a step of its own.
    assert!(counters.steps as usize >= computed.div_ceil(8) + generated - 3);
    assert!(counters.steps as usize <= computed + generated);
}

#[test]
fn the_time_of_steps_is_divided_up_without_a_rest() {
    let engine = engine(1);
    let before = engine.status().counters;
    let (_, end) = engine
        .generate(ask("Tell me a story."))
        .unwrap()
        .wait()
        .unwrap();
    let counters = settled(&engine);
    let StepTimes {
        matmul,
        attention,
        head,
        other,
    } = counters.step.since(&before.step);
    for part in [matmul, attention, head, other] {
        assert!(part > Duration::ZERO, "{counters:?}");
    }
    let steps = counters.prefill_time + counters.decode_time;
    // Every step was one or the other, as there was one sequence; what is inside is not longer.
    assert!(counters.step.total() <= steps, "{counters:?}");
    assert!(end.timings.prefill <= counters.prefill_time);
    assert!(counters.sampling_time > Duration::ZERO);
}

#[test]
fn what_is_cancelled_is_counted_and_a_running_sequence_is_seen() {
    let engine = engine(2);
    let long = Request {
        max_tokens: None,
        ..ask("Tell me a story.")
    };
    let running = engine.generate(long.clone()).unwrap();
    let prompt = running.prompt_tokens();
    let mut seen = 0;
    while let Some(event) = running.next_event() {
        if let Event::Text { timings, .. } = event {
            seen = timings.generated_tokens;
            if seen == 5 {
                break;
            }
        }
    }
    assert_eq!(seen, 5);
    let sequences = engine.sequences();
    assert_eq!(sequences.len(), 1);
    assert_eq!(sequences[0].prompt, prompt);
    assert_eq!(sequences[0].most, engine.info().context);
    let (positions, generated) = (sequences[0].positions, sequences[0].generated);
    assert!(
        positions + 1 == prompt + generated && generated >= 4,
        "{sequences:?}"
    );
    running.cancel_handle().cancel();
    while running.next_event().is_some() {}
    let counters = settled(&engine);
    assert_eq!((counters.started, counters.cancelled), (1, 1));
    assert_eq!(counters.finished, 0);
}
