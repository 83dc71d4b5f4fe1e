//! Shapes of published models, and what a file of that shape holds.

use tritone_formats::TensorType;
use tritone_formats::write::{GgufWriter, WriteError};

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
    /// Type of the ternary matrices in the published files.
    pub(super) ternary: TensorType,
    /// Type of embedding and head there.
    pub(super) embedding: TensorType,
}

/// BitNet b1.58 2B4T (Ma et al. 2025, arXiv 2504.12285).
const B2_4T: Shape = Shape {
    name: "2b4t",
    summary: "BitNet b1.58 2B4T: 30 layers of 2560, vocabulary 128256 (1.2 GB)",
    architecture: "bitnet-b1.58",
    more: More::SubNorms,
    layers: 30,
    hidden: 2560,
    ffn: 6912,
    heads: 20,
    kv_heads: 5,
    head_dim: 128,
    vocab: 128_256,
    context: 4096,
    theta: 500_000.0,
    eps: 1e-5,
    tied: true,
    yarn: None,
    ternary: TensorType::I2S,
    embedding: TensorType::F16,
};

/// Ternary Bonsai 1.7B (PrismML, April 2026).
const BONSAI_1_7B: Shape = Shape {
    name: "bonsai-1.7b",
    summary: "Ternary Bonsai 1.7B: 28 layers of 2048, scales of 128 (0.5 GB)",
    architecture: "qwen3",
    more: More::HeadNorms,
    layers: 28,
    hidden: 2048,
    ffn: 6144,
    heads: 16,
    kv_heads: 8,
    head_dim: 128,
    vocab: 151_669,
    context: 32_768,
    theta: 1e6,
    eps: 1e-6,
    tied: true,
    yarn: None,
    ternary: TensorType::Pq2_0,
    embedding: TensorType::Pq2_0,
};

/// Falcon3-1B-1.58bit (TII, December 2024).
const FALCON3_1B: Shape = Shape {
    name: "falcon3-1b",
    summary: "Falcon3 1B 1.58bit: 18 layers of 2048, vocabulary 131072 (1.4 GB)",
    architecture: "llama",
    more: More::Nothing,
    layers: 18,
    hidden: 2048,
    ffn: 8192,
    heads: 8,
    kv_heads: 4,
    head_dim: 256,
    vocab: 131_072,
    context: 8192,
    theta: 1_000_042.0,
    eps: 1e-6,
    tied: false,
    ..B2_4T
};

/// TriLM 3.9B (Spectra suite, Kaushal et al. 2024), as llama.cpp's TQ2_0 files have it.
const TRILM_3_9B: Shape = Shape {
    name: "trilm-3.9b",
    summary: "TriLM 3.9B: 30 layers of 3072, vocabulary 50688 (1.2 GB)",
    architecture: "llama",
    more: More::Nothing,
    layers: 30,
    hidden: 3072,
    ffn: 9216,
    heads: 24,
    kv_heads: 24,
    head_dim: 128,
    vocab: 50_688,
    context: 2048,
    theta: 10_000.0,
    eps: 1e-5,
    tied: false,
    yarn: None,
    ternary: TensorType::Tq2_0,
    embedding: TensorType::Q6K,
};

/// Every shape there is.
pub(super) const SHAPES: [Shape; 17] = [
    B2_4T,
    Shape {
        name: "2b4t-2layer",
        summary: "the first two layers of 2b4t with its whole vocabulary (0.7 GB)",
        layers: 2,
        ..B2_4T
    },
    Shape {
        name: "bitnet-large",
        summary: "1bitLLM bitnet_b1_58-large: 24 layers of 1536, vocabulary 32002 (0.3 GB)",
        architecture: "bitnet",
        layers: 24,
        hidden: 1536,
        ffn: 4096,
        heads: 16,
        kv_heads: 16,
        head_dim: 96,
        vocab: 32_002,
        context: 2048,
        theta: 10_000.0,
        ..B2_4T
    },
    Shape {
        name: "bitnet-3b",
        summary: "1bitLLM bitnet_b1_58-3B: 26 layers of 3200, heads of 100, vocabulary 32002 (1.0 GB)",
        architecture: "bitnet",
        layers: 26,
        hidden: 3200,
        ffn: 8640,
        heads: 32,
        kv_heads: 32,
        head_dim: 100,
        vocab: 32_002,
        context: 2048,
        theta: 10_000.0,
        // Rows of 8640 are no multiple of 128: this is the type of the files that people run.
        ternary: TensorType::Iq2BnR4,
        ..B2_4T
    },
    BONSAI_1_7B,
    Shape {
        name: "bonsai-4b",
        summary: "Ternary Bonsai 4B: 36 layers of 2560, scales of 128 (1.1 GB)",
        layers: 36,
        hidden: 2560,
        ffn: 9728,
        heads: 32,
        ..BONSAI_1_7B
    },
    Shape {
        name: "bonsai-8b",
        summary: "Ternary Bonsai 8B: 36 layers of 4096, scales of 128, YaRN (2.2 GB)",
        layers: 36,
        hidden: 4096,
        ffn: 12_288,
        heads: 32,
        context: 65_536,
        tied: false,
        yarn: Some(16_384),
        ..BONSAI_1_7B
    },
    Shape {
        name: "embedding-0.6b",
        summary: "BitNet embedding 0.6B: 28 layers of 1024, a norm for every matrix (0.4 GB)",
        more: More::InputNorms,
        hidden: 1024,
        ffn: 3072,
        vocab: 151_936,
        ternary: TensorType::I2S,
        embedding: TensorType::F16,
        ..BONSAI_1_7B
    },
    FALCON3_1B,
    Shape {
        name: "falcon3-3b",
        summary: "Falcon3 3B 1.58bit: 22 layers of 3072, vocabulary 131072 (2.2 GB)",
        layers: 22,
        hidden: 3072,
        ffn: 9216,
        heads: 12,
        context: 32_768,
        ..FALCON3_1B
    },
    Shape {
        name: "falcon3-10b",
        summary: "Falcon3 10B 1.58bit: 40 layers of 3072, vocabulary 131072 (4.0 GB)",
        layers: 40,
        hidden: 3072,
        ffn: 23_040,
        heads: 12,
        context: 32_768,
        ..FALCON3_1B
    },
    TRILM_3_9B,
    Shape {
        name: "trilm-830m",
        summary: "TriLM 830M: 24 layers of 1536, vocabulary 50688 (0.3 GB)",
        layers: 24,
        hidden: 1536,
        ffn: 4096,
        heads: 24,
        kv_heads: 24,
        head_dim: 64,
        ..TRILM_3_9B
    },
    Shape {
        name: "trilm-99m",
        summary: "TriLM 99M: 16 layers of 512, vocabulary 50688 (0.1 GB)",
        layers: 16,
        hidden: 512,
        ffn: 1280,
        heads: 8,
        kv_heads: 8,
        head_dim: 64,
        ..TRILM_3_9B
    },
    Shape {
        name: "falcon3-7b",
        summary: "Falcon3 7B 1.58bit: 28 layers of 3072, vocabulary 131072 (3.2 GB)",
        layers: 28,
        hidden: 3072,
        ffn: 23_040,
        heads: 12,
        context: 32_768,
        ..FALCON3_1B
    },
    Shape {
        name: "llama3-8b",
        summary: "Llama3 8B 1.58: 32 layers of 4096, vocabulary 128256 (3.8 GB)",
        layers: 32,
        hidden: 4096,
        ffn: 14_336,
        heads: 32,
        kv_heads: 8,
        head_dim: 128,
        vocab: 128_256,
        theta: 500_000.0,
        eps: 1e-5,
        ..FALCON3_1B
    },
    Shape {
        name: "tiny",
        summary: "the built-in model: 6 layers of 256, vocabulary 2048 (2 MB)",
        layers: 6,
        hidden: 256,
        ffn: 768,
        heads: 4,
        kv_heads: 2,
        head_dim: 64,
        vocab: 2048,
        context: 1024,
        theta: 10_000.0,
        ..B2_4T
    },
];

/// One tensor of a file.
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) content: Content,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// What a tensor is filled with.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// Small random values of this type.
    Embedding(TensorType),
    /// Ones.
    Norm,
    /// Random ternary weights of this type.
    Ternary(TensorType),
}

impl Content {
    fn ty(self) -> TensorType {
        match self {
            Self::Embedding(ty) | Self::Ternary(ty) => ty,
            Self::Norm => TensorType::F32,
        }
    }
}

impl Shape {
    /// The tensors of a file, in its order.
    pub(super) fn tensors(&self) -> Vec<Tensor> {
        let (hidden, ffn) = (self.hidden, self.ffn);
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let norms: &[(&str, usize)] = match self.more {
            More::Nothing => &[],
            More::SubNorms => &[("attn_sub_norm", q), ("ffn_sub_norm", ffn)],
            More::HeadNorms => &[
                ("attn_q_norm", self.head_dim),
                ("attn_k_norm", self.head_dim),
            ],
            More::InputNorms => &[
                ("attn_q_norm", self.head_dim),
                ("attn_k_norm", self.head_dim),
                ("attn_q_norm_in", hidden),
                ("attn_k_norm_in", hidden),
                ("attn_v_norm_in", hidden),
                ("attn_output_norm_in", q),
                ("ffn_gate_norm_in", hidden),
                ("ffn_up_norm_in", hidden),
                ("ffn_down_norm_in", ffn),
            ],
        };
        let ternary = Content::Ternary(self.ternary);
        let mut layer = vec![
            ("attn_norm", Content::Norm, 1, hidden),
            ("ffn_norm", Content::Norm, 1, hidden),
        ];
        layer.extend(
            norms
                .iter()
                .map(|&(name, width)| (name, Content::Norm, 1, width)),
        );
        layer.extend([
            ("attn_q", ternary, q, hidden),
            ("attn_k", ternary, kv, hidden),
            ("attn_v", ternary, kv, hidden),
            ("attn_output", ternary, hidden, q),
            ("ffn_gate", ternary, ffn, hidden),
            ("ffn_up", ternary, ffn, hidden),
            ("ffn_down", ternary, hidden, ffn),
        ]);
        let tensor = |name: String, (content, rows, columns)| Tensor {
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
            tensors.extend(layer.iter().map(|&(name, content, rows, columns)| {
                tensor(
                    format!("blk.{number}.{name}.weight"),
                    (content, rows, columns),
                )
            }));
        }
        let norm = (Content::Norm, 1, hidden);
        tensors.push(tensor("output_norm.weight".to_owned(), norm));
        if !self.tied {
            tensors.push(tensor("output.weight".to_owned(), embedding));
        }
        tensors
    }

    /// Plans the keys that describe the shape, under the names of the official 2B4T file.
    pub(super) fn describe(&self, plan: &mut GgufWriter) -> Result<(), WriteError> {
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
            ("rope.dimension_count", self.head_dim),
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
        Ok(())
    }

    /// Plans all tensors.
    pub(super) fn plan(tensors: &[Tensor], plan: &mut GgufWriter) -> Result<(), WriteError> {
        for tensor in tensors {
            let dims = match tensor.content {
                Content::Norm => vec![tensor.columns],
                Content::Embedding(_) | Content::Ternary(_) => vec![tensor.columns, tensor.rows],
            };
            plan.tensor(&tensor.name, tensor.content.ty(), &dims)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(count(|c| matches!(c, Content::Norm)), 121);
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
    fn shapes_have_different_names() {
        for (i, shape) in SHAPES.iter().enumerate() {
            assert!(SHAPES[..i].iter().all(|other| other.name != shape.name));
        }
    }
}
