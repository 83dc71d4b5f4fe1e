//! What servers ask of the engine: sinks, logprobs, forms, salts.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod common;

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use common::{TINY, best_kernel};
use tritone_engine::sample::{LogSoftmax, Sampling, TokenMask};
use tritone_engine::text::{Message, Role};
use tritone_engine::{
    Constraint, EmbedRequest, Engine, EngineOptions, Event, FinishReason, GenerateError, Grammar,
    Handle, Input, ModelSource, Request,
};

fn engine(batch: usize) -> Engine {
    let mut options = EngineOptions::new(best_kernel());
    (options.threads, options.batch) = (2, batch);
    Engine::load(&ModelSource::File(TINY.into()), &options, &mut |_| true).unwrap()
}

fn ask(text: &str) -> Request {
    Request {
        sampling: Sampling::greedy(),
        ..Request::new(Input::Chat(vec![Message::new(Role::User, text)]))
    }
}

const PERU: &str = "What is the capital of Peru?";
const LIMA: &str = "The capital of Peru is Lima.";
const STORY: &str = "Tell me a story about a fox.";

fn answer(engine: &Engine, request: Request) -> String {
    engine.generate(request).unwrap().wait().unwrap().0
}

/// An answer whose events come out of a channel, through a sink.
fn into_channel(engine: &Engine, request: Request) -> (Handle, Receiver<Event>) {
    let (sender, events) = channel();
    let sink = Box::new(move |event| sender.send(event).is_ok());
    (engine.generate_into(request, sink).unwrap(), events)
}

#[test]
fn a_sink_hears_what_a_generation_hears() {
    let engine = engine(1);
    let (handle, events) = into_channel(&engine, ask(PERU));
    assert_eq!(handle.prompt_tokens, 19);
    let (mut text, mut end) = (String::new(), None);
    for event in events {
        match event {
            Event::Text { text: piece, .. } => text += &piece,
            Event::Finished(finished) => end = Some(finished.reason),
            Event::Prefill { .. } => {}
            Event::Failed(error) => panic!("{error}"),
        }
    }
    assert_eq!((text.as_str(), end), (LIMA, Some(FinishReason::EndOfTurn)));
}

#[test]
fn a_sink_that_wants_no_more_ends_its_request_and_no_other() {
    let engine = engine(3);
    let alone = answer(&engine, ask(STORY));
    for panics in [false, true] {
        let heard = Arc::new(Mutex::new(0));
        let count = Arc::clone(&heard);
        let sink = Box::new(move |_| {
            *count.lock().unwrap() += 1;
            assert!(!panics, "a sink that panics");
            false
        });
        let other = engine.generate(ask(STORY)).unwrap();
        let handle = engine.generate_into(ask(STORY), sink).unwrap();
        assert_eq!(other.wait().unwrap().0, alone);
        assert!(handle.cancel.is_cancelled());
        assert_eq!(*heard.lock().unwrap(), 1, "nothing after it said no");
        assert_eq!(answer(&engine, ask(PERU)), LIMA);
    }
}

#[test]
fn vectors_come_to_whoever_cannot_wait() {
    let engine = engine(2);
    let request = EmbedRequest::new(Input::Text("a fox".to_owned()));
    let waited = engine.embed(&request).unwrap().wait().unwrap();
    let (sender, result) = channel();
    let then = Box::new(move |vector| sender.send(vector).unwrap());
    engine.embed_into(&request, then).unwrap();
    assert_eq!(result.recv().unwrap().unwrap(), waited);
    engine.embed_into(&request, Box::new(|_| panic!())).unwrap();
    assert_eq!(answer(&engine, ask(PERU)), LIMA, "the engine lives");
}

#[test]
fn only_requests_of_one_salt_share_what_was_read() {
    let engine = engine(4);
    let cached = |salt| {
        // An answer that may be long would take the pages of what is kept.
        let request = Request {
            salt,
            max_tokens: Some(20),
            ..ask(PERU)
        };
        let (text, end) = engine.generate(request).unwrap().wait().unwrap();
        assert_eq!(text, LIMA, "a salt changes no answer");
        end.timings.cached_tokens
    };
    assert_eq!(cached(1), 0);
    assert_eq!(cached(1), 18, "all but the last token of the prompt");
    assert_eq!(cached(2), 0, "somebody else's");
    assert_eq!(cached(0), 0);
    assert_eq!(cached(1), 18);
    assert_eq!(cached(2), 18);
}

#[test]
fn an_answer_does_not_end_before_it_is_long_enough() {
    let engine = engine(1);
    let long = Request {
        min_tokens: 30,
        max_tokens: Some(40),
        ..ask(PERU)
    };
    let (text, end) = engine.generate(long).unwrap().wait().unwrap();
    assert!(text.starts_with(LIMA), "{text}");
    assert!(end.timings.generated_tokens >= 30);
    let short = Request {
        min_tokens: 3,
        ..ask(PERU)
    };
    assert_eq!(answer(&engine, short), LIMA, "it was longer anyway");
}

#[test]
fn logprobs_are_those_of_the_model() {
    let engine = engine(1);
    let request = |temperature, bias: &[(u32, f32)]| Request {
        sampling: Sampling {
            temperature,
            logprobs: true,
            top_logprobs: 5,
            logit_bias: bias.to_vec(),
            ..Sampling::greedy()
        },
        ..ask(PERU)
    };
    let likelihoods = |request| {
        let (_, events) = into_channel(&engine, request);
        let text = events.into_iter().filter_map(|event| match event {
            Event::Text {
                token, likelihood, ..
            } => Some((token, *likelihood?)),
            _ => None,
        });
        text.collect::<Vec<_>>()
    };
    let greedy = likelihoods(request(0.0, &[]));
    assert!(greedy.len() > 3);
    for (token, likelihood) in &greedy {
        assert_eq!(likelihood.top.len(), 5);
        assert_eq!(likelihood.top[0], (*token, likelihood.logprob));
        let mut sorted = likelihood.top.clone();
        sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
        assert_eq!(sorted, likelihood.top);
        let sum: f32 = likelihood
            .top
            .iter()
            .map(|(_, logprob)| logprob.exp())
            .sum();
        assert!(sum > 0.0 && sum <= 1.0 + 1e-4, "{sum}");
    }
    // Neither temperature nor bias changes what the model thinks of the first token.
    let first = greedy[0].0;
    let hot = likelihoods(request(2.0, &[(first, -5.0)]));
    assert_eq!(hot[0].1.top, greedy[0].1.top);
    let plain = likelihoods(ask(PERU));
    assert!(plain.is_empty(), "only when asked for");
}

#[test]
fn the_likeliest_tokens_are_the_greatest_logits() {
    use tritone_engine::sample::Sampler;
    let logits: Vec<f32> = (0..1000_u32)
        .map(|i| (i * 7919 % 1009) as f32 / 100.0)
        .collect();
    let softmax = LogSoftmax::new(&logits);
    let settings = Sampling {
        logprobs: true,
        top_logprobs: 7,
        ..Sampling::greedy()
    };
    let mut sampler = Sampler::new(settings, logits.len()).unwrap();
    sampler.next(&mut logits.clone(), 0, &[]).unwrap();
    let mut ids: Vec<u32> = (0..1000).collect();
    ids.sort_by(|a, b| {
        logits[*b as usize]
            .total_cmp(&logits[*a as usize])
            .then(a.cmp(b))
    });
    let found: Vec<u32> = sampler.likeliest().iter().map(|(id, _)| *id).collect();
    assert_eq!(found, ids[..7]);
    for (id, logprob) in sampler.likeliest() {
        let expected = softmax.ln(logits[*id as usize]);
        assert!((f64::from(*logprob) - expected).abs() < 1e-4);
    }
}

/// Answers of `count` tokens out of a list; then the end.
#[derive(Debug, Clone)]
struct Only {
    tokens: Vec<u32>,
    count: usize,
    fault: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    No,
    AtStart,
    Error,
    Panic,
    Stuck,
}

impl Grammar for Only {
    fn start(&self) -> Result<Box<dyn Constraint>, String> {
        if self.fault == Fault::AtStart {
            return Err("no beginning".to_owned());
        }
        Ok(Box::new(self.clone()))
    }
}

impl Constraint for Only {
    fn allow(&mut self, mask: &mut TokenMask) -> Result<(), String> {
        match self.fault {
            _ if self.count == 0 => {}
            Fault::Error => return Err("no way on".to_owned()),
            Fault::Panic => panic!("a constraint that panics"),
            Fault::Stuck => {}
            Fault::No | Fault::AtStart => self.tokens.iter().for_each(|token| mask.allow(*token)),
        }
        Ok(())
    }

    fn take(&mut self, token: u32) -> Result<(), String> {
        assert!(self.tokens.contains(&token));
        self.count -= 1;
        Ok(())
    }

    fn may_end(&mut self) -> bool {
        self.count == 0
    }
}

#[test]
fn an_answer_keeps_to_its_form() {
    let engine = engine(2);
    let tokenizer = engine.model().tokenizer();
    let digit = |id: &u32| {
        let bytes = tokenizer.decode_bytes(*id);
        bytes.len() == 1 && bytes[0].is_ascii_digit()
    };
    let tokens: Vec<u32> = (0..tokenizer.vocab_size() as u32).filter(digit).collect();
    assert!(tokens.len() >= 10);
    let formed = |temperature, fault| Request {
        sampling: Sampling {
            temperature,
            ..Sampling::greedy()
        },
        grammar: Some(Arc::new(Only {
            tokens: tokens.clone(),
            count: 6,
            fault,
        })),
        ..ask(PERU)
    };
    for temperature in [0.0, 1.5] {
        let beside = engine.generate(ask(PERU)).unwrap();
        let request = formed(temperature, Fault::No);
        let (text, end) = engine.generate(request).unwrap().wait().unwrap();
        assert_eq!(text.len(), 6, "{text}");
        assert!(text.bytes().all(|byte| byte.is_ascii_digit()), "{text}");
        assert_eq!(end.reason, FinishReason::EndOfTurn);
        assert_eq!(beside.wait().unwrap().0, LIMA, "others keep to none");
    }
    for (fault, expected) in [
        (Fault::Error, "no way on"),
        (Fault::Panic, "panicked"),
        (Fault::Stuck, "nothing may come next"),
    ] {
        let error = engine
            .generate(formed(0.0, fault))
            .unwrap()
            .wait()
            .unwrap_err();
        assert!(matches!(error, GenerateError::Grammar(_)));
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(answer(&engine, ask(PERU)), LIMA);
    }
    let error = engine.generate(formed(0.0, Fault::AtStart)).unwrap_err();
    assert!(error.to_string().contains("no beginning"), "{error}");
}
