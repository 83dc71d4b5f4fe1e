//! `config.json`.

mod class;
mod extra;

use serde::Deserialize;

pub(super) use class::Class;
pub(super) use extra::Value;

use super::{HfError, json};

/// One token id, or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Ids {
    One(u32),
    Many(Vec<u32>),
}

impl Ids {
    pub(super) fn list(&self) -> Vec<u32> {
        match self {
            Self::One(id) => vec![*id],
            Self::Many(ids) => ids.clone(),
        }
    }
}

/// What is read of the file.
#[derive(Debug, Deserialize)]
struct Raw {
    architectures: Option<Vec<String>>,
    vocab_size: u32,
    hidden_size: u32,
    intermediate_size: u32,
    num_hidden_layers: u32,
    num_attention_heads: u32,
    num_key_value_heads: Option<u32>,
    head_dim: Option<u32>,
    #[serde(alias = "hidden_activation")]
    hidden_act: Option<String>,
    max_position_embeddings: u32,
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    rope_parameters: Option<RopeByKind>,
    rope_scaling: Option<RopeParameters>,
    tie_word_embeddings: Option<bool>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    use_sliding_window: bool,
    bos_token_id: Option<Ids>,
    eos_token_id: Option<Ids>,
    pad_token_id: Option<Ids>,
    quantization_config: Option<Quantization>,
    // Gemma 3.
    sliding_window: Option<u32>,
    #[serde(alias = "_sliding_window_pattern")]
    sliding_window_pattern: Option<u32>,
    layer_types: Option<Vec<String>>,
    query_pre_attn_scalar: Option<f64>,
    rope_local_base_freq: Option<f64>,
    attn_logit_softcapping: Option<f64>,
    final_logit_softcapping: Option<f64>,
    use_bidirectional_attention: Option<bool>,
    // MiniCPM.
    scale_emb: Option<f64>,
    scale_depth: Option<f64>,
    dim_model_base: Option<f64>,
}

/// One rotation for all layers, or one for each kind of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum RopeByKind {
    Kinds {
        full_attention: RopeParameters,
        sliding_attention: RopeParameters,
    },
    All(RopeParameters),
}

#[derive(Debug, Clone, Default, Deserialize)]
struct RopeParameters {
    #[serde(alias = "type")]
    rope_type: Option<String>,
    rope_theta: Option<f64>,
    factor: Option<f64>,
    original_max_position_embeddings: Option<u32>,
    short_factor: Option<Vec<f64>>,
    long_factor: Option<Vec<f64>>,
    attention_factor: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Quantization {
    quant_method: String,
    linear_class: Option<String>,
    quantization_mode: Option<String>,
    #[serde(default)]
    use_rms_norm: bool,
    rms_norm_eps: Option<f64>,
}

/// How ternary weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// Packed codes times `weight_scale`.
    Multiply,
    /// Packed codes over `weight_scale`.
    Divide,
    /// Master weights.
    Online,
    /// Floats that are ternary already.
    Grid,
}

/// How rotary angles were changed for longer contexts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RopeScaling {
    /// Not at all.
    None,
    /// Divided.
    Linear { factor: f64 },
    /// YaRN.
    Yarn { factor: f64, original: u32 },
    /// LongRoPE: divisors of the angles in contexts up to `original`, and in longer ones.
    Factors {
        short: Vec<f32>,
        long: Vec<f32>,
        original: u32,
        gain: f64,
    },
}

/// The configuration of a model that is supported.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) class: &'static Class,
    /// More keys of a GGUF file, without the architecture.
    pub(super) keys: Vec<(&'static str, Value)>,
    pub(super) vocab: u32,
    pub(super) hidden: u32,
    pub(super) ffn: u32,
    pub(super) layers: u32,
    pub(super) heads: u32,
    pub(super) kv_heads: u32,
    pub(super) head_dim: u32,
    pub(super) context: u32,
    pub(super) eps: f64,
    pub(super) theta: f64,
    pub(super) scaling: RopeScaling,
    pub(super) tied: bool,
    pub(super) input_norms: bool,
    pub(super) stored: Stored,
    pub(super) bos: Option<u32>,
    pub(super) eos: Vec<u32>,
    pub(super) pad: Option<u32>,
}

impl Config {
    pub(super) fn new(text: &str) -> Result<Self, HfError> {
        let raw: Raw = json("config.json", text)?;
        let refuse = |what: String| Err(HfError::Config(what));
        let name = raw.architectures.iter().flatten().next();
        let class = class::find(name.map_or("", String::as_str)).map_err(HfError::Config)?;
        let act = raw.hidden_act.as_deref().unwrap_or(class.activation);
        if act != class.activation {
            let (act, name, right) = (act.escape_default(), class.name, class.activation);
            return refuse(format!("hidden_act is '{act}'; {name} has '{right}'"));
        }
        if raw.attention_bias || raw.mlp_bias || raw.use_sliding_window {
            let what = "biases and sliding windows are not supported";
            return refuse(what.to_owned());
        }
        for (key, value, most) in [
            ("num_hidden_layers", raw.num_hidden_layers, 1024),
            ("vocab_size", raw.vocab_size, 1 << 22),
            ("hidden_size", raw.hidden_size, 1 << 17),
            ("intermediate_size", raw.intermediate_size, 1 << 17),
            ("num_attention_heads", raw.num_attention_heads, 1024),
        ] {
            if value == 0 || value > most {
                return refuse(format!("{key} is {value}; expected 1 to {most}"));
            }
        }
        let head_dim = match raw.head_dim {
            Some(dim) => dim,
            None => raw
                .hidden_size
                .checked_div(raw.num_attention_heads)
                .unwrap_or(0),
        };
        let (rope, local) = match raw.rope_parameters.clone() {
            Some(RopeByKind::Kinds {
                full_attention,
                sliding_attention,
            }) => (full_attention, Some(sliding_attention)),
            Some(RopeByKind::All(rope)) => (rope, None),
            None => (raw.rope_scaling.clone().unwrap_or_default(), None),
        };
        let keys = raw.keys(class, local.as_ref()).map_err(HfError::Config)?;
        let factor = rope.factor.unwrap_or(1.0);
        let scaling = match rope.rope_type.as_deref() {
            None | Some("default") => RopeScaling::None,
            Some("linear") => RopeScaling::Linear { factor },
            Some("yarn") => {
                let original = rope.original_max_position_embeddings;
                RopeScaling::Yarn {
                    factor,
                    original: original.unwrap_or(raw.max_position_embeddings),
                }
            }
            Some("longrope") => {
                let context = raw.max_position_embeddings;
                let factors = rope.longrope(head_dim / 2, context);
                factors.map_err(HfError::Config)?
            }
            Some(other) => {
                let other = other.escape_default();
                return refuse(format!("rope_type '{other}' is not supported"));
            }
        };
        let quantization = raw.quantization_config.as_ref();
        let stored = match quantization {
            Some(quantization) => stored(quantization)?,
            // The first reproductions of BitNet are master weights and do not say so.
            None if class.name == "BitnetForCausalLM" => Stored::Online,
            None => Stored::Grid,
        };
        let own_norms = quantization.filter(|quantization| quantization.use_rms_norm);
        if let Some(quantization) = own_norms {
            // transformers has its own default for this epsilon.
            let eps = quantization.rms_norm_eps.unwrap_or(1e-6);
            if eps != raw.rms_norm_eps || class.sub_norms {
                return refuse(format!(
                    "norms of their own in front of products (use_rms_norm) are supported with \
                     the epsilon of the other norms and without sub-norms; theirs is {eps}"
                ));
            }
        }
        let first = |ids: Option<Ids>| ids.and_then(|ids| ids.list().first().copied());
        Ok(Self {
            class,
            keys,
            vocab: raw.vocab_size,
            hidden: raw.hidden_size,
            ffn: raw.intermediate_size,
            layers: raw.num_hidden_layers,
            heads: raw.num_attention_heads,
            kv_heads: raw.num_key_value_heads.unwrap_or(raw.num_attention_heads),
            head_dim,
            context: raw.max_position_embeddings,
            eps: raw.rms_norm_eps,
            theta: rope.rope_theta.or(raw.rope_theta).unwrap_or(class.theta),
            scaling,
            tied: raw.tie_word_embeddings.unwrap_or(class.tied),
            input_norms: own_norms.is_some(),
            stored,
            bos: first(raw.bos_token_id),
            eos: raw.eos_token_id.map(|ids| ids.list()).unwrap_or_default(),
            pad: first(raw.pad_token_id),
        })
    }
}

/// The meaning of the weights, by `linear_class` and mode alone: magnitudes do not tell.
fn stored(quantization: &Quantization) -> Result<Stored, HfError> {
    let refuse = |key: &str, value: &str, known: &str| {
        let value = value.escape_default();
        let what = format!("quantization_config: {key} '{value}' is not supported; {known}");
        Err(HfError::Config(what))
    };
    if quantization.quant_method != "bitnet" {
        return refuse("quant_method", &quantization.quant_method, "'bitnet' is");
    }
    let class = quantization.linear_class.as_deref().unwrap_or("bitlinear");
    let mode = quantization.quantization_mode.as_deref();
    match (class, mode.unwrap_or("offline")) {
        ("bitlinear", "offline") => Ok(Stored::Divide),
        ("autobitlinear", "offline") => Ok(Stored::Multiply),
        ("autobitlinear", "online") => Ok(Stored::Online),
        ("bitlinear" | "autobitlinear", other) => refuse(
            "quantization_mode",
            other,
            "'offline' is, and 'online' with 'autobitlinear'",
        ),
        (other, _) => refuse("linear_class", other, "'bitlinear' and 'autobitlinear' are"),
    }
}
