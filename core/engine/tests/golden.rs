//! Logits and greedy answers against those of the transformers library.
//!
//! A ternary network rounds its activations, and a last-bit difference can flip a rounding, so
//! "right" means: relative L2 error at most 2 %, the same argmax wherever the two largest logits
//! are more than 1.5 apart, and the same greedy tokens up to the first smaller gap. A wrong
//! scale, norm, rotation or packing is off by 30 % and more.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "test code outside test functions"
)]

mod common;

use tritone_abi::KvFormat;
use tritone_engine::{Forms, Head, kv_name};

use common::{argmax, greedy, kernels, logits, runner, runner_for};
use safetensors::SafeTensors;

const EXPECTED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../models/tritone-tiny/expected.safetensors"
);

fn floats(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let data = file.tensor(name).unwrap().data().to_vec();
    data.chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

fn ids(file: &SafeTensors<'_>, name: &str) -> Vec<u32> {
    let data = file.tensor(name).unwrap().data().to_vec();
    data.chunks_exact(4)
        .map(|b| u32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

#[test]
fn tiny_agrees_with_transformers() {
    let bytes = std::fs::read(EXPECTED).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    for kernel in kernels() {
        let name = kernel.facts().name.clone();
        let mut runner = runner(kernel, 2, Head::F16);
        let mut checked = 0;
        for case in 0..4 {
            let input = ids(&file, &format!("{case}.input_ids"));
            let want = floats(&file, &format!("{case}.logits"));
            let gaps = floats(&file, &format!("{case}.top2_gap"));
            let got = logits(&mut runner, &input, 64);
            let vocab = got[0].len();
            assert_eq!(want.len(), got.len() * vocab);
            let (mut error, mut norm) = (0.0f64, 0.0f64);
            for (position, row) in got.iter().enumerate() {
                let want = &want[position * vocab..(position + 1) * vocab];
                for (g, w) in row.iter().zip(want) {
                    error += f64::from(g - w).powi(2);
                    norm += f64::from(*w).powi(2);
                }
                if gaps[position] > 1.5 {
                    assert_eq!(argmax(row), argmax(want), "{name}, case {case}, {position}");
                }
            }
            let relative = (error / norm).sqrt();
            println!(
                "{name}, case {case}: relative error {:.3} %",
                relative * 100.0
            );
            assert!(relative <= 0.02, "{name}, case {case}: {relative}");

            let want = ids(&file, &format!("{case}.greedy_ids"));
            let gaps = floats(&file, &format!("{case}.greedy_gap"));
            let sure = gaps.iter().position(|gap| *gap < 1.5).unwrap_or(gaps.len());
            let got = greedy(&mut runner, &input, want.len());
            assert_eq!(got[..sure], want[..sure], "{name}, case {case}");
            checked += sure;
        }
        assert!(
            checked >= 15,
            "{name}: only {checked} greedy tokens were sure enough to check"
        );
    }
}

/// Kullback-Leibler divergence of what `got` makes likely from what `want` does, in nats.
fn divergence(want: &[f32], got: &[f32]) -> f64 {
    let log_sum = |x: &[f32]| {
        let max = f64::from(x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let sum: f64 = x.iter().map(|x| (f64::from(*x) - max).exp()).sum();
        max + sum.ln()
    };
    let (w, g) = (log_sum(want), log_sum(got));
    want.iter()
        .zip(got)
        .map(|(want, got)| {
            let (want, got) = (f64::from(*want) - w, f64::from(*got) - g);
            want.exp() * (want - got)
        })
        .sum()
}

/// Relative error, mean divergence and share of equal greedy choices of `forms`, measured against
/// head and KV cache in f16.
fn quality(forms: Forms) -> (f64, f64, f64) {
    let bytes = std::fs::read(EXPECTED).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let kernel = common::best_kernel();
    let mut reference = runner(kernel.clone(), 1, Head::F16);
    let mut small = runner_for(kernel, 1, forms, 512);
    let (mut error, mut norm, mut apart, mut same, mut all) = (0.0f64, 0.0f64, 0.0, 0, 0u32);
    for case in 0..4 {
        let input = ids(&file, &format!("{case}.input_ids"));
        let want = logits(&mut reference, &input, 64);
        let got = logits(&mut small, &input, 64);
        for (got, want) in got.iter().zip(&want) {
            same += u32::from(argmax(got) == argmax(want));
            apart += divergence(want, got);
            all += 1;
            for (g, w) in got.iter().zip(want) {
                error += f64::from(g - w).powi(2);
                norm += f64::from(*w).powi(2);
            }
        }
    }
    let all = f64::from(all);
    let (relative, apart, same) = ((error / norm).sqrt(), apart / all, f64::from(same) / all);
    println!(
        "head {}, KV {}: relative error {:.2} %, divergence {apart:.5}, same best {:.1} %",
        forms.head,
        kv_name(forms.kv),
        relative * 100.0,
        same * 100.0
    );
    (relative, apart, same)
}

#[test]
fn smaller_heads_keep_the_answer() {
    let kv = KvFormat::F16;
    for (head, most) in [(Head::Q8, 0.01), (Head::Q6, 0.03), (Head::Q4, 0.12)] {
        let (relative, _, same) = quality(Forms { head, kv });
        assert!(relative < most && relative > 0.0, "{head}: {relative}");
        assert!(same >= 0.9, "{head}: same best token {same}");
    }
}

#[test]
fn an_exact_head_makes_the_same_choices() {
    let kv = KvFormat::F16;
    let head = Head::Q4Exact;
    let (_, apart, same) = quality(Forms { head, kv });
    let (_, coarse, _) = quality(Forms { head: Head::Q4, kv });
    assert!(same == 1.0, "same best token {same}");
    assert!(apart < coarse / 4.0, "divergence {apart}, of q4 {coarse}");
}

#[test]
fn an_int8_cache_keeps_the_answer() {
    let head = Head::F16;
    let kv = KvFormat::Q8;
    let (relative, _, same) = quality(Forms { head, kv });
    assert!(relative < 0.03 && relative > 0.0, "relative {relative}");
    assert!(same >= 0.95, "same best token {same}");
}
