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

use common::{argmax, greedy, kernels, logits, runner};
use safetensors::SafeTensors;
use tritone_abi::HeadFormat;

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
        let mut runner = runner(kernel, 2, HeadFormat::F16);
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

#[test]
fn smaller_heads_keep_the_answer() {
    let bytes = std::fs::read(EXPECTED).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let kernel = common::best_kernel();
    let mut reference = runner(kernel.clone(), 1, HeadFormat::F16);
    for (head, most) in [
        (HeadFormat::Q8, 0.01),
        (HeadFormat::Q6, 0.03),
        (HeadFormat::Q4, 0.12),
    ] {
        let mut small = runner(kernel.clone(), 1, head);
        let (mut error, mut norm, mut same, mut all) = (0.0f64, 0.0f64, 0, 0);
        for case in 0..4 {
            let input = ids(&file, &format!("{case}.input_ids"));
            let want = logits(&mut reference, &input, 64);
            let got = logits(&mut small, &input, 64);
            for (got, want) in got.iter().zip(&want) {
                same += usize::from(argmax(got) == argmax(want));
                all += 1;
                for (g, w) in got.iter().zip(want) {
                    error += f64::from(g - w).powi(2);
                    norm += f64::from(*w).powi(2);
                }
            }
        }
        let relative = (error / norm).sqrt();
        println!(
            "{head:?}: relative error {:.2} %, same best {same} of {all}",
            relative * 100.0
        );
        assert!(relative < most && relative > 0.0, "{head:?}: {relative}");
        assert!(
            same * 10 >= all * 9,
            "{head:?}: same best token {same} of {all}"
        );
    }
}
