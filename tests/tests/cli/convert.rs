//! `tritone convert`: the same model in another form.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tritone_formats::codec::{Rounding, Scales, encode_ternary};
use tritone_formats::{GgufFile, TensorType};

use crate::program::{Run, run};

fn tiny() -> String {
    let path = tritone_tests::tiny().join("tritone-tiny-i2_s.gguf");
    path.to_str().unwrap().to_owned()
}

fn convert(from: &str, to: &Path, more: &[&str]) -> Run {
    let to = to.to_str().unwrap();
    run(&[&["convert", from, "--out", to], more].concat())
}

/// The bits of the logits of a sentence.
fn logits(directory: &TempDir, model: &Path) -> Vec<u8> {
    let out = directory.path().join("logits.safetensors");
    let (out, model) = (out.to_str().unwrap(), model.to_str().unwrap());
    run(&[
        "logits",
        "--model",
        model,
        "--prompt",
        "The sky is blue.",
        "--out",
        out,
    ])
    .ok();
    let bytes = fs::read(out).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    file.tensor("logits").unwrap().data().to_vec()
}

#[test]
fn forms_that_hold_the_scales_give_the_same_bits_and_come_back() {
    let directory = TempDir::new().unwrap();
    let original = tiny();
    let expected = logits(&directory, original.as_ref());
    for ty in ["iq2_bn", "iq2_bn_r4"] {
        let there = directory.path().join(format!("{ty}.gguf"));
        convert(&original, &there, &["--type", ty]).ok();
        assert!(logits(&directory, &there) == expected, "{ty}");
        let back = directory.path().join(format!("{ty}-back.gguf"));
        convert(there.to_str().unwrap(), &back, &["--type", "i2_s"]).ok();
        let (first, second) = (fs::read(&original).unwrap(), fs::read(&back).unwrap());
        let (first, second) = (
            GgufFile::new(first).unwrap(),
            GgufFile::new(second).unwrap(),
        );
        for view in first.tensors() {
            let again = second.require_tensor(view.name()).unwrap();
            let same = (view.ty(), view.dims()) == (again.ty(), again.dims());
            let (mut old, mut new) = (view.bytes().unwrap(), again.bytes().unwrap());
            if view.ty() == TensorType::I2S {
                // Behind the scale nothing is defined.
                (old, new) = (&old[..old.len() - 28], &new[..new.len() - 28]);
            }
            assert!(same && old == new, "{}", view.name());
        }
        let keys = |file: &GgufFile<Vec<u8>>| -> Vec<(String, String)> {
            let mut keys: Vec<_> = file
                .metadata()
                .map(|(key, value)| (key.to_owned(), format!("{value:?}")))
                .collect();
            keys.sort();
            keys
        };
        assert!(keys(&first) == keys(&second), "metadata");
    }
}

#[test]
fn what_is_lost_is_said_and_needs_leave() {
    let directory = TempDir::new().unwrap();
    let to = directory.path().join("new.gguf");
    for ty in ["tq1_0", "tq2_0", "pq2_0", "ptq1_0", "q2_0", "iq1_bn"] {
        let refused = convert(&tiny(), &to, &["--type", ty]);
        refused.fails(1, &["--lossy", "blk.0.", "16 bits"]);
        assert!(!to.exists(), "{ty}");
        convert(&tiny(), &to, &["--type", ty, "--lossy"]).ok();
        let file = GgufFile::new(fs::read(&to).unwrap()).unwrap();
        let query = file.require_tensor("blk.0.attn_q.weight").unwrap();
        assert!(query.ty().name().eq_ignore_ascii_case(ty));
        let answer = run(&[
            "run",
            "--model",
            to.to_str().unwrap(),
            "What is the capital of Peru?",
        ]);
        assert_eq!(answer.ok().trim(), "The capital of Peru is Lima.", "{ty}");
        fs::remove_file(&to).unwrap();
    }
}

#[test]
fn scales_of_groups_are_kept_or_refused() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    let bonsai = at("bonsai.gguf");
    let from = bonsai.to_str().unwrap();
    run(&["synth", "--shape", "tiny", "--type", "pq2_0", "--out", from]).ok();
    convert(from, &at("small.gguf"), &["--type", "ptq1_0"]).ok();
    assert!(logits(&directory, &at("small.gguf")) == logits(&directory, &bonsai));
    // Finer groups can repeat a scale, coarser ones cannot hold two.
    convert(from, &at("fine.gguf"), &["--type", "q2_0"]).ok();
    for ty in ["i2_s", "tq2_0", "iq2_bn"] {
        let refused = convert(from, &at("no.gguf"), &["--type", ty, "--lossy"]);
        refused.fails(1, &["groups of 128 columns"]);
    }
    assert!(!at("no.gguf").exists());
}

#[test]
fn a_ternary_table_becomes_halves() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    let from = at("bonsai.gguf");
    let from = from.to_str().unwrap();
    run(&[
        "synth", "--shape", "tiny", "--type", "pq2_0", "--head", "pq2_0", "--out", from,
    ])
    .ok();
    convert(from, &at("new.gguf"), &["--type", "ptq1_0"]).ok();
    let file = GgufFile::new(fs::read(at("new.gguf")).unwrap()).unwrap();
    let table = file.require_tensor("token_embd.weight").unwrap();
    assert_eq!(table.ty(), TensorType::F16);
    let old = GgufFile::new(fs::read(from).unwrap()).unwrap();
    let old = old.require_tensor("token_embd.weight").unwrap();
    let (mut a, mut b) = (vec![0.0; 256], vec![1.0; 256]);
    for row in [0, 1000, 2047] {
        table.decode_row(row, &mut a).unwrap();
        old.decode_row(row, &mut b).unwrap();
        assert_eq!(a, b);
    }
}

#[test]
fn nothing_is_overwritten_by_accident() {
    let directory = TempDir::new().unwrap();
    let copy = directory.path().join("copy.gguf");
    fs::copy(tiny(), &copy).unwrap();
    let from = copy.to_str().unwrap();
    convert(from, &copy, &["--type", "iq2_bn", "--force"]).fails(2, &["over itself"]);
    let there = directory.path().join("there.gguf");
    fs::write(&there, "mine").unwrap();
    convert(from, &there, &["--type", "iq2_bn"]).fails(1, &["--force"]);
    assert_eq!(fs::read(&there).unwrap(), b"mine");
    convert(from, &there, &["--type", "iq2_bn", "--force"]).ok();
    assert!(fs::read(&there).unwrap().starts_with(b"GGUF"));
    convert(from, &there, &["--type", "tl2"]).fails(2, &["iq2_bn_r4"]);
    fs::write(&there, "not a model").unwrap();
    let to = directory.path().join("x.gguf");
    convert(there.to_str().unwrap(), &to, &["--type", "i2_s"]).fails(3, &["there.gguf"]);
}

#[test]
fn another_layout_of_i2_s_is_read_when_it_is_named() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    // The model as a build for ARM would have written it.
    let bytes = fs::read(tiny()).unwrap();
    let file = GgufFile::new(&bytes).unwrap();
    let mut arm = bytes.clone();
    for tensor in file.tensors().filter(|t| t.ty() == TensorType::I2S) {
        let ternary = tensor.ternary().unwrap();
        let (rows, columns) = (ternary.rows(), ternary.columns());
        let mut row = vec![0.0; columns];
        let scale = ternary.row_scales(0).unwrap()[0];
        let mut weights = Vec::new();
        for i in 0..rows {
            ternary.decode_row(i, &mut row).unwrap();
            weights.extend(row.iter().map(|x| (x / scale) as i8));
        }
        let new = encode_ternary(
            TensorType::I2sArm,
            &weights,
            (rows, columns),
            &Scales::Tensor(scale),
            Rounding::Exact,
        );
        arm[tensor.byte_range()].copy_from_slice(&new.unwrap());
    }
    fs::write(at("arm.gguf"), arm).unwrap();
    let arm = at("arm.gguf");
    let arm = arm.to_str().unwrap();
    let question = "What is the capital of Peru?";
    let answer = "The capital of Peru is Lima.";
    let wrong = run(&["run", "--model", arm, "--max-tokens", "12", question]).ok();
    assert_ne!(wrong.trim(), answer);
    let right = ["run", "--model", arm, "--i2s-layout", "arm", question];
    assert_eq!(run(&right).ok().trim(), answer);
    convert(
        arm,
        &at("new.gguf"),
        &["--type", "i2_s", "--i2s-layout", "arm"],
    )
    .ok();
    let new = at("new.gguf");
    let right = ["run", "--model", new.to_str().unwrap(), question];
    assert_eq!(run(&right).ok().trim(), answer);
    run(&["run", "--i2s-layout", "mips", question]).fails(2, &["canonical, arm or rows4"]);
}
