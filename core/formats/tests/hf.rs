//! Directories of the transformers library: how weights are stored, where templates stand, and what is
//! refused.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

use std::collections::BTreeMap;

use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};
use tritone_formats::codec::{Rounding, absmean};
use tritone_formats::hf::{HfError, HfFiles, HfModel};
use tritone_formats::{GgufFile, TensorType};

const HIDDEN: usize = 256;
const FFN: usize = 512;
const MATRICES: [(&str, &str, usize, usize); 7] = [
    ("attn_q", "self_attn.q_proj", HIDDEN, HIDDEN),
    ("attn_k", "self_attn.k_proj", HIDDEN / 2, HIDDEN),
    ("attn_v", "self_attn.v_proj", HIDDEN / 2, HIDDEN),
    ("attn_output", "self_attn.o_proj", HIDDEN, HIDDEN),
    ("ffn_gate", "mlp.gate_proj", FFN, HIDDEN),
    ("ffn_up", "mlp.up_proj", FFN, HIDDEN),
    ("ffn_down", "mlp.down_proj", HIDDEN, FFN),
];

type Stored = (Dtype, Vec<usize>, Vec<u8>);

/// A small Llama of one layer.
struct Model {
    config: Value,
    tensors: BTreeMap<String, Stored>,
}

fn floats(dtype: Dtype, values: &[f32]) -> Vec<u8> {
    let bytes = |x: &f32| match dtype {
        Dtype::F32 => x.to_le_bytes().to_vec(),
        Dtype::F16 => half::f16::from_f32(*x).to_le_bytes().to_vec(),
        _ => half::bf16::from_f32(*x).to_le_bytes().to_vec(),
    };
    values.iter().flat_map(bytes).collect()
}

fn ternary(row: usize, column: usize) -> f32 {
    ((row * 31 + column * 7 + column / 5) % 3) as f32 - 1.0
}

impl Model {
    /// Weights are floats of type `dtype`: ternary ones times `scale` of columns, row and column.
    fn new(dtype: Dtype, scale: impl Fn(usize, usize, usize) -> f32) -> Self {
        let config = json!({
            "architectures": ["LlamaForCausalLM"], "vocab_size": 512, "hidden_size": HIDDEN,
            "intermediate_size": FFN, "num_hidden_layers": 1, "num_attention_heads": 4,
            "num_key_value_heads": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
            "tie_word_embeddings": true,
        });
        let tensors = BTreeMap::new();
        let mut this = Self { config, tensors };
        let table: Vec<f32> = (0..512 * HIDDEN).map(|i| (i % 97) as f32 / 64.0).collect();
        this.put("model.embed_tokens.weight", dtype, &[512, HIDDEN], &table);
        let layer = "model.layers.0";
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            this.put(
                &format!("{layer}.{norm}.weight"),
                dtype,
                &[HIDDEN],
                &[1.0; HIDDEN],
            );
        }
        this.put("model.norm.weight", dtype, &[HIDDEN], &[1.0; HIDDEN]);
        for (_, name, rows, columns) in MATRICES {
            let value = |at: usize| {
                let (row, column) = (at / columns, at % columns);
                ternary(row, column) * scale(columns, row, column)
            };
            let values: Vec<f32> = (0..rows * columns).map(value).collect();
            this.put(
                &format!("{layer}.{name}.weight"),
                dtype,
                &[rows, columns],
                &values,
            );
        }
        this
    }

    fn put(&mut self, name: &str, dtype: Dtype, shape: &[usize], values: &[f32]) {
        let stored = (dtype, shape.to_vec(), floats(dtype, values));
        self.tensors.insert(name.to_owned(), stored);
    }

    /// The safetensors file.
    fn weights(&self) -> Vec<u8> {
        let view = |(name, (dtype, shape, data)): (&String, &Stored)| {
            let view = TensorView::new(*dtype, shape.clone(), data).unwrap();
            (name.clone(), view.data().to_vec(), *dtype, shape.clone())
        };
        let owned: Vec<_> = self.tensors.iter().map(view).collect();
        let views = owned.iter().map(|(name, data, dtype, shape)| {
            (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
        });
        safetensors::serialize(views, None).unwrap()
    }

    fn convert(&self, ty: Option<TensorType>, rounding: Rounding) -> Result<Vec<u8>, HfError> {
        self.convert_with(&HfFiles::default(), &[&self.weights()], ty, rounding)
    }

    fn convert_with(
        &self,
        files: &HfFiles<'_>,
        shards: &[&[u8]],
        ty: Option<TensorType>,
        rounding: Rounding,
    ) -> Result<Vec<u8>, HfError> {
        let config = self.config.to_string();
        let files = HfFiles {
            config: &config,
            shards,
            ..*files
        };
        write(&HfModel::new(&files)?, ty, rounding)
    }

    fn fault(&self) -> String {
        self.convert(None, Rounding::Exact).unwrap_err().to_string()
    }
}

fn write(
    model: &HfModel<'_>,
    ty: Option<TensorType>,
    rounding: Rounding,
) -> Result<Vec<u8>, HfError> {
    let plan = model.plan("test", ty, &mut |_| true)?;
    let mut body = plan.writer.begin(Vec::new()).unwrap();
    for tensor in &plan.tensors {
        body.write(&tensor.name, &model.bytes(tensor, rounding)?)
            .unwrap();
    }
    Ok(body.finish().unwrap())
}

/// The row of the directory that row `row` of a GGUF tensor is.
fn source_row(name: &str, row: usize) -> usize {
    let (head, inner) = (row / 64 * 64, row % 64);
    match name {
        "attn_q" | "attn_k" => head + inner / 2 + inner % 2 * 32,
        _ => row,
    }
}

#[test]
fn unpacked_grids_become_the_types_that_hold_them() {
    type Scale = fn(usize, usize, usize) -> f32;
    let cases: [(Scale, &str, &str); 5] = [
        (|_, _, _| 0.5, "I2_S", "I2_S"),
        // Shards of rows, shards of columns at three borders.
        (
            |_, row, _| if row < 100 { 0.5 } else { 0.25 },
            "IQ2_BN",
            "IQ2_BN",
        ),
        (
            |columns, _, column| if column < columns / 2 { 0.5 } else { 0.125 },
            "PQ2_0",
            "TQ2_0",
        ),
        (
            |_, _, column| if column < 64 { 0.5 } else { 2.0 },
            "Q2_0",
            "Q2_0",
        ),
        // And both ways at once.
        (
            |_, row, column| (1 + row % 7 + column / 128) as f32 / 8.0,
            "PQ2_0",
            "PQ2_0",
        ),
    ];
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        for (scale, narrow, wide) in cases {
            let model = Model::new(dtype, scale);
            let file = GgufFile::new(model.convert(None, Rounding::Exact).unwrap()).unwrap();
            for (name, _, rows, columns) in MATRICES {
                let tensor = file
                    .require_tensor(&format!("blk.0.{name}.weight"))
                    .unwrap();
                let expected = if columns == FFN { wide } else { narrow };
                assert_eq!(tensor.ty().name(), expected, "{name}");
                let mut out = vec![9.0; columns];
                for row in 0..rows {
                    tensor.decode_row(row, &mut out).unwrap();
                    let from = source_row(name, row);
                    for (column, x) in out.iter().enumerate() {
                        let expected = ternary(from, column) * scale(columns, from, column);
                        assert_eq!(*x, expected, "{name} {row} {column}");
                    }
                }
            }
            let table = file.require_tensor("token_embd.weight").unwrap();
            let kept = [Dtype::F32, Dtype::F16, Dtype::BF16].map(|d| d == dtype);
            let types = [TensorType::F32, TensorType::F16, TensorType::Bf16];
            let same = types.iter().zip(kept).find(|(_, kept)| *kept).unwrap().0;
            assert_eq!(table.ty(), *same, "floats keep their type");
        }
    }
}

#[test]
fn what_no_type_holds_is_said() {
    // A scale of a group that is no half.
    let fine = Model::new(Dtype::F32, |_, row, column| {
        0.1 + (row % 3 + column / 128) as f32
    });
    let text = fine.fault();
    assert!(
        text.contains("q_proj") && text.contains("128 columns"),
        "{text}"
    );
    let refused = fine.convert(Some(TensorType::Pq2_0), Rounding::Exact);
    assert!(matches!(refused, Err(HfError::Codec { .. })));
    let nearest = fine.convert(Some(TensorType::Pq2_0), Rounding::Nearest);
    GgufFile::new(nearest.unwrap()).unwrap();
    // A value that is off, in the last matrix.
    let mut off = Model::new(Dtype::F32, |_, _, _| 0.5);
    let (_, shape, data) = off
        .tensors
        .get_mut("model.layers.0.mlp.down_proj.weight")
        .unwrap();
    let at = 3 * shape[1] + 70;
    data[4 * at..][..4].copy_from_slice(&0.3f32.to_le_bytes());
    let text = off.fault();
    assert!(
        text.contains("down_proj.weight") && text.contains("row 3, column 70 is 0.3"),
        "{text}"
    );
    for (value, said) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        let (.., data) = off
            .tensors
            .get_mut("model.layers.0.mlp.down_proj.weight")
            .unwrap();
        data[4 * at..][..4].copy_from_slice(&value.to_le_bytes());
        let text = off.fault();
        assert!(
            text.contains("down_proj.weight") && text.contains(said),
            "{text}"
        );
    }
}

#[test]
fn a_look_at_the_weights_can_be_ended() {
    let model = Model::new(Dtype::F32, |_, _, _| 0.5);
    let (config, weights) = (model.config.to_string(), model.weights());
    let files = HfFiles {
        config: &config,
        shards: &[&weights],
        ..HfFiles::default()
    };
    let model = HfModel::new(&files).unwrap();
    let mut calls = Vec::new();
    let stopped = model.plan("x", None, &mut |seen| {
        calls.push(seen);
        calls.len() < 3
    });
    assert!(matches!(stopped, Err(HfError::Stopped)));
    let first = (HIDDEN * HIDDEN * 4) as u64;
    assert_eq!(calls, [0, first, first + first / 2]);
}

#[test]
fn the_first_reproductions_are_master_weights() {
    // Neither on a grid nor with a quantization_config.
    let master =
        |_: usize, row: usize, column: usize| 0.1 + ((row * 13 + column) % 29) as f32 / 64.0;
    let mut model = Model::new(Dtype::F16, master);
    let names = [
        ("self_attn.inner_attn_ln", HIDDEN),
        ("mlp.ffn_layernorm", FFN),
    ];
    for (name, width) in names {
        let name = format!("model.layers.0.{name}.weight");
        model.put(&name, Dtype::F16, &[width], &vec![1.0; width]);
    }
    model.config["architectures"] = json!(["BitnetForCausalLM"]);
    model.config["input_bits"] = json!(8);
    model.config["weight_bits"] = json!(1);
    let file = GgufFile::new(model.convert(None, Rounding::Exact).unwrap()).unwrap();
    assert_eq!(file.require::<&str>("general.architecture"), Ok("bitnet"));
    let tensor = file.require_tensor("blk.0.ffn_down.weight").unwrap();
    assert_eq!(tensor.ty(), TensorType::I2S);
    let halves = |at: usize| {
        let (row, column) = (at / FFN, at % FFN);
        half::f16::from_f32(ternary(row, column) * master(FFN, row, column)).to_f32()
    };
    let (weights, scales) = absmean(&(0..HIDDEN * FFN).map(halves).collect::<Vec<_>>());
    assert_eq!(tensor.ternary().unwrap().scales(), Ok(scales.clone()));
    let mut out = vec![0.0; FFN];
    for row in [0, 100, HIDDEN - 1] {
        tensor.decode_row(row, &mut out).unwrap();
        for (column, x) in out.iter().enumerate() {
            let scale = scales.at(FFN, row, column).unwrap();
            assert_eq!(*x, f32::from(weights[row * FFN + column]) * scale);
        }
    }
    // No tokenizer: bytes are tokens, and the file says so wherever it goes.
    let said: Vec<&str> = file.require("tritone.notices").unwrap();
    assert!(said[0].contains("no tokenizer"), "{said:?}");
    // The same weights as another architecture are master weights only on demand.
    model.config["architectures"] = json!(["LlamaForCausalLM"]);
    assert!(model.fault().contains("no ternary grid"));
    let (config, weights) = (model.config.to_string(), model.weights());
    let files = HfFiles {
        config: &config,
        shards: &[&weights],
        ..HfFiles::default()
    };
    let mut asked = HfModel::new(&files).unwrap();
    asked.ternarise();
    write(&asked, None, Rounding::Exact).unwrap();
}

/// Widths that blocks of 128 do not divide, as in the 3B reproduction, have a type all the same.
#[test]
fn odd_widths_have_a_type() {
    let one = tritone_formats::codec::Scales::Tensor(1.0);
    let ty = |columns| tritone_formats::codec::lossless_type(&one, columns);
    assert_eq!(ty(3200), Some(TensorType::I2S));
    assert_eq!(ty(8640), Some(TensorType::Iq2Bn));
    assert_eq!(ty(100), None);
}

/// A byte-level tokenizer of the 256 bytes and a few tokens.
fn tokenizer() -> String {
    let mut others = 256..;
    let letter = |byte: u32| match byte {
        33..=126 | 161..=172 | 174..=255 => byte,
        _ => others.next().unwrap(),
    };
    let letters: Vec<u32> = (0..256).map(letter).collect();
    let mut vocab = serde_json::Map::new();
    for (id, code) in letters.into_iter().enumerate() {
        vocab.insert(char::from_u32(code).unwrap().to_string(), json!(id));
    }
    let special = |(id, text): (usize, &str)| json!({"id": id, "content": text, "special": true});
    let added: Vec<Value> = [(300, "<s>"), (301, "</s>"), (302, "<|eot|>")]
        .map(special)
        .into();
    json!({
        "model": {"type": "BPE", "vocab": vocab, "merges": []},
        "added_tokens": added,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
        "decoder": {"type": "ByteLevel"},
    })
    .to_string()
}

#[test]
fn a_template_has_three_places_and_ends_have_two() {
    let model = Model::new(Dtype::F32, |_, _, _| 0.5);
    let weights = model.weights();
    let tokenizer = tokenizer();
    let read = |files: HfFiles<'_>| {
        let files = HfFiles {
            tokenizer: Some(&tokenizer),
            ..files
        };
        let bytes = model.convert_with(&files, &[&weights], None, Rounding::Exact);
        GgufFile::new(bytes.unwrap()).unwrap()
    };
    let template = |file: &GgufFile<Vec<u8>>| -> Option<String> {
        let text: Option<&str> = file.value("tokenizer.chat_template").unwrap();
        text.map(str::to_owned)
    };
    let one = r#"{"chat_template": "from the tokenizer", "eos_token": {"content": "</s>"}}"#;
    let named = r#"{"chat_template": [{"name": "tool_use", "template": "tools"},
        {"name": "default", "template": "the default"}], "eos_token": "</s>", "bos_token": "<s>"}"#;
    let plain = read(HfFiles::default());
    assert_eq!(template(&plain), None);
    let from_tokenizer = read(HfFiles {
        tokenizer_config: Some(one),
        ..HfFiles::default()
    });
    assert_eq!(template(&from_tokenizer).unwrap(), "from the tokenizer");
    assert_eq!(
        from_tokenizer.require::<u32>("tokenizer.ggml.eos_token_id"),
        Ok(301)
    );
    let named = read(HfFiles {
        tokenizer_config: Some(named),
        generation_config: Some(r#"{"eos_token_id": [302, 301]}"#),
        ..HfFiles::default()
    });
    assert_eq!(template(&named).unwrap(), "the default");
    assert_eq!(named.require::<u32>("tokenizer.ggml.eos_token_id"), Ok(302));
    assert_eq!(named.require::<u32>("tokenizer.ggml.eot_token_id"), Ok(301));
    assert_eq!(named.require::<u32>("tokenizer.ggml.bos_token_id"), Ok(300));
    let own_file = read(HfFiles {
        tokenizer_config: Some(one),
        chat_template: Some("from a file"),
        ..HfFiles::default()
    });
    assert_eq!(template(&own_file).unwrap(), "from a file");
}

#[test]
fn shards_are_one_model() {
    let model = Model::new(Dtype::F32, |_, _, _| 0.5);
    let whole = model.convert(None, Rounding::Exact).unwrap();
    let mut first = Model::new(Dtype::F32, |_, _, _| 0.5);
    let mut second = Model::new(Dtype::F32, |_, _, _| 0.5);
    first.tensors.retain(|name, _| name.contains("self_attn"));
    second.tensors.retain(|name, _| !name.contains("self_attn"));
    let (a, b) = (first.weights(), second.weights());
    let convert =
        |shards: &[&[u8]]| model.convert_with(&HfFiles::default(), shards, None, Rounding::Exact);
    assert!(convert(&[&a, &b]).unwrap() == whole);
    assert!(convert(&[&b, &a]).unwrap() == whole, "in any order");
    let text = convert(&[&a]).unwrap_err().to_string();
    assert!(
        text.contains("model.embed_tokens.weight") && text.contains("missing"),
        "{text}"
    );
    let text = convert(&[&a, &b, &a]).unwrap_err().to_string();
    assert!(text.contains("is there twice"), "{text}");
}

/// A safetensors file with this header, and `data` zeros.
fn raw(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn damaged_safetensors_have_messages() {
    let model = Model::new(Dtype::F32, |_, _, _| 0.5);
    let sound = model.weights();
    let fault = |bytes: &[u8]| {
        let converted = model.convert_with(&HfFiles::default(), &[bytes], None, Rounding::Exact);
        converted.unwrap_err().to_string()
    };
    let tensor = |range: &str| {
        format!(r#"{{"a": {{"dtype": "F32", "shape": [4], "data_offsets": {range}}}}}"#)
    };
    let two = |a: &str, b: &str| {
        format!(
            r#"{{"a": {{"dtype": "F32", "shape": [4], "data_offsets": {a}}},
                "b": {{"dtype": "F32", "shape": [4], "data_offsets": {b}}}}}"#
        )
    };
    for (what, bytes) in [
        ("empty", vec![]),
        ("cut in the length", sound[..7].to_vec()),
        ("cut in the header", sound[..100].to_vec()),
        ("cut in the data", sound[..sound.len() - 1].to_vec()),
        ("more data than tensors", [&sound[..], &[0]].concat()),
        (
            "header of 2^64-1 bytes",
            [&[255; 8][..], &sound[8..]].concat(),
        ),
        (
            "header of 2^63 bytes",
            [&[0, 0, 0, 0, 0, 0, 0, 128][..], &sound[8..]].concat(),
        ),
        (
            "header of 100 MB",
            [&100_000_001_u64.to_le_bytes()[..], &sound[8..]].concat(),
        ),
        ("no JSON", raw("{\"a\": ", 0)),
        (
            "not UTF-8",
            [&8_u64.to_le_bytes()[..], b"{\"\xff\": 1}"].concat(),
        ),
        ("nested", raw(&"[".repeat(100_000), 0)),
        (
            "unknown type",
            raw(&tensor("[0, 16]").replace("F32", "Q9"), 16),
        ),
        ("overlap", raw(&two("[0, 16]", "[8, 24]"), 24)),
        ("same place", raw(&two("[0, 16]", "[0, 16]"), 16)),
        ("hole", raw(&two("[0, 16]", "[32, 48]"), 48)),
        ("backwards", raw(&tensor("[16, 0]"), 16)),
        ("range that is no size", raw(&tensor("[0, 12]"), 12)),
        ("past the end", raw(&tensor("[0, 16]"), 8)),
        (
            "offset 2^63",
            raw(&tensor("[9223372036854775808, 9223372036854775824]"), 16),
        ),
        ("negative offset", raw(&tensor("[-16, 0]"), 16)),
        (
            "size 2^64",
            raw(
                &tensor("[0, 16]").replace("[4]", "[4294967296, 4294967296]"),
                16,
            ),
        ),
    ] {
        let text = fault(&bytes);
        assert!(text.starts_with("safetensors file 1: "), "{what}: {text}");
    }
    let mut strange = Model::new(Dtype::F32, |_, _, _| 0.5);
    let stored = strange
        .tensors
        .get_mut("model.layers.0.mlp.up_proj.weight")
        .unwrap();
    stored.0 = Dtype::I32;
    let text = strange.fault();
    assert!(
        text.contains("up_proj.weight") && text.contains("I32"),
        "{text}"
    );
    let stored = strange
        .tensors
        .get_mut("model.layers.0.mlp.up_proj.weight")
        .unwrap();
    (stored.0, stored.1) = (Dtype::F32, vec![HIDDEN, FFN]);
    let text = strange.fault();
    assert!(
        text.contains("[256, 512]") && text.contains("[512, 256]"),
        "{text}"
    );
}

#[test]
fn scales_of_packed_weights_are_checked() {
    let packed = |class: &str, scale: f32| {
        let mut model = Model::new(Dtype::F32, |_, _, _| 0.5);
        model.config["quantization_config"] =
            json!({"quant_method": "bitnet", "linear_class": class});
        for (_, name, rows, columns) in MATRICES {
            let name = format!("model.layers.0.{name}");
            let bytes = vec![0b01_10_00_01; rows / 4 * columns];
            let stored = (Dtype::U8, vec![rows / 4, columns], bytes);
            model.tensors.insert(format!("{name}.weight"), stored);
            model.put(&format!("{name}.weight_scale"), Dtype::F32, &[1], &[scale]);
        }
        model
    };
    let scale = |model: &Model| {
        let file = GgufFile::new(model.convert(None, Rounding::Exact).unwrap()).unwrap();
        let tensor = file.require_tensor("blk.0.ffn_up.weight").unwrap();
        tensor.ternary().unwrap().row_scales(0).unwrap()[0]
    };
    assert_eq!(scale(&packed("bitlinear", 4.0)), 0.25);
    assert_eq!(scale(&packed("autobitlinear", 4.0)), 4.0);
    for class in ["bitlinear", "autobitlinear"] {
        for (scale, said) in [
            (0.0, "larger than zero"),
            (-0.0, "larger than zero"),
            (-2.0, "is -2"),
            (f32::NAN, "NaN"),
            (f32::INFINITY, "inf"),
        ] {
            let text = packed(class, scale).fault();
            let named = text.contains("q_proj.weight_scale");
            assert!(named && text.contains(said), "{class} {scale}: {text}");
        }
    }
    assert!(packed("bitlinear", 1e-40).fault().contains("too small"));
    let mut three = packed("bitlinear", 1.0);
    let stored = three
        .tensors
        .get_mut("model.layers.0.mlp.gate_proj.weight")
        .unwrap();
    stored.2[5 * HIDDEN + 3] |= 0b1100;
    let text = three.fault();
    assert!(
        text.contains("gate_proj") && text.contains("row 133, column 3"),
        "{text}"
    );
    let mut short = packed("bitlinear", 1.0);
    short
        .tensors
        .remove("model.layers.0.mlp.gate_proj.weight_scale");
    assert!(short.fault().contains("weight_scale': is missing"));
}

/// Numbers of a configuration that make no sense end in a message, whatever they are.
#[test]
fn nonsense_in_config_json_is_refused() {
    let sizes = [
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
    ];
    for key in sizes {
        for value in [
            json!(0),
            json!(-1),
            json!(1u64 << 40),
            json!(u32::MAX),
            json!(0.5),
            json!("x"),
        ] {
            let mut model = Model::new(Dtype::F32, |_, _, _| 0.5);
            model.config[key] = value.clone();
            let text = model.fault();
            assert!(text.contains("config.json"), "{key} {value}: {text}");
        }
    }
    for (key, value) in [
        ("num_key_value_heads", json!(0)),
        ("head_dim", json!(0)),
        ("head_dim", json!(u32::MAX)),
        ("num_key_value_heads", json!(u32::MAX)),
        ("attention_bias", json!(true)),
        ("hidden_act", json!("gelu")),
        ("rope_scaling", json!({"rope_type": "strange"})),
        ("architectures", json!(["GPT2LMHeadModel"])),
        ("quantization_config", json!({"quant_method": "gptq"})),
    ] {
        let mut model = Model::new(Dtype::F32, |_, _, _| 0.5);
        model.config[key] = value.clone();
        assert!(!model.fault().is_empty(), "{key} {value}");
    }
}
