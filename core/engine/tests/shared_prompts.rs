//! Requests that begin alike are read once, and answered as if each were alone.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod common;

use common::{TINY, best_kernel};
use tritone_abi::KvFormat;
use tritone_engine::Forms;
use tritone_engine::sample::Sampling;
use tritone_engine::text::{Message, Role};
use tritone_engine::{Engine, EngineOptions, Event, Generation, Input, ModelSource, Request};

/// About 330 tokens that eight people begin with.
fn instructions() -> String {
    "You answer in short sentences. You never lie. You know all cities of the world and the rivers beside them. "
        .repeat(12)
}

fn engine(batch: usize, prefill_chunk: usize, kv: KvFormat) -> Engine {
    let options = EngineOptions {
        threads: 2,
        batch,
        prefill_chunk,
        context: Some(640),
        forms: Forms {
            kv,
            ..Forms::default()
        },
        ..EngineOptions::new(best_kernel())
    };
    Engine::load(&ModelSource::File(TINY.into()), &options, &mut |_| true).unwrap()
}

fn ask(question: &str, seed: u64, salt: u64) -> Request {
    Request {
        sampling: Sampling {
            seed,
            ..Sampling::default()
        },
        max_tokens: Some(24),
        salt,
        ..Request::new(Input::Chat(vec![
            Message::new(Role::System, instructions()),
            Message::new(Role::User, question),
        ]))
    }
}

const QUESTIONS: [&str; 8] = [
    "What is the capital of Peru?",
    "What is the capital of Peru?",
    "What is the capital of France?",
    "Where does the Nile end?",
    "Tell me a story about a fox.",
    "Name a colour.",
    "Count to ten.",
    "Who are you?",
];

fn texts(running: Vec<Generation>) -> Vec<String> {
    running
        .into_iter()
        .map(|one| one.wait().unwrap().0)
        .collect()
}

fn together(engine: &Engine, salt: impl Fn(u64) -> u64) -> Vec<String> {
    let asked = QUESTIONS.iter().zip(1..);
    texts(
        asked
            .map(|(question, i)| engine.generate(ask(question, i, salt(i))).unwrap())
            .collect(),
    )
}

#[test]
fn eight_that_begin_alike_are_read_once_and_answered_as_alone() {
    for (chunk, kv) in [(256, KvFormat::F16), (50, KvFormat::Q8)] {
        let alone = engine(1, chunk, kv);
        let expected: Vec<String> = QUESTIONS
            .iter()
            .zip(1..)
            .map(|(question, i)| {
                let request = Request {
                    keep: false,
                    ..ask(question, i, 0)
                };
                alone.generate(request).unwrap().wait().unwrap().0
            })
            .collect();
        let read = alone.status().counters.prompt_tokens / 8;
        assert!(read > 300, "{read}");

        let shared = engine(8, chunk, kv);
        assert_eq!(together(&shared, |_| 5), expected, "{chunk} {kv:?}");
        let counters = shared.status().counters;
        // The instructions once, and of each what differs; at most a page again for each, and what came
        // into the batch beside a prompt that was being read.
        assert!(
            counters.prompt_tokens < read + 8 * (64 + 40) + chunk as u64,
            "{} of {read}",
            counters.prompt_tokens
        );
        let all = counters.prompt_tokens + counters.cached_tokens;
        assert!(all >= 8 * (read - 16), "{all}");

        let apart = engine(8, chunk, kv);
        assert_eq!(together(&apart, |i| i), expected, "{chunk} {kv:?}");
        let counters = apart.status().counters;
        assert_eq!(counters.cached_tokens, 0, "another's salt");
    }
}

#[test]
fn who_waits_for_a_prompt_that_is_given_up_reads_it() {
    let engine = engine(2, 16, KvFormat::F16);
    let first = engine.generate(ask(QUESTIONS[0], 1, 0)).unwrap();
    let second = engine.generate(ask(QUESTIONS[0], 1, 0)).unwrap();
    while !matches!(first.next_event(), Some(Event::Prefill { .. })) {}
    drop(first);
    let (text, finished) = second.wait().unwrap();
    let alone = engine.generate(ask(QUESTIONS[0], 1, 9)).unwrap();
    assert_eq!(text, alone.wait().unwrap().0);
    assert!(finished.timings.prompt_tokens > 300);
}
