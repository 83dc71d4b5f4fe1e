//! Layers with experts: one answer in every batch, packs, and what a plan says.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod common;
mod reference;

use std::io::Write as _;
use std::sync::Arc;

use common::{bits, kernels, logits, mixed};
use reference::{Random, Shape, VOCAB, Windows};
use tritone_engine::{
    Capacity, EmbedRequest, Engine, EngineOptions, Input, LoadedFrom, Model, ModelSource,
    PackCache, Runner, RunnerOptions,
};
use tritone_formats::TensorType;

/// A small model in the layout of DeepGrove Maple.
fn maple() -> Shape {
    Shape {
        ffn: 256,
        head_norms: true,
        windows: Some(Windows {
            size: 20,
            period: 2,
            theta: 1e4,
            others: false,
        }),
        experts: Some((12, 3, 7.0)),
        ty: TensorType::Tq2_0,
        group: 1,
        ..Shape::new("maple")
    }
}

fn write(shape: Shape) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&Random::new(shape, 3).file()).unwrap();
    file
}

fn open(file: &tempfile::NamedTempFile) -> Arc<Model> {
    let source = ModelSource::File(file.path().to_path_buf());
    Arc::new(Model::open(&source).unwrap())
}

#[test]
fn other_sequences_of_the_batch_do_not_matter() {
    let model = open(&write(maple()));
    let text = |(i, n): (u32, u32)| {
        (0..n)
            .map(|k| (k * k * 3 + i * 17) % VOCAB as u32)
            .collect()
    };
    let sequences: Vec<Vec<u32>> = (0..).zip([40, 70, 55, 64]).map(text).collect();
    let mut first = None;
    for kernel in kernels() {
        let name = kernel.facts().name.clone();
        let capacity = Capacity {
            rows: 160,
            logit_rows: 160,
            ..Capacity::new(128, 4, 64)
        };
        let options = RunnerOptions {
            threads: 2,
            ..RunnerOptions::new(kernel, capacity)
        };
        let mut runner = Runner::load(Arc::clone(&model), options, &mut |_| true).unwrap();
        let together = mixed(&mut runner, &sequences);
        for (sequence, together) in sequences.iter().zip(&together) {
            let alone = logits(&mut runner, sequence, 9);
            assert!(bits(&alone) == bits(together), "{name}");
        }
        let all: Vec<_> = together.iter().map(|rows| bits(rows)).collect();
        assert!(*first.get_or_insert_with(|| all.clone()) == all, "{name}");
    }
}

#[test]
fn packs_hold_all_experts() {
    let file = write(maple());
    let directory = tempfile::tempdir().unwrap();
    for kernel in kernels() {
        let name = kernel.facts().name.clone();
        let start = || {
            let options = EngineOptions {
                pack_cache: PackCache {
                    dir: Some(directory.path().to_path_buf()),
                    ..PackCache::default()
                },
                ..EngineOptions::new(Arc::clone(&kernel))
            };
            let engine = Engine::start(open(&file), &options, &mut |_| true).unwrap();
            engine.wait_for_packs(&mut |_| true);
            engine
        };
        let vector = |engine: &Engine| {
            let request = EmbedRequest::new(Input::Tokens((1..50).collect()));
            engine.embed(&request).unwrap().wait().unwrap().vector
        };
        let want = vector(&start());
        let again = start();
        let from = &again.info().load.weights.from;
        assert!(matches!(from, LoadedFrom::Cache(_)), "{name}: {from:?}");
        assert_eq!(vector(&again), want, "{name}");
    }
}

#[test]
fn a_token_reads_and_computes_what_it_uses() {
    let model = open(&write(maple()));
    let recipe = model.recipe();
    let expert = 3 * 256 * 256;
    let attention = 256 * (256 + 128 + 128) + 256 * 256;
    assert_eq!(recipe.ternary_weights(), 2 * (attention + 12 * expert));
    assert_eq!(recipe.ternary_macs(), 2 * (attention + 3 * expert));
    let norms = 2 * (2 * 256 + 2 * 64) + 256;
    let tables = 2 * VOCAB as u64 * 256;
    let routers = 2 * 12 * 256;
    assert_eq!(
        recipe.parameters(),
        recipe.ternary_weights() + norms + tables + routers
    );
    let kernel = &kernels()[0];
    let options = RunnerOptions::new(Arc::clone(kernel), Capacity::new(64, 1, 16));
    let runner = Runner::load(Arc::clone(&model), options, &mut |_| true).unwrap();
    let plan = runner.plan();
    let matrix = kernel.packed_bytes(256, 256).unwrap() as u64;
    assert_eq!(plan.experts, 2 * 12 * 3 * matrix);
    let others = plan.weights - plan.experts;
    assert_eq!(plan.weights_read(1), others + plan.experts / 4);
    assert!(plan.weights_read(2) < others + plan.experts / 2);
    assert!(plan.weights_read(1000) <= plan.weights);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |change: fn(&mut Shape), says: &str| {
        let mut shape = maple();
        change(&mut shape);
        let file = write(shape);
        let source = ModelSource::File(file.path().to_path_buf());
        let error = Model::open(&source).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    };
    refused(
        |shape| shape.experts = Some((12, 13, 7.0)),
        "expert_used_count is 13; expected 1 to 12",
    );
    refused(
        |shape| shape.experts = Some((12, 3, -1.0)),
        "swiglu_clamp_exp is",
    );
    refused(
        |shape| shape.numbers.push(("expert_shared_count", 1)),
        "shared experts are not supported",
    );
    refused(|shape| shape.windows = None, "sliding_window is missing");
}
