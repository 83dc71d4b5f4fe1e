//! Model files whose metadata makes no sense: refused with the key that is wrong, or run; nothing else.
//!
//! Other programs have divided by zeros out of such keys (Ollama: CVE-2025-0312, CVE-2025-0317 and more).
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::{TINY, best_kernel};
use tempfile::TempDir;
use tritone_engine::{Capacity, LoadError, Model, ModelSource, Runner, RunnerOptions, Slice, Want};
use tritone_formats::write::GgufWriter;
use tritone_formats::{GgufFile, Value};

/// What stands in the place of a value.
#[derive(Clone, Copy, Debug)]
enum Instead {
    Nothing,
    Integer(u64),
    Negative(i64),
    Float(f32),
    Text(&'static str),
}

/// Writes the tiny model with another value of `key`.
fn write(file: &GgufFile<Vec<u8>>, key: &str, instead: Instead, path: &Path) {
    let mut plan = GgufWriter::new();
    for (name, value) in file.metadata() {
        if name != key {
            plan.metadata(name, value).unwrap();
            continue;
        }
        match instead {
            Instead::Nothing => {}
            Instead::Integer(n) => _ = plan.metadata(name, n).unwrap(),
            Instead::Negative(n) => _ = plan.metadata(name, n).unwrap(),
            Instead::Float(x) => _ = plan.metadata(name, x).unwrap(),
            Instead::Text(text) => _ = plan.metadata(name, text).unwrap(),
        }
    }
    for tensor in file.tensors() {
        plan.tensor(tensor.name(), tensor.ty(), tensor.dims())
            .unwrap();
    }
    let mut body = plan.begin(Vec::new()).unwrap();
    for tensor in file.tensors() {
        body.write(tensor.name(), tensor.bytes().unwrap()).unwrap();
    }
    fs::write(path, body.finish().unwrap()).unwrap();
}

/// Opens, loads, and reads one token.
fn run(path: &Path) -> Result<(), LoadError> {
    let model = Arc::new(Model::open(&ModelSource::File(path.to_owned()))?);
    let options = RunnerOptions {
        threads: 1,
        ..RunnerOptions::new(best_kernel(), Capacity::new(64, 1, 8))
    };
    let mut runner = Runner::load(model, options, &mut |_| true)?;
    let pages = runner.reserve(1).unwrap();
    let slice = Slice {
        tokens: &[1],
        start: 0,
        pages: &pages,
        want: Want::Last,
    };
    runner.step(&[slice]).unwrap();
    Ok(())
}

#[test]
fn nonsense_in_any_key_is_an_error_or_no_matter() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("model.gguf");
    let file = GgufFile::new(fs::read(TINY).unwrap()).unwrap();
    let scalar = |value: &Value<'_>| !matches!(value, Value::Array(_));
    let keys: Vec<String> = file
        .metadata()
        .filter(|(key, value)| scalar(value) && *key != "general.alignment")
        .map(|(key, _)| key.to_owned())
        .collect();
    assert!(keys.len() > 15, "{keys:?}");
    let mut refused = 0;
    for key in &keys {
        for instead in [
            Instead::Nothing,
            Instead::Integer(0),
            Instead::Integer(3),
            Instead::Integer(u64::from(u32::MAX)),
            Instead::Integer(1 << 63),
            Instead::Negative(-1),
            Instead::Float(0.0),
            Instead::Float(-1.0),
            Instead::Float(f32::NAN),
            Instead::Float(f32::INFINITY),
            Instead::Text("nonsense"),
        ] {
            write(&file, key, instead, &path);
            if let Err(error) = run(&path) {
                let text = error.to_string();
                assert!(text.contains("model.gguf"), "{key} {instead:?}: {text}");
                refused += 1;
            }
        }
    }
    assert!(refused > 100, "{refused}");
    // Zeros where a size belongs are named.
    for key in [
        "block_count",
        "embedding_length",
        "feed_forward_length",
        "attention.head_count",
        "attention.head_count_kv",
        "context_length",
    ] {
        write(
            &file,
            &format!("bitnet-b1.58.{key}"),
            Instead::Integer(0),
            &path,
        );
        let error = run(&path).unwrap_err();
        assert!(matches!(error, LoadError::Recipe { .. }), "{key}: {error}");
    }
}
