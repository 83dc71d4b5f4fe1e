//! `tritone inspect`: what it finds in a file beyond its header.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;
use tritone_formats::{GgufFile, TensorType};

use crate::program::run;

/// The built-in model with the bytes of its ternary tensors changed.
fn changed(change: impl Fn(usize, &mut [u8])) -> Vec<u8> {
    let path = tritone_tests::tiny().join("tritone-tiny-i2_s.gguf");
    let mut bytes = fs::read(path).unwrap();
    let file = GgufFile::new(bytes.clone()).unwrap();
    let ternary = file
        .tensors()
        .filter(|tensor| tensor.ty() == TensorType::I2S);
    for (number, tensor) in ternary.enumerate() {
        change(number, &mut bytes[tensor.byte_range()]);
    }
    bytes
}

fn inspected(bytes: &[u8], more: &[&str]) -> Value {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("m.gguf");
    fs::write(&path, bytes).unwrap();
    let path = path.to_str().unwrap();
    run(&[&["inspect", "--json", "--head", "q6", path], more].concat()).json()
}

fn findings(object: &Value) -> Vec<&str> {
    let findings = object["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| finding["what"].as_str().unwrap())
        .collect()
}

#[test]
fn a_sound_model_has_nothing_to_look_at() {
    let object = inspected(&changed(|_, _| {}), &["--deep"]);
    assert_eq!(findings(&object), [""; 0]);
    let weights = &object["weights"];
    let share = weights["zero_share"].as_f64().unwrap();
    assert!((0.2..0.6).contains(&share), "{share}");
    assert_eq!(
        (&weights["scales"], &weights["bad_scales"]),
        (&42.into(), &0.into())
    );
    assert!(object["no_speed"].as_str().unwrap().contains("caches"));
    assert_eq!(
        inspected(&changed(|_, _| {}), &["--no-speed"])["no_speed"],
        Value::Null
    );

    let text = run(&["inspect", "--deep"]).ok();
    for words in [
        "RMSNorm 1e-5 with sub-norms; RoPE 10000; gate ReLU squared; head tied to the embeddings",
        "ternary weights are zero",
        "not estimated",
    ] {
        assert!(text.contains(words), "no {words} in {text}");
    }
}

#[test]
fn a_context_beyond_training_is_said() {
    let object = inspected(&changed(|_, _| {}), &["--ctx", "4000"]);
    assert_eq!(findings(&object), ["beyond-training"]);
}

#[test]
fn a_head_that_is_the_larger_half_is_said() {
    let object = run(&["inspect", "--json", "--head", "f16"]).json();
    let memory = &object["model"]["memory"];
    let larger = memory["head"].as_u64() > memory["weights"].as_u64();
    assert_eq!(findings(&object) == ["head-traffic"], larger, "{object}");
}

#[test]
fn scales_of_zero_are_found() {
    let object = inspected(
        &changed(|number, bytes| {
            let scale = bytes.len() - 32;
            if number == 3 {
                bytes[scale..scale + 4].copy_from_slice(&0_f32.to_le_bytes());
            }
        }),
        &[],
    );
    assert_eq!(findings(&object), ["bad-scale"]);
    assert!(
        object["findings"][0]["text"]
            .as_str()
            .unwrap()
            .contains("blk.0.")
    );
}

#[test]
fn weights_without_zeros_are_found() {
    let object = inspected(
        &changed(|_, bytes| {
            let codes = bytes.len() - 32;
            bytes[..codes].fill(0b1010_0010);
        }),
        &["--deep"],
    );
    assert_eq!(findings(&object), ["odd-zeros"]);
    assert_eq!(object["weights"]["zero_share"], 0.0);
}

#[test]
fn damaged_codes_are_found() {
    let object = inspected(
        &changed(|number, bytes| bytes[100] |= if number == 0 { 3 } else { 0 }),
        &["--deep"],
    );
    assert_eq!(findings(&object), ["unreadable"]);
}
