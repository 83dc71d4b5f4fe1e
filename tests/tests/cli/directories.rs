//! Directories of the transformers library, against the logits of that library.

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use tempfile::TempDir;

use crate::program::{command, finish, run};

/// The directories with golden logits, where they lie beside the repository.
#[expect(clippy::print_stdout, reason = "a test says what it left out")]
fn golden() -> Vec<PathBuf> {
    let place = tritone_tests::repository().join("../shared/data/golden");
    let Ok(entries) = fs::read_dir(&place) else {
        println!("left out: {} is not there", place.display());
        return Vec::new();
    };
    let mut all: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    all.sort();
    assert!(all.len() >= 6, "{all:?}");
    all
}

fn floats(bytes: &[u8]) -> Vec<f64> {
    let (words, _) = bytes.as_chunks::<4>();
    words
        .iter()
        .map(|word| f32::from_le_bytes(*word).into())
        .collect()
}

/// Logits of `ids` by `model`: one row a position.
fn logits(directory: &TempDir, model: &Path, ids: &[u32]) -> Vec<f64> {
    let at = |name: &str| directory.path().join(name);
    let (tokens, out) = (at("ids.json"), at("out.safetensors"));
    fs::write(&tokens, serde_json::to_string(ids).unwrap()).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (model, tokens, out) = (text(model), text(&tokens), text(&out));
    let args = [
        "logits", "--head", "f16", "--model", &model, "--tokens", &tokens, "--out", &out,
    ];
    finish(command(&args).env("XDG_CACHE_HOME", at("cache"))).ok();
    let bytes = fs::read(out).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    floats(file.tensor("logits").unwrap().data())
}

/// The token with the largest logit.
fn best_of(row: &[f64]) -> usize {
    let largest = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    largest.unwrap().0
}

/// A ternary network rounds its activations, so that a last bit can flip a rounding: right is a
/// relative L2 error of 2 %, the same best token wherever the two best differ by more than 1.5, and the
/// same greedy answer up to the first token where they do not. Keys and values are kept as they are:
/// as halves they take these random models to 2.7 %. A wrong scale, norm or rotation is off by 30 %
/// and more.
fn check(directory: &TempDir, model: &Path, golden: &Path, what: &str) {
    let bytes = fs::read(golden.join("expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |name: &str| expected.tensor(name).unwrap();
    let ids = tensor("input_ids");
    let (ids, _) = ids.data().as_chunks::<4>();
    let ids: Vec<u32> = ids.iter().map(|id| u32::from_le_bytes(*id)).collect();
    let want = tensor("logits_last8");
    let (positions, vocab) = (48, want.shape()[2]);
    let want = floats(want.data());
    let best = tensor("argmax");
    let (best, _) = best.data().as_chunks::<4>();
    let gaps = floats(tensor("top2_gap").data());
    let (mut error, mut norm, mut sure) = (0.0, 0.0, 0);
    for (sequence, ids) in ids.chunks(positions).enumerate() {
        let got = logits(directory, model, ids);
        assert_eq!(got.len(), positions * vocab);
        let tail = &got[(positions - 8) * vocab..];
        for (want, got) in want[sequence * 8 * vocab..].iter().zip(tail) {
            error += (want - got).powi(2);
            norm += want.powi(2);
        }
        for (position, row) in got.chunks(vocab).enumerate() {
            let at = sequence * positions + position;
            if gaps[at] > 1.5 {
                let best = u32::from_le_bytes(best[at]);
                assert_eq!(best_of(row), best as usize, "{what} at {at}");
                sure += 1;
            }
        }
    }
    let error = (error / norm).sqrt();
    assert!(error <= 0.02, "{what}: {error}");
    assert!(sure > 10, "{what}: only {sure}");
    let answer = tensor("greedy_ids");
    let (answer, _) = answer.data().as_chunks::<4>();
    let gaps = floats(tensor("greedy_gap").data());
    let sure = gaps.iter().take_while(|gap| **gap >= 1.5).count();
    let answer = answer[..sure].iter().map(|id| u32::from_le_bytes(*id));
    let text: Vec<u32> = ids[..positions].iter().copied().chain(answer).collect();
    let rows = logits(directory, model, &text);
    for (position, row) in rows.chunks(vocab).enumerate().skip(positions - 1) {
        if let Some(next) = text.get(position + 1) {
            assert_eq!(best_of(row), *next as usize, "{what}: answer at {position}");
        }
    }
}

#[test]
fn every_golden_directory_agrees_with_the_transformers_library() {
    let directory = TempDir::new().unwrap();
    for golden in golden() {
        let name = golden.file_name().unwrap().to_str().unwrap();
        check(&directory, &golden, &golden, &format!("{name} itself"));
        for ty in ["i2_s", "iq2_bn", "tq1_0", "tq2_0"] {
            let out = directory.path().join(format!("{name}-{ty}.gguf"));
            let (from, to) = (golden.to_str().unwrap(), out.to_str().unwrap());
            let done = run(&["convert", from, "--type", ty, "--lossy", "--out", to]);
            // Types of blocks of 256 do not hold every width.
            if ty.starts_with("tq") && ["bitnet-online", "bitnet-untied"].contains(&name) {
                done.fails(1, &["multiple of 256"]);
                continue;
            }
            done.ok();
            check(&directory, &out, &golden, &format!("{name} as {ty}"));
        }
    }
}

#[test]
fn the_built_in_model_comes_out_of_its_directory() {
    let directory = TempDir::new().unwrap();
    let out = directory.path().join("tiny.gguf");
    let hf = tritone_tests::tiny().join("hf");
    if !hf.is_dir() {
        panic!("{} is not there", hf.display());
    }
    let (from, to) = (hf.to_str().unwrap(), out.to_str().unwrap());
    run(&["convert", from, "--type", "i2_s", "--out", to]).ok();
    let question = "What is the capital of Peru?";
    let answer = run(&["run", "--model", to, question]).ok();
    assert_eq!(answer.trim(), "The capital of Peru is Lima.");
}

#[test]
fn what_is_wrong_with_a_directory_is_said() {
    let directory = TempDir::new().unwrap();
    let place = directory.path().join("model");
    fs::create_dir(&place).unwrap();
    let out = directory.path().join("out.gguf");
    let convert = || {
        let (from, to) = (place.to_str().unwrap(), out.to_str().unwrap());
        run(&["convert", from, "--type", "i2_s", "--out", to])
    };
    convert().fails(1, &["no config.json"]);
    let config = |more: &str| {
        let text = format!(
            r#"{{"architectures": ["LlamaForCausalLM"], "vocab_size": 512, "hidden_size": 256,
            "intermediate_size": 512, "num_hidden_layers": 1, "num_attention_heads": 4,
            "max_position_embeddings": 64, "rms_norm_eps": 1e-5 {more}}}"#
        );
        fs::write(place.join("config.json"), text).unwrap();
    };
    fs::write(place.join("config.json"), "{").unwrap();
    fs::write(
        place.join("model.safetensors"),
        [8, 0, 0, 0, 0, 0, 0, 0, b'{', b'}', 32, 32, 32, 32, 32, 32],
    )
    .unwrap();
    convert().fails(1, &["config.json", "line 1"]);
    config("");
    convert().fails(1, &["model.embed_tokens.weight", "is missing"]);
    let bitnet = r#", "quantization_config": {"quant_method": "bitnet", "linear_class": "CLASS"}"#;
    config(&bitnet.replace("CLASS", "strange"));
    convert().fails(1, &["'strange'", "'autobitlinear'"]);
    config(&bitnet.replace("CLASS", "bitlinear"));
    convert().fails(1, &["model.embed_tokens.weight", "is missing"]);
    fs::write(place.join("model.safetensors"), [255; 64]).unwrap();
    convert().fails(1, &["model.safetensors", "header"]);
    fs::write(
        place.join("model.safetensors.index.json"),
        r#"{"weight_map": {"x": "../../etc/passwd"}}"#,
    )
    .unwrap();
    convert().fails(1, &["no safetensors file beside it"]);
    assert!(!out.exists());
}
