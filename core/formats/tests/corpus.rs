//! Replays the corpora of the fuzz targets `gguf`, `split` and `hf`, so that they count without a fuzzer.
//!
//! The seeds are made here; with `TRITONE_WRITE_SEEDS=1` the test writes them to the corpus. Inputs
//! that a fuzzer has found are kept beside them and replayed too.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

mod directory;
mod exercise;
mod parts;
mod raw;

use std::fs;
use std::path::Path;

use raw::Raw;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");

/// Name, content, and whether it is sound.
fn seeds() -> Vec<(&'static str, Vec<u8>, bool)> {
    let one = |ty, dims: &[u64], data: &[u8]| {
        Raw::header(3, 1, 0).tensor("t", dims, ty, 0).data(32, data)
    };
    let tokens = Raw::default()
        .text(b"<s>")
        .text(b"\xc4\xa0a")
        .text(b"\xff")
        .0;
    vec![
        ("rich", raw::rich(), true),
        ("empty-v3", Raw::header(3, 0, 0).0, true),
        ("empty-v2", Raw::header(2, 0, 0).0, true),
        (
            "big-endian",
            b"GGUF\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
            false,
        ),
        (
            "tokens",
            Raw::header(3, 0, 1)
                .array("tokenizer.ggml.tokens", 8, 3, &tokens)
                .0,
            true,
        ),
        (
            "nested-array",
            Raw::header(3, 0, 1).array("k", 9, 1, &[0; 32]).0,
            false,
        ),
        ("q4", one(2, &[64, 2], &[0x5a; 72]), true),
        ("q6", one(14, &[256], &[0x5a; 210]), true),
        ("i2s-scale-nan", one(36, &[128], &[0xff; 64]), true),
        ("i2s-or-iq4", one(36, &[1024], &[0; 576]), true),
        ("row-scaled", one(135, &[64, 3], &[1; 60]), true),
        (
            "sizeless-without-data",
            Raw::header(3, 1, 0).tensor("", &[45], 38, 0).0,
            false,
        ),
        ("size-overflow", one(8, &[1 << 62, 2], &[0; 64]), false),
        (
            "overlap",
            Raw::header(3, 2, 0)
                .tensor("a", &[9], 0, 0)
                .tensor("b", &[1], 0, 32)
                .data(32, &[0; 64]),
            false,
        ),
    ]
}

/// Parts of models, and what becomes of them: the number of tensors, or `None` for a refusal.
fn split_seeds() -> Vec<(&'static str, Vec<u8>, Option<usize>)> {
    let part = |number: u8, count: u8, tensor: &str| {
        Raw::header(3, 1, 3)
            .key("split.no", 2, &[number, 0])
            .key("split.count", 2, &[count, 0])
            .key("split.tensors.count", 5, &[count, 0, 0, 0])
            .tensor(tensor, &[8], 0, 0)
            .data(32, &[1; 32])
    };
    let [a, b, c] = [(0, "a"), (1, "b"), (2, "c")].map(|(number, name)| part(number, 3, name));
    let again = part(1, 3, "a");
    let other = part(1, 2, "b");
    let input = |files: &[&Vec<u8>]| {
        let files: Vec<&[u8]> = files.iter().map(|file| file.as_slice()).collect();
        parts::input(&files)
    };
    vec![
        ("three", input(&[&a, &b, &c]), Some(3)),
        ("two-of-three", input(&[&a, &b]), None),
        ("out-of-order", input(&[&b, &a, &c]), None),
        ("one-twice", input(&[&a, &a, &c]), None),
        ("tensor-twice", input(&[&a, &again, &c]), None),
        ("other-count", input(&[&a, &other, &c]), None),
        ("whole", input(&[&raw::rich()]), None),
    ]
}

/// Model directories, and how many tensors come of them.
fn hf_seeds() -> Vec<(&'static str, Vec<u8>, Option<usize>)> {
    /// Names, shapes and values of a Llama of 64 values and one layer, whose matrices are ternary.
    fn weights(rows: usize, matrix: &str, count: usize, value: fn(usize) -> Vec<u8>) -> Vec<u8> {
        let (mut header, mut data) = (Vec::new(), Vec::new());
        let mut add = |name: String, dtype: &str, shape: &[usize], bytes: Vec<u8>| {
            let (start, end) = (data.len(), data.len() + bytes.len());
            data.extend(bytes);
            header.push(format!(
                r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{end}]}}"#
            ));
        };
        let norm = || 1.0f32.to_le_bytes().repeat(64);
        add(
            "model.embed_tokens.weight".into(),
            "F16",
            &[256, 64],
            vec![0; 256 * 128],
        );
        let layer = "model.layers.0";
        for name in ["input_layernorm", "post_attention_layernorm"] {
            add(format!("{layer}.{name}.weight"), "F32", &[64], norm());
        }
        add("model.norm.weight".into(), "F32", &[64], norm());
        let matrices = [
            "self_attn.q_proj",
            "self_attn.k_proj",
            "self_attn.v_proj",
            "self_attn.o_proj",
            "mlp.gate_proj",
            "mlp.up_proj",
            "mlp.down_proj",
        ];
        for name in matrices.iter().take(count) {
            let bytes = (0..rows * 64).flat_map(value).collect();
            add(format!("{layer}.{name}.weight"), matrix, &[rows, 64], bytes);
            if matrix == "U8" {
                let scale = 2.0f32.to_le_bytes().to_vec();
                add(format!("{layer}.{name}.weight_scale"), "F32", &[1], scale);
            }
        }
        let header = format!("{{{}}}", header.join(","));
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.bytes());
        file.extend(data);
        file
    }
    let config = |class: &str, more: &str| {
        format!(
            r#"{{"architectures":["{class}"],"vocab_size":256,"hidden_size":64,"intermediate_size":64,"num_hidden_layers":1,"num_attention_heads":2,"max_position_embeddings":64,"rms_norm_eps":1e-5,"tie_word_embeddings":true{more}}}"#
        )
    };
    let input = |config: String, weights: &[u8]| [config.as_bytes(), &[0], weights].concat();
    let half = |i: usize| [[0, 0], [0, 0x38], [0, 0xb8]][i % 3].to_vec();
    let grid = weights(64, "F16", 7, half);
    let off = weights(64, "F16", 1, |i| vec![i as u8, 0x38]);
    let packed = weights(16, "U8", 7, |_| vec![0b01_10_00_01]);
    let bitnet = r#","quantization_config":{"quant_method":"bitnet"}"#;
    let yarn = format!(r#"{bitnet},"rope_scaling":{{"rope_type":"yarn","factor":4.0}}"#);
    vec![
        (
            "grid",
            input(config("LlamaForCausalLM", ""), &grid),
            Some(11),
        ),
        (
            "off-grid",
            input(config("LlamaForCausalLM", ""), &off),
            None,
        ),
        (
            "packed",
            input(config("LlamaForCausalLM", bitnet), &packed),
            Some(11),
        ),
        (
            "yarn",
            input(config("LlamaForCausalLM", &yarn), &packed),
            Some(11),
        ),
        (
            "qwen3-lacks-norms",
            input(config("Qwen3ForCausalLM", bitnet), &packed),
            None,
        ),
        (
            "config-only",
            config("LlamaForCausalLM", "").into_bytes(),
            None,
        ),
        (
            "huge-header",
            input(config("LlamaForCausalLM", ""), &[255; 16]),
            None,
        ),
        (
            "huge-vocabulary",
            input(
                config("LlamaForCausalLM", "").replace(":256,", ":4194304,"),
                &[8, 0, 0, 0, 0, 0, 0, 0, b'{', b'}', 32, 32, 32, 32, 32, 32],
            ),
            None,
        ),
    ]
}

/// Compares a seed with the corpus, or writes it there.
fn compare(target: &str, name: &str, bytes: &[u8]) {
    let path = Path::new(CORPUS).join(target).join(name);
    if std::env::var_os("TRITONE_WRITE_SEEDS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
    }
    assert!(
        fs::read(&path).unwrap() == bytes,
        "{target}/{name} is out of date"
    );
}

#[test]
fn seeds_are_in_the_corpus() {
    for (name, bytes, sound) in seeds() {
        assert!(bytes.len() < 4096, "{name}");
        assert_eq!(exercise::exercise(&bytes).is_ok(), sound, "{name}");
        compare("gguf", name, &bytes);
    }
    for (name, bytes, tensors) in split_seeds() {
        let joined = parts::exercise(&bytes).unwrap();
        assert_eq!(joined.ok(), tensors, "{name}");
        compare("split", name, &bytes);
    }
    for (name, bytes, tensors) in hf_seeds() {
        let converted = directory::exercise(&bytes);
        assert_eq!(
            converted.as_ref().ok(),
            tensors.as_ref(),
            "{name}: {converted:?}"
        );
        compare("hf", name, &bytes);
    }
}

#[test]
fn the_corpus_is_no_danger() {
    let replay = |target: &str, exercise: fn(&[u8])| {
        let mut replayed = 0;
        for entry in fs::read_dir(Path::new(CORPUS).join(target)).unwrap() {
            exercise(&fs::read(entry.unwrap().path()).unwrap());
            replayed += 1;
        }
        assert!(replayed > 0, "{target}");
    };
    replay("gguf", |bytes| drop(exercise::exercise(bytes)));
    replay("split", |bytes| drop(parts::exercise(bytes)));
    replay("hf", |bytes| drop(directory::exercise(bytes)));
}
