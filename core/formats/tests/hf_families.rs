//! Directories of Gemma 3, MiniCPM and embedding models: names, norms, and keys of their own.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

use serde_json::{Value, json};
use std::collections::BTreeMap;

use safetensors::{Dtype, tensor::TensorView};
use tritone_formats::codec::Rounding;
use tritone_formats::hf::{HfFiles, HfModel};
use tritone_formats::{GgufFile, TensorType};

const HIDDEN: usize = 256;
const HEAD: usize = 64;
const NORM: f32 = 0.25;

/// A small model of two layers, whose norms are all [`NORM`] and whose weights are ternary.
struct Model {
    config: Value,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Model {
    fn new(class: &str, prefix: &str, more: Value) -> Self {
        let mut config = json!({
            "architectures": [class], "vocab_size": 300, "hidden_size": HIDDEN,
            "intermediate_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "head_dim": HEAD, "max_position_embeddings": 128,
            "rms_norm_eps": 1e-6,
        });
        let object = config.as_object_mut().unwrap();
        object.extend(more.as_object().unwrap().clone());
        let mut this = Self {
            config,
            tensors: BTreeMap::new(),
        };
        let table = (0..300 * HIDDEN).map(|i| (i % 97) as f32 / 64.0).collect();
        this.put(format!("{prefix}embed_tokens"), &[300, HIDDEN], table);
        this.norm(format!("{prefix}norm"), HIDDEN);
        for layer in 0..2 {
            let name = |name: &str| format!("{prefix}layers.{layer}.{name}");
            for norm in [
                "input_layernorm",
                "post_attention_layernorm",
                "pre_feedforward_layernorm",
                "post_feedforward_layernorm",
            ] {
                this.norm(name(norm), HIDDEN);
            }
            this.norm(name("self_attn.q_norm"), HEAD);
            this.norm(name("self_attn.k_norm"), HEAD);
            for (matrix, rows) in [
                ("self_attn.q_proj", HIDDEN),
                ("self_attn.k_proj", 2 * HEAD),
                ("self_attn.v_proj", 2 * HEAD),
                ("self_attn.o_proj", HIDDEN),
                ("mlp.gate_proj", HIDDEN),
                ("mlp.up_proj", HIDDEN),
                ("mlp.down_proj", HIDDEN),
            ] {
                let value = |i: usize| ((i * 31 + i / 7) % 3) as f32 * 0.5 - 0.5;
                let values = (0..rows * HIDDEN).map(value).collect();
                this.put(name(matrix), &[rows, HIDDEN], values);
            }
        }
        this
    }

    /// With norms of their own in front of all products.
    fn own_norms(mut self) -> Self {
        let names: Vec<String> = self.tensors.keys().cloned().collect();
        for name in names.iter().filter(|name| name.contains("_proj")) {
            let name = name.strip_suffix(".weight").unwrap();
            self.norm(format!("{name}.norm"), HIDDEN);
        }
        self
    }

    fn put(&mut self, name: String, shape: &[usize], values: Vec<f32>) {
        self.tensors
            .insert(name + ".weight", (shape.to_vec(), values));
    }

    fn norm(&mut self, name: String, width: usize) {
        self.put(name, &[width], vec![NORM; width]);
    }

    fn convert(&self) -> Result<GgufFile<Vec<u8>>, String> {
        let bytes = |values: &Vec<f32>| values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let all = self.tensors.iter();
        let owned: Vec<(&String, &Vec<usize>, Vec<u8>)> = all
            .map(|(name, (shape, values))| (name, shape, bytes(values)))
            .collect();
        let views = owned.iter().map(|(name, shape, data)| {
            let view = TensorView::new(Dtype::F32, (*shape).clone(), data);
            (name, view.unwrap())
        });
        let weights = safetensors::serialize(views, None).unwrap();
        let config = self.config.to_string();
        let files = HfFiles {
            config: &config,
            shards: &[&weights],
            ..HfFiles::default()
        };
        let model = HfModel::new(&files).map_err(|e| e.to_string())?;
        let plan = model.plan("test", Some(TensorType::I2S), &mut |_| true);
        let plan = plan.map_err(|e| e.to_string())?;
        let mut body = plan.writer.begin(Vec::new()).unwrap();
        for tensor in &plan.tensors {
            let bytes = model.bytes(tensor, Rounding::Exact);
            let bytes = bytes.map_err(|e| e.to_string())?;
            body.write(&tensor.name, &bytes).unwrap();
        }
        Ok(GgufFile::new(body.finish().unwrap()).unwrap())
    }
}

fn values(file: &GgufFile<Vec<u8>>, name: &str) -> Vec<f32> {
    let view = file.require_tensor(name).unwrap();
    let mut out = vec![0.0; view.columns()];
    view.decode_row(0, &mut out).unwrap();
    out
}

fn gemma3(class: &str, prefix: &str, more: Value) -> Model {
    let mut all = json!({
        "hidden_activation": "gelu_pytorch_tanh", "sliding_window": 32,
        "query_pre_attn_scalar": 64, "rope_theta": 2e6,
    });
    let object = all.as_object_mut().unwrap();
    object.extend(more.as_object().unwrap().clone());
    Model::new(class, prefix, all)
}

#[test]
fn gemma3_adds_one_to_its_norms_but_not_to_those_of_products() {
    let layouts = [
        json!({ "rope_local_base_freq": 7e3, "sliding_window_pattern": 2 }),
        json!({
            "layer_types": ["sliding_attention", "full_attention"],
            "rope_parameters": {
                "full_attention": { "rope_type": "default", "rope_theta": 2e6 },
                "sliding_attention": { "rope_type": "default", "rope_theta": 7e3 },
            },
        }),
    ];
    for (layout, (class, prefix)) in layouts
        .into_iter()
        .zip([("Gemma3ForCausalLM", "model."), ("Gemma3TextModel", "")])
    {
        let file = gemma3(class, prefix, layout).own_norms().convert().unwrap();
        for name in [
            "attn_norm",
            "ffn_norm",
            "post_attention_norm",
            "post_ffw_norm",
            "attn_q_norm",
            "attn_k_norm",
        ] {
            let norm = values(&file, &format!("blk.1.{name}.weight"));
            assert!(norm.iter().all(|w| *w == 1.0 + NORM), "{name}");
        }
        assert_eq!(values(&file, "output_norm.weight")[0], 1.0 + NORM);
        for name in ["attn_q", "attn_output", "ffn_down"] {
            let norm = values(&file, &format!("blk.1.{name}_norm_in.weight"));
            assert!(norm.iter().all(|w| *w == NORM), "{name}");
        }
        assert!(
            file.tensor("output.weight").is_none(),
            "tied if nothing is said"
        );
        let float = |key: &str| file.require::<f32>(&format!("gemma3.{key}")).unwrap();
        assert_eq!(float("rope.freq_base"), 2e6);
        assert_eq!(float("rope.freq_base_swa"), 7e3);
        assert_eq!(float("attention.scale"), 0.125);
        let window: u32 = file.require("gemma3.attention.sliding_window").unwrap();
        let local: Vec<bool> = file
            .require("gemma3.attention.sliding_window_pattern")
            .unwrap();
        assert_eq!((window, local), (32, vec![true, false]));
    }
}

#[test]
fn minicpm_has_scales_divisors_and_reordered_rows() {
    let factors = |step: f64| (0..HEAD / 2).map(move |i| 1.0 + step * i as f64);
    let list = |step| factors(step).collect::<Vec<_>>();
    let more = json!({
        "scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 64, "tie_word_embeddings": true,
        "rope_scaling": {
            "rope_type": "longrope", "short_factor": list(0.1), "long_factor": list(0.5),
            "original_max_position_embeddings": 32,
        },
    });
    let file = Model::new("MiniCPMForCausalLM", "model.", more).convert();
    let file = file.unwrap();
    let float = |key: &str| file.require::<f32>(&format!("minicpm.{key}")).unwrap();
    assert_eq!(float("embedding_scale"), 12.0);
    assert_eq!(float("residual_scale"), (1.4 / 2f64.sqrt()) as f32);
    assert_eq!(float("logit_scale"), 4.0);
    // Four times the first context: sqrt(1 + ln 4 / ln 32).
    let gain = (1.0 + 4f64.ln() / 32f64.ln()).sqrt() as f32;
    assert_eq!(float("rope.scaling.attn_factor"), gain);
    assert_eq!(
        file.require::<&str>("minicpm.rope.scaling.type").unwrap(),
        "longrope"
    );
    for (name, step) in [("short", 0.1), ("long", 0.5)] {
        let got = values(&file, &format!("rope_factors_{name}.weight"));
        let want: Vec<f32> = factors(step).map(|x| x as f32).collect();
        assert_eq!(got, want);
    }
    let tied = json!({ "tie_word_embeddings": true });
    let llama = Model::new("LlamaForCausalLM", "model.", tied).convert();
    let llama = llama.unwrap();
    for name in ["blk.0.attn_q.weight", "blk.0.attn_v.weight"] {
        let bytes =
            |file: &GgufFile<Vec<u8>>| file.require_tensor(name).unwrap().bytes().unwrap().to_vec();
        assert_eq!(bytes(&file), bytes(&llama), "{name}");
    }
}

#[test]
fn embedding_models_of_qwen3_have_neither_head_nor_prefix() {
    let model = Model::new("Qwen3Model", "", json!({})).own_norms();
    let file = model.convert().unwrap();
    assert_eq!(
        file.require::<&str>("general.architecture").unwrap(),
        "qwen3"
    );
    assert!(file.tensor("output.weight").is_none());
    assert_eq!(values(&file, "blk.0.attn_q_norm_in.weight")[0], NORM);
    assert_eq!(values(&file, "blk.0.attn_norm.weight")[0], NORM);
}

#[test]
fn what_would_be_computed_in_another_way_is_refused() {
    let gemma = |more: Value, says: &str| {
        let error = gemma3("Gemma3ForCausalLM", "model.", more).convert();
        let error = error.err().unwrap();
        assert!(error.contains(says), "{error}");
    };
    gemma(
        json!({ "use_bidirectional_attention": true }),
        "both directions",
    );
    gemma(json!({ "final_logit_softcapping": 30.0 }), "softcapping");
    gemma(
        json!({ "layer_types": ["full_attention"] }),
        "about 1 of 2 layers",
    );
    gemma(json!({ "layer_types": ["a", "b"] }), "layer type 'a'");
    gemma(
        json!({ "query_pre_attn_scalar": -1 }),
        "query_pre_attn_scalar is -1",
    );
    gemma(
        json!({ "hidden_activation": "silu" }),
        "has 'gelu_pytorch_tanh'",
    );
    let longrope = json!({
        "rope_scaling": { "rope_type": "longrope", "short_factor": [1.0], "long_factor": [1.0] },
    });
    let error = Model::new("MiniCPMForCausalLM", "model.", longrope).convert();
    let error = error.err().unwrap();
    assert!(
        error.contains("short_factor has 1 numbers; expected 32"),
        "{error}"
    );
}
