//! A model in several files computes what it computes in one, and is one model to the pack cache.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{TINY, best_kernel, bits, logits, tokens};
use tempfile::TempDir;
use tritone_engine::{
    Capacity, Engine, EngineOptions, Forms, Head, LoadedFrom, Model, ModelSource, PackCache,
    Runner, RunnerOptions,
};
use tritone_formats::GgufFile;
use tritone_formats::write::GgufWriter;

/// The tiny model in `count` files.
fn cut(directory: &Path, count: usize) -> Vec<PathBuf> {
    let bytes = fs::read(TINY).unwrap();
    let file = GgufFile::new(bytes).unwrap();
    let mut plan = GgufWriter::new();
    for (key, value) in file.metadata() {
        plan.metadata(key, value).unwrap();
    }
    for tensor in file.tensors() {
        plan.tensor(tensor.name(), tensor.ty(), tensor.dims())
            .unwrap();
    }
    let data: u64 = file.tensors().map(|t| t.byte_range().len() as u64).sum();
    let parts = plan.split(data / count as u64 + 4096).unwrap();
    assert_eq!(parts.len(), count);
    let mut paths = Vec::new();
    for (i, part) in parts.into_iter().enumerate() {
        let names: Vec<String> = part.tensor_names().map(str::to_owned).collect();
        let mut body = part.begin(Vec::new()).unwrap();
        for name in names {
            let tensor = file.require_tensor(&name).unwrap();
            body.write(&name, tensor.bytes().unwrap()).unwrap();
        }
        let name = format!("tiny-{:05}-of-{count:05}.gguf", i + 1);
        paths.push(directory.join(name));
        fs::write(&paths[i], body.finish().unwrap()).unwrap();
    }
    paths
}

fn run(path: &Path, head: Head) -> Vec<Vec<u32>> {
    let model = Arc::new(Model::open(&ModelSource::File(path.to_owned())).unwrap());
    let capacity = Capacity {
        logit_rows: 64,
        ..Capacity::new(64, 1, 64)
    };
    let forms = Forms {
        head,
        ..Forms::default()
    };
    let options = RunnerOptions {
        forms,
        mlock: true,
        ..RunnerOptions::new(best_kernel(), capacity)
    };
    let mut runner = Runner::load(model, options, &mut |_| true).unwrap();
    bits(&logits(&mut runner, &tokens(40, 5), 16))
}

#[test]
fn any_part_opens_the_whole_model() {
    let directory = TempDir::new().unwrap();
    let parts = cut(directory.path(), 3);
    for head in [Head::F16, Head::Q4Exact] {
        let expected = run(TINY.as_ref(), head);
        for part in &parts {
            assert!(run(part, head) == expected, "{}", part.display());
        }
    }
    let open = |path: &Path| Model::open(&ModelSource::File(path.to_owned())).unwrap();
    let all: u64 = parts
        .iter()
        .map(|part| part.metadata().unwrap().len())
        .sum();
    assert_eq!(open(&parts[0]).file_bytes(), all);
    assert_eq!(open(&parts[0]).content_id(), open(&parts[2]).content_id());
    assert_ne!(
        open(&parts[0]).content_id(),
        open(TINY.as_ref()).content_id()
    );
}

#[test]
fn packs_belong_to_all_parts() {
    let directory = TempDir::new().unwrap();
    let parts = cut(directory.path(), 3);
    let start = |path: &Path| {
        let options = EngineOptions {
            pack_cache: PackCache {
                dir: Some(directory.path().join("packs")),
                verify: true,
                ..PackCache::default()
            },
            ..EngineOptions::new(best_kernel())
        };
        let source = ModelSource::File(path.to_owned());
        let engine = Engine::load(&source, &options, &mut |_| true).unwrap();
        let said = engine.wait_for_packs(&mut |_| true);
        (engine.info().load.weights.from.clone(), said)
    };
    assert_eq!(start(&parts[1]).0, LoadedFrom::Packed);
    let (from, said) = start(&parts[2]);
    assert!(matches!(from, LoadedFrom::Cache(_)) && said.is_empty());
    // A change in the last part is noticed, whichever part is named.
    let mut bytes = fs::read(&parts[2]).unwrap();
    let view = GgufFile::new(bytes.clone()).unwrap();
    let weights = view.tensors().find(|tensor| tensor.ty().is_ternary());
    let at = weights.unwrap().byte_range().start;
    bytes[at..at + 32].fill(0b01_01_01_01);
    fs::write(&parts[2], bytes).unwrap();
    assert_eq!(start(&parts[0]).0, LoadedFrom::Packed);
}

#[test]
fn parts_that_are_missing_or_strange_are_named() {
    let directory = TempDir::new().unwrap();
    let parts = cut(directory.path(), 3);
    let fault = |path: &Path| {
        let opened = Model::open(&ModelSource::File(path.to_owned()));
        opened.unwrap_err().to_string()
    };
    let said = |text: String, words: &[&str]| {
        for word in words {
            assert!(text.contains(word), "no {word:?} in: {text}");
        }
    };
    let second = fs::read(&parts[1]).unwrap();
    fs::remove_file(&parts[1]).unwrap();
    said(
        fault(&parts[2]),
        &["part 2 of 3 is missing", "tiny-00002-of-00003.gguf"],
    );
    // Another part under its name.
    fs::copy(&parts[0], &parts[1]).unwrap();
    said(fault(&parts[0]), &["part 2 says that it is part 1"]);
    fs::write(&parts[1], &second[..second.len() - 64]).unwrap();
    said(
        fault(&parts[0]),
        &["tiny-00002-of-00003.gguf", "incomplete"],
    );
    fs::write(&parts[1], b"version https://git-lfs").unwrap();
    said(fault(&parts[0]), &["tiny-00002-of-00003.gguf", "git lfs"]);
    fs::write(&parts[1], &second).unwrap();
    // A part that has lost its name.
    let lost = directory.path().join("lost.gguf");
    fs::copy(&parts[1], &lost).unwrap();
    said(fault(&lost), &["part 2 of 3", "NAME-00002-of-00003.gguf"]);
    let wrong = directory.path().join("tiny-00003-of-00004.gguf");
    fs::copy(&parts[1], &wrong).unwrap();
    said(fault(&wrong), &["part 2 of 3"]);
}

/// Parts that are links to each other end in a message, not in a loop.
#[cfg(unix)]
#[test]
fn parts_that_are_one_file_are_refused() {
    use std::os::unix::fs::symlink;

    let directory = TempDir::new().unwrap();
    let parts = cut(directory.path(), 3);
    let fault = |path: &Path| Model::open(&ModelSource::File(path.to_owned())).unwrap_err();
    fs::remove_file(&parts[1]).unwrap();
    symlink(&parts[0], &parts[1]).unwrap();
    let text = fault(&parts[0]).to_string();
    assert!(text.contains("part 2 says that it is part 1"), "{text}");
    fs::remove_file(&parts[1]).unwrap();
    symlink(&parts[1], &parts[1]).unwrap();
    let text = fault(&parts[0]).to_string();
    assert!(text.contains("tiny-00002-of-00003.gguf"), "{text}");
}
