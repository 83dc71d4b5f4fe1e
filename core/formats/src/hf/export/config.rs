//! `config.json` out of the keys of a GGUF file.

use serde_json::{Value, json};

use super::refuse;
use crate::gguf::{FromValue, GgufFile};
use crate::hf::HfError;

/// A class of the library, and what belongs to it.
#[derive(Debug)]
pub(super) struct Class {
    name: &'static str,
    model_type: &'static str,
    hidden_act: &'static str,
    pub(super) sub_norms: bool,
    pub(super) head_norms: bool,
    /// Rows of queries and keys lie in another order in GGUF files.
    pub(super) permuted: bool,
}

const BITNET: Class = Class {
    name: "BitNetForCausalLM",
    model_type: "bitnet",
    hidden_act: "relu2",
    sub_norms: true,
    head_norms: false,
    permuted: false,
};
const LLAMA: Class = Class {
    name: "LlamaForCausalLM",
    model_type: "llama",
    hidden_act: "silu",
    sub_norms: false,
    head_norms: false,
    permuted: true,
};
const QWEN3: Class = Class {
    name: "Qwen3ForCausalLM",
    model_type: "qwen3",
    hidden_act: "silu",
    sub_norms: false,
    head_norms: true,
    permuted: false,
};

/// What `config.json` and the tensors are made from.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) class: &'static Class,
    pub(super) architecture: String,
    pub(super) layers: usize,
    pub(super) hidden: usize,
    pub(super) ffn: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    pub(super) vocab: usize,
    pub(super) context: u32,
    eps: f32,
    theta: f32,
    /// `rope_type`, factor and first context.
    scaling: Option<(String, f32, Option<u32>)>,
    pub(super) tied: bool,
    /// Each product has a norm of its own.
    pub(super) input_norms: bool,
    pub(super) bos: Option<u32>,
    pub(super) eos: Option<u32>,
    pub(super) eot: Option<u32>,
    pub(super) pad: Option<u32>,
}

impl Model {
    pub(super) fn new<B: AsRef<[u8]>>(file: &GgufFile<B>) -> Result<Self, HfError> {
        let architecture: &str = need(file, "general.architecture")?;
        let class = match architecture {
            "bitnet-b1.58" | "bitnet-25" => &BITNET,
            "llama" => &LLAMA,
            "qwen3" => &QWEN3,
            other => {
                return refuse(format!(
                    "the library has no class for architecture '{}' that reads packed ternary weights; \
                     bitnet-b1.58, llama and qwen3 can be written, anything as a GGUF file of another \
                     --type",
                    other.escape_default()
                ));
            }
        };
        let key = |name: &str| format!("{architecture}.{name}");
        if file
            .metadata()
            .any(|(key, _)| key.starts_with("prism.hadamard."))
        {
            return refuse(
                "its weights are folded with a Hadamard transform (prism.hadamard.*), which the \
                 library would not undo; a GGUF file of another --type keeps that",
            );
        }
        if file.get(&key("attention.sliding_window")).is_some() {
            return refuse(format!(
                "its attention has windows, which {} of packed weights does not say",
                class.name
            ));
        }
        let size = |name: &str, most: usize| -> Result<usize, HfError> {
            let value: usize = need(file, &key(name))?;
            if value == 0 || value > most {
                return refuse(format!("{} is {value}; expected 1 to {most}", key(name)));
            }
            Ok(value)
        };
        let heads = size("attention.head_count", 1024)?;
        let hidden = size("embedding_length", 1 << 17)?;
        let kv_heads = maybe(file, &key("attention.head_count_kv"))?.unwrap_or(heads);
        let head_dim = maybe(file, &key("attention.key_length"))?.unwrap_or(hidden / heads);
        let sound = (1..=heads).contains(&kv_heads) && (2..=1024).contains(&head_dim);
        if !sound || !head_dim.is_multiple_of(2) {
            return refuse(format!(
                "{heads} heads and {kv_heads} for keys, of {head_dim} values each, make no sense"
            ));
        }
        let rotated: usize = maybe(file, &key("rope.dimension_count"))?.unwrap_or(head_dim);
        if rotated != head_dim {
            return refuse(format!(
                "only {rotated} of {head_dim} values of a head are rotated, which {} cannot say",
                class.name
            ));
        }
        let id = |name: &str| maybe::<u32, B>(file, &format!("tokenizer.ggml.{name}_token_id"));
        let has = |name: &str| file.tensor(name).is_some();
        let embedding = file.require_tensor("token_embd.weight").map_err(gguf)?;
        let theta: f32 = maybe(file, &key("rope.freq_base"))?.unwrap_or(10_000.0);
        let eps: f32 = maybe(file, &key("attention.layer_norm_rms_epsilon"))?.unwrap_or(1e-5);
        if !theta.is_finite() || !eps.is_finite() {
            return refuse(format!(
                "rope.freq_base {theta} or norm epsilon {eps} makes no sense"
            ));
        }
        Ok(Self {
            class,
            layers: size("block_count", 1024)?,
            hidden,
            ffn: size("feed_forward_length", 1 << 17)?,
            heads,
            kv_heads,
            head_dim,
            vocab: embedding.rows(),
            context: need(file, &key("context_length"))?,
            eps,
            theta,
            scaling: scaling(file, architecture)?,
            tied: !has("output.weight"),
            input_norms: has("blk.0.attn_q_norm_in.weight"),
            bos: id("bos")?,
            eos: id("eos")?,
            eot: id("eot")?,
            pad: id("padding")?,
            architecture: architecture.to_owned(),
        })
    }
}

/// Type of RoPE scaling with its factor and first context.
type Scaling = (String, f32, Option<u32>);

fn scaling<B: AsRef<[u8]>>(
    file: &GgufFile<B>,
    architecture: &str,
) -> Result<Option<Scaling>, HfError> {
    let key = |name: &str| format!("{architecture}.rope.scaling.{name}");
    let factor = || maybe::<f32, B>(file, &key("factor")).map(|factor| factor.unwrap_or(1.0));
    let scaling = match maybe::<&str, B>(file, &key("type"))? {
        None | Some("none") => return Ok(None),
        Some("linear") => ("linear".to_owned(), factor()?, None),
        Some("yarn") => {
            let first = need(file, &key("original_context_length"))?;
            ("yarn".to_owned(), factor()?, Some(first))
        }
        Some(other) => {
            return refuse(format!(
                "RoPE scaling '{}' is not supported; 'linear' and 'yarn' are",
                other.escape_default()
            ));
        }
    };
    match scaling.1.is_finite() {
        true => Ok(Some(scaling)),
        false => refuse(format!("{} is no number", key("factor"))),
    }
}

/// The text of `config.json`.
pub(super) fn config(model: &Model) -> String {
    let mut rope = json!({ "rope_type": "default", "rope_theta": decimal(model.theta) });
    if let Some((kind, factor, first)) = &model.scaling {
        rope["rope_type"] = json!(kind);
        rope["factor"] = decimal(*factor);
        if let Some(first) = first {
            rope["original_max_position_embeddings"] = json!(first);
        }
    }
    let mut config = json!({
        "architectures": [model.class.name],
        "model_type": model.class.model_type,
        "vocab_size": model.vocab,
        "hidden_size": model.hidden,
        "intermediate_size": model.ffn,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "head_dim": model.head_dim,
        "hidden_act": model.class.hidden_act,
        "max_position_embeddings": model.context,
        "rms_norm_eps": decimal(model.eps),
        "rope_theta": decimal(model.theta),
        "rope_parameters": rope,
        "tie_word_embeddings": model.tied,
        "attention_bias": false,
        "use_cache": true,
        "bos_token_id": model.bos,
        "eos_token_id": model.eos,
        "pad_token_id": model.pad,
        // Intermediate values of a squared ReLU are too large for float16.
        "torch_dtype": "bfloat16",
        "quantization_config": {
            "quant_method": "bitnet",
            "linear_class": "autobitlinear",
            "quantization_mode": "offline",
            "use_rms_norm": model.input_norms,
            "rms_norm_eps": decimal(model.eps),
            "modules_to_not_convert": ["lm_head"],
        },
    });
    if model.scaling.is_some() {
        config["rope_scaling"] = config["rope_parameters"].clone();
    }
    pretty(&config)
}

/// A value as the text of a file.
pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// The shortest decimal that is this number, as people write it.
fn decimal(x: f32) -> Value {
    x.to_string()
        .parse::<f64>()
        .map_or(Value::Null, Value::from)
}

pub(super) fn gguf(error: crate::error::GgufError) -> HfError {
    HfError::Export(error.to_string())
}

pub(super) fn need<'a, T: FromValue<'a>, B: AsRef<[u8]>>(
    file: &'a GgufFile<B>,
    key: &str,
) -> Result<T, HfError> {
    file.require(key).map_err(gguf)
}

pub(super) fn maybe<'a, T: FromValue<'a>, B: AsRef<[u8]>>(
    file: &'a GgufFile<B>,
    key: &str,
) -> Result<Option<T>, HfError> {
    file.value(key).map_err(gguf)
}
