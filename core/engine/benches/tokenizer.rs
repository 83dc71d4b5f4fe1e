//! What the tokenizer costs next to the library that its tests compare it with, for a made-up
//! vocabulary of 128 256 tokens and 280 000 merges:
//! `cargo bench -p tritone-engine --bench tokenizer`.
//!
//! The library only merges here: it is given the words, spelled in its alphabet. Tritone cuts the
//! text into words as well.
#![allow(
    clippy::expect_used,
    reason = "a measurement that cannot be made has nothing else to say"
)]

#[path = "../tests/text_support/large.rs"]
mod large;

use criterion::{BatchSize, Criterion, Throughput};
use large::{Large, Random, spelled, text};
use tokenizers::Model;
use tokenizers::models::bpe::{BPE, Vocab};
use tritone_engine::text::{Specials, Tokenizer};

fn build_library(vocab: Vocab, merges: Vec<(String, String)>) -> BPE {
    let builder = BPE::builder().vocab_and_merges(vocab, merges);
    let builder = builder.ignore_merges(true).cache_capacity(0);
    builder.build().expect("the lists fit together")
}

fn main() {
    let large = Large::new();
    let lists = || {
        let vocab: Vocab = large.tokens.iter().cloned().zip(0..).collect();
        (vocab, large.merges.clone())
    };
    let build = || Tokenizer::from_spec(&large.spec()).expect("the lists fit together");
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);

    let mut group = criterion.benchmark_group("build");
    group.bench_function("tritone", |bencher| {
        bencher.iter_with_large_drop(build);
    });
    group.bench_function("library", |bencher| {
        bencher.iter_batched(
            lists,
            |(vocab, merges)| build_library(vocab, merges),
            BatchSize::PerIteration,
        );
    });
    group.finish();

    let (tokenizer, _) = build();
    let (vocab, merges) = lists();
    let library = build_library(vocab, merges);
    for (name, letters) in [
        ("words of 7", 7),
        ("words of 40", 40),
        ("words of 400", 400),
    ] {
        let mut random = Random(1);
        // A word begins with its space, and has no other.
        let word = |_| format!(" {}", text(&mut random, letters).replace(' ', "a"));
        let words: Vec<String> = (0..100_000 / letters).map(word).collect();
        let whole = words.concat();
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(whole.len() as u64));
        group.bench_function("tritone", |bencher| {
            bencher.iter(|| tokenizer.encode(&whole, Specials::Plain));
        });
        let words: Vec<String> = words.iter().map(|word| spelled(word.as_bytes())).collect();
        group.bench_function("library", |bencher| {
            bencher.iter(|| {
                let tokens = words.iter().flat_map(|word| library.tokenize(word));
                tokens.flatten().map(|token| token.id).collect::<Vec<u32>>()
            });
        });
        group.finish();
    }
    criterion.final_summary();
}
