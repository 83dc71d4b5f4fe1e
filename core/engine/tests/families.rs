//! Every family and every stored form of ternary weights against a plain binary64 decoder, and one
//! answer of all kernels for each.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod common;
mod reference;

use std::sync::Arc;

use common::{kernels, logits};
use reference::shapes::{bitnet, gemma3, llama, maple, minicpm, qwen3, qwen35};
use reference::{Folded, Gate, Random, Shape, VOCAB, Windows};
use tritone_abi::KvFormat;
use tritone_engine::{Capacity, Forms, Head, Model, ModelSource, Runner, RunnerOptions};
use tritone_formats::TensorType;

/// Positions of the runners.
const CONTEXT: usize = 64;

fn tokens() -> Vec<u32> {
    (0..24_u32)
        .map(|i| (i * i * 31 + i * 7) % VOCAB as u32)
        .collect()
}

/// Logits of the first kernel; all others must give the same bits, with other threads and chunks.
fn run(file: &std::path::Path) -> Vec<Vec<f32>> {
    let model = Arc::new(Model::open(&ModelSource::File(file.to_path_buf())).unwrap());
    let mut first: Option<Vec<Vec<f32>>> = None;
    for kernel in kernels() {
        for (threads, chunk) in [(1, 24), (2, 7)] {
            let name = kernel.facts().name.clone();
            let capacity = Capacity {
                rows: 48,
                logit_rows: 48,
                ..Capacity::new(CONTEXT, 1, 64)
            };
            let options = RunnerOptions {
                threads,
                forms: Forms {
                    head: Head::F16,
                    kv: KvFormat::F16,
                },
                ..RunnerOptions::new(Arc::clone(&kernel), capacity)
            };
            let mut runner = Runner::load(Arc::clone(&model), options, &mut |_| true).unwrap();
            let got = logits(&mut runner, &tokens(), chunk);
            match &first {
                None => first = Some(got),
                Some(first) => assert!(
                    first
                        .iter()
                        .flatten()
                        .map(|x| x.to_bits())
                        .eq(got.iter().flatten().map(|x| x.to_bits())),
                    "{name} with {threads} threads differs"
                ),
            }
        }
    }
    first.unwrap()
}

/// Relative L2 error against the reference.
fn error_of(shape: Shape, seed: u64) -> f64 {
    let model = Random::new(shape, seed);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), model.file()).unwrap();
    let got = run(file.path());
    let want = model.logits(&tokens(), CONTEXT);
    let (mut error, mut norm) = (0.0, 0.0);
    for (want, got) in want.iter().flatten().zip(got.iter().flatten()) {
        error += (want - f64::from(*got)).powi(2);
        norm += want.powi(2);
    }
    (error / norm).sqrt()
}

/// A ternary network rounds its activations, so that a last bit may change one of them by a step;
/// a wrong norm, scale or rotation is off by much more.
#[track_caller]
fn check(shape: Shape) {
    let what = format!("{shape:?}");
    let error = error_of(shape, 7);
    assert!(error <= 0.02, "{error} for {what}");
}

/// Divisors for heads of 64.
fn longrope(shape: Shape, original: usize) -> Shape {
    let divisors = |step: f32| (0..32).map(|i| 1.0 + step * i as f32).collect();
    Shape {
        factors: Some((divisors(0.1), divisors(0.7), 1.1, original)),
        ..shape
    }
}

#[test]
fn maple_chooses_experts() {
    check(maple());
    check(Shape {
        ty: TensorType::Tq1_0,
        group: 256,
        ..maple()
    });
    // It would be noticed if bounds or windows were left out.
    let with = Random::new(maple(), 7).logits(&tokens(), CONTEXT);
    let unbounded = Shape {
        experts: Some((40, 4, 1e9)),
        ..maple()
    };
    let far = Shape {
        windows: Some(Windows {
            size: 100,
            ..maple().windows.unwrap()
        }),
        ..maple()
    };
    for other in [unbounded, far] {
        let without = Random::new(other, 7).logits(&tokens(), CONTEXT);
        let pairs = with.iter().flatten().zip(without.iter().flatten());
        let apart = pairs.filter(|(a, b)| (*a - *b).abs() > 0.1).count();
        assert!(apart > 500, "{apart}");
    }
}

#[test]
fn gemma3_has_norms_behind_and_windows() {
    check(gemma3());
    // It would be noticed if the windows were left out.
    let with = Random::new(gemma3(), 7).logits(&tokens(), CONTEXT);
    let all = Shape {
        windows: None,
        ..gemma3()
    };
    let without = Random::new(all, 7).logits(&tokens(), CONTEXT);
    let far = with.iter().flatten().zip(without.iter().flatten());
    assert!(far.filter(|(a, b)| (*a - *b).abs() > 0.5).count() > 500);
}

#[test]
fn minicpm_scales_what_it_adds() {
    check(minicpm());
    check(longrope(minicpm(), CONTEXT));
    check(longrope(minicpm(), CONTEXT - 1));
}

#[test]
fn families_are_what_their_papers_say() {
    check(bitnet());
    check(Shape {
        arch: "bitnet",
        gate: Gate::Silu,
        ..bitnet()
    });
    check(llama());
    check(qwen3());
}

#[test]
fn yarn_holds_at_every_position() {
    let yarn = Shape {
        yarn: Some((4.0, 128)),
        ..qwen3()
    };
    check(yarn.clone());
    // It would be noticed if it were left out.
    let with = Random::new(yarn, 7).logits(&tokens(), CONTEXT);
    let without = Random::new(qwen3(), 7).logits(&tokens(), CONTEXT);
    let far = with.iter().flatten().zip(without.iter().flatten());
    assert!(far.filter(|(a, b)| (*a - *b).abs() > 0.5).count() > 500);
}

#[test]
fn products_with_norms_of_their_own() {
    check(Shape {
        input_norms: true,
        ..qwen3()
    });
    check(Shape {
        input_norms: true,
        ..llama()
    });
}

#[test]
fn every_stored_form_gives_the_same_model() {
    let same = [
        TensorType::I2S,
        TensorType::Tq1_0,
        TensorType::Tq2_0,
        TensorType::Q2_0,
        TensorType::Q2_0G128,
        TensorType::Pq2_0,
        TensorType::Ptq1_0,
        TensorType::Iq1Bn,
        TensorType::Iq2Bn,
        TensorType::Iq2BnR4,
    ];
    let mut first = None;
    for ty in same {
        let model = Random::new(Shape { ty, ..bitnet() }, 11);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), model.file()).unwrap();
        let got = run(file.path());
        // One scale a tensor, stored many times, is one scale: the same bits.
        assert_eq!(first.get_or_insert_with(|| got.clone()), &got, "{ty}");
    }
}

#[test]
fn scales_of_rows_and_groups() {
    for (ty, group) in [
        (TensorType::Iq2Bn, 1),
        (TensorType::Iq1Bn, 1),
        (TensorType::Iq2BnR4, 1),
        (TensorType::Tq2_0, 1),
        (TensorType::Q2_0, 64),
        (TensorType::Q2_0G128, 128),
        (TensorType::Pq2_0, 128),
        (TensorType::Ptq1_0, 128),
        (TensorType::Tq1_0, 256),
        (TensorType::Tq2_0, 256),
    ] {
        check(Shape {
            ty,
            group,
            ..qwen3()
        });
    }
}

#[test]
fn hybrids_of_attention_and_recurrent_layers() {
    check(qwen35());
    let mut listed = qwen35();
    listed.hybrid.as_mut().unwrap().listed = true;
    check(Shape {
        ty: TensorType::I2S,
        group: 0,
        tied: true,
        ..listed
    });
}

#[test]
fn folded_weights() {
    let folded = Folded {
        block: 128,
        explicit: true,
        grouped: true,
        tables: true,
    };
    for (folded, tied) in [
        (folded.clone(), false),
        (folded.clone(), true),
        (
            Folded {
                block: 64,
                explicit: false,
                grouped: false,
                tables: false,
            },
            false,
        ),
    ] {
        check(Shape {
            folded: Some(folded),
            tied,
            ..qwen35()
        });
    }
    // The contract is no part of an architecture.
    check(Shape {
        folded: Some(folded),
        ..qwen3()
    });
}
