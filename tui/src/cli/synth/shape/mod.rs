//! Shapes of published models, and what a file of that shape holds.

mod hybrid;
mod list;

use tritone_formats::TensorType;
use tritone_formats::write::{GgufWriter, WriteError};

use hybrid::Hybrid;
pub(super) use list::SHAPES;

/// What a layer has besides its seven matrices and two norms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum More {
    Nothing,
    /// Norms in front of the output and down projections (BitNet).
    SubNorms,
    /// Norms of query and key heads (Qwen3).
    HeadNorms,
    /// Those, and one in front of every matrix (BitNet embedding).
    InputNorms,
    /// Those, and norms of the results of attention and feed-forward (BitNet embedding 270M).
    PostNorms,
}

/// Layers with a sliding window.
#[derive(Clone, Copy, Debug)]
struct Windows {
    size: u32,
    /// One layer of so many has none: the last.
    period: usize,
}

/// The numbers that decide a decoder's tensors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    /// `general.architecture`.
    architecture: &'static str,
    more: More,
    pub(super) layers: usize,
    hidden: usize,
    ffn: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    pub(super) vocab: usize,
    context: u32,
    theta: f32,
    eps: f32,
    /// The head is the embedding matrix.
    tied: bool,
    /// First context, of which YaRN makes four times as much.
    yarn: Option<u32>,
    windows: Option<Windows>,
    /// Values of a head that are rotated, if not all.
    rotated: Option<usize>,
    /// Experts of a layer, and how many of them a token uses; `ffn` is the width of one.
    experts: Option<(usize, usize)>,
    /// Recurrent layers, and weights that are folded.
    hybrid: Option<Hybrid>,
    /// What embeddings, results of layers and logits are scaled by (MiniCPM).
    scales: Option<[f32; 3]>,
    /// Type of the ternary matrices in the published files.
    pub(super) ternary: TensorType,
    /// Type of embedding and head there.
    pub(super) embedding: TensorType,
}

/// One tensor of a file.
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) content: Content,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Matrices that lie in the tensor.
    stacked: usize,
}

/// What a tensor is filled with.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// Small random values of this type.
    Embedding(TensorType),
    /// The same everywhere.
    Constant(f32),
    /// Random ternary weights of this type.
    Ternary(TensorType),
}

impl Content {
    /// Of norms.
    const ONES: Self = Self::Constant(1.0);

    fn ty(self) -> TensorType {
        match self {
            Self::Embedding(ty) | Self::Ternary(ty) => ty,
            Self::Constant(_) => TensorType::F32,
        }
    }
}

impl Shape {
    /// The tensors of a file, in its order.
    pub(super) fn tensors(&self) -> Vec<Tensor> {
        let (hidden, ffn) = (self.hidden, self.ffn);
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let ternary = Content::Ternary(self.ternary);
        let (gated, ffn_norm) = match self.hybrid {
            Some(_) => (2 * q, "post_attention_norm"),
            None => (q, "ffn_norm"),
        };
        let ones = |(name, width)| (name, Content::ONES, 1, width);
        let mut attention: Vec<_> = self.norms().into_iter().map(ones).collect();
        attention.extend([
            ("attn_q", ternary, gated, hidden),
            ("attn_k", ternary, kv, hidden),
            ("attn_v", ternary, kv, hidden),
            ("attn_output", ternary, hidden, q),
        ]);
        let mut feed_forward = Vec::new();
        match self.experts {
            Some((count, _)) => feed_forward.extend([
                (
                    "ffn_gate_inp",
                    Content::Embedding(TensorType::F32),
                    count,
                    hidden,
                ),
                ("ffn_gate_exps", ternary, count * ffn, hidden),
                ("ffn_up_exps", ternary, count * ffn, hidden),
                ("ffn_down_exps", ternary, count * hidden, ffn),
            ]),
            None => feed_forward.extend([
                ("ffn_gate", ternary, ffn, hidden),
                ("ffn_up", ternary, ffn, hidden),
                ("ffn_down", ternary, hidden, ffn),
            ]),
        }
        let tensor = |name: String, (content, rows, columns)| Tensor {
            stacked: match self.experts {
                Some((count, _)) if name.contains("_exps") => count,
                _ => 1,
            },
            name,
            content,
            rows,
            columns,
        };
        let table = match self.embedding {
            ty if ty.is_ternary() => Content::Ternary(ty),
            ty => Content::Embedding(ty),
        };
        let embedding = (table, self.vocab, hidden);
        let mut tensors = vec![tensor("token_embd.weight".to_owned(), embedding)];
        for number in 0..self.layers {
            let hybrid = self.hybrid.filter(|hybrid| hybrid.is_recurrent(number));
            let mixer =
                hybrid.map_or_else(|| attention.clone(), |hybrid| hybrid.mixer(hidden, ternary));
            let mut layer = vec![ones(("attn_norm", hidden)), ones((ffn_norm, hidden))];
            layer.extend(mixer);
            layer.extend_from_slice(&feed_forward);
            tensors.extend(layer.into_iter().map(|(name, content, rows, columns)| {
                let weight = if hybrid::is_bare(name) { "" } else { ".weight" };
                tensor(
                    format!("blk.{number}.{name}{weight}"),
                    (content, rows, columns),
                )
            }));
        }
        let norm = (Content::ONES, 1, hidden);
        tensors.push(tensor("output_norm.weight".to_owned(), norm));
        if !self.tied {
            tensors.push(tensor("output.weight".to_owned(), embedding));
        }
        tensors
    }

    /// Name and width of the norms of a layer, besides the two that all have.
    fn norms(&self) -> Vec<(&'static str, usize)> {
        let (hidden, ffn, q) = (self.hidden, self.ffn, self.heads * self.head_dim);
        let mut norms = Vec::new();
        if self.more == More::SubNorms {
            norms.extend([("attn_sub_norm", q), ("ffn_sub_norm", ffn)]);
        }
        if matches!(
            self.more,
            More::HeadNorms | More::InputNorms | More::PostNorms
        ) {
            norms.extend(["attn_q_norm", "attn_k_norm"].map(|name| (name, self.head_dim)));
        }
        if matches!(self.more, More::InputNorms | More::PostNorms) {
            norms.extend([
                ("attn_q_norm_in", hidden),
                ("attn_k_norm_in", hidden),
                ("attn_v_norm_in", hidden),
                ("attn_output_norm_in", q),
                ("ffn_gate_norm_in", hidden),
                ("ffn_up_norm_in", hidden),
                ("ffn_down_norm_in", ffn),
            ]);
        }
        if self.more == More::PostNorms {
            norms.extend(["post_attention_norm", "post_ffw_norm"].map(|name| (name, hidden)));
        }
        norms
    }

    /// Plans the keys that describe the shape, under the names of the official 2B4T file.
    pub(super) fn describe(
        &self,
        tensors: &[Tensor],
        plan: &mut GgufWriter,
    ) -> Result<(), WriteError> {
        let name = format!("Synthetic {} with {} layers", self.name, self.layers);
        let architecture = self.architecture;
        plan.metadata("general.architecture", architecture)?
            .metadata("general.name", name.as_str())?
            .metadata("general.file_type", 40u32)?
            .metadata("general.quantization_version", 2u32)?;
        let numbers = [
            ("vocab_size", self.vocab),
            ("embedding_length", self.hidden),
            ("block_count", self.layers),
            ("feed_forward_length", self.ffn),
            (
                "rope.dimension_count",
                self.rotated.unwrap_or(self.head_dim),
            ),
            ("attention.head_count", self.heads),
            ("attention.head_count_kv", self.kv_heads),
            ("attention.key_length", self.head_dim),
            ("attention.value_length", self.head_dim),
        ];
        for (key, number) in numbers {
            // The table above holds nothing near the limit of 32 bits.
            plan.metadata(&format!("{architecture}.{key}"), number as u32)?;
        }
        plan.metadata(&format!("{architecture}.context_length"), self.context)?
            .metadata(&format!("{architecture}.rope.freq_base"), self.theta)?
            .metadata(
                &format!("{architecture}.attention.layer_norm_rms_epsilon"),
                self.eps,
            )?;
        if let Some(original) = self.yarn {
            let key = |name: &str| format!("{architecture}.rope.scaling.{name}");
            plan.metadata(&key("type"), "yarn")?
                .metadata(&key("factor"), 4.0f32)?
                .metadata(&key("original_context_length"), original)?;
        }
        let key = |name: &str| format!("{architecture}.{name}");
        if let Some(windows) = self.windows {
            let local: Vec<bool> = (1..=self.layers)
                .map(|number| !number.is_multiple_of(windows.period))
                .collect();
            plan.metadata(&key("attention.sliding_window"), windows.size)?
                .metadata(&key("attention.sliding_window_pattern"), local.as_slice())?;
        }
        if let Some(hybrid) = &self.hybrid {
            hybrid.describe(self, tensors, plan)?;
        }
        if let Some((count, used)) = self.experts {
            plan.metadata(&key("expert_count"), count as u32)?
                .metadata(&key("expert_used_count"), used as u32)?
                .metadata(&key("expert_feed_forward_length"), self.ffn as u32)?;
        }
        if let Some([embedding, residual, logits]) = self.scales {
            plan.metadata(&key("embedding_scale"), embedding)?
                .metadata(&key("residual_scale"), residual)?
                .metadata(&key("logit_scale"), logits)?;
        }
        Ok(())
    }

    /// Plans all tensors.
    pub(super) fn plan(tensors: &[Tensor], plan: &mut GgufWriter) -> Result<(), WriteError> {
        for tensor in tensors {
            let dims = match tensor.content {
                Content::Constant(_) => vec![tensor.columns],
                _ if tensor.stacked > 1 => {
                    let rows = tensor.rows / tensor.stacked;
                    vec![tensor.columns, rows, tensor.stacked]
                }
                Content::Embedding(_) | Content::Ternary(_) => vec![tensor.columns, tensor.rows],
            };
            plan.tensor(&tensor.name, tensor.content.ty(), &dims)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::list::B2_4T;
    use super::*;

    #[test]
    fn the_2b4t_shape_has_the_published_tensors_and_weights() {
        let tensors = B2_4T.tensors();
        assert_eq!(tensors.len(), 332);
        let count = |wanted: fn(&Content) -> bool| {
            tensors
                .iter()
                .filter(|tensor| wanted(&tensor.content))
                .count()
        };
        assert_eq!(count(|c| matches!(c, Content::Constant(_))), 121);
        assert_eq!(count(|c| matches!(c, Content::Ternary(_))), 210);
        let ternary: usize = tensors
            .iter()
            .filter(|tensor| matches!(tensor.content, Content::Ternary(_)))
            .map(|tensor| tensor.rows * tensor.columns)
            .sum();
        assert_eq!(ternary, 2_084_044_800);
    }

    #[test]
    fn shapes_have_the_published_sizes() {
        // Weights in the layers, from the published shapes by hand.
        for (name, layer) in [
            (
                "bonsai-1.7b",
                2048 * (2048 + 2 * 1024 + 2048) + 3 * 2048 * 6144,
            ),
            (
                "bonsai-4b",
                2560 * (4096 + 2 * 1024 + 4096) + 3 * 2560 * 9728,
            ),
            (
                "bonsai-8b",
                4096 * (4096 + 2 * 1024 + 4096) + 3 * 4096 * 12_288,
            ),
            (
                "falcon3-7b",
                3072 * (3072 + 2 * 1024 + 3072) + 3 * 3072 * 23_040,
            ),
            (
                "embedding-270m",
                640 * (1024 + 2 * 256 + 1024) + 3 * 640 * 2048,
            ),
            (
                "bitcpm4-0.5b",
                1024 * (1024 + 2 * 128 + 1024) + 3 * 1024 * 4096,
            ),
            (
                "maple-20b",
                2048 * (2048 + 2 * 512 + 2048) + 256 * 3 * 2048 * 512,
            ),
            (
                "llama3-8b",
                4096 * (4096 + 2 * 1024 + 4096) + 3 * 4096 * 14_336,
            ),
        ] {
            let shape = SHAPES.iter().find(|shape| shape.name == name).unwrap();
            let tensors = shape.tensors();
            let in_layers = tensors.iter().filter(|t| t.name.starts_with("blk.0."));
            let matrices = in_layers.filter(|t| matches!(t.content, Content::Ternary(_)));
            let weights: usize = matrices.map(|t| t.rows * t.columns).sum();
            assert_eq!(weights, layer, "{name}");
        }
    }

    #[test]
    fn shapes_have_the_published_numbers_of_parameters() {
        // In millions, of all tensors.
        for (name, millions) in [
            ("trilm-99m", 100),
            ("trilm-830m", 835),
            ("trilm-3.9b", 3992),
            ("bitnet-3b", 3324),
            ("falcon3-3b", 3227),
            ("falcon3-10b", 10_305),
        ] {
            let shape = SHAPES.iter().find(|shape| shape.name == name).unwrap();
            let weights: usize = shape.tensors().iter().map(|t| t.rows * t.columns).sum();
            assert_eq!(weights / 1_000_000, millions, "{name}");
        }
    }

    #[test]
    fn the_27b_shape_has_the_published_tensors_and_size() {
        let shape = SHAPES.iter().find(|shape| shape.name == "bonsai2-27b");
        let tensors = shape.unwrap().tensors();
        assert_eq!(tensors.len(), 851);
        let count = |ty| tensors.iter().filter(|t| t.content.ty() == ty).count();
        assert_eq!(count(TensorType::Pq2_0), 402);
        assert_eq!(count(TensorType::F32), 353);
        assert_eq!(count(TensorType::Bf16), 96);
        // The published file has 7,206,168,928 bytes, with its tokenizer.
        let bytes = |tensor: &Tensor| {
            let ty = tensor.content.ty();
            ty.tensor_bytes(&[tensor.columns, tensor.rows]).unwrap()
        };
        let bytes: usize = tensors.iter().map(bytes).sum();
        assert!((7_180_000_000..7_206_168_928).contains(&bytes), "{bytes}");
    }

    #[test]
    fn shapes_have_different_names() {
        for (i, shape) in SHAPES.iter().enumerate() {
            assert!(SHAPES[..i].iter().all(|other| other.name != shape.name));
        }
    }
}
