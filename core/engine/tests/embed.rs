//! Vectors of texts: what they are, and that they depend on the text alone.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod common;
mod reference;

use std::io::Write as _;
use std::sync::Arc;

use common::kernels;
use reference::{Gate, Random, Shape, Windows};
use tritone_abi::Kernel;
use tritone_engine::{
    EmbedRequest, Engine, EngineOptions, GenerateError, Input, Model, ModelSource, Pooling, Request,
};

/// A small model in the layout of BitNet embedding 0.6B.
fn qwen3() -> Shape {
    Shape {
        head_norms: true,
        head_dim: 128,
        input_norms: true,
        half_norms: true,
        tied: true,
        ..Shape::new("qwen3")
    }
}

/// A small model in the layout of BitNet embedding 270M.
fn gemma3() -> Shape {
    Shape {
        kv_heads: 1,
        windows: Some(Windows {
            size: 9,
            period: 2,
            theta: 1e4,
            others: true,
        }),
        gate: Gate::Gelu,
        scales: (16.0, 1.0, 1.0),
        post_norms: true,
        ..qwen3()
    }
    .of("gemma3")
}

fn open(model: &Random) -> Arc<Model> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&model.file()).unwrap();
    // The map outlives the name.
    let source = ModelSource::File(file.path().to_path_buf());
    Arc::new(Model::open(&source).unwrap())
}

fn engine(model: &Arc<Model>, kernel: &Arc<dyn Kernel>, threads: usize, batch: usize) -> Engine {
    let options = EngineOptions {
        threads,
        batch,
        context: Some(40),
        prefill_chunk: 13,
        ..EngineOptions::new(Arc::clone(kernel))
    };
    Engine::start(Arc::clone(model), &options, &mut |_| true).unwrap()
}

fn texts() -> Vec<Vec<u32>> {
    let text = |n: u32| (0..n).map(|i| (i * i * 7 + n * 11) % 256).collect();
    [1, 2, 5, 12, 13, 14, 27, 40, 33].map(text).to_vec()
}

fn request(tokens: &[u32], pooling: Pooling) -> EmbedRequest {
    EmbedRequest {
        pooling: Some(pooling),
        ..EmbedRequest::new(Input::Tokens(tokens.to_vec()))
    }
}

#[test]
fn vectors_are_the_states_of_a_plain_decoder() {
    for shape in [qwen3(), gemma3()] {
        let random = Random::new(shape, 5);
        let engine = engine(&open(&random), &kernels()[0], 1, 4);
        for tokens in texts() {
            let states = random.states(&tokens, 40);
            let mean = |i: usize| states.iter().map(|state| state[i]).sum::<f64>();
            for (pooling, want) in [
                (Pooling::Last, states[states.len() - 1].clone()),
                (Pooling::Cls, states[0].clone()),
                (Pooling::Mean, (0..states[0].len()).map(mean).collect()),
            ] {
                let got = engine.embed(&request(&tokens, pooling)).unwrap();
                let got = got.wait().unwrap();
                assert_eq!((got.tokens, got.cut), (tokens.len(), 0));
                let length = want.iter().map(|x| x * x).sum::<f64>().sqrt();
                let pairs = want.iter().zip(&got.vector);
                let cosine: f64 = pairs.map(|(a, b)| a / length * f64::from(*b)).sum();
                assert!((cosine - 1.0).abs() < 1e-3, "{cosine} for {pooling}");
            }
        }
    }
}

#[test]
fn neither_batch_nor_threads_nor_kernel_matter() {
    let model = open(&Random::new(gemma3(), 6));
    for pooling in Pooling::ALL {
        let mut first: Option<Vec<Vec<u32>>> = None;
        for kernel in kernels() {
            for (threads, batch) in [(1, 1), (2, 5)] {
                let engine = engine(&model, &kernel, threads, batch);
                // An answer is written beside them.
                let answer = Request {
                    max_tokens: Some(20),
                    ignore_eos: true,
                    ..Request::new(Input::Tokens(vec![3, 4, 5]))
                };
                let answer = engine.generate(answer).unwrap();
                let texts = texts();
                let all = texts
                    .iter()
                    .map(|text| engine.embed(&request(text, pooling)));
                let all: Vec<_> = all.map(Result::unwrap).collect();
                let bits = |x: &f32| x.to_bits();
                let all = all.into_iter().map(|pending| pending.wait().unwrap());
                let all = all.map(|e| e.vector.iter().map(bits).collect()).collect();
                answer.wait().unwrap();
                let name = &kernel.facts().name;
                let want = first.get_or_insert_with(|| Clone::clone(&all));
                assert!(*want == all, "{name}, {threads} threads, batch of {batch}");
            }
        }
    }
}

#[test]
fn the_file_says_how_to_pool_but_for_two_models() {
    let pooling = |shape: Shape, kind: Option<u32>| {
        let mut shape = shape;
        shape
            .numbers
            .extend(kind.map(|kind| ("pooling_type", kind)));
        open(&Random::new(shape, 1)).recipe().pooling
    };
    let plain = || Shape {
        input_norms: false,
        ..qwen3()
    };
    for (kind, want) in [
        (None, None),
        (Some(0), None),
        (Some(1), Some(Pooling::Mean)),
        (Some(2), Some(Pooling::Cls)),
        (Some(3), Some(Pooling::Last)),
        (Some(4), None),
    ] {
        assert_eq!(pooling(plain(), kind), want, "{kind:?}");
        assert_eq!(pooling(qwen3(), kind), Some(Pooling::Last), "{kind:?}");
    }
}

#[test]
fn texts_end_with_the_end_and_long_ones_are_cut() {
    const END: u32 = 299;
    let mut shape = qwen3();
    shape.eos = Some(END);
    let model = open(&Random::new(shape, 2));
    let engine = engine(&model, &kernels()[0], 1, 1);
    let embed = |input: Input| {
        engine
            .embed(&EmbedRequest::new(input))
            .unwrap()
            .wait()
            .unwrap()
    };
    let text = |n: usize| Input::Text("a".repeat(n));
    let short = embed(text(5));
    let mut tokens = model.encode(&text(5)).unwrap();
    assert_ne!(tokens.last(), Some(&END), "the file does not ask for it");
    tokens.push(END);
    assert_eq!(short.tokens, tokens.len());
    assert_eq!(short.vector, embed(Input::Tokens(tokens)).vector);
    let long = embed(text(100));
    assert_eq!(long.tokens, 40);
    let mut tokens = model.encode(&text(100)).unwrap();
    assert_eq!(long.cut, tokens.len() + 1 - 40);
    tokens.truncate(39);
    tokens.push(END);
    assert_eq!(long.vector, embed(Input::Tokens(tokens)).vector);
    let strict = EmbedRequest {
        truncate: false,
        ..EmbedRequest::new(text(100))
    };
    let error = engine.embed(&strict).unwrap_err();
    assert!(matches!(
        error,
        GenerateError::PromptTooLong { context: 40, .. }
    ));
}

#[test]
fn a_model_without_pooling_says_so_and_works() {
    let plain = Shape {
        input_norms: false,
        ..qwen3()
    };
    let engine = engine(&open(&Random::new(plain, 3)), &kernels()[0], 1, 1);
    let (pooling, note) = engine.pooling(None);
    assert_eq!(pooling, Pooling::Last);
    assert!(note.unwrap().contains("no embedding model"));
    let pending = engine.embed(&EmbedRequest::new(Input::Tokens(vec![1, 2])));
    let length = |v: Vec<f32>| v.iter().map(|x| x * x).sum::<f32>().sqrt();
    let vector = pending.unwrap().wait().unwrap().vector;
    assert!((length(vector) - 1.0).abs() < 1e-5);
    let pending = engine.embed(&EmbedRequest::new(Input::Tokens(vec![1; 40])));
    let pending = pending.unwrap();
    pending.cancel_handle().cancel();
    // It may have been done before.
    if let Err(error) = pending.wait() {
        assert!(matches!(error, GenerateError::Cancelled));
    }
}
