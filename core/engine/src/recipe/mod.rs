//! What a model is, as data: the options of the one generic decoder.
//!
//! A recipe is read from metadata and decides everything the forward pass does differently from
//! model to model. A new family is a new way to fill this struct, not a new forward pass.

mod experts;
mod family;
mod gguf;
mod hadamard;
mod recurrent;
mod rope;
mod scales;

use tritone_abi::GateKind;

use crate::embed::Pooling;
use crate::forms::Head;
pub use hadamard::Hadamard;
pub use recurrent::Recurrent;

pub use rope::{Rope, RopeScaling};

/// What mixes the positions of a sequence in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MixerKind {
    /// Softmax attention over the KV cache.
    Attention,
    /// Gated DeltaNet over a state of fixed size ([`Recurrent`]).
    Recurrent,
}

/// What a layer does to every position on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedForwardKind {
    /// One gated product.
    Dense,
    /// Some of many gated products, chosen for every token.
    Experts,
}

/// One decoder layer, as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerKind {
    /// Over positions.
    pub mixer: MixerKind,
    /// Within a position.
    pub feed_forward: FeedForwardKind,
}

/// The feed-forward parts a layer chooses from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Experts {
    /// How many there are.
    pub count: usize,
    /// How many a token uses.
    pub used: usize,
    /// Gates are at most this, and what they are multiplied with is within it on both sides.
    pub clamp: Option<f32>,
}

/// A decoder, as data.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// `general.architecture`.
    pub architecture: String,
    /// `general.name`, or the architecture.
    pub name: String,
    /// Decoder layers.
    pub layers: Vec<LayerKind>,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the feed-forward product, or of that of one expert.
    pub ffn: usize,
    /// What layers with experts choose from.
    pub experts: Option<Experts>,
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
    /// Rotation in the layers that see all positions; `None` where they know none.
    pub rope: Option<Rope>,
    /// Positions that a query sees, its own included, layer by layer; 0 for all of them. Empty when
    /// every layer sees all.
    pub windows: Vec<usize>,
    /// Rotation in the layers with a window.
    pub window_rope: Option<Rope>,
    /// Feed-forward gate.
    pub gate: GateKind,
    /// Embeddings are multiplied by it.
    pub embedding_scale: f32,
    /// Scores of attention are multiplied by it.
    pub attention_scale: f32,
    /// Results of attention and of the feed-forward product are multiplied by it before they are
    /// added to the residual stream.
    pub residual_scale: f32,
    /// Logits are multiplied by it.
    pub logit_scale: f32,
    /// RMSNorm between attention and output projection, and between gate and down projection
    /// (BitNet's sub-norms).
    pub sub_norms: bool,
    /// RMSNorm of every query and key head before it is rotated (Qwen3).
    pub head_norms: bool,
    /// RMSNorm of the results of attention and of the feed-forward product before they are added to
    /// the residual stream (Gemma).
    pub post_norms: bool,
    /// RMSNorm of its own in front of every ternary product (BitNet embeddings, models that were
    /// fine-tuned into ternary form); the two sub-norms are then such norms too.
    pub input_norms: bool,
    /// How the model was trained to make one vector of a text; `None` when it was not.
    pub pooling: Option<Pooling>,
    /// `attn_q` has a gate of its own for every query value, and the result of attention is
    /// multiplied with its sigmoid (Qwen3-Next).
    pub gated_attention: bool,
    /// Name of the norm in front of the feed-forward part.
    pub ffn_norm: &'static str,
    /// Sizes of the recurrent layers, if there are any.
    pub recurrent: Option<Recurrent>,
    /// How weights were folded, if they were.
    pub hadamard: Option<Hadamard>,
    /// The head is the embedding matrix.
    pub tied_head: bool,
    /// Fewest columns under one scale in the stored form of the ternary matrices; `None` where one
    /// reaches over a whole matrix.
    pub weight_group: Option<usize>,
    /// Columns under one scale of the head's tensor, at most the width, where it is stored in a ternary
    /// type; `None` where it is not.
    pub ternary_head: Option<usize>,
    /// Bytes of a row of the embedding, as it is stored.
    pub embedding_row: u64,
    /// The head's tensor is stored in binary16, so that a binary16 head is used from the file.
    pub head_in_file: bool,
    /// Bytes of the file before its tensors: metadata, of which the vocabulary is the most.
    pub header_bytes: u64,
    /// What of the file is left out, for the user to know.
    pub notices: Vec<String>,
}

/// Norms of their own in front of the products of the residual stream, in order of use.
pub(crate) const INPUT_NORMS: [&str; 5] = [
    "attn_q_norm_in",
    "attn_k_norm_in",
    "attn_v_norm_in",
    "ffn_gate_norm_in",
    "ffn_up_norm_in",
];

/// Norms of the results of the mixer and of the feed-forward part.
pub(crate) const POST_NORMS: [&str; 2] = ["post_attention_norm", "post_ffw_norm"];

impl Recipe {
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

    /// Positions that a query of `layer` sees, its own included: the query at position `p` those
    /// from `p - window + 1` to `p`. `None` when it sees its whole past.
    #[must_use]
    pub fn window(&self, layer: usize) -> Option<usize> {
        let window = self.windows.get(layer).copied();
        window.filter(|window| *window > 0)
    }

    /// Inputs that products of the residual stream need side by side.
    #[must_use]
    pub(crate) fn hidden_inputs(&self) -> usize {
        if self.input_norms { 3 } else { 1 }
    }

    /// Widest input of a ternary matrix.
    #[must_use]
    pub fn max_cols(&self) -> usize {
        let inner = self.recurrent.map_or(0, |recurrent| recurrent.inner());
        self.hidden.max(self.ffn).max(self.q_dim()).max(inner)
    }

    /// Outputs of the query product: queries, and their gates where they have them.
    #[must_use]
    pub fn q_rows(&self) -> usize {
        self.q_dim() * if self.gated_attention { 2 } else { 1 }
    }

    /// Layers whose keys and values are kept.
    #[must_use]
    pub fn kv_layers(&self) -> usize {
        let attends = |layer: &&LayerKind| layer.mixer == MixerKind::Attention;
        self.layers.iter().filter(attends).count()
    }

    /// Layers with a recurrent state.
    #[must_use]
    pub fn recurrent_layers(&self) -> usize {
        self.layers.len() - self.kv_layers()
    }

    /// Bytes of the recurrent states of one sequence; 0 where there are none.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        self.recurrent.map_or(0, |recurrent| {
            let floats = recurrent.state_floats() + recurrent.window_floats();
            self.recurrent_layers() as u64 * floats as u64 * 4
        })
    }

    /// Bytes of the float weights that recurrent layers keep in memory besides their matrices.
    #[must_use]
    pub(crate) fn float_bytes(&self) -> u64 {
        self.recurrent.map_or(0, |recurrent| {
            self.recurrent_layers() as u64 * recurrent.float_weights(self.hidden) as u64 * 4
        })
    }

    /// Name, rows and columns of the ternary matrices of a layer, in the order they are used. Those of
    /// experts are there as often as there are experts, all of which lie in one tensor.
    #[must_use]
    pub fn matrices(&self, layer: LayerKind) -> Vec<(&'static str, usize, usize)> {
        let (h, q, kv, f) = (self.hidden, self.q_dim(), self.kv_dim(), self.ffn);
        let mut matrices = Vec::new();
        match layer.mixer {
            MixerKind::Attention => matrices.extend([
                ("attn_q", self.q_rows(), h),
                ("attn_k", kv, h),
                ("attn_v", kv, h),
                ("attn_output", h, q),
            ]),
            MixerKind::Recurrent => {
                if let Some(recurrent) = self.recurrent {
                    let inner = recurrent.inner();
                    matrices.extend([
                        ("attn_qkv", recurrent.channels(), h),
                        ("attn_gate", inner, h),
                        ("ssm_out", h, inner),
                    ]);
                }
            }
        }
        match layer.feed_forward {
            FeedForwardKind::Dense => {
                matrices.extend([("ffn_gate", f, h), ("ffn_up", f, h), ("ffn_down", h, f)]);
            }
            FeedForwardKind::Experts => {
                for (name, rows, cols) in [
                    ("ffn_gate_exps", f, h),
                    ("ffn_up_exps", f, h),
                    ("ffn_down_exps", h, f),
                ] {
                    let count = self.stacked(name);
                    matrices.extend(std::iter::repeat_n((name, rows, cols), count));
                }
            }
        }
        matrices
    }

    /// Name, rows and columns of the ternary matrices of all layers, layer by layer.
    pub fn all_matrices(&self) -> impl Iterator<Item = (&'static str, usize, usize)> {
        self.layers.iter().flat_map(|layer| self.matrices(*layer))
    }

    /// Matrices that lie in the tensor `name`, one after another.
    pub(crate) fn stacked(&self, name: &str) -> usize {
        let experts = self.experts.filter(|_| name.ends_with("_exps"));
        experts.map_or(1, |experts| experts.count)
    }

    /// Whether the embedding lies in memory as the head, or the exact part of it.
    pub(crate) fn keeps_embedding(&self, head: Head) -> bool {
        self.tied_head && self.head_in_file && matches!(head, Head::F16 | Head::Q4Exact)
    }

    /// Rows of feed-forward products for one token.
    pub(crate) fn ffn_rows(&self) -> usize {
        self.experts.map_or(1, |experts| experts.used)
    }

    /// What the result of the matrix `name` is multiplied by; it is part of the matrix's scales.
    pub(crate) fn result_scale(&self, name: &str) -> f32 {
        match name {
            "attn_output" | "ffn_down" | "ffn_down_exps" => self.residual_scale,
            _ => 1.0,
        }
    }

    /// Names of all ternary tensors, layer by layer.
    pub(crate) fn ternary_tensors(&self) -> impl Iterator<Item = String> {
        let layers = self.layers.iter().enumerate();
        layers.flat_map(|(number, layer)| {
            let mut names = self.matrices(*layer);
            names.dedup_by_key(|(name, _, _)| *name);
            let name = move |(name, _, _)| format!("blk.{number}.{name}.weight");
            names.into_iter().map(name)
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
    pub fn norms(&self, layer: LayerKind) -> Vec<(&'static str, usize)> {
        let mut norms = vec![("attn_norm", self.hidden), (self.ffn_norm, self.hidden)];
        if self.post_norms {
            norms.extend(POST_NORMS.map(|name| (name, self.hidden)));
        }
        let (mix_in, ffn_in) = INPUT_NORMS.split_at(3);
        let own = |names: &[&'static str], last: (&'static str, usize)| {
            let names = names.iter().map(|name| (*name, self.hidden));
            names.chain([last]).collect::<Vec<_>>()
        };
        match layer.mixer {
            MixerKind::Attention => {
                if self.sub_norms {
                    norms.push(("attn_sub_norm", self.q_dim()));
                }
                if self.head_norms {
                    norms.extend(["attn_q_norm", "attn_k_norm"].map(|name| (name, self.head_dim)));
                }
                if self.input_norms {
                    norms.extend(own(mix_in, ("attn_output_norm_in", self.q_dim())));
                }
            }
            // Its one norm, of value heads, counts among its float weights.
            MixerKind::Recurrent => {}
        }
        match layer.feed_forward {
            FeedForwardKind::Dense => {
                if self.sub_norms {
                    norms.push(("ffn_sub_norm", self.ffn));
                }
                if self.input_norms {
                    norms.extend(own(ffn_in, ("ffn_down_norm_in", self.ffn)));
                }
            }
            FeedForwardKind::Experts => {}
        }
        norms
    }

    /// Ternary weights of all layers.
    #[must_use]
    pub fn ternary_weights(&self) -> u64 {
        self.all_matrices()
            .map(|(_, rows, cols)| rows as u64 * cols as u64)
            .sum()
    }

    /// Multiply-adds of one token with ternary weights: one for each, but for those of experts that
    /// are not chosen.
    #[must_use]
    pub fn ternary_macs(&self) -> u64 {
        let weights = |experts: bool| {
            let all = self.all_matrices();
            let some = all.filter(move |(name, ..)| name.ends_with("_exps") == experts);
            let weights = some.map(|(_, rows, cols)| rows as u64 * cols as u64);
            weights.sum::<u64>()
        };
        let share =
            |experts: Experts| weights(true) / experts.count.max(1) as u64 * experts.used as u64;
        weights(false) + self.experts.map_or(0, share)
    }

    /// Weights of the model: ternary matrices, embeddings, head, routers and norms.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        let norms = self.layers.iter().flat_map(|layer| self.norms(*layer));
        let norms: u64 = norms.map(|(_, width)| width as u64).sum();
        let table = self.vocab as u64 * self.hidden as u64;
        let tables = if self.tied_head { table } else { 2 * table };
        let routes = |layer: &&LayerKind| layer.feed_forward == FeedForwardKind::Experts;
        let routers = self.layers.iter().filter(routes).count() as u64;
        let router = self
            .experts
            .map_or(0, |e| e.count as u64 * self.hidden as u64);
        let floats = self.float_bytes() / 4;
        let rest = norms + floats + routers * router + self.hidden as u64;
        self.ternary_weights() + tables + rest
    }
}
