//! Heads that the file holds in a ternary type: against a plain binary64 decoder, one answer of all
//! kernels, switches between kernels, packs, and what is refused.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod common;
mod reference;

use std::sync::Arc;

use common::{best_kernel, bits, kernels, logits, tiny};
use reference::{Random, Shape, VOCAB};
use tempfile::NamedTempFile;
use tritone_abi::Kernel;
use tritone_engine::{
    Capacity, Forms, Head, LoadedFrom, MemoryPlan, Model, ModelSource, PackCache, PackState,
    Runner, RunnerOptions, packs,
};
use tritone_formats::TensorType;

const CONTEXT: usize = 64;

fn tokens() -> Vec<u32> {
    let token = |i: u32| (i * i * 31 + i * 7) % VOCAB as u32;
    (0..24).map(token).collect()
}

fn bonsai(ty: TensorType, group: usize, tied: bool) -> Random {
    let shape = Shape {
        head_norms: true,
        head_dim: 128,
        theta: 1e6,
        tied,
        ty,
        group,
        table: Some((ty, group)),
        ..Shape::new("qwen3")
    };
    Random::new(shape, 5)
}

fn open(model: &Random) -> (NamedTempFile, Arc<Model>) {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), model.file()).unwrap();
    let opened = Model::open(&ModelSource::File(file.path().into())).unwrap();
    (file, Arc::new(opened))
}

fn options(kernel: &Arc<dyn Kernel>, head: Head, threads: usize) -> RunnerOptions {
    let capacity = Capacity {
        rows: 48,
        logit_rows: 48,
        ..Capacity::new(CONTEXT, 1, 64)
    };
    RunnerOptions {
        threads,
        forms: Forms {
            head,
            ..Forms::default()
        },
        ..RunnerOptions::new(Arc::clone(kernel), capacity)
    }
}

fn load(model: &Arc<Model>, options: RunnerOptions) -> Runner {
    Runner::load(Arc::clone(model), options, &mut |_| true).unwrap()
}

/// Relative L2 error.
fn error(got: &[Vec<f32>], want: &[Vec<f64>]) -> f64 {
    let (mut error, mut norm) = (0.0, 0.0);
    for (want, got) in want.iter().flatten().zip(got.iter().flatten()) {
        error += (want - f64::from(*got)).powi(2);
        norm += want.powi(2);
    }
    (error / norm).sqrt()
}

#[test]
fn one_answer_and_that_of_a_plain_decoder() {
    for (ty, group, tied) in [
        (TensorType::Pq2_0, 128, true),
        (TensorType::Q2_0, 64, false),
        (TensorType::Tq2_0, 256, true),
        (TensorType::Iq2Bn, 1, true),
        (TensorType::I2S, 0, false),
    ] {
        let random = bonsai(ty, group, tied);
        let (_file, model) = open(&random);
        let mut first = None;
        for kernel in kernels() {
            for (threads, chunk) in [(1, 24), (2, 7), (3, 1)] {
                let mut runner = load(&model, options(&kernel, Head::Ternary, threads));
                let got = logits(&mut runner, &tokens(), chunk);
                let first = first.get_or_insert_with(|| got.clone());
                let name = &kernel.facts().name;
                assert!(bits(first) == bits(&got), "{ty}: {name}, {threads} threads");
            }
        }
        let first = first.unwrap();
        let off = error(&first, &random.ternary_logits(&tokens(), CONTEXT));
        assert!(off <= 0.02, "{ty}: {off}");
        // In binary16 the weights are the same numbers and the activations are not rounded: to
        // one of 255 steps, which for even numbers is an error of some 0.7 %.
        let mut half = load(&model, options(&best_kernel(), Head::F16, 2));
        let half = logits(&mut half, &tokens(), 24);
        let exact: Vec<Vec<f64>> = half
            .iter()
            .map(|row| row.iter().map(|x| f64::from(*x)).collect())
            .collect();
        let off = error(&first, &exact);
        assert!(off > 0.0 && off <= 0.015, "{ty} beside f16: {off}");
    }
}

#[test]
fn a_switch_takes_the_head_along() {
    let (_file, model) = open(&bonsai(TensorType::Pq2_0, 128, true));
    let kernels = kernels();
    let mut runner = load(&model, options(&kernels[0], Head::Ternary, 2));
    let want = bits(&logits(&mut runner, &tokens(), 24));
    for kernel in kernels.iter().chain(&kernels) {
        runner.set_kernel(Arc::clone(kernel)).unwrap();
        let got = bits(&logits(&mut runner, &tokens(), 9));
        assert!(got == want, "{}", kernel.facts().name);
    }
}

#[test]
fn the_plan_knows_what_it_takes() {
    let (_file, model) = open(&bonsai(TensorType::Pq2_0, 128, true));
    let kernel = best_kernel();
    let plan = |head| {
        let options = options(&kernel, head, 1);
        let (capacity, forms) = (options.capacity, options.forms);
        MemoryPlan::new(model.recipe(), &*kernel, 1, capacity, forms, None).unwrap()
    };
    let (ternary, half) = (plan(Head::Ternary), plan(Head::F16));
    let packed = kernel.packed_bytes(VOCAB, 256).unwrap() as u64;
    // A scale in binary32 for every 128 columns of 320 rows.
    assert_eq!(ternary.head, packed + 320 * 2 * 4);
    assert_eq!(ternary.head_read, ternary.head);
    assert_eq!(ternary.weights, half.weights);
    let runner = load(&model, options(&kernel, Head::Ternary, 1));
    assert_eq!(runner.report().head.bytes, ternary.head);
}

#[test]
fn its_pack_is_a_file_of_its_own() {
    let (file, model) = open(&bonsai(TensorType::Pq2_0, 128, true));
    let place = tempfile::TempDir::new().unwrap();
    let cache = PackCache {
        dir: Some(place.path().into()),
        ..PackCache::default()
    };
    let kernel = best_kernel();
    let start = |head| {
        let options = tritone_engine::EngineOptions {
            forms: Forms {
                head,
                ..Forms::default()
            },
            pack_cache: cache.clone(),
            ..tritone_engine::EngineOptions::new(Arc::clone(&kernel))
        };
        let source = ModelSource::File(file.path().into());
        let engine = tritone_engine::Engine::load(&source, &options, &mut |_| true).unwrap();
        let _ = engine.wait_for_packs(&mut |_| true);
        let load = &engine.info().load;
        (load.weights.from.clone(), load.head.from.clone())
    };
    let is_cache = |from: &LoadedFrom| matches!(from, LoadedFrom::Cache(_));
    assert_eq!(
        start(Head::Ternary),
        (LoadedFrom::Packed, LoadedFrom::Packed)
    );
    let (weights, head) = start(Head::Ternary);
    assert!(is_cache(&weights) && is_cache(&head));
    let found = packs(&model, &*kernel, Head::Ternary, &cache, 1);
    assert!(found.iter().all(|pack| pack.state == PackState::Valid));
    assert_eq!(found.len(), 2);
    // Another head shares the weights.
    let (weights, head) = start(Head::Q6);
    assert!(is_cache(&weights) && head == LoadedFrom::Packed);
    let mapped = RunnerOptions {
        pack_cache: cache.clone(),
        ..options(&kernel, Head::Ternary, 2)
    };
    let mut mapped = load(&model, mapped);
    assert!(is_cache(&mapped.report().head.from));
    let mut packed = load(&model, options(&kernel, Head::Ternary, 2));
    let want = bits(&logits(&mut packed, &tokens(), 24));
    assert!(bits(&logits(&mut mapped, &tokens(), 24)) == want);
}

#[test]
fn a_head_of_another_type_is_refused() {
    let options = options(&best_kernel(), Head::Ternary, 1);
    let error = Runner::load(tiny(), options, &mut |_| true).map(drop);
    let error = error.unwrap_err().to_string();
    for word in ["'token_embd.weight'", "F16", "not ternary", "--head f16"] {
        assert!(error.contains(word), "{word} in: {error}");
    }
}
