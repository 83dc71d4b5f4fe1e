//! Model directories that are written are read as what they were written from.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

use serde_json::{Map, Value, json};
use tritone_formats::codec::{Rounding, Scales, encode_row, encode_ternary};
use tritone_formats::hf::{HfExport, HfFiles, HfModel};
use tritone_formats::write::{GgufWriter, Strings};
use tritone_formats::{GgufFile, TensorType};

const VOCAB: usize = 300;
const HIDDEN: usize = 128;

/// One token for every byte in the alphabet of GPT-2, and some of other kinds.
fn tokens() -> (Vec<String>, Vec<i32>) {
    let mut others = 256_u32..;
    let bytes = (0..256_u32).map(|byte| match byte {
        33..=126 | 161..=172 | 174..=255 => byte,
        _ => others.next().unwrap(),
    });
    let mut tokens: Vec<String> = bytes
        .map(|code| char::from_u32(code).unwrap().to_string())
        .collect();
    tokens.extend(["ab", "abc", "\"q\\", "mine", "<|im_start|>", "<|im_end|>"].map(String::from));
    let mut types = vec![1; 259];
    types.extend([4, 3, 3]);
    tokens.extend((tokens.len()..VOCAB).map(|id| format!("<|filler_{id}|>")));
    types.resize(VOCAB, 5);
    (tokens, types)
}

/// A model of one layer, with a rule that cuts words, and more keys.
fn model(pre: Option<&str>, keys: &[(&str, bool)], scales: &Scales) -> Vec<u8> {
    let mut plan = GgufWriter::new();
    let (tokens, types) = tokens();
    plan.metadata("general.architecture", "llama").unwrap();
    for (key, value) in [
        ("block_count", 1_u32),
        ("context_length", 64),
        ("embedding_length", HIDDEN as u32),
        ("feed_forward_length", HIDDEN as u32),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 1),
    ] {
        plan.metadata(&format!("llama.{key}"), value).unwrap();
    }
    plan.metadata("tokenizer.ggml.model", "gpt2").unwrap();
    if let Some(pre) = pre {
        plan.metadata("tokenizer.ggml.pre", pre).unwrap();
    }
    plan.metadata("tokenizer.ggml.tokens", Strings(&tokens))
        .unwrap();
    plan.metadata("tokenizer.ggml.token_type", &types[..])
        .unwrap();
    let merges = ["a b".to_owned(), "ab c".to_owned()];
    plan.metadata("tokenizer.ggml.merges", Strings(&merges))
        .unwrap();
    plan.metadata("tokenizer.ggml.bos_token_id", 260_u32)
        .unwrap();
    plan.metadata("tokenizer.ggml.eos_token_id", 261_u32)
        .unwrap();
    for (key, value) in keys {
        plan.metadata(key, *value).unwrap();
    }
    let ty = TensorType::Iq2Bn;
    let matrices = [
        ("attn_q", HIDDEN),
        ("attn_k", HIDDEN / 2),
        ("attn_v", HIDDEN / 2),
        ("attn_output", HIDDEN),
        ("ffn_gate", HIDDEN),
        ("ffn_up", HIDDEN),
        ("ffn_down", HIDDEN),
    ];
    plan.tensor("token_embd.weight", TensorType::F16, &[HIDDEN, VOCAB])
        .unwrap();
    for name in ["blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"] {
        plan.tensor(&format!("{name}.weight"), TensorType::F32, &[HIDDEN])
            .unwrap();
    }
    for (name, rows) in matrices {
        let name = format!("blk.0.{name}.weight");
        plan.tensor(&name, ty, &[HIDDEN, rows]).unwrap();
    }
    let mut body = plan.begin(Vec::new()).unwrap();
    let mut table = Vec::new();
    for i in 0..VOCAB {
        let row: Vec<f32> = (0..HIDDEN).map(|j| ((i * j) % 17) as f32 / 8.0).collect();
        encode_row(TensorType::F16, &row, &mut table).unwrap();
    }
    body.write("token_embd.weight", &table).unwrap();
    for name in ["blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"] {
        let norm: Vec<u8> = (0..HIDDEN)
            .flat_map(|i| (1.0 + i as f32 / 3.0).to_le_bytes())
            .collect();
        body.write(&format!("{name}.weight"), &norm).unwrap();
    }
    for (name, rows) in matrices {
        let ternary: Vec<i8> = (0..rows * HIDDEN)
            .map(|i| (i * i % 7 % 3) as i8 - 1)
            .collect();
        let scales = match scales {
            Scales::Row(_) => Scales::Row((0..rows).map(|i| 1.0 + i as f32).collect()),
            scales => scales.clone(),
        };
        let bytes = encode_ternary(ty, &ternary, (rows, HIDDEN), &scales, Rounding::Exact);
        body.write(&format!("blk.0.{name}.weight"), &bytes.unwrap())
            .unwrap();
    }
    body.finish().unwrap()
}

/// The file after a way through a directory.
fn through(bytes: &[u8]) -> Vec<u8> {
    let file = GgufFile::new(bytes).unwrap();
    let export = HfExport::new(&file).unwrap();
    let text = |name: &str| {
        let found = export.texts.iter().find(|(file, _)| *file == name);
        found.map(|(_, text)| text.as_str())
    };
    let (mut tensors, mut data) = (Map::new(), Vec::new());
    for part in &export.tensors {
        let start = data.len();
        data.extend_from_slice(&part.bytes(&file).unwrap());
        let entry = json!({
            "dtype": part.dtype.name(),
            "shape": part.shape,
            "data_offsets": [start, data.len()],
        });
        tensors.insert(part.name.clone(), entry);
    }
    let header = Value::Object(tensors).to_string();
    let length = (header.len() as u64).to_le_bytes();
    let shard = [&length[..], header.as_bytes(), &data].concat();
    let shards: [&[u8]; 1] = [&shard];
    let files = HfFiles {
        config: text("config.json").unwrap(),
        tokenizer: text("tokenizer.json"),
        tokenizer_config: text("tokenizer_config.json"),
        generation_config: text("generation_config.json"),
        chat_template: text("chat_template.jinja"),
        shards: &shards,
    };
    let back = HfModel::new(&files).unwrap();
    let plan = back
        .plan("back", Some(TensorType::Iq2Bn), &mut |_| true)
        .unwrap();
    let mut body = plan.writer.begin(Vec::new()).unwrap();
    for tensor in &plan.tensors {
        let bytes = back.bytes(tensor, Rounding::Exact).unwrap();
        body.write(&tensor.name, &bytes).unwrap();
    }
    body.finish().unwrap()
}

#[test]
fn every_rule_that_is_written_is_read_as_the_same() {
    let one = Scales::Tensor(0.123_456_79);
    for (pre, read) in [
        ("llama-bpe", "llama-bpe"),
        ("llama3", "llama-bpe"),
        ("qwen2", "qwen2"),
        ("qwen35", "qwen35"),
        ("gpt-2", "gpt-2"),
        ("falcon_e", "falcon_e"),
        ("falcon", "falcon"),
    ] {
        let keys = [
            ("tokenizer.ggml.add_bos_token", pre.len() % 2 == 0),
            ("tokenizer.ggml.add_eos_token", false),
        ];
        let (first, back) = (
            model(Some(pre), &keys, &one),
            through(&model(Some(pre), &keys, &one)),
        );
        let (first, back) = (
            GgufFile::new(&first[..]).unwrap(),
            GgufFile::new(&back[..]).unwrap(),
        );
        let found: &str = back.require("tokenizer.ggml.pre").unwrap();
        assert_eq!(found, read, "{pre}");
        for key in [
            "tokens",
            "token_type",
            "merges",
            "bos_token_id",
            "eos_token_id",
            "add_bos_token",
        ] {
            let key = format!("tokenizer.ggml.{key}");
            let value = |file: &GgufFile<&[u8]>| format!("{:?}", file.get(&key));
            assert!(value(&first) == value(&back), "{pre}: {key}");
        }
        // Nothing is said of what the name of the rule says.
        for key in ["nfc", "ignore_merges"] {
            assert!(
                back.get(&format!("tritone.tokenizer.{key}")).is_none(),
                "{pre}: {key}"
            );
        }
        for tensor in first.tensors() {
            let again = back.require_tensor(tensor.name()).unwrap();
            let (mut a, mut b) = (vec![0.0; HIDDEN], vec![1.0; HIDDEN]);
            for row in 0..tensor.rows() {
                tensor.decode_row(row, &mut a).unwrap();
                again.decode_row(row, &mut b).unwrap();
                assert_eq!(a, b, "{pre}: {} {row}", tensor.name());
            }
        }
    }
}

#[test]
fn what_a_file_says_beside_the_rule_is_kept() {
    let one = Scales::Tensor(1.0);
    for (pre, key, value) in [
        ("qwen2", "nfc", false),
        ("llama-bpe", "ignore_merges", false),
    ] {
        let key = format!("tritone.tokenizer.{key}");
        let back = through(&model(Some(pre), &[(&key, value)], &one));
        let back = GgufFile::new(&back[..]).unwrap();
        assert_eq!(back.value::<bool>(&key).unwrap(), Some(value), "{pre}");
    }
}

#[test]
fn what_cannot_be_written_is_refused_with_the_reason() {
    let one = Scales::Tensor(1.0);
    let error = |bytes: Vec<u8>| {
        let file = GgufFile::new(&bytes[..]).unwrap();
        HfExport::new(&file).unwrap_err().to_string()
    };
    for (bytes, why) in [
        (model(None, &[], &one), "cuts text into words"),
        (
            model(Some("qwen2"), &[("prism.hadamard.version", true)], &one),
            "Hadamard",
        ),
        (
            model(
                Some("qwen2"),
                &[("llama.attention.sliding_window", true)],
                &one,
            ),
            "windows",
        ),
        (model(Some("tekken"), &[], &one), "'tekken'"),
        (
            model(Some("qwen2"), &[], &Scales::Row(Vec::new())),
            "belong to rows",
        ),
    ] {
        let error = error(bytes);
        assert!(error.contains(why), "{error}");
    }
}
