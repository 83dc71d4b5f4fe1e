//! `tritone convert --type safetensors`: model directories for the transformers library.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use tempfile::TempDir;
use tritone_formats::GgufFile;
use tritone_formats::TensorType;
use tritone_formats::codec::{Scales, decode_row};

use crate::program::{Run, run};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn to_directory(from: &Path, to: &Path, more: &[&str]) -> Run {
    let args = [
        "convert",
        text(from),
        "--type",
        "safetensors",
        "--out",
        text(to),
    ];
    run(&[&args, more].concat())
}

fn to_gguf(from: &Path, to: &Path) -> Run {
    run(&["convert", text(from), "--type", "i2_s", "--out", text(to)])
}

/// Type, shape and bytes of a tensor.
type Tensor = (Dtype, Vec<usize>, Vec<u8>);

/// The tensors of all files of weights in a directory.
fn tensors(directory: &Path) -> BTreeMap<String, Tensor> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|ending| ending == "safetensors")
        {
            let bytes = fs::read(&path).unwrap();
            for (name, view) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
                let tensor = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
                assert!(all.insert(name, tensor).is_none());
            }
        }
    }
    all
}

/// The numbers in a tensor.
fn values((dtype, _, bytes): &Tensor) -> Vec<f64> {
    let ty = match dtype {
        Dtype::F32 => TensorType::F32,
        Dtype::F16 => TensorType::F16,
        Dtype::BF16 => TensorType::Bf16,
        _ => return bytes.iter().map(|byte| f64::from(*byte)).collect(),
    };
    let mut values = vec![0.0; bytes.len() / if ty == TensorType::F32 { 4 } else { 2 }];
    decode_row(ty, bytes, &mut values).unwrap();
    values.into_iter().map(f64::from).collect()
}

#[track_caller]
fn same_tensors(a: &Path, b: &Path) {
    let (a, b) = (tensors(a), tensors(b));
    assert!(a.keys().eq(b.keys()), "{:?} and {:?}", a.keys(), b.keys());
    for (name, tensor) in &a {
        assert!(*tensor == b[name], "{name}");
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn gguf(path: &Path) -> GgufFile<Vec<u8>> {
    GgufFile::new(fs::read(path).unwrap()).unwrap()
}

/// Codes and scales of the ternary tensors, values of the others.
fn content(path: &Path) -> BTreeMap<String, (Vec<f32>, Option<Scales>)> {
    let file = gguf(path);
    let mut all = BTreeMap::new();
    for tensor in file.tensors() {
        let mut values = vec![0.0; tensor.elements()];
        for (i, row) in values.chunks_mut(tensor.columns()).enumerate() {
            tensor.decode_row(i, row).unwrap();
        }
        let ternary = tensor.ty().is_ternary();
        let scales = ternary.then(|| tensor.ternary().unwrap().scales().unwrap());
        all.insert(tensor.name().to_owned(), (values, scales));
    }
    all
}

fn tiny() -> PathBuf {
    tritone_tests::tiny().join("tritone-tiny-i2_s.gguf")
}

#[test]
fn the_built_in_model_becomes_the_directory_it_came_from_and_comes_back() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    let said = to_directory(&tiny(), &at("hf"), &[]).ok();
    assert!(said.contains("model directory"), "{said}");
    // The published directory has the same codes; its other values are rounded to bfloat16.
    let original = tritone_tests::tiny().join("hf");
    let (new, old) = (tensors(&at("hf")), tensors(&original));
    assert!(new.keys().eq(old.keys()));
    for (name, tensor) in &new {
        assert_eq!(tensor.1, old[name].1, "{name}");
        let (a, b) = (values(tensor), values(&old[name]));
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= b.abs() / 256.0 + 1e-7;
        assert!(a.iter().zip(&b).all(near), "{name}");
        let exact = tensor.0 == Dtype::U8;
        assert!(!exact || a == b, "{name}");
    }

    let (new, old) = (
        json(&at("hf/config.json")),
        json(&original.join("config.json")),
    );
    for (key, value) in old.as_object().unwrap() {
        if key == "quantization_config" {
            for (key, value) in value.as_object().unwrap() {
                assert_eq!(&new["quantization_config"][key], value, "{key}");
            }
        } else {
            assert_eq!(&new[key], value, "{key}");
        }
    }
    assert_eq!(new["head_dim"], 64);
    let (new, old) = (
        json(&at("hf/tokenizer.json")),
        json(&original.join("tokenizer.json")),
    );
    for key in [
        "model",
        "added_tokens",
        "pre_tokenizer",
        "normalizer",
        "decoder",
    ] {
        assert_eq!(new[key], old[key], "{key}");
    }
    let template = fs::read_to_string(at("hf/chat_template.jinja")).unwrap();
    let names = json(&at("hf/tokenizer_config.json"));
    assert_eq!(names["bos_token"], "<|begin_of_text|>");
    assert!(template.contains("capitalize"), "{template}");
    let ends = json(&at("hf/generation_config.json"))["eos_token_id"].clone();
    assert_eq!(
        ends,
        json(&original.join("generation_config.json"))["eos_token_id"]
    );

    to_gguf(&at("hf"), &at("back.gguf")).ok();
    assert!(content(&at("back.gguf")) == content(&tiny()));
    let (back, first) = (gguf(&at("back.gguf")), gguf(&tiny()));
    // Scores mean nothing to byte-level BPE.
    let keys = first
        .metadata()
        .filter(|(key, _)| key.starts_with("tokenizer.") && !key.ends_with(".scores"));
    let other = keys.filter(|(key, value)| {
        let again = back.get(key).map(|value| format!("{value:?}"));
        again != Some(format!("{value:?}"))
    });
    let other: Vec<_> = other.map(|(key, _)| key).collect();
    assert!(other.is_empty(), "{other:?}");
    let question = "What is the capital of Peru?";
    let answer = run(&["run", "--model", text(&at("back.gguf")), question]).ok();
    assert_eq!(answer.trim(), "The capital of Peru is Lima.");

    to_directory(&at("back.gguf"), &at("again"), &[]).ok();
    same_tensors(&at("again"), &at("hf"));
    for name in [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    ] {
        let read = |place: &str| fs::read_to_string(at(place).join(name)).unwrap();
        assert!(read("again") == read("hf"), "{name}");
    }
}

#[test]
fn weights_are_cut_into_files_with_an_index() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    to_directory(&tiny(), &at("cut"), &["--split-size", "2"]).ok();
    let index = json(&at("cut/model.safetensors.index.json"));
    let map = index["weight_map"].as_object().unwrap();
    let all = tensors(&at("cut"));
    let mut names: Vec<_> = map.keys().collect();
    names.sort();
    assert!(names.into_iter().eq(all.keys()));
    let bytes: usize = all.values().map(|(_, _, bytes)| bytes.len()).sum();
    assert_eq!(index["metadata"]["total_size"], bytes);
    let mut sizes = BTreeMap::new();
    for (name, file) in map {
        *sizes.entry(file.as_str().unwrap()).or_insert(0) += all[name].2.len();
    }
    assert_eq!(sizes.len(), 2);
    assert!(sizes.values().all(|size| *size <= 2_000_000), "{sizes:?}");
    let last = format!("model-{0:05}-of-{0:05}.safetensors", sizes.len());
    assert_eq!(sizes.keys().last(), Some(&last.as_str()));
    assert!(!at("cut/model.safetensors").exists());
    to_gguf(&at("cut"), &at("back.gguf")).ok();
    assert!(content(&at("back.gguf")) == content(&tiny()));
}

/// The directories with golden logits, where they lie beside the repository.
#[expect(clippy::print_stdout, reason = "a test says what it left out")]
#[test]
fn golden_directories_come_back_with_their_codes_scales_and_norms() {
    let place = tritone_tests::repository().join("../shared/data/golden");
    if !place.is_dir() {
        println!("left out: {} is not there", place.display());
        return;
    }
    let directory = TempDir::new().unwrap();
    for entry in fs::read_dir(place).unwrap() {
        let golden = entry.unwrap().path();
        let name = golden.file_name().unwrap().to_str().unwrap().to_owned();
        let at = |what: &str| directory.path().join(format!("{name}-{what}"));
        to_gguf(&golden, &at("a.gguf")).ok();
        to_directory(&at("a.gguf"), &at("through"), &[]).ok();
        to_directory(&golden, &at("straight"), &[]).ok();
        same_tensors(&at("through"), &at("straight"));
        assert!(
            !at("straight").join("tokenizer.json").exists(),
            "there was none"
        );
        to_gguf(&at("through"), &at("b.gguf")).ok();
        let (a, b) = (content(&at("a.gguf")), content(&at("b.gguf")));
        assert!(a == b, "{name}");
        // What was packed and direct before is what it was.
        if !name.contains("online") {
            let (old, new) = (tensors(&golden), tensors(&at("through")));
            for (key, (dtype, shape, bytes)) in &new {
                if *dtype == Dtype::U8 {
                    let old = &old[key];
                    assert!((&old.1, &old.2) == (shape, bytes), "{name}: {key}");
                }
            }
        }
    }
}

#[test]
fn what_a_directory_cannot_hold_is_refused_and_nothing_is_left() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    let synth = |name: &str, args: &[&str]| {
        let out = at(name);
        run(&[&["synth", "--out", text(&out)], args].concat()).ok();
        out
    };
    let groups = synth("groups.gguf", &["--shape", "tiny", "--type", "pq2_0"]);
    let refused = to_directory(&groups, &at("no"), &[]);
    refused.fails(
        1,
        &[
            "blk.0.attn_q.weight",
            "groups of 128 columns",
            "another --type",
        ],
    );
    let class = synth("class.gguf", &["--shape", "bitnet-large", "--layers", "1"]);
    to_directory(&class, &at("no"), &[]).fails(1, &["'bitnet'", "no class"]);
    fs::create_dir(at("mine")).unwrap();
    for more in [&[][..], &["--force"]] {
        to_directory(&tiny(), &at("mine"), more).fails(2, &["there already"]);
    }
    to_directory(&at("missing"), &at("no"), &[]).fails(3, &["missing"]);
    run(&["convert", "--type", "gptq"]).fails(2, &["i2_s", "safetensors"]);
    let mut left: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["class.gguf", "groups.gguf", "mine"]);
    assert_eq!(fs::read_dir(at("mine")).unwrap().count(), 0);
}

#[test]
fn a_type_that_says_the_same_gives_the_same_directory() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    for ty in [TensorType::Iq2Bn, TensorType::Iq2BnR4, TensorType::Tq2_0] {
        let ty = ty.name().to_lowercase();
        let from = tiny();
        let (other, to) = (at(&format!("{ty}.gguf")), at(&ty));
        let args = [
            "convert",
            text(&from),
            "--lossy",
            "--type",
            &ty,
            "--out",
            text(&other),
        ];
        run(&args).ok();
        to_directory(&other, &to, &[]).ok();
        let (new, old) = (tensors(&to), tensors(&tritone_tests::tiny().join("hf")));
        for (name, (_, _, bytes)) in old.iter().filter(|(_, tensor)| tensor.0 == Dtype::U8) {
            assert!(*bytes == new[name].2, "{name} of {ty}");
        }
    }
}
