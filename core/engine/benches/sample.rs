//! What choosing a token costs, for a vocabulary of 128 256 tokens:
//! `cargo bench -p tritone-engine --bench sample`.
//!
//! `flat` logits are random over 10 units, so that every token may be drawn: the worst case.
//! `peaked` ones are what a model writes: some tens of tokens stand out of the rest. `equal` ones
//! are all the same: nothing but ties.

use std::hint::black_box;

use criterion::Criterion;
use tritone_engine::sample::{Sampler, Sampling};

const VOCAB: usize = 128_256;

/// A number of [0, 1) for every token, the same in every run (SplitMix64).
fn noise(token: u64) -> f32 {
    let mut z = (token + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u32 << 24) as f32
}

fn main() {
    let flat = |token| noise(token) * 10.0;
    let peaked = |token| {
        let peak = if token % 4_001 == 17 { 20.0 } else { 0.0 };
        peak + noise(token) * 5.0
    };
    let logits = [
        ("flat", (0..VOCAB as u64).map(flat).collect::<Vec<f32>>()),
        ("peaked", (0..VOCAB as u64).map(peaked).collect()),
        ("equal", vec![1.0; VOCAB]),
    ];
    let plain = Sampling {
        top_p: 1.0,
        ..Sampling::default()
    };
    let settings = [
        ("greedy", Sampling::greedy()),
        ("default", Sampling::default()),
        (
            "top_p 0.9",
            Sampling {
                temperature: 1.0,
                ..Sampling::default()
            },
        ),
        (
            "top_k 40",
            Sampling {
                top_k: 40,
                ..plain.clone()
            },
        ),
        (
            "min_p 0.05",
            Sampling {
                min_p: 0.05,
                ..plain.clone()
            },
        ),
        ("temperature", plain),
        (
            "default, logprobs",
            Sampling {
                logprobs: true,
                ..Sampling::default()
            },
        ),
    ];
    let mut criterion = Criterion::default().configure_from_args();
    for (shape, logits) in logits {
        let mut group = criterion.benchmark_group(shape);
        for (name, settings) in &settings {
            let Ok(mut sampler) = Sampler::new(settings.clone(), VOCAB) else {
                continue;
            };
            let mut logits = logits.clone();
            let mut position = 0;
            group.bench_function(*name, |bencher| {
                bencher.iter(|| {
                    position += 1;
                    sampler.next(black_box(&mut logits), position, &[])
                });
            });
        }
        group.finish();
    }
    criterion.final_summary();
}
