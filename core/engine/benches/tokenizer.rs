//! What the tokenizer costs, for a made-up vocabulary of 128 256 tokens and 280 000 merges:
//! `cargo bench -p tritone-engine --bench tokenizer`.
#![allow(
    clippy::expect_used,
    reason = "a measurement that cannot be made has nothing else to say"
)]

#[path = "../tests/text_support/large.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod large;

use criterion::{Criterion, Throughput};
use large::{Large, Random, text};
use tritone_engine::text::{Specials, Tokenizer};

fn main() {
    let large = Large::new();
    let build = || Tokenizer::from_spec(&large.spec()).expect("the lists fit together");
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    criterion.bench_function("build", |bencher| {
        bencher.iter_with_large_drop(build);
    });
    let (tokenizer, _) = build();
    for letters in [7, 40, 400] {
        let mut random = Random(1);
        // A word begins with its space, and has no other.
        let word = |_| format!(" {}", text(&mut random, letters).replace(' ', "a"));
        let whole: String = (0..100_000 / letters).map(word).collect();
        let mut group = criterion.benchmark_group("encode");
        group.throughput(Throughput::Bytes(whole.len() as u64));
        group.bench_function(format!("words of {letters}"), |bencher| {
            bencher.iter(|| tokenizer.encode(&whole, Specials::Plain));
        });
        group.finish();
    }
    criterion.final_summary();
}
