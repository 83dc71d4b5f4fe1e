//! What a model is, as data: the options of the one generic decoder.
//!
//! A recipe is read from metadata and decides everything the forward pass does differently from
//! model to model. A new family is a new way to fill this struct, not a new forward pass.

use tritone_abi::{GateKind, RopeStyle};
use tritone_formats::GgufFile;

/// Rotary position embedding (Su et al. 2021).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// Base of the angles.
    pub theta: f32,
    /// Values of a head that are rotated; even, at most the head.
    pub dims: usize,
    /// Which values are paired.
    pub style: RopeStyle,
}

/// A decoder, as data.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// `general.architecture`.
    pub architecture: String,
    /// `general.name`, or the architecture.
    pub name: String,
    /// Decoder layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the feed-forward product.
    pub ffn: usize,
    /// Query heads.
    pub heads: usize,
    /// KV heads; divides `heads`.
    pub kv_heads: usize,
    /// Values of a head.
    pub head_dim: usize,
    /// Tokens of the vocabulary.
    pub vocab: usize,
    /// Positions the model was trained for.
    pub trained_context: usize,
    /// Added to the mean square in every norm.
    pub eps: f32,
    /// Positions.
    pub rope: Rope,
    /// Feed-forward gate.
    pub gate: GateKind,
    /// RMSNorm between attention and output projection, and between gate and down projection
    /// (BitNet's sub-norms).
    pub sub_norms: bool,
    /// The head is the embedding matrix.
    pub tied_head: bool,
}

impl Recipe {
    /// Reads the recipe of a GGUF file.
    ///
    /// # Errors
    /// The key or tensor that is missing or makes no sense, with what was expected.
    pub fn from_gguf<B: AsRef<[u8]>>(file: &GgufFile<B>) -> Result<Self, String> {
        let text = |e: tritone_formats::GgufError| e.to_string();
        let architecture: &str = file.require("general.architecture").map_err(text)?;
        if !matches!(architecture, "bitnet-b1.58" | "bitnet-25") {
            return Err(format!(
                "architecture '{}' is not supported; this version runs 'bitnet-b1.58' and its old \
                 name 'bitnet-25' (BitNet b1.58 2B4T and models of the same make)",
                architecture.escape_default()
            ));
        }
        let size = |key: &str, most: usize| -> Result<usize, String> {
            let key = format!("{architecture}.{key}");
            let value: usize = file.require(&key).map_err(text)?;
            if value == 0 || value > most {
                return Err(format!("{key} is {value}; expected 1 to {most}"));
            }
            Ok(value)
        };
        let optional = |key: &str| -> Result<Option<usize>, String> {
            file.value(&format!("{architecture}.{key}")).map_err(text)
        };
        let layers = size("block_count", 1024)?;
        let hidden = size("embedding_length", 131_072)?;
        let ffn = size("feed_forward_length", 131_072)?;
        let heads = size("attention.head_count", 1024)?;
        let kv_heads = optional("attention.head_count_kv")?.unwrap_or(heads);
        if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            return Err(format!(
                "{kv_heads} KV heads do not divide {heads} query heads"
            ));
        }
        let head_dim = match optional("attention.key_length")? {
            Some(dim) => dim,
            None if hidden.is_multiple_of(heads) => hidden / heads,
            None => {
                return Err(format!(
                    "{heads} heads do not divide a hidden size of {hidden}"
                ));
            }
        };
        if head_dim == 0 || head_dim > 1024 || !head_dim.is_multiple_of(2) {
            return Err(format!(
                "a head of {head_dim} values; expected an even number to 1024"
            ));
        }
        let rope_dims = optional("rope.dimension_count")?.unwrap_or(head_dim);
        if rope_dims == 0 || rope_dims > head_dim || !rope_dims.is_multiple_of(2) {
            return Err(format!(
                "rotation over {rope_dims} of {head_dim} values of a head"
            ));
        }
        let float = |key: &str| -> Result<Option<f32>, String> {
            file.value(&format!("{architecture}.{key}")).map_err(text)
        };
        let theta = float("rope.freq_base")?.unwrap_or(10_000.0);
        let eps = float("attention.layer_norm_rms_epsilon")?.unwrap_or(1e-5);
        if !(theta.is_finite() && theta >= 1.0 && eps.is_finite() && (0.0..1.0).contains(&eps)) {
            return Err(format!(
                "rope.freq_base {theta} or norm epsilon {eps} makes no sense"
            ));
        }
        if let Some(scaling) = file
            .value::<&str>(&format!("{architecture}.rope.scaling.type"))
            .map_err(text)?
            && scaling != "none"
        {
            return Err(format!(
                "RoPE scaling '{}' is not supported",
                scaling.escape_default()
            ));
        }
        let embedding = file.require_tensor("token_embd.weight").map_err(text)?;
        let vocab = embedding.rows();
        if embedding.columns() != hidden {
            return Err(format!(
                "the embedding 'token_embd.weight' has rows of {}; \
                 {architecture}.embedding_length asks for {hidden}",
                embedding.columns()
            ));
        }
        let name = file
            .value::<&str>("general.name")
            .map_err(text)?
            .unwrap_or(architecture);
        Ok(Self {
            name: name.chars().filter(|c| !c.is_control()).take(80).collect(),
            layers,
            hidden,
            ffn,
            heads,
            kv_heads,
            head_dim,
            vocab,
            trained_context: size("context_length", 1 << 24)?,
            eps,
            rope: Rope {
                theta,
                dims: rope_dims,
                style: RopeStyle::Half,
            },
            gate: GateKind::Relu2,
            sub_norms: true,
            tied_head: file.tensor("output.weight").is_none(),
            architecture: architecture.to_owned(),
        })
    }

    /// Width of all query heads together.
    #[must_use]
    pub fn q_dim(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of all key (or value) heads together.
    #[must_use]
    pub fn kv_dim(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Widest input of a ternary matrix.
    #[must_use]
    pub fn max_cols(&self) -> usize {
        self.hidden.max(self.ffn).max(self.q_dim())
    }

    /// Name, rows and columns of the ternary matrices of a layer, in the order they are used.
    #[must_use]
    pub fn matrices(&self) -> [(&'static str, usize, usize); 7] {
        let (h, q, kv, f) = (self.hidden, self.q_dim(), self.kv_dim(), self.ffn);
        [
            ("attn_q", q, h),
            ("attn_k", kv, h),
            ("attn_v", kv, h),
            ("attn_output", h, q),
            ("ffn_gate", f, h),
            ("ffn_up", f, h),
            ("ffn_down", h, f),
        ]
    }

    /// Names of all ternary tensors, layer by layer.
    pub(crate) fn ternary_tensors(&self) -> impl Iterator<Item = String> {
        let matrices = self.matrices();
        (0..self.layers).flat_map(move |layer| {
            let name = move |(name, _, _)| format!("blk.{layer}.{name}.weight");
            matrices.into_iter().map(name)
        })
    }

    /// Name of the tensor that is the head.
    pub(crate) fn head_tensor(&self) -> &'static str {
        if self.tied_head {
            "token_embd.weight"
        } else {
            "output.weight"
        }
    }

    /// Name and width of the norms of a layer.
    #[must_use]
    pub fn norms(&self) -> Vec<(&'static str, usize)> {
        let mut norms = vec![("attn_norm", self.hidden), ("ffn_norm", self.hidden)];
        if self.sub_norms {
            norms.extend([("attn_sub_norm", self.q_dim()), ("ffn_sub_norm", self.ffn)]);
        }
        norms
    }

    /// Ternary weights of all layers, each of which is one multiply-add for a token.
    #[must_use]
    pub fn ternary_weights(&self) -> u64 {
        let matrices = self.matrices();
        let layer: u64 = matrices.iter().map(|(_, r, c)| *r as u64 * *c as u64).sum();
        layer * self.layers as u64
    }

    /// Weights of the model: ternary matrices, embeddings, head and norms.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        let norms: u64 = self.norms().iter().map(|(_, n)| *n as u64).sum();
        let table = self.vocab as u64 * self.hidden as u64;
        let tables = if self.tied_head { table } else { 2 * table };
        self.ternary_weights() + self.layers as u64 * norms + tables + self.hidden as u64
    }
}
